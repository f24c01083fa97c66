// SPDX-License-Identifier: Apache-2.0

package vch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/vsphere"
)

// vCenter's own list of the VCHs is a category of tags. Each VCH has a tag in it, whose id has the VCH's UUID in it, which is
// called after the VCH, and which is on its endpoint VM. So two requests say which VMs to read, however many others there
// are; and vCenter sees that no two VCHs have one name, because the names of a category's tags are unique.
//
// The tag outlives its VM: when a VM was unregistered and registered again, which makes it another object without tags, the
// UUID in the tag's id is still the VM's instanceUuid. A lone ESXi host has no tags and few VMs: there all are read.
const (
	categoryName = "wolfpack-vch"
	categoryID   = "urn:vmomi:InventoryServiceCategory:6f1c1a52-5d0b-4d5e-9b0a-7766636877f0:GLOBAL"
	tagPrefix    = "urn:vmomi:InventoryServiceTag:"
	tagSuffix    = ":GLOBAL"
)

// index is vCenter's list of the VCHs as it was when it was looked at.
type index struct {
	manager *tags.Manager
	close   func()
	there   bool                 // false in a vCenter that has no such list yet
	entries map[string]reference // endpoint VMs by the VCHs' UUIDs; zero for one whose VM has no tag
}

func tagOf(id string) string { return tagPrefix + id + tagSuffix }

// openIndex reads the index. It is nil on an ESXi host.
func openIndex(ctx context.Context, client *vsphere.Client) (*index, error) {
	if !client.IsVC() {
		return nil, nil
	}
	manager, end, err := client.Tags(ctx)
	if err != nil {
		return nil, err
	}
	x := &index{manager: manager, close: end, entries: map[string]reference{}}
	if err := x.read(ctx); err != nil {
		end()
		return nil, fmt.Errorf("read vCenter's tags: %w", err)
	}
	return x, nil
}

func (x *index) end() {
	if x != nil {
		x.close()
	}
}

func (x *index) read(ctx context.Context) error {
	ids, err := x.manager.ListTagsForCategory(ctx, categoryID)
	if err != nil {
		if err = vsphere.TagError(err); errs.Is(err, errs.NotFound) {
			return nil
		}
		return err
	}
	x.there = true
	for _, id := range ids {
		x.entries[strings.TrimSuffix(strings.TrimPrefix(id, tagPrefix), tagSuffix)] = reference{}
	}
	if len(ids) == 0 {
		return nil
	}
	attached, err := x.manager.ListAttachedObjectsOnTags(ctx, ids)
	if err != nil {
		return vsphere.TagError(err)
	}
	for _, tag := range attached {
		for _, thing := range tag.ObjectIDs {
			if ref := thing.Reference(); ref.Type == "VirtualMachine" {
				x.entries[strings.TrimSuffix(strings.TrimPrefix(tag.TagID, tagPrefix), tagSuffix)] = ref
			}
		}
	}
	return nil
}

// endpoints are the VMs that the index has.
func (x *index) endpoints() []reference {
	var refs []reference
	for _, ref := range x.entries {
		if ref.Value != "" {
			refs = append(refs, ref)
		}
	}
	return refs
}

// endpoint says whether ref is the endpoint VM of the VCH of that UUID.
func (inv *inventory) endpoint(id string, ref reference) bool {
	vm, ok := inv.entities[ref].(*mo.VirtualMachine)
	if !ok {
		return false
	}
	values := identity(vm)
	return isEndpoint(vm, values) && values[KeyVCHID] == id
}

// recover finds the endpoint VMs that have lost their tags, or whose tags are on something else, by their UUIDs, and says
// whether there were any. A VCH that is made just now, or was not made to its end, has none.
func (x *index) recover(ctx context.Context, client *vsphere.Client, inv *inventory) (bool, error) {
	search := object.NewSearchIndex(client.Client)
	var refs []reference
	for id, ref := range x.entries {
		if inv.endpoint(id, ref) {
			continue
		}
		x.entries[id] = reference{}
		found, err := search.FindByUuid(ctx, nil, id, true, types.NewBool(true))
		if err != nil {
			return false, fmt.Errorf("find the VM %s: %w", id, err)
		}
		if found != nil {
			refs = append(refs, found.Reference())
		}
	}
	if len(refs) == 0 {
		return false, nil
	}
	return true, inv.read(ctx, client.Client, around(refs))
}

// make makes the category, in a vCenter that has none.
func (x *index) make(ctx context.Context) error {
	if x.there {
		return nil
	}
	_, err := x.manager.CreateCategory(ctx, &tags.Category{
		CategoryID: categoryID, Name: categoryName, Cardinality: "MULTIPLE", AssociableTypes: []string{"VirtualMachine"},
		Description: "Wolfpack's virtual container hosts. A tag is a VCH; it is found by it, so leave it on its endpoint VM.",
	})
	if err = vsphere.TagError(err); err != nil && !errs.Is(err, errs.Exists) {
		return fmt.Errorf("make the category %s of tags: %w", categoryName, err)
	}
	x.there = true
	return nil
}

// enter writes down that there is, or is going to be, a VCH of that UUID and name.
func (x *index) enter(ctx context.Context, id, name string) error {
	if err := x.make(ctx); err != nil {
		return err
	}
	_, err := x.manager.CreateTag(ctx, &tags.Tag{TagID: tagOf(id), Name: name, CategoryID: categoryID, Description: "Virtual container host " + name})
	if err == nil {
		x.entries[id] = reference{}
		return nil
	}
	return vsphere.TagError(err)
}

// attach writes down which VM it is.
func (x *index) attach(ctx context.Context, id string, vm reference) error {
	if err := x.manager.AttachTag(ctx, tagOf(id), vm); err != nil {
		return vsphere.TagError(err)
	}
	x.entries[id] = vm
	return nil
}

// remove strikes a VCH off the list. One that is not on it is no error.
func (x *index) remove(ctx context.Context, id string) error {
	err := x.manager.DeleteTag(ctx, &tags.Tag{ID: tagOf(id)})
	if err == nil {
		delete(x.entries, id)
		return nil
	}
	if err = vsphere.TagError(err); errs.Is(err, errs.NotFound) {
		return nil
	}
	return err
}

// orphans are the UUIDs of VCHs of that name which have no endpoint VM: those that are made just now, or were left.
func (x *index) orphans(ctx context.Context, name string) ([]string, error) {
	var ids []string
	for id, ref := range x.entries {
		if ref.Value != "" {
			continue
		}
		tag, err := x.manager.GetTag(ctx, tagOf(id))
		if err != nil {
			if err = vsphere.TagError(err); errs.Is(err, errs.NotFound) {
				continue // gone meanwhile
			}
			return nil, err
		}
		if strings.EqualFold(tag.Name, name) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// adopt writes down VCHs that the list lacks: those that an older build has made, and those whose VM was registered anew.
// Whoever may not do so has found them all the same.
func (x *index) adopt(ctx context.Context, vchs []*VCH) {
	if x.make(ctx) != nil {
		return
	}
	for _, vch := range vchs {
		if x.entries[vch.ID] == vch.EndpointVM.Ref {
			continue
		}
		if err := x.enter(ctx, vch.ID, vch.Name); err == nil || errs.Is(err, errs.Exists) {
			_ = x.attach(ctx, vch.ID, vch.EndpointVM.Ref)
		}
	}
}
