// SPDX-License-Identifier: Apache-2.0

package lifetimes

import (
	"math"

	"wolfpack/telemetry"
)

// exposure gathers the time that container VMs lived in a window, and the deaths among them.
type exposure struct {
	lived  moment
	deaths int
	gaps   []moment // for each VM that is gone without a word, how long it may have lived since its last sign of life
}

// add adds a VM from when it counts to its death or the window's end.
func (e *exposure) add(w window, l *life) {
	counts := max(w.from, l.entry)
	begin := max(counts, l.born)
	switch {
	case l.died == 0 && l.seen:
		e.lived += max(0, w.to-begin)
	case l.died == 0: // it may be there, and counts as long as it surely was
		e.lived += max(0, l.sign-begin)
	case l.died <= counts:
	case l.removed:
		e.lived += max(0, l.died-begin)
		e.deaths++
	default:
		e.lived += max(0, l.sign-begin)
		e.gaps = append(e.gaps, l.died-max(l.sign, begin))
	}
}

// mean is the time lived for each death. The deaths of those that are gone without a word are where they are to be expected
// if the mean is right, which the mean in turn depends on: so it is sought by expectation and maximisation.
func (e *exposure) mean() telemetry.Exposure {
	const steps = 1000
	deaths := float64(e.deaths + len(e.gaps))
	if deaths == 0 {
		return telemetry.Exposure{VMSeconds: e.lived.seconds()}
	}
	total := e.lived.seconds()
	for _, gap := range e.gaps {
		total += gap.seconds() / 2
	}
	mean := total / deaths
	for step := 0; step < steps && e.deaths > 0 && len(e.gaps) > 0; step++ {
		before := mean
		total = e.lived.seconds()
		for _, gap := range e.gaps {
			total += expected(gap.seconds(), mean)
		}
		if mean = total / deaths; math.Abs(mean-before) <= 1e-9*before {
			break
		}
	}
	return telemetry.Exposure{VMSeconds: total, Deaths: int(deaths), Mean: mean}
}

// expected is how long something lives that is sure to die within a time, with a constant hazard of 1/mean.
func expected(within, mean float64) float64 {
	if ratio := within / mean; ratio > 1e-6 {
		return mean - within/math.Expm1(ratio)
	}
	return within / 2
}
