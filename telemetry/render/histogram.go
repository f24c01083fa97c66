// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"strings"

	"wolfpack/telemetry"
)

// grouped returns one histogram for each of the n most frequent OS words, and one for all others, the most frequent first. An
// OS word is valid UTF-8 then.
func grouped(list []telemetry.Histogram, n int) []telemetry.Histogram {
	valid := func(h telemetry.Histogram) string { return strings.ToValidUTF8(h.OS, "\uFFFD") }
	words := tally{}
	for _, h := range list {
		words.add(valid(h), h.Count)
	}
	word := words.most(n)
	merged := map[string]telemetry.Histogram{}
	counts := tally{}
	for _, h := range list {
		os := word(valid(h))
		merged[os] = merge(merged[os], h)
		counts.add(os, h.Count)
	}
	groups := make([]telemetry.Histogram, 0, len(merged))
	for _, s := range counts.sorted() {
		group := merged[s.Word]
		group.OS = s.Word
		groups = append(groups, group)
	}
	return groups
}

// merge adds a histogram to another one.
func merge(a, b telemetry.Histogram) telemetry.Histogram {
	sum := telemetry.Histogram{OS: a.OS, Count: a.Count + b.Count, Sum: a.Sum + b.Sum}
	for i, upTo := range telemetry.LifetimeBuckets {
		bucket := telemetry.Bucket{UpTo: upTo}
		for _, h := range []telemetry.Histogram{a, b} {
			if i < len(h.Buckets) {
				bucket.Count += h.Buckets[i].Count
			}
		}
		sum.Buckets = append(sum.Buckets, bucket)
	}
	return sum
}

// within is how many lives are in a column alone.
func within(h telemetry.Histogram, column int) int {
	upTo := func(i int) int {
		switch {
		case i < 0:
			return 0
		case i < len(h.Buckets):
			return h.Buckets[i].Count
		default:
			return h.Count
		}
	}
	return max(upTo(column)-upTo(column-1), 0)
}

// between names a column.
func between(column int) string {
	bounds := telemetry.LifetimeBuckets
	switch {
	case column == 0:
		return "up to " + brief(bounds[0])
	case column == len(bounds):
		return "over " + brief(bounds[len(bounds)-1])
	default:
		return brief(bounds[column-1]) + " to " + brief(bounds[column])
	}
}

// brief writes a bound in its largest unit.
func brief(seconds float64) string {
	for _, unit := range []struct {
		name string
		size float64
	}{{"d", 86400}, {"h", 3600}, {"m", 60}} {
		if seconds >= unit.size {
			return fmt.Sprintf("%.0f%s", seconds/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.0fs", seconds)
}
