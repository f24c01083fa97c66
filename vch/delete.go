// SPDX-License-Identifier: Apache-2.0

package vch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"golang.org/x/sync/errgroup"

	"wolfpack/errs"
	"wolfpack/vsphere"
)

// DeleteOptions says how to delete a VCH.
type DeleteOptions struct {
	Force    bool              // power off and delete the VMs of its pods too
	Progress func(step string) // is told of each step as it begins, one at a time; may be nil
}

// parallelDeletes is how many pod VMs are deleted at once. vCenter runs no more than a few such tasks for each host.
const parallelDeletes = 8

// Delete removes the VCH of that name, or what an unfinished create or delete has left of it. It is errs.NotFound if
// there is nothing, and errs.Invalid if there are pod VMs and opts does not allow to remove them. VMs of others in the
// VCH's folder or pool are never touched: then the folder or pool is kept, and the error, errs.Exists, lists them. What
// failed can be run again; the endpoint VM goes last of the VMs, so that the VCH can be found until then. Its name goes from
// vCenter's index last of all, and is free for another from then on.
func Delete(ctx context.Context, client *vsphere.Client, name string, opts DeleteOptions) error {
	const op = "vch.Delete"
	d := &deletion{client: client.Client, name: name, opts: opts}
	s, err := look(ctx, client)
	if err == nil {
		defer s.end()
		err = d.find(ctx, s)
	}
	if err != nil {
		return errs.Wrap(op, fmt.Errorf("delete VCH %q: %w", name, err))
	}
	if d.found == nil {
		if !d.survey(s.inventory) {
			return errs.New(op, errs.NotFound, "no VCH %q; %s", name, s.known())
		}
	} else if err := d.plan(s.inventory, d.found); err != nil {
		return err
	}
	if err := d.run(ctx); err != nil {
		return errs.Wrap(op, fmt.Errorf("delete VCH %q: %w", name, err))
	}
	return d.kept()
}

// deletion is what to remove, and what to keep.
type deletion struct {
	client   *vim25.Client
	index    *index
	entries  []string // UUIDs that are to go from vCenter's index
	found    *VCH     // nil if only remains are there
	name     string
	opts     DeleteOptions
	pods     []Object
	endpoint Object
	folders  []Object
	pools    []Object
	keep     []string // places that others' VMs are in, and these
}

// find looks for the VCH, for what is in its places, and for what vCenter's index says of it.
func (d *deletion) find(ctx context.Context, s *survey) (err error) {
	if s.broken != nil {
		return s.broken
	}
	d.index = s.index
	if d.found, err = s.find(ctx, d.name); err != nil {
		return err
	}
	if d.found == nil {
		if s.index != nil {
			d.entries, err = s.index.orphans(ctx, d.name)
		}
		return err
	}
	if s.index != nil {
		d.entries = []string{d.found.ID}
	}
	return s.lookInside(ctx, d.found)
}

// survey finds the empty places that an unfinished create or delete has left. Their names alone say whose they are.
func (d *deletion) survey(inv *inventory) bool {
	left := inv.list(func(entity mo.Entity) bool {
		return entity.Entity().Name == d.name+suffix && (isVMFolder(entity) || isPool(entity)) && len(inv.children(entity.Reference())) == 0
	})
	for _, object := range left {
		if object.Ref.Type == "Folder" {
			d.folders = append(d.folders, object)
		} else {
			d.pools = append(d.pools, object)
		}
	}
	return len(left) > 0 || len(d.entries) > 0
}

// plan sorts the VMs in the VCH's places into its own and others'.
func (d *deletion) plan(inv *inventory, vch *VCH) error {
	d.endpoint = vch.EndpointVM
	if vch.ownFolder {
		d.place(inv, vch.Folder, &d.folders)
	}
	if vch.Pool.exists() {
		d.place(inv, vch.Pool, &d.pools)
	}
	slices.SortFunc(d.pods, func(a, b Object) int { return strings.Compare(a.Path, b.Path) })
	d.pods = slices.Compact(d.pods)
	if len(d.pods) > 0 && !d.opts.Force {
		return errs.New("vch.Delete", errs.Invalid, "VCH %q still has %d pod VMs: %s; delete their pods first, or remove them too with --force",
			d.name, len(d.pods), some(pathsOf(d.pods)))
	}
	return nil
}

// place puts a folder or pool on the list of what to remove, unless others use it.
func (d *deletion) place(inv *inventory, place Object, remove *[]Object) {
	others := d.others(inv, place)
	if len(others) == 0 {
		*remove = append(*remove, place)
		return
	}
	d.keep = append(d.keep, fmt.Sprintf("%s, because of %s", place, some(others)))
}

// others lists what is in place and not the VCH's, and collects the pods' VMs that are.
func (d *deletion) others(inv *inventory, place Object) []string {
	var others []string
	for _, vm := range inv.vms(place.Ref) {
		switch {
		case vm.Self == d.endpoint.Ref:
		case isPodOf(identity(vm), d.name):
			d.pods = append(d.pods, inv.object(vm.Self))
		default:
			others = append(others, inv.object(vm.Self).Path)
		}
	}
	for _, child := range inv.children(place.Ref) {
		if child.Ref.Type != "VirtualMachine" {
			others = append(others, child.Path)
		}
	}
	slices.Sort(others)
	return others
}

// run removes pods' VMs, then the endpoint VM, then the places. While the endpoint VM is there it says what the places
// are; before it goes, they get the name that says so without it.
func (d *deletion) run(ctx context.Context) error {
	if err := d.removePods(ctx); err != nil {
		return err
	}
	if d.endpoint.exists() {
		if err := d.mark(ctx); err != nil {
			return err
		}
		tell(d.opts.Progress, "endpoint VM "+d.endpoint.Path)
		if err := destroyVM(ctx, d.client, d.endpoint.Ref); err != nil {
			return fmt.Errorf("endpoint VM %s: %w", d.endpoint, err)
		}
	}
	return errors.Join(
		d.each(ctx, "VM folder", d.folders, removeFolder),
		d.each(ctx, "resource pool", d.pools, removePool),
		d.strike(ctx),
	)
}

// strike takes the VCH off vCenter's index.
func (d *deletion) strike(ctx context.Context) error {
	var failed []error
	for _, id := range d.entries {
		tell(d.opts.Progress, "name in vCenter's index")
		if err := d.index.remove(ctx, id); err != nil {
			failed = append(failed, fmt.Errorf("name %q in vCenter's index: %w; run the delete again", d.name, err))
		}
	}
	return errors.Join(failed...)
}

// removePods removes them in parallel, each whatever becomes of the others.
func (d *deletion) removePods(ctx context.Context) error {
	var mu sync.Mutex // guards failed, and makes Progress be called one at a time
	var failed []error
	var group errgroup.Group
	group.SetLimit(parallelDeletes)
	for _, pod := range d.pods {
		group.Go(func() error {
			mu.Lock()
			tell(d.opts.Progress, "pod VM "+pod.Path)
			mu.Unlock()
			if err := destroyVM(ctx, d.client, pod.Ref); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, fmt.Errorf("pod VM %s: %w", pod, err))
			}
			return nil
		})
	}
	_ = group.Wait()
	return errors.Join(failed...)
}

// mark renames the places that will be removed.
func (d *deletion) mark(ctx context.Context) error {
	name := d.name + suffix
	for _, folder := range d.folders {
		if folder.Name == name {
			continue
		}
		err := do(ctx, func(ctx context.Context) (*object.Task, error) {
			return object.NewFolder(d.client, folder.Ref).Rename(ctx, name)
		})
		if err != nil {
			return fmt.Errorf("VM folder %s: %w", folder, err)
		}
	}
	for _, pool := range d.pools {
		if pool.Name == name {
			continue
		}
		_, err := submit(ctx, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, object.NewResourcePool(d.client, pool.Ref).UpdateConfig(ctx, name, nil)
		})
		if err != nil {
			return fmt.Errorf("resource pool %s: %w", pool, err)
		}
	}
	return nil
}

// each removes places, each whatever becomes of the others.
func (d *deletion) each(ctx context.Context, kind string, places []Object, remove func(context.Context, *vim25.Client, Object) error) error {
	var failed []error
	for _, place := range places {
		tell(d.opts.Progress, kind+" "+place.Path)
		if err := remove(ctx, d.client, place); err != nil {
			failed = append(failed, fmt.Errorf("%s %s: %w; run the delete again", kind, place, err))
		}
	}
	return errors.Join(failed...)
}

// kept is the error for places that others' things are in.
func (d *deletion) kept() error {
	if len(d.keep) == 0 {
		return nil
	}
	return errs.New("vch.Delete", errs.Exists, "VCH %q is deleted, but what others use was kept: %s; move these elsewhere and remove it with govc object.destroy",
		d.name, strings.Join(d.keep, "; "))
}
