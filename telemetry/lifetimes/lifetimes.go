// SPDX-License-Identifier: Apache-2.0

// Package lifetimes says how long container VMs live, from vCenter's events and a census of its inventory.
//
// The events come first, then the census, so that nobody is missed between the two:
//
//	study, err := lifetimes.Read(ctx, source, state, since)
//	…                                                     // the census calls study.See for each VM
//	lifetime, state := study.Finish(now)
//
// A VM is born when vCenter says it was created, by its configuration or by an event. It is dead when an event tells of its
// removal and the later census confirms that by not seeing it: vCenter tells now and then of removals that were none. A VM
// that was unregistered and registered again lives on, with another reference: it is known by its instance UUID, or by its
// name and datastore. One that is gone without a word counts as dead at the time that the other lives make likely. All times
// are vCenter's.
//
// An event does not tell whether the VM was a container VM. That is known, the best first: from an earlier census; from the
// configuration that it was made with, which comes with an event; from a watch that saw it leave (Study.Left); or from a name
// as VIC gives them, which counts as inferred. What nobody knows is counted as unclassified.
//
// vCenter forgets events after a time, 30 days by default. The State of one run lets the next go on where it ended, so that
// a window is whole that is longer than what vCenter remembers.
package lifetimes

import (
	"context"
	"fmt"
	"slices"
	"time"

	"wolfpack/telemetry"
)

// Window is how far back a Lifetime goes at most if nobody says since when.
const Window = 30 * 24 * time.Hour

// stage is what problems are said to be of.
const stage = "events"

// Study is one reading of events with the census that follows it. It is for one goroutine at a time.
type Study struct {
	Pages    int                 // of events that were read
	Problems []telemetry.Problem // that make the Lifetime less certain

	lives
	state      *State // of the run before
	since      moment // that was asked for
	covered    moment // since when all is known; 0: since ever
	oldest     moment // event that is known of
	gap        moment // the end of a time in which events were lost; 0: none were
	complete   bool   // the events were read to their end
	partial    bool   // the census did not see all VMs
	last       mark   // of the run before
	read       mark   // the last one of this run
	recent     recent
	ties       []Event // of one time, to be taken in the order of their keys
	overlapped bool    // an event came again that the run before had read
	loud, mute int     // VMs that were made since the run before, and of which events tell or not
}

// Read reads the events since a time, or on from where the run before ended; a zero time is as far back as they go. A nil
// state is a first run. An error is ctx's: what vCenter does not give is among the study's Problems.
//
// since should be by vCenter's clock. With a state it only says where the Lifetime's window begins.
func Read(ctx context.Context, source Source, state *State, since time.Time) (*Study, error) {
	s := &Study{lives: newLives(), since: momentOf(since), state: &State{instance: source.Instance()}}
	if state != nil {
		s.resume(state)
	}
	read := s.readFirst
	if s.last != (mark{}) {
		read = s.readOn
	}
	reading, err := read(ctx, source)
	if err != nil {
		return nil, err
	}
	s.settle()
	s.Pages += reading.Pages
	s.Problems = append(s.Problems, reading.Problems...)
	s.complete = reading.Complete
	return s, nil
}

// readFirst reads from the oldest event on, whose time tells how far back they go. If they go back much further than was
// asked for, it begins again there.
func (s *Study) readFirst(ctx context.Context, source Source) (Reading, error) {
	before := false
	reading, err := source.Events(ctx, time.Time{}, func(page []Event) bool {
		if len(page) == 0 {
			return true
		}
		if s.oldest == 0 {
			s.oldest = momentOf(page[0].Time)
			before = momentOf(page[len(page)-1].Time) < s.since
		}
		if !before {
			s.take(page)
		}
		return !before
	})
	if err != nil || !before {
		s.covered = max(s.since, s.oldest)
		return reading, err
	}
	s.covered = s.since
	again, err := source.Events(ctx, s.since.time(), func(page []Event) bool {
		s.take(page)
		return true
	})
	again.Pages += reading.Pages
	again.Problems = append(reading.Problems, again.Problems...)
	return again, err
}

// readOn reads on from the last event of the run before. It begins a little earlier, for events may come late, and if it
// does not meet those that the run before had read, vCenter has forgotten some, or all.
func (s *Study) readOn(ctx context.Context, source Source) (Reading, error) {
	var first moment
	end := s.last.time
	reading, err := source.Events(ctx, end.time().Add(-slack), func(page []Event) bool {
		if first == 0 && len(page) > 0 {
			first = momentOf(page[0].Time)
		}
		s.take(page)
		return true
	})
	s.settle()
	if err == nil && reading.Complete && !s.overlapped {
		s.gap = first
		if first == 0 {
			s.gap = never // it ends with the census
		}
		s.problem(true, "events after %s are lost: vCenter remembers no such old ones any more, or its database is a new one", end)
	}
	return reading, err
}

// take takes a page.
func (s *Study) take(page []Event) {
	for _, e := range page {
		if len(s.ties) > 0 && !e.Time.Equal(s.ties[0].Time) {
			s.settle()
		}
		s.ties = append(s.ties, e)
	}
}

// settle takes the events of one time in the order in which they happened.
func (s *Study) settle() {
	slices.SortStableFunc(s.ties, func(a, b Event) int { return int(a.Key) - int(b.Key) })
	for _, e := range s.ties {
		this := mark{e.Key, momentOf(e.Time)}
		if again, before := s.recent.add(this); again {
			s.overlapped = s.overlapped || before
			continue
		}
		if this.time >= s.read.time {
			s.read = this
		}
		s.apply(e)
	}
	s.ties = s.ties[:0]
}

func (s *Study) problem(partial bool, format string, args ...any) {
	s.Problems = append(s.Problems, telemetry.Problem{Stage: stage, Message: fmt.Sprintf(format, args...), Partial: partial})
}
