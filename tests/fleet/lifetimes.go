// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"math"
	"slices"
	"time"

	"wolfpack/telemetry"
	"wolfpack/telemetry/lifetimes"
)

// Lifetime is what is true of a history, of what can be known by somebody who looked at certain times, the last of which is
// now. It has no histograms and no curve. Its exposure is that of all container VMs, whether anybody can know of them or not.
//
// It holds if vCenter remembered all that happened between two looks; what it had forgotten before the first does not matter.
func (h *History) Lifetime(looks []time.Time, retention time.Duration) *telemetry.Lifetime {
	v := &viewer{History: h, looks: looks, retention: retention, now: looks[len(looks)-1], Lifetime: new(telemetry.Lifetime)}
	v.findWindow()
	for _, l := range h.lives {
		if l.born.After(v.now) {
			continue
		}
		v.Stitched += v.readOf(l.stitched)
		v.FalseRemoved += v.readOf(l.unremoved)
		v.view(l)
	}
	v.Completed, v.Living = mean(v.lengths), mean(v.ages)
	slices.Sort(v.lengths)
	v.Median, v.P90 = v.quantile(0.5), v.quantile(0.9)
	if v.Exposure.Deaths > 0 {
		v.Exposure.Mean = v.Exposure.VMSeconds / float64(v.Exposure.Deaths)
	}
	return v.Lifetime
}

// viewer is somebody who looks at a history.
type viewer struct {
	*History
	*telemetry.Lifetime
	looks         []time.Time
	retention     time.Duration
	now           time.Time
	lengths, ages []time.Duration
}

// findWindow finds the time that is looked at.
func (v *viewer) findWindow() {
	for _, e := range v.events {
		if v.reads(e.Time) {
			oldest := e.Time
			v.OldestEvent = &oldest
			break
		}
	}
	v.From, v.To = v.now.Add(-lifetimes.Window), v.now
	if v.OldestEvent != nil && v.OldestEvent.After(v.From) {
		v.From = *v.OldestEvent
	}
}

// reads says whether an event of that time can be read at the first look after it.
func (v *viewer) reads(at time.Time) bool {
	for _, look := range v.looks {
		if !at.After(look) {
			return !at.Before(v.Source(look, v.retention).oldest())
		}
	}
	return false
}

func (v *viewer) within(at time.Time) bool { return at.After(v.From) && !at.After(v.now) }

// readOf is how many times in the window can be read.
func (v *viewer) readOf(times []time.Time) (n int) {
	for _, at := range times {
		if v.within(at) && v.reads(at) {
			n++
		}
	}
	return n
}

// view says what can be known of one VM.
func (v *viewer) view(l *life) {
	container := l.kind == telemetry.ContainerVM
	if container {
		v.expose(l)
	}
	first := slices.IndexFunc(v.looks, l.lives) // that sees it
	creation := !l.lostCreate && v.reads(l.born)
	known := first >= 0 || creation && !l.specless
	born, dated := l.born, creation || first >= 0 && !l.undated
	if !dated && first > 0 { // the look before did not see it
		born, dated = v.looks[first], true
	}
	switch {
	case l.lives(v.now):
		if container && dated {
			v.ages = append(v.ages, v.now.Sub(born))
		}
	case l.lostRemove || !v.reads(l.died):
		if container && (known || creation && l.vicName) && v.within(v.missed(l)) {
			v.Vanished++
		}
	case !v.within(l.died):
	case !known && !l.vicName:
		v.Unclassified++
	case container:
		if !known {
			v.Inferred++
		}
		if !dated {
			v.Truncated++
			return
		}
		v.lengths = append(v.lengths, l.died.Sub(born))
	}
}

// missed is the first look that does not see a VM any more.
func (v *viewer) missed(l *life) time.Time {
	return v.looks[slices.IndexFunc(v.looks, func(look time.Time) bool { return !look.Before(l.died) })]
}

// expose adds the time that a VM was there in the window, and its death.
func (v *viewer) expose(l *life) {
	begin, end := l.born, l.died
	if begin.Before(v.From) {
		begin = v.From
	}
	if end.After(v.now) {
		end = v.now
	}
	v.Exposure.VMSeconds += max(0, end.Sub(begin).Seconds())
	if v.within(l.died) {
		v.Exposure.Deaths++
	}
}

func mean(of []time.Duration) telemetry.Sample {
	sum := time.Duration(0)
	for _, d := range of {
		sum += d.Truncate(time.Microsecond)
	}
	if len(of) == 0 {
		return telemetry.Sample{}
	}
	return telemetry.Sample{Count: len(of), Mean: sum.Seconds() / float64(len(of))}
}

func (v *viewer) quantile(q float64) float64 {
	if len(v.lengths) == 0 {
		return 0
	}
	at := q * float64(len(v.lengths)-1)
	below, above := v.lengths[int(math.Floor(at))].Seconds(), v.lengths[int(math.Ceil(at))].Seconds()
	return below + (at-math.Floor(at))*(above-below)
}
