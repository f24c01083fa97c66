// SPDX-License-Identifier: Apache-2.0

package lifetimes

import (
	"cmp"
	"context"
	"time"
)

// reread is how often a Follower reads anew what it has seen, in case that an event came late.
const reread = time.Hour

// Follower is a VCenter that is read again and again. It keeps an event collector at the end of what was read, to which
// vCenter adds what happens, so that where nothing has, a reading is one request with an empty page. A reading that cannot go
// on there, such as after a new login, is one of its VCenter.
//
// It is for one goroutine at a time, and is to be closed before its client logs out.
type Follower struct {
	VCenter

	Reread time.Duration // how often all since the last event is read anew; default an hour

	tail   *collector // nil while there is none
	opened time.Time
	from   time.Time // since when kept has all events
	kept   []Event   // the last ones, which a Study wants to meet again
}

// Events implements Source. Events of the last minutes are handed on again each time.
func (f *Follower) Events(ctx context.Context, from time.Time, take func([]Event) bool) (Reading, error) {
	if f.tail != nil && !from.Before(f.from) && time.Since(f.opened) < cmp.Or(f.Reread, reread) {
		if reading, ok := f.follow(ctx, take); ok {
			return reading, ctx.Err()
		}
	}
	return f.begin(ctx, from, take)
}

// Close has vCenter forget the collector. It works after ctx is over, within a few seconds.
func (f *Follower) Close(ctx context.Context) {
	if f.tail != nil {
		f.tail.destroy(ctx)
		f.tail = nil
	}
}

// begin reads as the VCenter does, and opens a collector for what comes after.
func (f *Follower) begin(ctx context.Context, from time.Time, take func([]Event) bool) (Reading, error) {
	f.Close(ctx)
	f.from, f.kept = from, nil
	tail := f.open(ctx)
	r := &reader{VCenter: &f.VCenter, restricted: f.Restricted, at: from, Reading: Reading{Complete: true}}
	r.take = func(page []Event) bool {
		f.keep(page)
		return take(page)
	}
	r.read(ctx, span{begin: from})
	r.readSlices(ctx)
	reading := r.finish()
	if tail == nil {
		return reading, ctx.Err()
	}
	// One that may not read all events would stop at a gap for ever, and this is not the end of those that lost something.
	if r.done || r.restricted || r.lost > 0 || !reading.Complete || ctx.Err() != nil {
		tail.destroy(ctx)
		return reading, ctx.Err()
	}
	f.tail, f.opened = tail, time.Now()
	return reading, ctx.Err()
}

// open makes a collector of what happens from about now on, or nil if that cannot be: then there is nothing to follow.
func (f *Follower) open(ctx context.Context) *collector {
	now, err := (&reader{VCenter: &f.VCenter}).now(ctx)
	if err != nil {
		return nil
	}
	tail, err := f.newCollector(ctx, span{begin: now.Add(-slack)})
	if err != nil {
		return nil
	}
	return tail
}

// follow hands on what was kept and what has happened since. It is not ok if that cannot be read: then all is read anew.
func (f *Follower) follow(ctx context.Context, take func([]Event) bool) (reading Reading, ok bool) {
	reading.Complete = true
	if len(f.kept) > 0 && !take(f.kept) {
		return reading, true
	}
	for {
		p, err := f.tail.next(ctx, PageSize)
		reading.Pages++
		if err != nil || len(p.bad) > 0 {
			return reading, false
		}
		if p.size == 0 {
			return reading, true
		}
		if f.keep(p.events); !take(p.events) {
			return reading, false // what it did not take has been read here
		}
	}
}

// keep keeps the events that come within a few minutes of the last one.
func (f *Follower) keep(page []Event) {
	if len(page) == 0 {
		return
	}
	f.kept = append(f.kept[:len(f.kept):len(f.kept)], page...)
	first := page[len(page)-1].Time.Add(-slack)
	old := 0
	for f.kept[old].Time.Before(first) {
		old++
	}
	f.kept = f.kept[old:]
	if old > 0 {
		f.from = first
	}
}
