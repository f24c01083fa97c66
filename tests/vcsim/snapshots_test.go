// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/vcsim"
)

func TestRevertingGivesAVMItsWholeConfigurationBack(t *testing.T) {
	server, err := vcsim.Start(t.Context(), vcsim.Config{})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	client, err := server.Client(t.Context())
	require.NoError(t, err)
	ref := server.Model().Map().Any("VirtualMachine").Reference()
	vm := object.NewVirtualMachine(client.Client, ref)
	look := func() mo.VirtualMachine {
		var found mo.VirtualMachine
		require.NoError(t, property.DefaultCollector(client.Client).RetrieveOne(t.Context(), ref, []string{"name", "config", "runtime", "snapshot", "summary"}, &found))
		return found
	}
	await := func(task *object.Task, err error) {
		require.NoError(t, err)
		require.NoError(t, task.Wait(t.Context()))
	}
	await(vm.Reconfigure(t.Context(), types.VirtualMachineConfigSpec{
		GuestId: "otherGuest64", AlternateGuestName: "before", ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "key", Value: "before"}},
	}))
	await(vm.CreateSnapshot(t.Context(), "one", "", false, false))
	before := look()
	for range 2 { // and so again: what is changed later is not changed in the snapshot
		await(vm.Reconfigure(t.Context(), types.VirtualMachineConfigSpec{
			AlternateGuestName: "after", NumCPUs: 7, MemoryMB: 64, ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "key", Value: "after"}},
		}))
		require.Equal(t, "after", look().Config.GuestFullName)
		await(vm.RevertToSnapshot(t.Context(), before.Snapshot.CurrentSnapshot.Value, true))
		after := look()
		require.Equal(t, types.VirtualMachinePowerStatePoweredOff, after.Runtime.PowerState, "the snapshot is without memory")
		require.Equal(t, "before", after.Config.GuestFullName)
		require.Equal(t, "before", after.Summary.Config.GuestFullName)
		require.Equal(t, before.Config.Hardware.NumCPU, after.Config.Hardware.NumCPU)
		require.Equal(t, before.Config.ExtraConfig, after.Config.ExtraConfig)
		require.NotEqual(t, before.Config.ChangeVersion, after.Config.ChangeVersion)
		await(vm.PowerOn(t.Context()))
	}
}
