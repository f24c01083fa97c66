// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"wolfpack/telemetry"
	"wolfpack/telemetry/lifetimes"
)

// Past is how a vCenter's history came to be: container VMs that are born and die at random, other VMs beside them, and how
// often vCenter tells of it in a way that it should not. Shares are in percent of VMs.
type Past struct {
	Seed  uint64
	Begin time.Time     // of the first birth
	Span  time.Duration // in which VMs are born
	Lives int           // of container VMs; there are a quarter as many others
	Mean  time.Duration // that a container VM lives

	LostCreates  int  // no event tells of the birth
	LostRemovals int  // nor of the death
	Specless     int  // the event of the birth does not tell what the VM is
	FalseRemoved int  // a removal is told of while the VM lives
	Reregistered int  // it is unregistered, and registered again under another reference
	Renamed      int  // it gets another name
	VICNames     int  // its name is one as VIC gives them
	Undated      int  // vCenter does not know when it was made
	Twice        int  // all its events come twice
	Coarse       bool // times are whole minutes, so that many are equal; of these, vCenter gives the events in any order
}

// History is what happened, and what vCenter tells of it.
type History struct {
	Past
	lives   []*life
	events  []told
	restart time.Time // keys began anew, and what was before is forgotten
	key     int32
	random  *rand.Rand
}

// life is a VM as it was. Its references are its own.
type life struct {
	kind       telemetry.Kind
	os         string
	name, uuid string
	born, died time.Time
	refs       []reference
	renamed    time.Time
	vicName    bool
	undated    bool
	specless   bool
	lostCreate bool
	lostRemove bool
	unremoved  []time.Time // removals that were none
	stitched   []time.Time // registered again
}

// reference is what a VM is known by since a time.
type reference struct {
	since time.Time
	ref   string
}

// told is an event, as vCenter tells it.
type told struct {
	lifetimes.Event
	twice bool
	order int // among those of one time
}

// NewHistory generates a history.
func NewHistory(past Past) *History {
	h := &History{Past: past, random: rand.New(rand.NewPCG(past.Seed, 3))}
	for i := range past.Lives + past.Lives/4 {
		h.lives = append(h.lives, h.newLife(i, i < past.Lives))
	}
	slices.SortFunc(h.lives, func(a, b *life) int { return a.born.Compare(b.born) })
	for i, l := range h.lives {
		h.tell(l, i)
	}
	// Keys are given in the order in which things happen.
	slices.SortStableFunc(h.events, func(a, b told) int { return a.Time.Compare(b.Time) })
	for i := range h.events {
		h.key++
		h.events[i].Key = h.key
	}
	return h
}

// Restart makes the vCenter lose all events before a time and begin their keys anew.
func (h *History) Restart(at time.Time) {
	h.restart, h.key = at, 0
	for i := range h.events {
		if !h.events[i].Time.Before(at) {
			h.key++
			h.events[i].Key = h.key
		}
	}
}

func (h *History) chance(percent int) bool { return h.random.IntN(100) < percent }

// within is a random time of a span, as exact as this vCenter's times.
func (h *History) within(begin, end time.Time) time.Time {
	return h.round(begin.Add(time.Duration(h.random.Float64() * float64(end.Sub(begin)))))
}

func (h *History) round(t time.Time) time.Time {
	if h.Coarse {
		return t.Truncate(time.Minute)
	}
	return t.Truncate(time.Microsecond)
}

func (h *History) newLife(i int, container bool) *life {
	l := &life{
		kind: telemetry.ContainerVM, os: []string{"Photon", "Redhat", "Windows"}[h.random.IntN(3)], name: fmt.Sprintf("pod-%d", i),
		uuid: fmt.Sprintf("%08x-0000-4000-8000-%012x", h.random.Uint32(), i), born: h.within(h.Begin, h.Begin.Add(h.Span)),
		vicName: h.chance(h.VICNames), undated: h.chance(h.Undated), specless: h.chance(h.Specless),
		lostCreate: h.chance(h.LostCreates), lostRemove: h.chance(h.LostRemovals),
	}
	if !container {
		l.kind, l.os, l.vicName, l.name = telemetry.OtherVM, "", false, fmt.Sprintf("db-%d", i)
	}
	if l.vicName {
		l.name = fmt.Sprintf("web-%012x", h.random.Uint64()&(1<<48-1))
	}
	l.died = h.round(l.born.Add(time.Duration(h.random.ExpFloat64() * float64(h.Mean))))
	return l
}

// tell makes a VM's events.
func (h *History) tell(l *life, number int) {
	twice := h.chance(h.Twice)
	add := func(at time.Time, kind lifetimes.Kind, change func(*lifetimes.Event)) {
		name := l.name
		if !l.renamed.IsZero() && !at.Before(l.renamed) {
			name += "-new"
		}
		e := lifetimes.Event{Time: at, Kind: kind, VM: l.ref(at), Name: name, Datastore: "ds-1"}
		if change != nil {
			change(&e)
		}
		h.events = append(h.events, told{Event: e, twice: twice, order: h.random.Int()})
	}
	l.refs = []reference{{l.born, fmt.Sprintf("vm-%d", 10*number)}}
	if h.chance(h.Renamed) && !l.vicName {
		l.renamed = h.within(l.born, l.died)
	}
	if !l.lostCreate {
		add(l.born, lifetimes.BeingMade, func(e *lifetimes.Event) {
			switch {
			case l.specless:
			case l.kind == telemetry.ContainerVM:
				e.Guest = &lifetimes.Guest{ID: "otherGuest64", Alternate: l.os + " - Container v1.0.0, 1, 0123456"}
			default:
				e.Guest = &lifetimes.Guest{ID: "rhel9_64Guest"}
			}
		})
		add(l.born, lifetimes.Identified, func(e *lifetimes.Event) { e.UUID = l.uuid })
		add(l.born, lifetimes.Made, nil)
	}
	between := func() (time.Time, bool) { // a time of its life at which nothing else happens
		at := h.within(l.refs[len(l.refs)-1].since, l.died)
		return at, at.Sub(l.refs[len(l.refs)-1].since) > 2*time.Minute && l.died.Sub(at) > 2*time.Minute
	}
	if at, ok := between(); ok && h.chance(h.Reregistered) && !l.lostCreate {
		add(at, lifetimes.Removed, nil)
		l.refs = append(l.refs, reference{at, fmt.Sprintf("vm-%d", 10*number+1)})
		add(at, lifetimes.Registered, nil)
		l.stitched = append(l.stitched, at)
	}
	if at, ok := between(); ok && h.chance(h.FalseRemoved) && !l.lostCreate && !l.lostRemove {
		add(at, lifetimes.Removed, nil)
		l.unremoved = append(l.unremoved, at)
	}
	if !l.lostRemove {
		add(l.died, lifetimes.Removed, nil)
	}
}

// ref is the VM's reference at a time.
func (l *life) ref(at time.Time) string {
	ref := ""
	for _, r := range l.refs {
		if !r.since.After(at) {
			ref = r.ref
		}
	}
	return ref
}

// lives says whether the VM is there.
func (l *life) lives(at time.Time) bool { return !l.born.After(at) && l.died.After(at) }

// Census is what a census sees at a time, of what a study of lifetimes looks at.
func (h *History) Census(at time.Time) (all []telemetry.VM) {
	for _, l := range h.lives {
		if !l.lives(at) {
			continue
		}
		vm := telemetry.VM{Kind: l.kind, OS: l.os, MoID: l.ref(at), Name: l.name, InstanceUUID: l.uuid}
		if !l.renamed.IsZero() && !at.Before(l.renamed) {
			vm.Name += "-new"
		}
		if !l.undated {
			vm.Created = &l.born
		}
		all = append(all, vm)
	}
	return all
}

// cmpTold is the order in which vCenter gives events: by their time, and in any order where that is equal.
func cmpTold(a, b told) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.order, b.order)) }
