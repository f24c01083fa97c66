// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// gather is how long a wait goes on after the first update, so that those which belong together come together.
const gather = 5 * time.Millisecond

// maxUpdates is how many objects vCenter puts into one answer to a wait at most, whatever the client would take.
const maxUpdates = 100

// collector answers the waits of a property collector. The simulator's own waits read every object of a filter again for
// each change of any object of the inventory, which makes a few hundred watched VMs unbearable; they look for changes
// every 20 ms; and they last until the next update, or for ever, when the client is gone. This one reads what has changed,
// when it has, and values are what they are by then: like vCenter's, it skips those between.
type collector struct {
	*simulator.PropertyCollector
	feeds  *feeds
	client context.Context // ends with the client that calls
}

// WaitForUpdatesEx waits as long as the client does, and no longer than it says.
func (c *collector) WaitForUpdatesEx(ctx *simulator.Context, req *types.WaitForUpdatesEx) soap.HasFault {
	wait, cancel := context.WithCancelCause(c.client)
	defer cancel(nil)
	limit := maxUpdates
	patient := true
	if o := req.Options; o != nil {
		if o.MaxObjectUpdates > 0 {
			limit = min(limit, int(o.MaxObjectUpdates))
		}
		if o.MaxWaitSeconds != nil {
			patient = *o.MaxWaitSeconds > 0
			var stop context.CancelFunc
			wait, stop = context.WithTimeout(wait, time.Duration(*o.MaxWaitSeconds)*time.Second)
			defer stop()
		}
	}
	f := c.feeds.of(ctx, c.PropertyCollector)
	f.begin(cancel, req.Version == "")
	set, fault := f.wait(ctx, wait, c.PropertyCollector, req.Version == "", patient, limit)
	if fault != nil {
		return &methods.WaitForUpdatesExBody{Fault_: simulator.Fault("", fault)}
	}
	return &methods.WaitForUpdatesExBody{Res: &types.WaitForUpdatesExResponse{Returnval: set}}
}

// WaitForUpdates is WaitForUpdatesEx without options.
func (c *collector) WaitForUpdates(ctx *simulator.Context, req *types.WaitForUpdates) soap.HasFault {
	res := c.WaitForUpdatesEx(ctx, &types.WaitForUpdatesEx{This: req.This, Version: req.Version})
	if fault := res.Fault(); fault != nil {
		return &methods.WaitForUpdatesBody{Fault_: fault}
	}
	set := res.(*methods.WaitForUpdatesExBody).Res.Returnval
	return &methods.WaitForUpdatesBody{Res: &types.WaitForUpdatesResponse{Returnval: *set}}
}

// CreateFilter makes a filter that a wait which has begun takes into account.
func (c *collector) CreateFilter(ctx *simulator.Context, req *types.CreateFilter) soap.HasFault {
	f := c.feeds.of(ctx, c.PropertyCollector)
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.notify()
	return c.PropertyCollector.CreateFilter(ctx, req)
}

// filterMethods is a property filter that is not taken out of its collector's filters while a wait looks at them.
type filterMethods struct {
	*simulator.PropertyFilter
	feeds *feeds
}

func (f *filterMethods) DestroyPropertyFilter(ctx *simulator.Context, req *types.DestroyPropertyFilter) (body soap.HasFault) {
	f.feeds.holding(req.This, func() { body = f.PropertyFilter.DestroyPropertyFilter(ctx, req) })
	return body
}

// CancelWaitForUpdates ends the wait that there is.
func (c *collector) CancelWaitForUpdates(ctx *simulator.Context, _ *types.CancelWaitForUpdates) soap.HasFault {
	c.feeds.of(ctx, c.PropertyCollector).cancel()
	return &methods.CancelWaitForUpdatesBody{Res: new(types.CancelWaitForUpdatesResponse)}
}

// DestroyPropertyCollector ends the collector and its wait.
func (c *collector) DestroyPropertyCollector(ctx *simulator.Context, req *types.DestroyPropertyCollector) soap.HasFault {
	c.feeds.remove(func(f *feed) bool { return f.collector == c.PropertyCollector })
	return c.PropertyCollector.DestroyPropertyCollector(ctx, req)
}

// feeds are what collectors have yet to tell their clients. They listen to the registry.
type feeds struct {
	listener
	hide func(*simulator.Context, []types.ObjectContent) // what clients may not read
	mu   sync.RWMutex                                    // guards all
	all  []*feed
}

func newFeeds(hide func(*simulator.Context, []types.ObjectContent)) *feeds {
	return &feeds{listener: newListener("Feeds"), hide: hide}
}

// of returns the feed of a collector, making it if need be.
func (s *feeds) of(ctx *simulator.Context, pc *simulator.PropertyCollector) *feed {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.all {
		if f.collector == pc {
			return f
		}
	}
	f := &feed{collector: pc, session: ctx.Session.Key, hide: s.hide, wake: make(chan struct{}, 1)}
	s.all = append(s.all, f)
	return f
}

// holding does something while nobody looks at the filters of the collector that has the filter.
func (s *feeds) holding(filter types.ManagedObjectReference, do func()) {
	s.mu.RLock()
	all := slices.Clone(s.all)
	s.mu.RUnlock()
	for _, f := range all {
		f.mu.Lock()
		if slices.Contains(f.collector.Filter, filter) {
			defer f.mu.Unlock()
			break
		}
		f.mu.Unlock()
	}
	do()
}

// remove ends feeds and their waits.
func (s *feeds) remove(which func(*feed) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(f *feed) bool {
		if !which(f) {
			return false
		}
		f.cancel()
		return true
	})
}

func (s *feeds) each(do func(*feed)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, f := range s.all {
		do(f)
	}
}

// PutObject implements simulator.RegisterObject.
func (s *feeds) PutObject(_ *simulator.Context, obj mo.Reference) {
	s.each(func(f *feed) { f.put(obj) })
}

// UpdateObject implements simulator.RegisterObject.
func (s *feeds) UpdateObject(_ *simulator.Context, obj mo.Reference, changes []types.PropertyChange) {
	s.each(func(f *feed) { f.update(obj, changes) })
}

// RemoveObject implements simulator.RegisterObject.
func (s *feeds) RemoveObject(_ *simulator.Context, ref types.ManagedObjectReference) {
	s.each(func(f *feed) { f.leave(ref) })
}

// feed is what one collector has yet to tell its client. The registry's listeners note what has changed, with that object
// locked; the wait reads it, for which it locks the object, so it never does so with mu held.
type feed struct {
	collector *simulator.PropertyCollector
	session   string // key of its session
	hide      func(*simulator.Context, []types.ObjectContent)
	wake      chan struct{} // has a value when there may be something to tell

	mu      sync.Mutex // guards the fields below and the filters
	stop    context.CancelCauseFunc
	filters []*filter
	version int
	backlog []update // read, but more than the client took
}

// update is an object's, for a filter.
type update struct {
	filter types.ManagedObjectReference
	object types.ObjectUpdate
}

// begin begins a wait; anew makes it tell everything.
func (f *feed) begin(stop context.CancelCauseFunc, anew bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop = stop
	if anew {
		f.filters, f.backlog = nil, nil
	}
}

// cancel ends the wait that there is.
func (f *feed) cancel() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stop != nil {
		f.stop(context.Canceled)
	}
}

// notify wakes the wait.
func (f *feed) notify() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// wait returns what there is to tell: at once if it is the first time or the client is not patient, else when there is
// something. Nil means that there was nothing in time.
func (f *feed) wait(
	ctx *simulator.Context, wait context.Context, pc *simulator.PropertyCollector, first, patient bool, limit int,
) (*types.UpdateSet, types.BaseMethodFault) {
	for {
		if fault := f.read(ctx, pc); fault != nil {
			return nil, fault
		}
		if set := f.take(limit); first || len(set.FilterSet) > 0 {
			return set, nil
		}
		if !patient {
			return nil, nil
		}
		select {
		case <-f.wake:
			pause := time.NewTimer(gather)
			select {
			case <-pause.C:
			case <-wait.Done():
				pause.Stop()
			}
		case <-wait.Done():
			if context.Cause(wait) == context.DeadlineExceeded {
				return nil, nil
			}
			return nil, new(types.RequestCanceled)
		}
	}
}

// take takes up to limit objects from the backlog.
func (f *feed) take(limit int) *types.UpdateSet {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(limit, len(f.backlog))
	f.version++
	set := &types.UpdateSet{Version: strconv.Itoa(f.version)}
	if n < len(f.backlog) {
		set.Truncated = types.NewBool(true)
	}
	for _, u := range f.backlog[:n] {
		if last := len(set.FilterSet) - 1; last >= 0 && set.FilterSet[last].Filter == u.filter {
			set.FilterSet[last].ObjectSet = append(set.FilterSet[last].ObjectSet, u.object)
			continue
		}
		set.FilterSet = append(set.FilterSet, types.PropertyFilterUpdate{Filter: u.filter, ObjectSet: []types.ObjectUpdate{u.object}})
	}
	f.backlog = slices.Clone(f.backlog[n:])
	return set
}

// read reads all that was noted into the backlog.
func (f *feed) read(ctx *simulator.Context, pc *simulator.PropertyCollector) types.BaseMethodFault {
	f.mu.Lock()
	f.sync(ctx, pc)
	filters := slices.Clone(f.filters)
	f.mu.Unlock()
	for _, filter := range filters {
		updates, fault := filter.read(ctx, f, pc)
		if fault != nil {
			return fault
		}
		f.mu.Lock()
		for i := range updates {
			f.backlog = append(f.backlog, update{filter: filter.ref, object: updates[i]})
		}
		f.mu.Unlock()
	}
	return nil
}

// sync makes filters those that the collector has. The caller holds mu.
func (f *feed) sync(ctx *simulator.Context, pc *simulator.PropertyCollector) {
	filters := make([]*filter, 0, len(pc.Filter))
	for _, ref := range pc.Filter {
		at := slices.IndexFunc(f.filters, func(known *filter) bool { return known.ref == ref })
		if at >= 0 {
			filters = append(filters, f.filters[at])
		} else if object, ok := ctx.Session.Get(ref).(*simulator.PropertyFilter); ok {
			filters = append(filters, newFilter(ref, object.Spec))
		}
	}
	f.filters = filters
}

func (f *feed) put(obj mo.Reference) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, filter := range f.filters {
		if filter.put(obj) {
			f.notify()
		}
	}
}

func (f *feed) update(obj mo.Reference, changes []types.PropertyChange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, filter := range f.filters {
		if filter.update(obj, changes) {
			f.notify()
		}
	}
}

func (f *feed) leave(ref types.ManagedObjectReference) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, filter := range f.filters {
		if filter.leave(ref) {
			f.notify()
		}
	}
}
