// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"math"
	"strings"
	"time"

	"wolfpack/telemetry"
)

// line is a drawn line, in a square of a thousand by a thousand that is stretched to where it is drawn.
type line struct {
	Line, Fill, Dot string // paths; the dot is at its end
	Text            string // the same in words
}

// spot is a point in that square.
type spot struct{ x, y float64 }

// draw makes the paths of a line of at least one spot.
func draw(spots []spot) line {
	var b strings.Builder
	for i, s := range spots {
		fmt.Fprintf(&b, "%c%.0f %.0f", "ML"[min(i, 1)], s.x, s.y)
	}
	first, last := spots[0], spots[len(spots)-1]
	return line{
		Line: b.String(),
		Fill: fmt.Sprintf("%sL%.0f 1000L%.0f 1000Z", b.String(), last.x, first.x),
		Dot:  fmt.Sprintf("M%.0f %.0fh0.01", last.x, last.y),
	}
}

// trend is how one of the ten metrics went on.
type trend struct {
	ID, Title   string // of its tile
	Now         string
	Low, High   string
	First, Last string // days
	Line        line
}

// series are the metrics that can be drawn. One that is not known has no value.
var series = []struct {
	id, title string
	value     func(r *telemetry.Report, f figures) (float64, bool)
	text      func(float64) string
}{
	{"container-vms", "Container VMs", func(_ *telemetry.Report, f figures) (float64, bool) { return float64(f.containers), true }, decimal},
	{"vchs", "VCHs", func(_ *telemetry.Report, f figures) (float64, bool) { return float64(f.vchs), true }, decimal},
	{"vch-container-vms", "Container VMs per VCH", func(_ *telemetry.Report, f figures) (float64, bool) { return mean(f.vchVMs), f.vchs > 0 }, decimal},
	{"vms", "VMs", func(_ *telemetry.Report, f figures) (float64, bool) { return float64(f.vms), true }, decimal},
	{"hosts", "ESX hosts", func(_ *telemetry.Report, f figures) (float64, bool) { return float64(f.hosts), true }, decimal},
	{"host-vchs", "VCHs per host", func(_ *telemetry.Report, f figures) (float64, bool) { return mean(f.hostVCHs), f.hosts > 0 }, decimal},
	{"lifetime", "Container VM lifetime", func(r *telemetry.Report, _ figures) (float64, bool) {
		if r.Lifetime == nil || r.Lifetime.Exposure.Deaths == 0 {
			return 0, false
		}
		return r.Lifetime.Exposure.Mean, true
	}, lasting},
}

// trends draw the metrics that are known of two reports at least.
func trends(report *telemetry.Report, past []*telemetry.Report) []trend {
	all := append(past[:len(past):len(past)], report)
	known := make([]figures, len(all))
	for i, r := range all {
		known[i] = figuresOf(r)
	}
	var list []trend
	for _, s := range series {
		var times []time.Time
		var values []float64
		for i, r := range all {
			if v, ok := s.value(r, known[i]); ok && !math.IsNaN(v) && !math.IsInf(v, 0) {
				times, values = append(times, r.Taken), append(values, v)
			}
		}
		if len(values) > 1 {
			t := trendOf(times, values, s.text)
			t.ID, t.Title = s.id, s.title
			t.Line.Text = s.title + ": " + t.Line.Text
			list = append(list, t)
		}
	}
	return list
}

// trendOf draws values between the lowest and the highest, or above zero if they are all the same.
func trendOf(times []time.Time, values []float64, text func(float64) string) trend {
	low, high := values[0], values[0]
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	first, last := times[0], times[len(times)-1]
	t := trend{Now: text(values[len(values)-1]), Low: text(low), High: text(high), First: date(first), Last: date(last)}
	if t.First == t.Last {
		t.First, t.Last = first.UTC().Format("15:04"), last.UTC().Format("2 Jan 15:04 UTC")
	}
	words := fmt.Sprintf("%s on %s, %s on %s; lowest %s, highest %s", text(values[0]), at(first), t.Now, at(last), t.Low, t.High)
	if low == high {
		low, t.Low = 0, "0"
	}
	if high == 0 {
		t.High = ""
	}
	spots := make([]spot, len(values))
	for i, v := range values {
		spots[i] = spot{1000 * part(float64(times[i].Sub(first)), float64(last.Sub(first))), 1000 - 1000*part(v-low, high-low)}
	}
	t.Line = draw(spots)
	t.Line.Text = words
	return t
}

// part is a share of a whole, 0 of nothing.
func part(f, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return min(max(f/whole, 0), 1)
}
