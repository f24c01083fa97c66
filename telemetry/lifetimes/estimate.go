// SPDX-License-Identifier: Apache-2.0

package lifetimes

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"wolfpack/telemetry"
)

// curvePoints is how many points a curve has at most.
const curvePoints = 100

// window is the time that a Lifetime is about. What happens at its very beginning is not in it: it begins with an event where
// vCenter remembers none before.
type window struct{ from, to moment }

func (w window) has(t moment) bool { return t > w.from && t <= w.to }

// estimate says how long container VMs live.
func (w window) estimate(ls lives) *telemetry.Lifetime {
	lifetime := &telemetry.Lifetime{
		From: w.from.time(), To: w.to.time(),
		Stitched: len(w.within(ls.stitched)), FalseRemoved: len(w.within(ls.unremoved)),
	}
	var ended []completed
	var ages []moment
	var exposed exposure
	for l := range ls.all {
		switch {
		case l.died == 0 && l.class.isContainer():
			if exposed.add(w, l); l.seen && l.born != 0 {
				ages = append(ages, clamp(w.to-l.born, lifetime))
			}
		case !w.has(l.died):
		case l.class.isContainer():
			exposed.add(w, l)
			switch {
			case !l.removed:
				lifetime.Vanished++
			case l.born == 0:
				lifetime.Truncated++
			default:
				ended = append(ended, completed{clamp(l.died-l.born, lifetime), l.class.os})
			}
			if l.removed && l.class.inferred {
				lifetime.Inferred++
			}
		case !l.class.known() && l.removed:
			lifetime.Unclassified++
		}
	}
	lifetime.Living = sample(ages)
	lifetime.Exposure = exposed.mean()
	describe(lifetime, ended)
	return lifetime
}

// completed is a life from its birth to its death.
type completed struct {
	length moment
	os     string
}

// clamp makes a length that is less than nothing to nothing, and counts it. It comes of clocks: a VM's may be its host's.
func clamp(length moment, lifetime *telemetry.Lifetime) moment {
	if length < 0 {
		lifetime.Clamped++
		return 0
	}
	return length
}

// describe says how long the completed lives were.
func describe(lifetime *telemetry.Lifetime, ended []completed) {
	slices.SortFunc(ended, func(a, b completed) int {
		return cmp.Or(cmp.Compare(a.length, b.length), cmp.Compare(a.os, b.os))
	})
	lengths := make([]moment, len(ended))
	byOS := make(map[string][]moment)
	for i, c := range ended {
		lengths[i] = c.length
		byOS[c.os] = append(byOS[c.os], c.length)
	}
	lifetime.Completed = sample(lengths)
	lifetime.Median, lifetime.P90 = quantile(lengths, 0.5), quantile(lengths, 0.9)
	lifetime.Curve = curve(lengths)
	lifetime.Histograms = []telemetry.Histogram{}
	for _, os := range slices.Sorted(maps.Keys(byOS)) {
		lifetime.Histograms = append(lifetime.Histograms, histogram(os, byOS[os]))
	}
}

// sum is exact, whatever the order.
func sum(lengths []moment) (total moment) {
	for _, length := range lengths {
		total += length
	}
	return total
}

func sample(lengths []moment) telemetry.Sample {
	if len(lengths) == 0 {
		return telemetry.Sample{}
	}
	return telemetry.Sample{Count: len(lengths), Mean: sum(lengths).seconds() / float64(len(lengths))}
}

// quantile is the length that the part q of all lengths, which are sorted, is below; between two it is interpolated.
func quantile(lengths []moment, q float64) float64 {
	if len(lengths) == 0 {
		return 0
	}
	whole, part := math.Modf(q * float64(len(lengths)-1))
	below := lengths[int(whole)].seconds()
	above := lengths[min(int(whole)+1, len(lengths)-1)].seconds()
	return below + part*(above-below)
}

// curve is the share of lengths, which are sorted, up to each of at most 100 of them.
func curve(lengths []moment) []telemetry.Point {
	n := len(lengths)
	points := make([]telemetry.Point, 0, min(n, curvePoints))
	for i := 1; i <= min(n, curvePoints); i++ {
		rank := i * n / min(n, curvePoints)
		point := telemetry.Point{Seconds: lengths[rank-1].seconds(), Share: float64(rank) / float64(n)}
		if last := len(points) - 1; last >= 0 && points[last].Seconds == point.Seconds {
			points[last] = point // equal lengths make one step
			continue
		}
		points = append(points, point)
	}
	return points
}

func histogram(os string, lengths []moment) telemetry.Histogram {
	h := telemetry.Histogram{OS: os, Count: len(lengths), Sum: sum(lengths).seconds()}
	for _, upTo := range telemetry.LifetimeBuckets {
		below, _ := slices.BinarySearch(lengths, moment(upTo*float64(second))+1)
		h.Buckets = append(h.Buckets, telemetry.Bucket{UpTo: upTo, Count: below})
	}
	return h
}
