// SPDX-License-Identifier: Apache-2.0

package lifetimes_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wolfpack/telemetry"
	"wolfpack/telemetry/lifetimes"
)

// counts are the counts of a Lifetime, which tell what became of each VM.
type counts struct {
	completed, living, deaths                  int
	truncated, stitched, falseRemoved          int
	inferred, unclassified, vanished, clamped  int
	completedMean, livingMean, exposureMinutes float64 // minutes
}

func countsOf(l *telemetry.Lifetime) counts {
	return counts{
		completed: l.Completed.Count, living: l.Living.Count, deaths: l.Exposure.Deaths,
		truncated: l.Truncated, stitched: l.Stitched, falseRemoved: l.FalseRemoved,
		inferred: l.Inferred, unclassified: l.Unclassified, vanished: l.Vanished, clamped: l.Clamped,
		completedMean: l.Completed.Mean / minute, livingMean: l.Living.Mean / minute, exposureMinutes: l.Exposure.VMSeconds / minute,
	}
}

// Each story begins at minute 0 with another VM, so that the window does, and ends with a census at minute 100.
func TestStories(t *testing.T) {
	undated := pod("vm-1", "a", 0)
	undated.Created = nil
	ancient := pod("vm-1", "a", 0)
	ancient.Created = new(time.Unix(0, 0))
	later := pod("vm-1", "a", 30)
	other := telemetry.VM{Kind: telemetry.OtherVM, MoID: "vm-1", Name: "a", InstanceUUID: "uuid of a"}
	unreadable := telemetry.VM{Kind: telemetry.Unclassified, MoID: "vm-1"}
	elsewhere := pod("vm-2", "a", 10)
	stranger := pod("vm-1", "b", 60)

	cases := map[string]struct {
		tell  func(*story)
		there []telemetry.VM
		want  counts
	}{
		"it lives": {
			tell:  func(s *story) { s.make(10, "vm-1", "a") },
			there: []telemetry.VM{pod("vm-1", "a", 10)},
			want:  counts{living: 1, livingMean: 90, exposureMinutes: 90},
		},
		"it died": {
			tell: func(s *story) { s.make(10, "vm-1", "a").tell(40, lifetimes.Removed, "vm-1", "a") },
			want: counts{completed: 1, completedMean: 30, deaths: 1, exposureMinutes: 30},
		},
		"a removal that was none": {
			tell:  func(s *story) { s.make(10, "vm-1", "a").tell(40, lifetimes.Removed, "vm-1", "a") },
			there: []telemetry.VM{pod("vm-1", "a", 10)},
			want:  counts{living: 1, livingMean: 90, exposureMinutes: 90, falseRemoved: 1},
		},
		"a removal that was none, then one": {
			tell: func(s *story) {
				s.make(10, "vm-1", "a").tell(40, lifetimes.Removed, "vm-1", "a").tell(60, lifetimes.Removed, "vm-1", "a")
			},
			want: counts{completed: 1, completedMean: 50, deaths: 1, exposureMinutes: 50, falseRemoved: 1},
		},
		"a removal that is told twice": {
			tell: func(s *story) {
				s.make(10, "vm-1", "a").tell(40, lifetimes.Removed, "vm-1", "a").tell(40, lifetimes.Removed, "vm-1", "a")
			},
			want: counts{completed: 1, completedMean: 30, deaths: 1, exposureMinutes: 30},
		},
		"every event comes twice": {
			tell: func(s *story) {
				s.make(10, "vm-1", "a").tell(40, lifetimes.Removed, "vm-1", "a")
				s.events = append(s.events, s.events...)
			},
			want: counts{completed: 1, completedMean: 30, deaths: 1, exposureMinutes: 30},
		},
		"registered again, and there": {
			tell: func(s *story) {
				s.make(10, "vm-1", "a").tell(40, lifetimes.Removed, "vm-1", "a").tell(41, lifetimes.Registered, "vm-2", "a")
			},
			there: []telemetry.VM{elsewhere},
			want:  counts{living: 1, livingMean: 90, exposureMinutes: 90, stitched: 1},
		},
		"registered again, and removed": {
			tell: func(s *story) {
				s.make(10, "vm-1", "a").tell(40, lifetimes.Removed, "vm-1", "a").tell(41, lifetimes.Registered, "vm-2", "a").
					tell(70, lifetimes.Removed, "vm-2", "a")
			},
			want: counts{completed: 1, completedMean: 60, deaths: 1, exposureMinutes: 60, stitched: 1},
		},
		"registered again and again": {
			tell: func(s *story) {
				s.make(10, "vm-1", "a")
				for i, vm := range []string{"vm-1", "vm-2", "vm-3", "vm-4"} {
					s.tell(20+10*float64(i), lifetimes.Removed, vm, "a")
					if i < 3 {
						s.tell(20+10*float64(i), lifetimes.Registered, []string{"vm-2", "vm-3", "vm-4"}[i], "a")
					}
				}
			},
			want: counts{completed: 1, completedMean: 40, deaths: 1, exposureMinutes: 40, stitched: 3},
		},
		"registered under another name, which its UUID tells": {
			tell: func(s *story) {
				s.make(10, "vm-1", "a").tell(40, lifetimes.Removed, "vm-1", "a").tell(41, lifetimes.Registered, "vm-2", "b").
					tell(41, lifetimes.Identified, "vm-2", "b", uuid("uuid of a")).tell(70, lifetimes.Removed, "vm-2", "b")
			},
			want: counts{completed: 1, completedMean: 60, deaths: 1, exposureMinutes: 60, stitched: 1},
		},
		"registered again, as the census alone tells": {
			tell:  func(s *story) { s.make(10, "vm-1", "a").tell(40, lifetimes.Removed, "vm-1", "a") },
			there: []telemetry.VM{elsewhere},
			want:  counts{living: 1, livingMean: 90, exposureMinutes: 90, stitched: 1},
		},
		"registered again, and the removal is lost": {
			tell: func(s *story) {
				s.make(10, "vm-1", "a").tell(41, lifetimes.Registered, "vm-2", "a")
			},
			there: []telemetry.VM{elsewhere},
			want:  counts{living: 1, livingMean: 90, exposureMinutes: 90, stitched: 1},
		},
		"made anew with the name of one that died": {
			tell: func(s *story) {
				s.make(10, "vm-1", "a").tell(40, lifetimes.Removed, "vm-1", "a").make(50, "vm-2", "a").tell(70, lifetimes.Removed, "vm-2", "a")
			},
			want: counts{completed: 2, completedMean: 25, deaths: 2, exposureMinutes: 50},
		},
		"the reference is given anew": {
			tell: func(s *story) {
				s.make(10, "vm-1", "a").tell(40, lifetimes.Removed, "vm-1", "a").make(60, "vm-1", "b")
			},
			there: []telemetry.VM{stranger},
			want:  counts{completed: 1, completedMean: 30, living: 1, livingMean: 40, deaths: 1, exposureMinutes: 70},
		},
		"all at the same time": {
			tell: func(s *story) {
				s.make(10, "vm-1", "a").tell(10, lifetimes.Removed, "vm-1", "a")
				slices.Reverse(s.events)
			},
			want: counts{completed: 1, deaths: 1},
		},
		"renamed": {
			tell: func(s *story) { s.make(10, "vm-1", "a").tell(40, lifetimes.Removed, "vm-1", "b") },
			want: counts{completed: 1, completedMean: 30, deaths: 1, exposureMinutes: 30},
		},
		"its creation is lost, and vCenter knows its date": {
			there: []telemetry.VM{pod("vm-1", "a", 10)},
			// Had it died, nobody would have known what it was: it counts from the census on, and so not at all.
			want: counts{living: 1, livingMean: 90},
		},
		"its creation is lost, and its name is VIC's": {
			there: []telemetry.VM{pod("vm-1", "a-0123456789ab", 10)},
			want:  counts{living: 1, livingMean: 90},
		},
		"older than the window, and of no date": {
			there: []telemetry.VM{undated},
			want:  counts{},
		},
		"older than dates": {
			there: []telemetry.VM{ancient},
			want:  counts{},
		},
		"its creation is lost, and it died": {
			tell: func(s *story) { s.tell(40, lifetimes.Removed, "vm-1", "a") },
			want: counts{unclassified: 1},
		},
		"its creation is lost, it died, and its name is VIC's": {
			tell: func(s *story) { s.tell(40, lifetimes.Removed, "vm-1", "a-0123456789ab") },
			want: counts{inferred: 1, truncated: 1},
		},
		"its creation does not tell what it is": {
			tell: func(s *story) {
				s.tell(10, lifetimes.BeingMade, "vm-1", "a").tell(10, lifetimes.Made, "vm-1", "a").tell(40, lifetimes.Removed, "vm-1", "a")
			},
			want: counts{unclassified: 1},
		},
		"its creation does not tell what it is, but the census does": {
			tell:  func(s *story) { s.tell(10, lifetimes.Made, "vm-1", "a") },
			there: []telemetry.VM{pod("vm-1", "a", 10)},
			want:  counts{living: 1, livingMean: 90},
		},
		"it was made to be another VM": {
			tell: func(s *story) {
				s.tell(10, lifetimes.BeingMade, "vm-1", "a-0123456789ab", func(e *lifetimes.Event) { e.Guest = &lifetimes.Guest{ID: "rhel9_64Guest"} }).
					tell(10, lifetimes.Made, "vm-1", "a-0123456789ab").tell(40, lifetimes.Removed, "vm-1", "a-0123456789ab")
			},
			want: counts{},
		},
		"it was made to be a container VM, and is none now": {
			tell:  func(s *story) { s.make(10, "vm-1", "a") },
			there: []telemetry.VM{other},
			want:  counts{},
		},
		"it is there, but may not be read": {
			tell:  func(s *story) { s.make(10, "vm-1", "a") },
			there: []telemetry.VM{unreadable},
			want:  counts{living: 1, livingMean: 90, exposureMinutes: 90},
		},
		"it was to be made, and never was": {
			tell: func(s *story) { s.tell(10, lifetimes.BeingMade, "vm-1", "a", container) },
			want: counts{},
		},
		"its date is after its birth": {
			tell:  func(s *story) { s.make(10, "vm-1", "a") },
			there: []telemetry.VM{later},
			want:  counts{living: 1, livingMean: 90, exposureMinutes: 90},
		},
		"it is born after now": {
			there: []telemetry.VM{pod("vm-1", "a", 130)},
			want:  counts{living: 1, clamped: 1},
		},
		"it is gone without a word, and nobody dies otherwise": {
			tell: func(s *story) { s.make(20, "vm-1", "a") },
			want: counts{vanished: 1, deaths: 1, exposureMinutes: 40}, // half of the time in which it must have died
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := new(story)
			s.tell(0, lifetimes.BeingMade, "vm-0", "other", func(e *lifetimes.Event) { e.Guest = &lifetimes.Guest{ID: "rhel9_64Guest"} })
			s.tell(0, lifetimes.Made, "vm-0", "other")
			if c.tell != nil {
				c.tell(s)
			}
			there := append([]telemetry.VM{{Kind: telemetry.OtherVM, MoID: "vm-0", Name: "other"}}, c.there...)
			lifetime, state, study := s.run(t, nil, 100, there...)
			require.Empty(t, study.Problems)
			require.Equal(t, c.want, countsOf(lifetime))

			again, _, study := s.run(t, state, 100, there...)
			require.Empty(t, study.Problems)
			require.Equal(t, lifetime, again, "with the state, and no news")
		})
	}
}
