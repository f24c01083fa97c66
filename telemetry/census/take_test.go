// SPDX-License-Identifier: Apache-2.0

package census_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/simulator"

	"wolfpack/telemetry/census"
	"wolfpack/tests/vcsim"
	"wolfpack/vsphere"
)

func connect(t *testing.T, server *vcsim.Server) *vsphere.Client {
	t.Helper()
	url := server.URL()
	client, err := vsphere.Connect(t.Context(), vsphere.Config{URL: url.String(), CACerts: server.CAFile()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Logout(context.Background())) })
	return client
}

func TestACensusAsksForEachPageOnceAndNothingElse(t *testing.T) {
	model := simulator.VPX()
	model.App, model.Datacenter = 1, 2 // VMs of a vApp are in no folder
	server, err := vcsim.Start(t.Context(), vcsim.Config{Model: model})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	client := connect(t, server)
	report, err := census.Take(t.Context(), client, census.Options{PageSize: 7})
	require.NoError(t, err)
	require.True(t, report.Quality.Complete)
	vms := 0
	for _, count := range report.VMs {
		vms += count.Count
	}
	require.Equal(t, model.Count().Machine, vms)
	pages := (report.Quality.Objects + 6) / 7
	require.Equal(t, pages, report.Quality.Pages)
	require.Equal(t, pages, report.Quality.Requests)
	require.Equal(t, 2+pages, client.Requests())
}
