// SPDX-License-Identifier: Apache-2.0

package vcenter

import (
	"context"
	"fmt"
	"sync"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/provider/portlayer"
)

// outside knows which pod VMs somebody moved out of both the folder and the pool. To the watch over these a VM that is moved
// and one that is destroyed look the same, so vCenter is asked once for each that we do not destroy ourselves. A VM that is
// still there gets a filter of its own in the same collector, which tells of it until it is destroyed or comes back.
type outside struct {
	mu       sync.Mutex // guards all below
	known    map[portlayer.ID]bool
	moved    map[portlayer.ID]bool // which have filters of their own: of known, or found by Find
	removing map[portlayer.ID]bool // that we destroy
	watches  map[*watch]bool       // that run
}

func newOutside() *outside {
	return &outside{
		known: map[portlayer.ID]bool{}, moved: map[portlayer.ID]bool{}, removing: map[portlayer.ID]bool{}, watches: map[*watch]bool{},
	}
}

// begin takes a watch that runs, and returns the VMs that it must follow from the start.
func (o *outside) begin(w *watch) []portlayer.ID {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.watches[w] = true
	var moved []portlayer.ID
	for id := range o.moved {
		moved = append(moved, id)
	}
	return moved
}

func (o *outside) end(w *watch) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.watches, w)
}

// saw takes news of VMs from a watch.
func (o *outside) saw(update portlayer.Update) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if update.Sync {
		clear(o.known)
	}
	for _, vm := range update.Changed {
		o.known[vm.ID] = true
	}
	for _, id := range update.Gone {
		delete(o.known, id)
		delete(o.moved, id)
		delete(o.removing, id)
	}
}

// missing are the known VMs that are not in records and that we do not destroy.
func (o *outside) missing(records map[portlayer.ID]*record) []portlayer.ID {
	o.mu.Lock()
	defer o.mu.Unlock()
	var missing []portlayer.ID
	for id := range o.known {
		if records[id] == nil && !o.removing[id] && !o.moved[id] {
			missing = append(missing, id)
		}
	}
	return missing
}

// remove says whether we destroy the VM.
func (o *outside) remove(id portlayer.ID, removing bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if removing {
		o.removing[id] = true
	} else {
		delete(o.removing, id)
	}
}

func (o *outside) isRemoving(id portlayer.ID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.removing[id]
}

// move takes a VM that is outside, and returns the watches that run.
func (o *outside) move(id portlayer.ID) []*watch {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.moved[id] = true
	var watches []*watch
	for w := range o.watches {
		watches = append(watches, w)
	}
	return watches
}

// back takes that a VM is selected with the others again.
func (o *outside) back(id portlayer.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.moved, id)
}

func (o *outside) forget(id portlayer.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.moved, id)
	delete(o.known, id)
}

// Find asks for the VM by its instanceUuid, which is made from the pod's UID.
func (v *VCenter) Find(ctx context.Context, uid string) error {
	const op = "vcenter.Find"
	ctx, cancel := context.WithTimeout(ctx, v.limits.request)
	defer cancel()
	found, err := object.NewSearchIndex(v.client).FindByUuid(ctx, nil, instanceUUID(uid), true, types.NewBool(true))
	if err != nil {
		return errs.New(op, errs.KindOf(err), "find the VM of pod %s: %w", uid, err)
	}
	if found == nil {
		return errs.New(op, errs.NotFound, "no VM of pod %s in vSphere", uid)
	}
	id := portlayer.ID(found.Reference().Value)
	for _, w := range v.outside.move(id) {
		if err := w.follow(ctx, id); err != nil {
			return errs.New(op, errs.KindOf(err), "watch VM %s: %w", id, err)
		}
	}
	return nil
}

// track asks whether the VM is still there, and if so follows it.
func (w *watch) track(ctx context.Context, id portlayer.ID) (there bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.v.limits.request)
	defer cancel()
	var vm mo.VirtualMachine
	err = property.DefaultCollector(w.v.client).RetrieveOne(ctx, ref(id), []string{"name"}, &vm)
	if errs.Is(err, errs.NotFound) {
		w.v.outside.forget(id)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask for VM %s, which left the folder and the pool: %w", id, err)
	}
	w.v.outside.move(id)
	return true, w.follow(ctx, id)
}

// follow has the collector tell of one VM, wherever it is.
func (w *watch) follow(ctx context.Context, id portlayer.ID) error {
	_, err := w.filter(ctx, types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{Obj: ref(id)}},
		PropSet:   []types.PropertySpec{{Type: "VirtualMachine", PathSet: watched}},
	})
	return err
}

// enter takes that a filter selects the VM from now on. A VM that is back needs no filter of its own.
func (w *watch) enter(ctx context.Context, filter types.ManagedObjectReference, id portlayer.ID, r *record) {
	if filter == w.main {
		r.selected = true
	} else {
		r.own = append(r.own, filter)
	}
	if !r.selected {
		return
	}
	w.v.outside.back(id)
	ctx, cancel := context.WithTimeout(ctx, w.v.limits.request)
	defer cancel()
	for _, own := range r.own {
		// A filter that stays tells everything twice, which does no harm.
		_, _ = methods.DestroyPropertyFilter(ctx, w.v.client, &types.DestroyPropertyFilter{This: own})
	}
	r.own = nil
}

// leave takes that a filter does not select the VM any more, and returns it if it is gone.
func (w *watch) leave(ctx context.Context, filter types.ManagedObjectReference, id portlayer.ID, changed map[portlayer.ID]bool) (gone []portlayer.ID, err error) {
	r := w.records[id]
	if r == nil || filter != w.main && r.selected {
		return nil, nil
	}
	if filter == w.main && w.mine[id] && !w.v.outside.isRemoving(id) {
		there := len(r.own) > 0
		if !there {
			there, err = w.track(ctx, id)
		}
		if err != nil {
			return nil, err
		}
		if there {
			r.selected = false
			changed[id] = true
			return nil, nil
		}
	}
	w.place.saw(r)
	delete(w.records, id)
	delete(changed, id)
	if w.mine[id] {
		delete(w.mine, id)
		return []portlayer.ID{id}, nil
	}
	return nil, nil
}
