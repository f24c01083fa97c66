// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"wolfpack/errs"
	"wolfpack/telemetry"
	"wolfpack/telemetry/render"
	"wolfpack/telemetry/telemetrytest"
)

func TestParseFormat(t *testing.T) {
	for _, f := range render.Formats {
		parsed, err := render.ParseFormat(string(f))
		require.NoError(t, err)
		require.Equal(t, f, parsed)
	}
	_, err := render.ParseFormat("yaml")
	require.True(t, errs.Is(err, errs.Invalid))
	require.ErrorContains(t, err, `"yaml" is none of table, json, csv, openmetrics`)
	require.True(t, errs.Is(render.Write(&bytes.Buffer{}, "yaml", telemetrytest.Empty(), nil), errs.Invalid))
}

// fixtures are reports of all sizes.
func fixtures() map[string]*telemetry.Report {
	return map[string]*telemetry.Report{
		"sample": telemetrytest.Report(), "empty": telemetrytest.Empty(), "one VCH": telemetrytest.Sized(1), "large": telemetrytest.Sized(500),
		"hostile": telemetrytest.Hostile(), "detailed": telemetrytest.Detailed(telemetrytest.Sized(3)), "zero": {},
	}
}

// Rendering reads, and no more: a report that is being served is shared by all who ask for it.
func TestRenderingChangesNothing(t *testing.T) {
	for name, report := range fixtures() {
		t.Run(name, func(t *testing.T) {
			earlier := telemetrytest.History(5)
			slices.Reverse(earlier)
			before, err := json.Marshal(append([]*telemetry.Report{report}, earlier...))
			require.NoError(t, err)
			for _, f := range render.Formats {
				if f.NeedsInventory() && len(report.Inventory) == 0 && len(report.VMs) > 0 {
					continue
				}
				first := written(t, f, report, earlier...)
				require.Equal(t, first, written(t, f, report, earlier...), "%s: the same report is the same text", f)
			}
			after, err := json.Marshal(append([]*telemetry.Report{report}, earlier...))
			require.NoError(t, err)
			require.JSONEq(t, string(before), string(after))
		})
	}
}

// full is a disk without space left after some bytes.
type full struct{ left int }

var errFull = errors.New("no space left on device")

func (w *full) Write(p []byte) (int, error) {
	if len(p) > w.left {
		n := w.left
		w.left = 0
		return n, errFull
	}
	w.left -= len(p)
	return len(p), nil
}

func TestAFullDiskIsAnError(t *testing.T) {
	report := telemetrytest.Detailed(telemetrytest.Sized(14))
	for _, f := range render.Formats {
		for _, left := range []int{0, 100, 1000} {
			require.ErrorIs(t, render.Write(&full{left}, f, report, nil), errFull, "%s after %d bytes", f, left)
		}
	}
}

func TestJSONIsTheReport(t *testing.T) {
	for name, report := range fixtures() {
		if name == "hostile" { // not all of it is UTF-8
			continue
		}
		read := &telemetry.Report{}
		require.NoError(t, json.Unmarshal([]byte(written(t, render.FormatJSON, report)), read), name)
		require.Equal(t, report, read, name)
	}
	require.Contains(t, written(t, render.FormatJSON, telemetrytest.Hostile()), `<script>`, "names are as they are")
}
