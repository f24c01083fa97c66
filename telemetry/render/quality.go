// SPDX-License-Identifier: Apache-2.0

package render

import (
	"cmp"
	"slices"
	"strings"

	"wolfpack/telemetry"
)

// verdict says in a word whether all that was asked for was read.
func verdict(q telemetry.Quality) string {
	if q.Complete {
		return "complete"
	}
	return "partial"
}

// cost says what a report took.
func cost(q telemetry.Quality) string {
	return strings.Join([]string{
		count(q.Requests, "request", "requests"), count(q.Pages, "page", "pages"), count(q.Objects, "object", "objects") + " in " + took(q.Took),
	}, ", ")
}

// doubts say what the numbers lack, the most important first.
func doubts(r *telemetry.Report) []string {
	q := r.Quality
	var texts []string
	add := func(n int, one, many string) {
		if n > 0 {
			texts = append(texts, count(n, one, many))
		}
	}
	add(q.Missing, "object not wholly readable", "objects not wholly readable")
	add(q.Unclassified, "VM without a guest name", "VMs without a guest name")
	t := r.Lifetime
	if t == nil {
		return texts
	}
	add(t.Unclassified, "removed VM of unknown kind", "removed VMs of unknown kind")
	add(t.Inferred, "removed VM known by name alone", "removed VMs known by name alone")
	add(t.Truncated, "life without a known beginning", "lives without a known beginning")
	add(t.Stitched, "VM registered again", "VMs registered again")
	add(t.FalseRemoved, "removal told of that was none", "removals told of that were none")
	add(t.Clamped, "life that ended before it began", "lives that ended before they began")
	return texts
}

// horizon says how far back vCenter's events go.
func horizon(t *telemetry.Lifetime) string {
	if t.OldestEvent == nil {
		return "vCenter keeps no events"
	}
	return "events since " + at(*t.OldestEvent)
}

// problems are a report's, what makes it partial first, and those of its products last.
func problems(r *telemetry.Report) []telemetry.Problem {
	list := slices.Clone(r.Quality.Problems)
	for _, p := range r.Products {
		if p.Problem != "" {
			list = append(list, telemetry.Problem{Stage: "products", Object: cmp.Or(p.URL, p.VM, p.Name), Message: p.Problem})
		}
	}
	slices.SortStableFunc(list, func(a, b telemetry.Problem) int { return int(flag(b.Partial) - flag(a.Partial)) })
	return list
}

// problemText is a problem in a line.
func problemText(p telemetry.Problem) string {
	text := short(p.Stage) + ": "
	if p.Object != "" {
		text += cut(p.Object, 2*maxName) + ": "
	}
	return text + cut(p.Message, maxMessage)
}

// maxMessage is how many cells a message takes at most. It is a sentence, which a server may have written.
const maxMessage = 300
