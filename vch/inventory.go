// SPDX-License-Identifier: Apache-2.0

package vch

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// reference is a managed object's id.
type reference = types.ManagedObjectReference

// Object is a thing in vSphere's inventory.
type Object struct {
	Ref  reference // zero if there is no such thing
	Name string
	Path string // inventory path, as govc takes it
}

// exists says whether o is a thing that is there.
func (o Object) exists() bool { return o.Ref.Value != "" }

// unfinished says whether o is to be made, or has been but not to its end.
func (o Object) unfinished() bool { return !o.exists() || strings.HasSuffix(o.Name, suffix) }

// String is the inventory path.
func (o Object) String() string { return o.Path }

// inventory is what a look at vSphere found, by id. All questions about places, choices and identity are answered from it
// without another call.
type inventory struct {
	root     reference // which is no part of paths
	entities map[reference]mo.Entity
	session  string // the key of our own, and whose it is; "" if that was not read
	user     string
}

func newInventory(root reference) *inventory {
	return &inventory{root: root, entities: map[reference]mo.Entity{}}
}

// add takes what could be read of each object: one that this user may not see whole is no reason to fail.
func (inv *inventory) add(content []types.ObjectContent) error {
	for _, object := range content {
		object.MissingSet = nil
		value, err := mo.ObjectContentToType(object, true)
		if err != nil {
			return fmt.Errorf("read %s: %w", object.Obj, err)
		}
		if manager, ok := value.(*mo.SessionManager); ok {
			inv.sessionManager(manager)
		}
		if entity, ok := value.(mo.Entity); ok && object.Obj != inv.root {
			entity.Entity().Name = name(object)
			inv.entities[object.Obj] = entity
		}
	}
	return nil
}

// name is the name property. Some types of package mo, such as Network, hide their entity's.
func name(object types.ObjectContent) string {
	for _, property := range object.PropSet {
		if text, ok := property.Val.(string); ok && property.Name == "name" {
			return text
		}
	}
	return ""
}

// object returns the thing with that id, or the zero Object if there is none.
func (inv *inventory) object(ref reference) Object {
	entity, ok := inv.entities[ref]
	if !ok {
		return Object{}
	}
	return Object{Ref: ref, Name: entity.Entity().Name, Path: inv.path(ref)}
}

// path is the inventory path of ref. The root folder, which has no parent here, is its slash.
func (inv *inventory) path(ref reference) string {
	var names []string
	for _, ancestor := range inv.ancestry(ref) {
		names = append(names, inv.entities[ancestor].Entity().Name)
	}
	slices.Reverse(names)
	return "/" + strings.Join(names, "/")
}

// ancestry is ref and all that it is in, up to but without the root folder.
func (inv *inventory) ancestry(ref reference) []reference {
	var refs []reference
	for at, ok := inv.entities[ref]; ok; at, ok = inv.entities[ref] {
		refs = append(refs, ref)
		if at.Entity().Parent == nil {
			break
		}
		ref = *at.Entity().Parent
	}
	return refs
}

// datacenter is the one that ref is in.
func (inv *inventory) datacenter(ref reference) Object {
	for _, ancestor := range inv.ancestry(ref) {
		if ancestor.Type == "Datacenter" {
			return inv.object(ancestor)
		}
	}
	return Object{}
}

// vms are all virtual machines that are in place: in the folder or the resource pool of that id, at any depth.
func (inv *inventory) vms(place reference) []*mo.VirtualMachine {
	var found []*mo.VirtualMachine
	for ref, entity := range inv.entities {
		vm, ok := entity.(*mo.VirtualMachine)
		if !ok {
			continue
		}
		in := inv.ancestry(ref)
		if vm.ResourcePool != nil {
			in = append(in, inv.ancestry(*vm.ResourcePool)...)
		}
		if slices.Contains(in, place) {
			found = append(found, vm)
		}
	}
	return found
}

// children are the things directly in ref: by parent, and for a resource pool its VMs too.
func (inv *inventory) children(place reference) []Object {
	return inv.list(func(entity mo.Entity) bool {
		parent := entity.Entity().Parent
		vm, isVM := entity.(*mo.VirtualMachine)
		return parent != nil && *parent == place || isVM && vm.ResourcePool != nil && *vm.ResourcePool == place
	})
}

// child is the thing of that name in place, or the zero Object.
func (inv *inventory) child(place reference, name string) Object {
	for _, object := range inv.children(place) {
		if object.Name == name && object.Ref.Type != "VirtualMachine" {
			return object
		}
	}
	return Object{}
}

// list returns the things that keep keeps, sorted by path.
func (inv *inventory) list(keep func(mo.Entity) bool) []Object {
	var objects []Object
	for ref, entity := range inv.entities {
		if keep(entity) {
			objects = append(objects, inv.object(ref))
		}
	}
	slices.SortFunc(objects, func(a, b Object) int { return strings.Compare(a.Path, b.Path) })
	return objects
}

// inDatacenter restricts keep to what is in a datacenter.
func (inv *inventory) inDatacenter(datacenter reference, keep func(mo.Entity) bool) []Object {
	return inv.list(func(entity mo.Entity) bool {
		return keep(entity) && inv.datacenter(entity.Reference()).Ref == datacenter
	})
}

// matches says whether a user who writes text means o: its name, its path, or the end of its path, in which * and ?
// stand for any text within a name.
func (o Object) matches(text string) bool {
	if text == o.Name || text == o.Path {
		return true
	}
	parts := strings.Split(o.Path, "/")
	depth := strings.Count(text, "/") + 1
	if depth > len(parts) {
		return false
	}
	ok, err := path.Match(text, strings.Join(parts[len(parts)-depth:], "/"))
	return ok && err == nil
}
