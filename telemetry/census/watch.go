// SPDX-License-Identifier: Apache-2.0

package census

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/telemetry"
	"wolfpack/vsphere"
)

// WatchOptions are what a Watch reads, and who hears of it.
type WatchOptions struct {
	Datacenter string // the only one to read, by name or by inventory path; "" is all
	PageSize   int    // how many objects vCenter is to put into one answer at most; default 1,000
	Detail     bool   // put each VM into the report

	// Resync is how often everything is read anew, in case that a change was missed; default an hour.
	Resync time.Duration

	// Left is called with each VM that is not there any more, as it was known last. Only a watch knows that.
	Left func(telemetry.VM)
}

const (
	resync        = time.Hour   // the default of WatchOptions.Resync
	updateTimeout = time.Minute // for one page of updates
)

// Watch takes censuses again and again, and asks only for what has changed since the one before: vCenter keeps a collector for
// it that knows. Where nothing has, that is one request with an empty answer. It reads everything anew from time to time, and
// after each error, such as that of a session that has expired, with which its collector went.
//
// A Watch is for one goroutine at a time. It is to be closed before its client logs out.
type Watch struct {
	client  *vsphere.Client
	options WatchOptions

	known map[Ref]Facts
	above []Facts // what is above the datacenter, if it is one alone
	lacks []telemetry.Problem

	collector types.ManagedObjectReference // zero while there is none
	version   string                       // of what is known
	filled    time.Time                    // when everything was read
	answers   int                          // with pages of updates, in this census
}

// NewWatch returns a watch that has asked for nothing yet.
func NewWatch(client *vsphere.Client, options WatchOptions) *Watch {
	options.PageSize = cmp.Or(options.PageSize, defaultPageSize)
	options.Resync = cmp.Or(options.Resync, resync)
	return &Watch{client: client, options: options}
}

// Take takes a census. After an error there is none; the next one reads everything.
func (w *Watch) Take(ctx context.Context) (*telemetry.Report, error) {
	began, before := time.Now(), w.client.Requests()
	w.answers = 0
	if err := w.refresh(ctx); err != nil {
		return nil, errs.Wrap("census.Watch", fmt.Errorf("watch the inventory of %s: %w", w.client.URL().Host, err))
	}
	report := w.report()
	report.VCenter = VCenterOf(w.client)
	var late []telemetry.Problem
	report.Taken, late = now(ctx, w.client)
	report.Quality.Problems = append(append(report.Quality.Problems, w.lacks...), late...)
	report.Quality.Pages = w.answers
	report.Quality.Requests = w.client.Requests() - before
	report.Quality.Took = time.Since(began)
	return report, nil
}

// VMs calls visit with each VM that is known, as Options.Visit is.
func (w *Watch) VMs(visit func(telemetry.VM)) {
	for _, facts := range w.known {
		if vm, ok := facts.(*VM); ok {
			visit(vm.Describe())
		}
	}
}

// Close has vCenter forget the watch. It works after ctx is over, within a few seconds.
func (w *Watch) Close(ctx context.Context) {
	if w.collector == (types.ManagedObjectReference{}) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer cancel()
	// If it cannot be told, the collector ends with the session.
	_, _ = methods.DestroyPropertyCollector(ctx, w.client, &types.DestroyPropertyCollector{This: w.collector})
	w.collector = types.ManagedObjectReference{}
}

func (w *Watch) report() *telemetry.Report {
	fold := NewFold(w.options.Detail)
	for _, facts := range w.above {
		fold.know(facts)
	}
	for _, facts := range w.known {
		fold.Add(facts)
	}
	return fold.Report()
}

// refresh brings what is known up to date: by the changes, or by everything if that is due or the changes cannot be had.
func (w *Watch) refresh(ctx context.Context) error {
	if w.collector != (types.ManagedObjectReference{}) && time.Since(w.filled) < w.options.Resync {
		err := w.update(ctx, w.known, w.left)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			w.Close(ctx)
			return err
		}
	}
	return w.fill(ctx)
}

// fill reads everything, by a collector that is new.
func (w *Watch) fill(ctx context.Context) error {
	w.Close(ctx)
	if err := w.collect(ctx); err != nil {
		return err
	}
	fresh := map[Ref]Facts{}
	if err := w.update(ctx, fresh, func(Facts) {}); err != nil {
		w.Close(ctx)
		return err
	}
	for ref, facts := range w.known {
		if fresh[ref] == nil {
			w.left(facts)
		}
	}
	w.known, w.filled = fresh, time.Now()
	return nil
}

// left tells of an object that is not there any more.
func (w *Watch) left(facts Facts) {
	if vm, ok := facts.(*VM); ok && w.options.Left != nil {
		w.options.Left(vm.Describe())
	}
}

// collect has vCenter make a collector, and tell it what to look at.
func (w *Watch) collect(ctx context.Context) error {
	fold := NewFold(false)
	root, err := (&reader{client: w.client, size: w.options.PageSize}).root(ctx, fold, w.options.Datacenter)
	if err != nil {
		return err
	}
	w.above, w.lacks = nil, nil
	for _, folder := range fold.folders {
		w.above = append(w.above, folder)
	}
	made, err := methods.CreatePropertyCollector(ctx, w.client, &types.CreatePropertyCollector{This: w.client.ServiceContent.PropertyCollector})
	if err != nil {
		return fmt.Errorf("create a property collector: %w", err)
	}
	w.collector, w.version = made.Returnval, ""
	if err := w.filter(ctx, census(root)); err != nil {
		w.Close(ctx)
		return fmt.Errorf("create a filter: %w", err)
	}
	return nil
}

// filter tells the collector what to look at. A change then comes with the whole value of the property that was asked for, as
// the updates are not to be partial.
func (w *Watch) filter(ctx context.Context, spec types.PropertyFilterSpec) error {
	for {
		_, err := methods.CreateFilter(ctx, w.client, &types.CreateFilter{This: w.collector, Spec: spec})
		var unknown *types.InvalidProperty
		if _, is := fault.As(err, &unknown); !is || !without(&spec, unknown.Name) {
			return err
		}
		w.lacks = append(w.lacks, unasked(unknown.Name))
	}
}

// update applies all changes since the last time to what is known, page by page. It does not wait for any.
func (w *Watch) update(ctx context.Context, known map[Ref]Facts, left func(Facts)) error {
	request := types.WaitForUpdatesEx{This: w.collector, Version: w.version, Options: &types.WaitOptions{
		MaxWaitSeconds: types.NewInt32(0), MaxObjectUpdates: int32(w.options.PageSize),
	}}
	for {
		answer, err := w.wait(ctx, &request)
		if err != nil {
			return fmt.Errorf("ask for updates: %w", err)
		}
		w.answers++
		set := answer.Returnval
		if set == nil {
			return nil
		}
		w.version, request.Version = set.Version, set.Version
		for _, filter := range set.FilterSet {
			for i := range filter.ObjectSet {
				apply(known, &filter.ObjectSet[i], left)
			}
		}
		if set.Truncated == nil || !*set.Truncated {
			return nil
		}
	}
}

// wait makes the one request that may take as long as it likes, as far as the client is concerned: this one waits for nothing.
func (w *Watch) wait(ctx context.Context, request *types.WaitForUpdatesEx) (*types.WaitForUpdatesExResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	return methods.WaitForUpdatesEx(ctx, w.client, request)
}

// apply applies one change.
func apply(known map[Ref]Facts, update *types.ObjectUpdate, left func(Facts)) {
	facts := known[update.Obj]
	if update.Kind == types.ObjectUpdateKindLeave {
		if facts != nil {
			delete(known, update.Obj)
			left(facts)
		}
		return
	}
	if facts == nil || update.Kind == types.ObjectUpdateKindEnter {
		if facts = NewFacts(update.Obj); facts == nil {
			return
		}
		known[update.Obj] = facts
	}
	for _, change := range update.ChangeSet {
		facts.Set(change.Name, change.Val) // without a value if it was removed
	}
	for _, missing := range update.MissingSet {
		facts.object().Missing = faultName(missing.Fault.Fault)
	}
}
