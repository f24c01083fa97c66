// SPDX-License-Identifier: Apache-2.0

package lifetimes

import "slices"

// State is what one run hands on to the next, as JSON. It holds each VM that lives, with a few numbers, and each that died
// in the last 30 days, but no name and nothing of a VM's configuration. It is never changed once it is made.
type State struct {
	instance string // of the vCenter that it is about
	taken    moment // when the last census saw all VMs; 0: none did
	covered  moment // since when all is known
	oldest   moment // event that was read
	last     mark   // event that was read
	recent   []mark

	stitched, unremoved []moment
	lives               []life
}

// taken is when the last census before this one saw all VMs.
func (s *Study) taken() moment { return s.state.taken }

// resume begins where the run before ended.
func (s *Study) resume(state *State) {
	if instance := s.state.instance; state.instance != instance {
		s.problem(false, "what is known of lifetimes is of the vCenter %q and not of %q: it is left aside", state.instance, instance)
		return
	}
	s.state = state
	s.covered, s.oldest, s.last = state.covered, state.oldest, state.last
	for _, e := range state.recent {
		s.recent.put(e, true)
	}
	s.stitched, s.unremoved = slices.Clone(state.stitched), slices.Clone(state.unremoved)
	for _, l := range state.lives { // each a copy
		s.add(&l)
	}
}

// next is the state for the run after this one.
func (s *Study) next(w window, now moment) *State {
	state := &State{
		instance: s.state.instance, taken: now, covered: s.covered, oldest: s.oldest, last: s.read,
	}
	if s.partial {
		state.taken = s.taken()
	}
	if s.read == (mark{}) || s.overlapped && s.last.time > s.read.time {
		state.last = s.last
	}
	for _, e := range s.recent.order {
		if e.time >= state.last.time-moment(slack.Microseconds()) {
			state.recent = append(state.recent, e)
		}
	}
	w.from = min(w.from, now-moment(Window.Microseconds()))
	state.stitched, state.unremoved = w.within(s.stitched), w.within(s.unremoved)
	for l := range s.all {
		if l.died == 0 || l.died > w.from {
			state.lives = append(state.lives, l.kept(state.taken))
		}
	}
	slices.SortFunc(state.lives, inOrder)
	return state
}

// kept is what the next run is told of a VM.
func (l *life) kept(taken moment) life {
	kept := *l
	kept.seen, kept.before = false, true
	if l.born != 0 {
		kept.made, kept.proof = 0, 0
	}
	if l.removed {
		kept.sign = taken
	}
	return kept
}
