// SPDX-License-Identifier: Apache-2.0

package render

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"wolfpack/telemetry"
)

// tableWidth is how many cells a line has at most, unless one word alone is longer.
const tableWidth = 120

// maxProblems is how many problems the table lists.
const maxProblems = 5

// Table writes a report as a screenful of text.
func Table(w io.Writer, report *telemetry.Report, earlier []*telemetry.Report) error {
	var last *telemetry.Report
	if past := before(report, earlier); len(past) > 0 {
		last = past[len(past)-1]
	}
	var b strings.Builder
	heading(&b, report, last)
	grid(&b, tiles(report, last), last != nil)
	footing(&b, report)
	_, err := io.WriteString(w, b.String())
	return err
}

func heading(b *strings.Builder, report, last *telemetry.Report) {
	v := report.VCenter
	fmt.Fprintf(b, "%s · %s · %s\n", cmp.Or(short(v.Name), unknown), cmp.Or(cut(v.FullName, 2*maxName), "vCenter"), at(report.Taken))
	if last != nil {
		since := "changes since " + at(last.Taken) + " (" + lasting(report.Taken.Sub(last.Taken).Seconds()) + " before)"
		if !last.Quality.Complete {
			since += ", which was partial"
		}
		fmt.Fprintln(b, since)
	}
	fmt.Fprintln(b)
}

// grid writes the tiles in columns, the details on as many lines as they need.
func grid(b *strings.Builder, list []tile, compared bool) {
	rows := [][]string{{"", "METRIC", "VALUE", "CHANGE"}}
	for _, t := range list {
		rows = append(rows, []string{fmt.Sprintf("%2d", t.N), t.Title, t.Value, cmp.Or(t.Change, "-")})
	}
	columns := len(rows[0])
	if !compared {
		columns--
	}
	widths := make([]int, columns)
	for _, row := range rows {
		for i := range widths {
			widths[i] = max(widths[i], cells.StringWidth(row[i]))
		}
	}
	indent := 0
	for _, width := range widths {
		indent += width + 2
	}
	for i, row := range rows {
		details := []string{"DETAILS"}
		if i > 0 {
			details = wrap(lines(list[i-1].Details), max(tableWidth-indent, 40))
		}
		line := ""
		for j, width := range widths {
			line += cells.FillRight(row[j], width) + "  "
		}
		line += strings.Join(details, "\n"+strings.Repeat(" ", indent))
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// wrap joins items to lines of at most a width.
func wrap(items []string, width int) []string {
	lines := []string{""}
	for i, item := range items {
		if i < len(items)-1 {
			item += ","
		}
		line := &lines[len(lines)-1]
		switch {
		case *line == "":
			*line = item
		case cells.StringWidth(*line)+1+cells.StringWidth(item) <= width:
			*line += " " + item
		default:
			lines = append(lines, item)
		}
	}
	return lines
}

// footing says how good the data is.
func footing(b *strings.Builder, report *telemetry.Report) {
	q := report.Quality
	line := []string{verdict(q), cost(q)}
	if t := report.Lifetime; t != nil {
		line = append(line, horizon(t))
	}
	line = append(line, doubts(report)...)
	const title = "Data quality: "
	fmt.Fprintf(b, "\n%s%s\n", title, strings.Join(wrap(line, tableWidth-len(title)), "\n"+strings.Repeat(" ", len(title))))
	list := problems(report)
	for i, p := range list {
		if i == maxProblems && len(list) > maxProblems+1 {
			fmt.Fprintf(b, "  … and %s more: -o json lists them all\n", number(len(list)-maxProblems))
			break
		}
		mark := "·"
		if p.Partial {
			mark = "!"
		}
		fmt.Fprintf(b, "  %s %s\n", mark, problemText(p))
	}
}
