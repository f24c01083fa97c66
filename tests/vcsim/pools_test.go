// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/vcsim"
)

// Two servers of one process make pools at once, and each pool's summary has its own name.
func TestPoolsHaveSummariesOfTheirOwn(t *testing.T) {
	var group sync.WaitGroup
	for range 2 {
		server, err := vcsim.Start(t.Context(), vcsim.Config{})
		require.NoError(t, err)
		t.Cleanup(server.Close)
		client, err := server.Client(t.Context())
		require.NoError(t, err)
		root, err := find.NewFinder(client.Client).ResourcePool(t.Context(), "/DC0/host/DC0_C0/Resources")
		require.NoError(t, err)
		for i := range 4 {
			group.Go(func() {
				name := fmt.Sprintf("pool-%d", i)
				made, err := root.Create(t.Context(), name, types.DefaultResourceConfigSpec())
				if err != nil {
					t.Errorf("create %s: %v", name, err)
					return
				}
				var pool mo.ResourcePool
				if err := property.DefaultCollector(client.Client).RetrieveOne(t.Context(), made.Reference(), []string{"summary"}, &pool); err != nil {
					t.Errorf("read %s: %v", name, err)
					return
				}
				if got := pool.Summary.GetResourcePoolSummary().Name; got != name {
					t.Errorf("summary of %s has the name %q", name, got)
				}
			})
		}
	}
	group.Wait()
}
