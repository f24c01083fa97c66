// SPDX-License-Identifier: Apache-2.0

package vcenter

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
	"k8s.io/klog/v2"

	"wolfpack/provider/portlayer"
)

// collectorTimeout bounds the removal of a collector, and its view, that are no longer needed.
const collectorTimeout = 5 * time.Second

// Watch holds one property collector over the VMs of the virtual container host and vCenter's recent tasks.
func (v *VCenter) Watch(ctx context.Context, sink func(portlayer.Update)) error {
	backoff := v.limits.rewatch
	for {
		began := time.Now()
		err := v.watch(ctx, sink)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) > time.Minute {
			backoff = v.limits.rewatch
		}
		klog.FromContext(ctx).V(2).Info("The watch over vSphere is interrupted", "vch", v.target.VCH, "reason", err)
		sink(portlayer.Update{Lost: err})
		select {
		case <-time.After(backoff.Step()):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watch reports until the collector or the connection fails.
func (v *VCenter) watch(ctx context.Context, sink func(portlayer.Update)) error {
	w := &watch{v: v, sink: sink, records: map[portlayer.ID]*record{}, mine: map[portlayer.ID]bool{}, place: newPlace(v)}
	destroy, err := w.collect(ctx)
	defer destroy()
	if err != nil {
		return err
	}
	defer v.outside.end(w)
	for _, id := range v.outside.begin(w) {
		if _, err := w.track(ctx, id); err != nil {
			return err
		}
	}
	request := types.WaitForUpdatesEx{
		This:    w.collector.Reference(),
		Options: &types.WaitOptions{MaxWaitSeconds: types.NewInt32(int32(v.limits.poll / time.Second))},
	}
	for {
		res, err := v.poll(ctx, &request)
		if err != nil {
			return fmt.Errorf("wait for updates: %w", err)
		}
		w.answered = time.Now()
		if set := res.Returnval; set != nil {
			request.Version = set.Version
			if err := w.apply(ctx, set); err != nil {
				return err
			}
		} else {
			w.report(portlayer.Update{})
		}
		if w.synced && w.place.due(time.Now()) {
			if err := w.place.statistics(ctx); err != nil {
				return err
			}
			w.report(portlayer.Update{})
		}
	}
}

// poll waits for updates. A vCenter that does not even say that there are none is gone, though its connection is open.
func (v *VCenter) poll(ctx context.Context, request *types.WaitForUpdatesEx) (*types.WaitForUpdatesExResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, v.limits.poll+v.limits.silence)
	defer cancel()
	return methods.WaitForUpdatesEx(ctx, v.client, request)
}

// watch is the state of one collector's run. It is used by one goroutine, but for follow.
type watch struct {
	v         *VCenter
	sink      func(portlayer.Update)
	collector *property.Collector
	main      types.ManagedObjectReference // the one filter; every other is of one VM elsewhere
	records   map[portlayer.ID]*record     // every VM that a filter selects
	mine      map[portlayer.ID]bool        // those reported as pod VMs
	place     *place                       // everything else
	synced    bool
	answered  time.Time // when vSphere's last answer came
}

// apply reports VMs before it ends tasks: who waited for a task then finds the VMs as the task left them.
func (w *watch) apply(ctx context.Context, set *types.UpdateSet) error {
	changed, gone := map[portlayer.ID]bool{}, []portlayer.ID{}
	var ended []types.TaskInfo
	for _, filter := range set.FilterSet {
		for _, object := range filter.ObjectSet {
			switch object.Obj.Type {
			case "Task":
				ended = append(ended, infos(object)...)
			case "VirtualMachine":
				lost, err := w.applyVM(ctx, filter.Filter, object, changed)
				if err != nil {
					return err
				}
				gone = append(gone, lost...)
			default:
				w.place.apply(object)
			}
		}
	}
	more := set.Truncated != nil && *set.Truncated
	switch {
	case w.synced:
		w.report(portlayer.Update{Changed: w.vms(changed), Gone: gone})
	case !more:
		if err := w.sync(ctx); err != nil {
			return err
		}
	}
	for _, info := range ended {
		w.v.tasks.saw(info)
	}
	return nil
}

// sync reports all VMs, once those have been looked for that were known before and are not in the folder now.
func (w *watch) sync(ctx context.Context) error {
	complete := true
	for _, id := range w.v.outside.missing(w.records) {
		there, err := w.track(ctx, id)
		if err != nil {
			return err
		}
		complete = complete && !there // else it comes with the next batch
	}
	if complete {
		w.synced = true
		w.report(portlayer.Update{Sync: true, Changed: w.vms(nil)})
	}
	return nil
}

func infos(object types.ObjectUpdate) []types.TaskInfo {
	var found []types.TaskInfo
	for _, change := range object.ChangeSet {
		if info, ok := change.Val.(types.TaskInfo); ok && change.Name == "info" {
			found = append(found, info)
		}
	}
	return found
}

// applyVM marks the VM as changed, or returns it if it is gone.
func (w *watch) applyVM(ctx context.Context, filter types.ManagedObjectReference, object types.ObjectUpdate, changed map[portlayer.ID]bool) (gone []portlayer.ID, err error) {
	id := portlayer.ID(object.Obj.Value)
	if object.Kind == types.ObjectUpdateKindLeave {
		return w.leave(ctx, filter, id, changed)
	}
	r := w.records[id]
	if r == nil {
		r = &record{}
		w.records[id] = r
	}
	if object.Kind == types.ObjectUpdateKindEnter {
		w.enter(ctx, filter, id, r)
	}
	for _, change := range object.ChangeSet {
		r.apply(change)
	}
	w.place.saw(w.records[id])
	changed[id] = true
	return nil, nil
}

// vms are the pod VMs among ids, or all if ids is nil.
func (w *watch) vms(ids map[portlayer.ID]bool) []portlayer.VM {
	var vms []portlayer.VM
	for id := range maps.Keys(w.records) {
		if ids != nil && !ids[id] {
			continue
		}
		if vm, ok := w.records[id].vm(id, w.v.target.VCH, w.v.target.Folder); ok {
			w.mine[id] = true
			vms = append(vms, vm)
		}
	}
	return vms
}

func (w *watch) report(update portlayer.Update) {
	update.Received = w.answered
	if w.synced {
		update.Host = w.place.news(w.records, update.Sync)
	}
	w.v.power.saw(update)
	w.v.outside.saw(update)
	w.sink(update)
}

// collect makes a new property collector that selects the VMs of the virtual container host, by way of its folder and its
// pool, what they run on, and vCenter's recent tasks. destroy removes what was made, even after an error; it also ends with
// the session.
func (w *watch) collect(parent context.Context) (destroy func(), err error) {
	v := w.v
	ctx, cancel := context.WithTimeout(parent, v.limits.request)
	defer cancel()
	var made []interface{ Destroy(context.Context) error }
	destroy = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(parent), collectorTimeout)
		defer cancel()
		for _, object := range made {
			_ = object.Destroy(ctx) // at the latest, vCenter does
		}
	}
	if w.collector, err = property.DefaultCollector(v.client).Create(ctx); err != nil {
		return destroy, fmt.Errorf("create property collector: %w", err)
	}
	made = append(made, w.collector)
	vms, err := view.NewManager(v.client).CreateContainerView(ctx, v.target.Folder, []string{"VirtualMachine"}, true)
	if err != nil {
		return destroy, fmt.Errorf("create view of VMs: %w", err)
	}
	made = append(made, vms)
	spec := v.vmFilter(vms.Reference())
	spec.ReportMissingObjectsInResults = types.NewBool(true) // that a datastore is gone must not be the end of the watch
	for _, more := range []types.PropertyFilterSpec{
		filter(*v.client.ServiceContent.TaskManager, "TaskManager", "recentTask", "Task", "info"), v.surroundingsFilter(), v.storeAndNetwork(),
	} {
		spec.ObjectSet = append(spec.ObjectSet, more.ObjectSet...)
		spec.PropSet = append(spec.PropSet, more.PropSet...)
	}
	if w.main, err = w.filter(ctx, spec); err != nil {
		return destroy, err
	}
	return destroy, nil
}

// filter makes a filter of the collector.
func (w *watch) filter(ctx context.Context, spec types.PropertyFilterSpec) (types.ManagedObjectReference, error) {
	made, err := w.collector.CreateFilter(ctx, types.CreateFilter{Spec: spec})
	if err != nil {
		return types.ManagedObjectReference{}, fmt.Errorf("create property filter: %w", err)
	}
	return made.Reference(), nil
}

// vmFilter selects the VMs in a view of the folder and those in the pool: pod VMs are in both, others in one of them. The
// names of its traversals are not those of surroundingsFilter, with which it becomes one.
func (v *VCenter) vmFilter(folder types.ManagedObjectReference) types.PropertyFilterSpec {
	spec := filter(folder, "ContainerView", "view", "VirtualMachine", watched...)
	inside := traverse("pools of VMs", "ResourcePool", "resourcePool")
	inside.SelectSet = []types.BaseSelectionSpec{&types.SelectionSpec{Name: inside.Name}, &types.SelectionSpec{Name: "vms"}}
	spec.ObjectSet = append(spec.ObjectSet, types.ObjectSpec{
		Obj: v.target.Pool, Skip: types.NewBool(true),
		SelectSet: []types.BaseSelectionSpec{inside, traverse("vms", "ResourcePool", "vm")},
	})
	return spec
}

// filter selects properties of the objects of type selected to which the property path of root leads.
func filter(root types.ManagedObjectReference, kind, path, selected string, properties ...string) types.PropertyFilterSpec {
	return types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{Obj: root, Skip: types.NewBool(true), SelectSet: []types.BaseSelectionSpec{traverse("", kind, path)}}},
		PropSet:   []types.PropertySpec{{Type: selected, PathSet: properties}},
	}
}
