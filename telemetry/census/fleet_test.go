// SPDX-License-Identifier: Apache-2.0

package census_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"wolfpack/telemetry"
	"wolfpack/telemetry/census"
	"wolfpack/tests/fleet"
	"wolfpack/tests/vcsim"
)

// requireTruth compares a report with what is true, all but how and when it was taken.
func requireTruth(t *testing.T, truth, report *telemetry.Report) {
	t.Helper()
	require.Equal(t, truth.VCenter.InstanceUUID, report.VCenter.InstanceUUID)
	truth.VCenter.Name, truth.Taken = report.VCenter.Name, report.Taken
	q := &report.Quality
	truth.Quality.Took, truth.Quality.Requests, truth.Quality.Pages = q.Took, q.Requests, q.Pages
	truth.Quality.Objects, truth.Quality.Problems = q.Objects, q.Problems
	require.Equal(t, truth.VCHs, report.VCHs)
	require.Equal(t, truth.Hosts, report.Hosts)
	require.Equal(t, truth, report)
}

// TestTheReportIsTheTruth takes censuses of many inventories, each with other oddities.
func TestTheReportIsTheTruth(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			f := fleet.New(fleet.Random(seed))
			server, err := f.Start(t.Context(), vcsim.Config{})
			require.NoError(t, err)
			t.Cleanup(server.Close)
			client := connect(t, server)
			report, err := census.Take(t.Context(), client, census.Options{PageSize: 10, Detail: true})
			require.NoError(t, err)
			requireTruth(t, f.Truth(""), report)
			require.Equal(t, report.Quality.Pages, report.Quality.Requests)
			require.Equal(t, (report.Quality.Objects+9)/10, report.Quality.Pages)
		})
	}
}
