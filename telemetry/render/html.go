// SPDX-License-Identifier: Apache-2.0

package render

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"strings"
	"time"

	"wolfpack/telemetry"
)

var (
	//go:embed page.html
	pageText string
	//go:embed style.css
	styleText string

	pageTemplate = template.Must(template.New("page").Parse(pageText))
)

// policy lets a browser use the one style sheet that is in the page, and nothing else: no network, no script, no frame.
func policy() string {
	sum := sha256.Sum256([]byte(styleText))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'"
}

// page is what the template writes. All its text is safe to read, and the template escapes it for where it stands.
type page struct {
	Policy string
	Style  template.CSS

	Name, FullName    string
	Taken, TakenStamp string
	Since             string // when the last report was taken; empty if there is none
	Complete          bool

	Tiles             []pageTile
	Installed, Placed []bars
	Life              life
	Trends            []trend

	Cost         string
	Window       string
	Doubts       []string
	Problems     []pageProblem
	MoreProblems string
	Lists        []list
}

// pageProblems is how many problems a page lists.
const pageProblems = 50

type pageTile struct {
	tile
	Words bool  // the value is no number
	Spark *line // how it was before, if that is known
}

type pageProblem struct {
	Partial bool
	Text    string
}

// HTML writes a report as one page, which needs nothing but itself.
func HTML(w io.Writer, report *telemetry.Report, earlier []*telemetry.Report) error {
	past := before(report, earlier)
	var last *telemetry.Report
	if len(past) > 0 {
		last = past[len(past)-1]
	}
	p := page{
		Policy: policy(), Style: template.CSS(styleText), //nolint:gosec // it is ours
		Name: cmp.Or(cut(report.VCenter.Name, 2*maxName), unknown), FullName: cmp.Or(cut(report.VCenter.FullName, 3*maxName), "vCenter"),
		Taken: report.Taken.UTC().Format("2 January 2006, 15:04 UTC"), TakenStamp: stamp(report.Taken),
		Complete: report.Quality.Complete,
		Life:     lifeOf(report.Lifetime), Trends: trends(report, past),
		Cost: cost(report.Quality), Window: windowOf(report.Lifetime), Doubts: doubts(report),
	}
	if last != nil {
		p.Since = last.Taken.UTC().Format("2 January 2006, 15:04 UTC")
		if !last.Quality.Complete {
			p.Since += ", which was partial"
		}
	}
	sparks := map[string]*line{}
	for i := range p.Trends {
		sparks[p.Trends[i].ID] = &p.Trends[i].Line
	}
	for _, t := range tiles(report, last) {
		p.Tiles = append(p.Tiles, pageTile{tile: t, Words: strings.IndexAny(t.Value, "0123456789") != 0 || len(t.Value) > 8, Spark: sparks[t.ID]})
	}
	p.Installed, p.Placed = installed(report), placed(report)
	for i, problem := range problems(report) {
		if i == pageProblems {
			p.MoreProblems = "and " + number(len(problems(report))-i) + " more, which are in the JSON"
			break
		}
		p.Problems = append(p.Problems, pageProblem{problem.Partial, problemText(problem)})
	}
	p.Lists = lists(report)
	return pageTemplate.Execute(w, &p)
}

// windowOf says what time the lifetimes are of.
func windowOf(t *telemetry.Lifetime) string {
	if t == nil {
		return "No events were read."
	}
	return "Of the " + lasting(t.To.Sub(t.From).Seconds()) + " from " + at(t.From) + " to " + at(t.To) + ", by vCenter's clock; " + horizon(t) + "."
}

// date writes a day.
func date(t time.Time) string { return t.UTC().Format("2 Jan 2006") }
