// SPDX-License-Identifier: Apache-2.0

package lifetimes

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
)

// PageSize is the most events that vCenter gives at once.
const PageSize = 1000

// destroyLimit bounds the removal of a collector, which is done when the caller's context may be over: vCenter has 32 for a
// session.
const destroyLimit = 5 * time.Second

// VCenter is the event history of a vCenter. To read it takes 2 requests and one for each page, of which the last is empty;
// more only if pages cannot be read, or if the account may not read all events.
type VCenter struct {
	Client *vim25.Client
	Within *types.ManagedObjectReference // only events of what is in this datacenter or folder; nil is everything

	// Restricted says that the account may not read all events, which is also found out by pages that are not full. vCenter
	// then looks for the account's events in as many as a page holds, and a page is empty for want of any among these, so
	// that one long gap would hide all that comes after it. The time is read in slices then.
	Restricted bool
}

// Instance implements Source.
func (v *VCenter) Instance() string { return v.Client.ServiceContent.About.InstanceUuid }

// Events implements Source. What cannot be read is narrowed down to as few events as can be, and the others are read.
func (v *VCenter) Events(ctx context.Context, from time.Time, take func([]Event) bool) (Reading, error) {
	r := &reader{VCenter: v, take: take, restricted: v.Restricted, at: from, Reading: Reading{Complete: true}}
	r.read(ctx, span{begin: from})
	r.readSlices(ctx)
	return r.finish(), ctx.Err()
}

// collector is one event collector of vCenter's.
type collector struct{ *event.HistoryCollector }

func (v *VCenter) newCollector(ctx context.Context, s span) (*collector, error) {
	filter := types.EventFilterSpec{
		EventTypeId:        slices.Sorted(maps.Keys(kinds)),
		DisableFullMessage: types.NewBool(true),
		MaxCount:           PageSize,
		Time:               s.filter(),
	}
	if v.knowsDelayedInit() {
		filter.DelayedInit = types.NewBool(true)
	}
	if v.Within != nil {
		filter.Entity = &types.EventFilterSpecByEntity{Entity: *v.Within, Recursion: types.EventFilterSpecRecursionOptionAll}
	}
	c, err := event.NewManager(v.Client).CreateCollectorForEvents(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("make an event collector: %w", err)
	}
	return &collector{c}, nil
}

// knowsDelayedInit says whether the vCenter can leave out the collector's latest page, which nobody reads. An older one
// refuses what it does not know.
func (v *VCenter) knowsDelayedInit() bool {
	var major, minor, update, patch int
	_, err := fmt.Sscanf(v.Client.ServiceContent.About.ApiVersion, "%d.%d.%d.%d", &major, &minor, &update, &patch)
	return err == nil && slices.Compare([]int{major, minor, update, patch}, []int{8, 0, 3, 0}) >= 0
}

// next reads the collector's next page.
func (c *collector) next(ctx context.Context, size int32) (page, error) {
	request := methods.ReadNextEventsBody{Req: &types.ReadNextEvents{This: c.Reference(), MaxCount: size}}
	var answer pageBody
	if err := c.Client().RoundTrip(ctx, &request, &answer); err != nil {
		return page{}, fmt.Errorf("read a page of events: %w", err)
	}
	return answer.page()
}

// destroy removes the collector. If that fails it ends with the session.
func (c *collector) destroy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyLimit)
	defer cancel()
	_ = c.Destroy(ctx)
}

// span is a time of events, its ends included. A zero end is open.
type span struct{ begin, end time.Time }

func (s span) filter() *types.EventFilterSpecByTime {
	if s.begin.IsZero() && s.end.IsZero() {
		return nil
	}
	filter := new(types.EventFilterSpecByTime)
	if !s.begin.IsZero() {
		filter.BeginTime = &s.begin
	}
	if !s.end.IsZero() {
		filter.EndTime = &s.end
	}
	return filter
}

// explain adds to an error what can be done about it.
func explain(err error) string {
	if errs.Is(err, errs.Denied) {
		return err.Error() + "; give the account the role Read-only on the vCenter's root, with propagation"
	}
	return err.Error()
}
