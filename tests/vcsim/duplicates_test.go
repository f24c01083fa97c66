// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/vcsim"
)

func TestOneNameOneVM(t *testing.T) {
	server, err := vcsim.Start(t.Context(), vcsim.Config{})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	client, err := server.Client(t.Context())
	require.NoError(t, err)
	finder := find.NewFinder(client.Client)
	folder, err := finder.Folder(t.Context(), "/DC0/vm")
	require.NoError(t, err)
	pool, err := finder.ResourcePool(t.Context(), "/DC0/host/DC0_C0/Resources")
	require.NoError(t, err)
	create := func() error {
		task, err := folder.CreateVM(t.Context(), types.VirtualMachineConfigSpec{
			Name: "twin", GuestId: "otherGuest64", Files: &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"},
		}, pool, nil)
		if err != nil {
			return err
		}
		return task.Wait(t.Context())
	}

	var group sync.WaitGroup
	results := make(chan error, 8)
	for range 8 {
		group.Go(func() { results <- create() })
	}
	group.Wait()
	close(results)
	made := 0
	for err := range results {
		if err == nil {
			made++
			continue
		}
		require.True(t, fault.Is(err, new(types.DuplicateName)), "%v", err)
	}
	require.Equal(t, 1, made)
	vms, err := finder.VirtualMachineList(t.Context(), "/DC0/vm/twin")
	require.NoError(t, err)
	require.Len(t, vms, 1)
}
