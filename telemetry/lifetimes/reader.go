// SPDX-License-Identifier: Apache-2.0

package lifetimes

import (
	"context"
	"fmt"
	"time"

	"github.com/vmware/govmomi/vim25/methods"

	"wolfpack/errs"
	"wolfpack/telemetry"
)

const (
	narrowest     = time.Second // a span that is not halved any more, but read event by event
	patience      = 3           // failures in a row that are taken for a vCenter that is gone
	stuck         = 20          // failures in a row that are taken for an event that vCenter does not get past
	rowLimit      = 60          // failures in a row, which is more than it takes to narrow down on one event
	failuresLimit = 500         // failures in all, after which the rest is left
	slicesLimit   = 50          // of the time, for an account that may not read all
	shortestSlice = time.Hour
	slack         = 5 * time.Minute // how much later than its time an event can come to be read
)

// reader reads events once.
type reader struct {
	*VCenter
	Reading
	take func([]Event) bool

	at         time.Time // of the last event that was read
	done       bool      // nobody wants more
	restricted bool
	failures   int // in all
	row        int // in a row
	lost       int // events
	certain    int // of them: before the failures in a row
	why        error
	when       time.Time // of the last event before the first that was lost
}

// read reads a span. When a page fails, what is left of the span is halved, until what cannot be read is alone.
func (r *reader) read(ctx context.Context, s span) {
	err := r.collect(ctx, s, PageSize)
	if err == nil || r.stop(ctx, err) {
		return
	}
	begin, end := s.begin, s.end
	if r.at.After(begin) {
		begin = r.at
	}
	if end.IsZero() {
		if end, err = r.now(ctx); err != nil {
			r.stop(ctx, err)
			return
		}
	}
	if begin.IsZero() { // the very first page
		begin = end.AddDate(-1, 0, 0)
	}
	if end.Sub(begin) <= narrowest {
		r.single(ctx, span{begin, end})
		return
	}
	middle := begin.Add(end.Sub(begin) / 2)
	r.read(ctx, span{begin, middle})
	if r.Complete && !r.done {
		r.read(ctx, span{middle, s.end})
	}
}

// collect reads a span with one collector.
func (r *reader) collect(ctx context.Context, s span, size int32) error {
	c, err := r.newCollector(ctx, s)
	if err != nil {
		if !errs.Is(err, errs.Unavailable) {
			r.giveUp(err) // it would be the same for any other span
		}
		return err
	}
	defer c.destroy(ctx)
	short := false
	for {
		p, err := c.next(ctx, size)
		r.Pages++
		if err != nil {
			return err
		}
		if p.size == 0 {
			return nil
		}
		// Only the last page of an account that may read all is not full.
		r.restricted = r.restricted || short
		short = p.size < int(size)
		if r.give(p); r.done {
			return nil
		}
	}
}

// single reads a span event by event, and leaves out those that cannot be read.
func (r *reader) single(ctx context.Context, s span) {
	c, err := r.newCollector(ctx, s)
	if err != nil {
		r.stop(ctx, err)
		return
	}
	defer c.destroy(ctx)
	var failed []error // in a row
	for len(failed) < stuck {
		p, err := c.next(ctx, 1)
		r.Pages++
		if err != nil {
			if r.stop(ctx, err) {
				return
			}
			failed = append(failed, err)
			continue
		}
		r.lose(failed...)
		failed = nil
		if p.size == 0 {
			return
		}
		if r.give(p); r.done {
			return
		}
	}
	r.lose(failed...)
}

// readSlices reads what a restricted account's gaps may have hidden.
func (r *reader) readSlices(ctx context.Context) {
	if !r.restricted || r.done || !r.Complete {
		return
	}
	r.Problems = append(r.Problems, telemetry.Problem{
		Stage: stage, Partial: true,
		Message: "the account may not read all events: give it the role Read-only on the vCenter's root, with propagation",
	})
	now, err := r.now(ctx)
	if err != nil {
		r.stop(ctx, err)
		return
	}
	begin := r.at
	if begin.IsZero() {
		begin = now.Add(-Window)
	}
	slice := max(now.Sub(begin)/slicesLimit, shortestSlice)
	for ; begin.Before(now) && r.Complete && !r.done && ctx.Err() == nil; begin = begin.Add(slice) {
		r.read(ctx, span{begin, begin.Add(slice)})
	}
}

// give hands on a page.
func (r *reader) give(p page) {
	r.row = 0
	r.lose(p.bad...)
	r.certain = r.lost
	if len(p.events) > 0 {
		r.at = p.events[len(p.events)-1].Time
		r.done = !r.take(p.events)
	}
}

// lose counts what is not read.
func (r *reader) lose(why ...error) {
	if r.lost == 0 && len(why) > 0 {
		r.why, r.when = why[0], r.at
	}
	r.lost += len(why)
}

// stop says, after a failure, whether it is no use to go on.
func (r *reader) stop(ctx context.Context, err error) bool {
	r.failures++
	r.row++
	gone := errs.Is(err, errs.Unavailable) && r.row >= patience
	if ctx.Err() != nil || gone || errs.Is(err, errs.Denied) || r.row >= rowLimit || r.failures >= failuresLimit {
		r.giveUp(err)
	}
	return !r.Complete
}

// giveUp notes that the rest is not read.
func (r *reader) giveUp(err error) {
	if r.Complete {
		r.Complete, r.lost = false, r.certain
		r.Problems = append(r.Problems, telemetry.Problem{
			Stage: stage, Partial: true, Message: "the events" + r.since(r.at) + " cannot be read: " + explain(err),
		})
	}
}

// finish says what was lost.
func (r *reader) finish() Reading {
	if r.lost > 0 {
		r.Problems = append(r.Problems, telemetry.Problem{
			Stage: stage, Partial: true,
			Message: fmt.Sprintf("%d events cannot be read, the first of them%s: %s", r.lost, r.since(r.when), r.why),
		})
	}
	return r.Reading
}

func (r *reader) since(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return " after " + at.UTC().Format(time.RFC3339)
}

// now is vCenter's time.
func (r *reader) now(ctx context.Context) (time.Time, error) {
	now, err := methods.GetCurrentTime(ctx, r.Client)
	if err != nil {
		return time.Time{}, fmt.Errorf("read vCenter's time: %w", err)
	}
	return *now, nil
}
