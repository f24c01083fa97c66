// SPDX-License-Identifier: Apache-2.0

package lifetimes

import (
	"maps"
	"slices"
	"time"

	"wolfpack/telemetry"
)

// Finish ends the study when the census has told it of all VMs. now is the census's time, by vCenter's clock. The State is
// for the next run; the one that this run was given stays as it is, so that a run that fails later can be done again.
func (s *Study) Finish(now time.Time) (*telemetry.Lifetime, *State) {
	at := max(momentOf(now), s.read.time, s.last.time) // the events were read before, by a clock that tells less than seconds
	s.gap = min(s.gap, at)
	if s.covered == 0 {
		s.covered = at // no events, and nobody said since when
	}
	since := s.since
	if since == 0 {
		since = at - moment(Window.Microseconds())
	}
	w := window{from: max(s.covered, since), to: at}
	for l := range maps.Clone(s.all) {
		s.conclude(l, at)
	}
	s.doubt()
	lifetime := w.estimate(s.lives)
	if s.oldest != 0 {
		lifetime.OldestEvent = new(s.oldest.time())
	}
	return lifetime, s.next(w, at)
}

// conclude decides what has become of a VM.
func (s *Study) conclude(l *life, now moment) {
	switch {
	case l.seen:
		if l.entry == never {
			l.entry = now
		}
		if !s.told(l) && l.born == 0 && s.taken() != 0 {
			l.born = now // the census before did not see it
		}
		l.sign = now
	case l.removed:
	case !l.existed() && l.made < now-hour: // it never came to be there
		s.forget(l)
	case !l.existed() || !s.complete || s.partial: // it may be there
	case l.died == 0: // it is gone without a word
		l.died = now
		if l.sign < s.gap {
			l.died = s.gap
		}
	}
}

// doubt notes that events seem to be hidden.
func (s *Study) doubt() {
	const tolerated = 20 // of so many births one may have left no event
	if s.mute*tolerated > s.loud+s.mute {
		s.problem(true, "no event tells of %d of the %d VMs that were made since %s: the account may not read all events; "+
			"give it the role Read-only on the vCenter's root, with propagation", s.mute, s.loud+s.mute, max(s.covered, s.taken(), s.gap))
	}
}

// within are the times of ts that are in a window, in their order.
func (w window) within(ts []moment) []moment {
	kept := slices.DeleteFunc(slices.Clone(ts), func(t moment) bool { return t <= w.from })
	slices.Sort(kept)
	return kept
}
