// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"encoding/csv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"wolfpack/errs"
	"wolfpack/telemetry"
	"wolfpack/telemetry/render"
	"wolfpack/telemetry/telemetrytest"
)

// rows are the rows of a CSV by column name.
func rows(t *testing.T, text string) []map[string]string {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, render.Columns, all[0])
	var list []map[string]string
	for _, cells := range all[1:] {
		row := map[string]string{}
		for i, column := range all[0] {
			row[column] = cells[i]
		}
		list = append(list, row)
	}
	return list
}

func TestCSVGolden(t *testing.T) {
	golden(t, "one.csv", written(t, render.FormatCSV, oneOfEach()))
}

// oneOfEach is a report with one row of each kind.
func oneOfEach() *telemetry.Report {
	report := telemetrytest.Detailed(telemetrytest.Sized(2))
	seen := map[telemetry.Kind]bool{}
	var inventory []telemetry.VM
	for _, vm := range report.Inventory {
		if !seen[vm.Kind] {
			seen[vm.Kind] = true
			inventory = append(inventory, vm)
		}
	}
	report.Inventory = append(inventory, telemetry.VM{Kind: telemetry.Unclassified, Name: "=HYPERLINK(\"http://x\")", MoID: "vm-9", PowerState: "unknown"})
	report.Hosts = report.Hosts[:1]
	return report
}

func TestCSVHasARowForEachHostAndVM(t *testing.T) {
	report := telemetrytest.Detailed(telemetrytest.Report())
	kinds, containers := map[string]int{}, 0
	for _, row := range rows(t, written(t, render.FormatCSV, report)) {
		kinds[row["kind"]]++
		if row["kind"] == "vch" {
			require.NotEmpty(t, row["container_vms"])
		}
		if row["kind"] == "container" {
			containers++
			require.Regexp(t, `^\w+ - Container v`, row["guest_name"])
			require.Equal(t, "2026-02-28T21:30:00Z", row["created"])
		}
		require.Equal(t, "vcenter.example.com", row["vcenter"])
		require.Equal(t, "2026-03-02T09:30:00Z", row["taken"])
	}
	require.Equal(t, len(report.Hosts), kinds["host"])
	require.Equal(t, len(report.VCHs), kinds["vch"])
	counted := 0
	for _, c := range report.ContainerVMs {
		counted += c.Count
	}
	require.Equal(t, counted, containers)
}

func TestCSVIsRFC4180(t *testing.T) {
	text := written(t, render.FormatCSV, telemetrytest.Hostile())
	require.True(t, utf8.ValidString(text))
	require.NotContains(t, strings.ReplaceAll(text, "\r\n", ""), "\n", "every line ends in CRLF")
	require.True(t, strings.HasPrefix(text, "kind,vcenter,datacenter,"), "and there is no byte order mark")
}

func TestCSVBeginsNoFormula(t *testing.T) {
	report := telemetrytest.Empty()
	names := append([]string{"\tx", "\rx", "\nx", "'quoted", "＝1+1", "＠x", "plain", "a=b"}, telemetrytest.Harms...)
	for _, name := range names {
		report.Inventory = append(report.Inventory, telemetry.VM{Name: name})
	}
	list := rows(t, written(t, render.FormatCSV, report))
	require.Len(t, list, len(names))
	for i, row := range list {
		for column, cell := range row {
			require.False(t, cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n"), "%s: %q", column, cell)
		}
		plain := strings.NewReplacer("\r\n", "\n", "\r", "").Replace(strings.ToValidUTF8(names[i], "\uFFFD"))
		require.Equal(t, plain, strings.TrimPrefix(row["name"], "'"), "a name comes back by taking one apostrophe away")
	}
}

func TestCSVNeedsTheInventory(t *testing.T) {
	var b strings.Builder
	err := render.CSV(&b, telemetrytest.Report())
	require.True(t, errs.Is(err, errs.Invalid))
	require.ErrorContains(t, err, "take it with its inventory")
	require.Empty(t, b.String())
	require.Len(t, rows(t, written(t, render.FormatCSV, telemetrytest.Empty())), 0, "a vCenter without VMs has none to list")
}
