// SPDX-License-Identifier: Apache-2.0

// Package render writes a report for people and for programs:
//
//	table        a screenful: the ten metrics in their order, what changed, and how good the data is
//	json         the report as it is
//	csv          one row for each host and VM; see Columns
//	openmetrics  what Prometheus reads; see Names
//	html         a page that needs nothing but itself: no network, no script
//
// All are pure: the same reports give the same bytes. Names come from whoever may name a VM, so none is trusted: control
// characters and those that turn the direction of writing are shown as escapes, HTML is escaped for where it
// stands, and a CSV cell never begins a formula.
//
// Nothing here changes a report, and all functions are safe for concurrent use.
package render

import (
	"encoding/json"
	"io"
	"slices"
	"strings"

	"wolfpack/errs"
	"wolfpack/telemetry"
)

// Format is a way to write a report.
type Format string

// The formats.
const (
	FormatTable       Format = "table"
	FormatJSON        Format = "json"
	FormatCSV         Format = "csv"
	FormatOpenMetrics Format = "openmetrics"
	FormatHTML        Format = "html"
)

// Formats are all of them, the default first.
var Formats = []Format{FormatTable, FormatJSON, FormatCSV, FormatOpenMetrics, FormatHTML}

// NeedsInventory says whether a format has a row for each VM, and thus needs a report with its Inventory.
func (f Format) NeedsInventory() bool { return f == FormatCSV }

// ParseFormat returns the format of a name, or an error that lists them all.
func ParseFormat(name string) (Format, error) {
	if i := slices.Index(Formats, Format(name)); i >= 0 {
		return Formats[i], nil
	}
	names := make([]string, len(Formats))
	for i, f := range Formats {
		names[i] = string(f)
	}
	return "", errs.New("render.ParseFormat", errs.Invalid, "format %q is none of %s", name, strings.Join(names, ", "))
}

// Write writes a report in a format. Earlier reports of the same vCenter, in any order, are for what changed: the table and
// the page show it, the others do without.
func Write(w io.Writer, f Format, report *telemetry.Report, earlier []*telemetry.Report) error {
	const op = "render.Write"
	switch f {
	case FormatTable:
		return errs.Wrap(op, Table(w, report, earlier))
	case FormatJSON:
		return errs.Wrap(op, JSON(w, report))
	case FormatCSV:
		return errs.Wrap(op, CSV(w, report))
	case FormatOpenMetrics:
		return errs.Wrap(op, OpenMetrics(w, report))
	case FormatHTML:
		return errs.Wrap(op, HTML(w, report, earlier))
	default:
		_, err := ParseFormat(string(f))
		return err
	}
}

// JSON writes the report as it is, indented.
func JSON(w io.Writer, report *telemetry.Report) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false) // names stay readable: this is no part of a page
	return encoder.Encode(report)
}

// before returns the reports that were taken before this one, oldest first.
func before(report *telemetry.Report, earlier []*telemetry.Report) []*telemetry.Report {
	var past []*telemetry.Report
	for _, r := range earlier {
		if r.Taken.Before(report.Taken) {
			past = append(past, r)
		}
	}
	slices.SortStableFunc(past, func(a, b *telemetry.Report) int { return a.Taken.Compare(b.Taken) })
	return past
}
