// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/telemetry"
	"wolfpack/telemetry/render"
	"wolfpack/tests/vcsim"
)

// report runs `wolfpack telemetry report -o json`, which must end with a code, and returns what it prints, and says.
func report(t *testing.T, code int, args ...string) (*telemetry.Report, string) {
	t.Helper()
	seen, stdout, stderr := wolfpack(t, append([]string{"telemetry", "report", "-o", "json"}, args...)...)
	require.Equal(t, code, seen, "%s\n%s", stdout, stderr)
	r := new(telemetry.Report)
	require.NoError(t, json.Unmarshal([]byte(stdout), r))
	return r, stderr
}

func TestTelemetryReportTakesThreeRequestsAndTheCensusOne(t *testing.T) {
	server := stand(t)
	r, _ := report(t, 0, "--no-events")
	require.Equal(t, map[string]int{"RetrieveServiceContent": 1, "Login": 1, "RetrievePropertiesEx": 1, "Logout": 1}, server.Calls())
	require.Equal(t, 1, r.Quality.Requests)

	server.ResetCalls()
	report(t, 0)
	require.Equal(t, map[string]int{
		"RetrieveServiceContent": 1, "Login": 1, "Logout": 1, "RetrievePropertiesEx": 1,
		"CreateCollectorForEvents": 1, "ReadNextEvents": 2, "DestroyCollector": 1,
	}, server.Calls())
}

func TestTelemetryReportInEachFormat(t *testing.T) {
	stand(t)
	for _, format := range render.Formats {
		require.NotEmpty(t, works(t, "telemetry", "report", "-o", string(format)), format)
	}
}

func TestTelemetryReportReadsAllDatacentersUnlessToldOne(t *testing.T) {
	stand(t)
	t.Setenv("GOVC_DATACENTER", "DC9")
	all, _ := report(t, 0)
	one, _ := report(t, 0, "--datacenter", "DC0")
	require.Equal(t, all.VMs, one.VMs)
	require.Contains(t, fails(t, "telemetry", "report", "--datacenter", "DC9"), `no datacenter "DC9"; name one with --datacenter; there are: DC0`)
}

func TestTelemetryReportThatIsPartialIsPrintedAndSaysSo(t *testing.T) {
	server := stand(t)
	remove := server.Inject(vcsim.Fault{Method: "CreateCollectorForEvents", Do: vcsim.DoFault, Fault: new(types.NoPermission)})
	defer remove()
	r, said := report(t, exitPartial)
	require.False(t, r.Quality.Complete)
	require.NotEmpty(t, r.VMs)
	require.Regexp(t, `^wolfpack: the report of \S+ is partial: events: .*NoPermission`, said)
}

func TestTelemetryReportWithHistory(t *testing.T) {
	stand(t)
	file := filepath.Join(t.TempDir(), "history")
	works(t, "telemetry", "report", "--history", file)
	require.NoError(t, os.WriteFile(file, []byte("half"), 0o600))
	_, said := report(t, exitPartial, "--history", file)
	require.Contains(t, said, "is kept as")
	require.Contains(t, fails(t, "telemetry", "report", "--history", filepath.Join(file, "x")), "history")
}

func TestTelemetryReportRefuses(t *testing.T) {
	server := stand(t)
	for _, c := range []struct {
		says string
		args []string
	}{
		{"--since 0s is no time to look back", []string{"--since", "0s"}},
		{"--page-size -1 is no number of objects", []string{"--page-size", "-1"}},
		{`"ftp://x" is not the URL of a server`, []string{"--probe", "ftp://x"}},
		{"want one of table, json, csv, openmetrics", []string{"-o", "pie"}},
	} {
		require.Contains(t, fails(t, append([]string{"telemetry", "report"}, c.args...)...), c.says)
	}
	require.Empty(t, server.Calls(), "nobody was asked")
}
