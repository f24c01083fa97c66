// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"wolfpack/telemetry"
)

// life is metric 10 as it is drawn.
type life struct {
	Numbers []lifeNumber

	Legend        []lifeWord
	Columns       []lifeColumn
	Edges         []tick
	HistogramText string

	Curve     *line
	Ticks     []tick
	Marks     []lifeMark
	CurveText string

	Empty string // said instead of the charts, if nothing ended
}

type lifeNumber struct{ Name, Value, Note string }

type lifeWord struct{ Name, Full, Count, Class string }

// lifeColumn is a column of the histogram, and its parts from below.
type lifeColumn struct {
	X, W, Middle, Top string
	UpTo              string // seconds, or +Inf
	Raw               int
	Total             string
	Parts             []lifePart
}

type lifePart struct{ Y, H, Class, Tip string }

type lifeMark struct{ Label, Class, Path string }

type tick struct{ X, Label string }

func lifeOf(t *telemetry.Lifetime) life {
	if t == nil {
		return life{Empty: "No events were read, so that nobody knows how long container VMs live. A user who may read events, and a report without --no-events, bring it."}
	}
	l := life{Numbers: lifeNumbers(t), Empty: "No container VM ended in the " + lasting(t.To.Sub(t.From).Seconds()) + " that were looked at."}
	l.histogram(t)
	l.curve(t)
	return l
}

func lifeNumbers(t *telemetry.Lifetime) []lifeNumber {
	var list []lifeNumber
	add := func(known bool, name, value, note string) {
		if known {
			list = append(list, lifeNumber{name, value, note})
		}
	}
	add(t.Exposure.Deaths > 0, "Mean lifetime", lasting(t.Exposure.Mean), "best estimate: time lived by all, per "+count(t.Exposure.Deaths, "death", "deaths"))
	add(t.Completed.Count > 0, "Mean of the ended", lasting(t.Completed.Mean), "too short: long lives are cut off; of "+number(t.Completed.Count))
	add(t.Completed.Count > 0, "Median", lasting(t.Median), "half of the ended lived at most so long")
	add(t.Completed.Count > 0, "90th percentile", lasting(t.P90), "nine of ten lived at most so long")
	add(t.Living.Count > 0, "Mean age of the living", lasting(t.Living.Mean), "of "+count(t.Living.Count, "container VM", "container VMs"))
	return list
}

// colours is how many OS words have one of their own; the fifth is of all others.
const colours = 4

// histogram stacks the lives by OS word. A column is between two bounds, the last one beyond the last.
func (l *life) histogram(t *telemetry.Lifetime) {
	list := grouped(t.Histograms, colours)
	columns := len(telemetry.LifetimeBuckets) + 1
	totals, texts := make([]int, columns), make([]string, columns)
	for c := range columns {
		for _, h := range list {
			totals[c] += within(h, c)
		}
		texts[c] = number(totals[c]) + " " + between(c)
	}
	largest := slices.Max(totals)
	if largest == 0 {
		return
	}
	for i, h := range list {
		l.Legend = append(l.Legend, lifeWord{named(short(h.OS)), named(cut(h.OS, maxMessage)), number(h.Count), fmt.Sprintf("s%d", min(i, colours))})
	}
	for c, total := range totals {
		l.Columns = append(l.Columns, l.column(list, c, total, largest))
	}
	for i, bound := range telemetry.LifetimeBuckets {
		l.Edges = append(l.Edges, tick{decimalPercent(float64(i+1) * 100 / float64(columns)), brief(bound)})
	}
	l.HistogramText = "Container VMs that lived: " + strings.Join(texts, ", ")
}

// column stacks what each histogram has in one column, of which the largest is as high as there is room for.
func (l *life) column(list []telemetry.Histogram, c, total, largest int) lifeColumn {
	wide := 100 / float64(len(telemetry.LifetimeBuckets)+1)
	left := float64(c) * wide
	column := lifeColumn{
		X: decimalPercent(left + wide*0.08), W: decimalPercent(wide * 0.84), Middle: decimalPercent(left + wide/2),
		UpTo: "+Inf", Raw: total, Total: number(total),
	}
	if c < len(telemetry.LifetimeBuckets) {
		column.UpTo = fmt.Sprintf("%.0f", telemetry.LifetimeBuckets[c])
	}
	top := 0.0
	for i, h := range list {
		n := within(h, c)
		if n == 0 {
			continue
		}
		height := plotHeight * float64(n) / float64(largest)
		top += height
		tip := fmt.Sprintf("%s: %s lived %s", l.Legend[i].Full, number(n), between(c))
		column.Parts = append(column.Parts, lifePart{decimalPercent(100 - top), decimalPercent(height), l.Legend[i].Class, tip})
	}
	column.Top = decimalPercent(100 - top)
	return column
}

// plotHeight is how high the highest column is, in percent: above it there is room for its number.
const plotHeight = 90

// bounds are where the time axis of the curve may begin and end.
var bounds = []float64{1, 10, 60, 300, 3600, 21600, 86400, 604800, 2592000, 31536000}

// curve draws the shares over a logarithmic axis of time, for lives are of a minute and of a month.
func (l *life) curve(t *telemetry.Lifetime) {
	if len(t.Curve) == 0 || t.Completed.Count == 0 {
		return
	}
	from, to := bounds[0], bounds[len(bounds)-1]
	first, last := t.Curve[0].Seconds, t.Curve[len(t.Curve)-1].Seconds
	for _, b := range bounds {
		if b <= first {
			from = b
		}
		if b >= last {
			to = b
			break
		}
	}
	if from >= to {
		from = to / 10
	}
	x := func(seconds float64) float64 {
		return 1000 * part(math.Log(max(seconds, from)/from), math.Log(to/from))
	}
	spots := []spot{{0, 1000}}
	for _, p := range t.Curve {
		spots = append(spots, spot{x(p.Seconds), 1000 - 1000*min(max(p.Share, 0), 1)})
	}
	spots = append(spots, spot{1000, spots[len(spots)-1].y})
	drawn := draw(spots)
	l.Curve = &drawn
	for _, b := range bounds {
		if b >= from && b <= to {
			l.Ticks = append(l.Ticks, tick{decimalPercent(x(b) / 10), brief(b)})
		}
	}
	for i, mark := range []struct {
		label   string
		seconds float64
		share   float64
	}{{"half ended within ", t.Median, 0.5}, {"nine of ten within ", t.P90, 0.9}} {
		y := 1000 - 1000*mark.share
		l.Marks = append(l.Marks, lifeMark{
			Label: mark.label + lasting(mark.seconds), Class: []string{"mark", "mark two"}[i],
			Path: fmt.Sprintf("M0 %.0fH%.0fV1000", y, x(mark.seconds)),
		})
	}
	l.CurveText = fmt.Sprintf("Of %s that ended, half did within %s and nine of ten within %s",
		count(t.Completed.Count, "container VM", "container VMs"), lasting(t.Median), lasting(t.P90))
}
