// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
	"github.com/stretchr/testify/require"

	"wolfpack/telemetry"
	"wolfpack/telemetry/render"
	"wolfpack/telemetry/telemetrytest"
)

func TestTableGolden(t *testing.T) {
	partial := telemetrytest.Sized(1)
	partial.Lifetime = nil
	partial.Quality.Complete = false
	partial.Quality.Problems = []telemetry.Problem{
		{Stage: "history", Message: "the history was kept aside"},
		{Stage: "events", Object: "EventManager", Message: "no permission to read events", Partial: true},
	}
	for name, got := range map[string]string{
		"sample.table.txt":  written(t, render.FormatTable, telemetrytest.Report(), telemetrytest.History(30)...),
		"first.table.txt":   written(t, render.FormatTable, telemetrytest.Report()),
		"empty.table.txt":   written(t, render.FormatTable, telemetrytest.Empty()),
		"partial.table.txt": written(t, render.FormatTable, partial),
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, got) })
	}
}

// cell is what the table says in a row under a heading.
func cell(t *testing.T, table, row, column string) string {
	t.Helper()
	var header string
	for line := range strings.Lines(table) {
		if strings.Contains(line, "METRIC") {
			header = line
		}
		if header == "" || !strings.Contains(line, row) {
			continue
		}
		at := strings.Index(header, column)
		require.GreaterOrEqual(t, at, 0, "there is no column %s", column)
		value, _, _ := strings.Cut(line[at:], "  ")
		return strings.TrimSpace(value)
	}
	t.Fatalf("the table has no row %q:\n%s", row, table)
	return ""
}

func TestTableTellsWhatChanged(t *testing.T) {
	then, now := telemetrytest.Sized(14), telemetrytest.Sized(14)
	now.Taken = then.Taken.AddDate(0, 0, 1)
	same := written(t, render.FormatTable, now, then)
	for _, row := range []string{"ESX hosts", "ESX versions", "vCenter version", "Harbor, Admiral", " VMs ", " VCHs ", "Container VMs ", "VCHs per host", "Container VMs per VCH", "Container VM lifetime"} {
		require.Equal(t, "=", cell(t, same, row, "CHANGE"), row)
	}
	require.Contains(t, same, "changes since 2026-03-02 09:30 UTC (24h before)\n")

	now.Clusters[0].Hosts["connected"] += 2
	now.Hosts[0].Version = "9.0.0"
	now.VCenter.Version = "9.0.0"
	now.Products = []telemetry.Product{{Name: "harbor", Version: "v2.13.0"}}
	now.VMs[0].Count -= 3
	now.VCHs = now.VCHs[:10]
	now.ContainerVMs[0].Count += 1500
	now.Lifetime.Exposure.Mean += 3600
	changed := written(t, render.FormatTable, now, then)
	for row, want := range map[string]string{
		"ESX hosts": "+2", "ESX versions": "8.0.3 −1, 9.0.0 +1", "vCenter version": "was 8.0.3", "Harbor, Admiral": "was none",
		" VMs ": "−3", " VCHs ": "−4", "Container VMs ": "+1,500", "Container VM lifetime": "+60m",
	} {
		require.Equal(t, want, cell(t, changed, row, "CHANGE"), row)
	}

	then.Quality.Complete = false
	require.Contains(t, written(t, render.FormatTable, now, then), "which was partial")
	require.NotContains(t, written(t, render.FormatTable, then, now), "CHANGE", "a later report is no earlier one")
}

// Whatever names there are, a line is a line, nothing that a terminal obeys is in it, and columns stay narrow.
func TestTableMakesNamesHarmless(t *testing.T) {
	table := written(t, render.FormatTable, telemetrytest.Hostile(), telemetrytest.Sized(3))
	require.True(t, utf8.ValidString(table))
	for _, r := range table {
		require.True(t, r == '\n' || unicode.IsPrint(r), "%q", r)
	}
	require.Contains(t, table, `\x1b[2J`, "what is hidden is shown")
	require.Contains(t, table, `\u202e`)
	for line := range strings.Lines(table) {
		require.LessOrEqual(t, runewidth.StringWidth(line), 400, line)
	}
	require.Less(t, strings.Count(table, "\n"), 80)
}

func TestTableOfFiveHundredVCHsIsAScreenful(t *testing.T) {
	table := written(t, render.FormatTable, telemetrytest.Sized(500))
	require.LessOrEqual(t, strings.Count(table, "\n"), 40)
	require.Equal(t, "500", cell(t, table, " VCHs ", "VALUE"))
	require.Contains(t, table, "more")
	for line := range strings.Lines(table) {
		require.LessOrEqual(t, runewidth.StringWidth(line), 121, line)
	}
}

// Two clusters of one name are told apart by their datacenters.
func TestTableTellsClustersApart(t *testing.T) {
	report := telemetrytest.Sized(14)
	for i := range report.Clusters {
		report.Clusters[i].Name = "prod"
	}
	table := written(t, render.FormatTable, report)
	require.Contains(t, table, "Berlin/prod (8), Dublin/prod (8)")
}
