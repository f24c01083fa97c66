// SPDX-License-Identifier: Apache-2.0

package vcenter_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/provider/portlayer"
	"wolfpack/provider/portlayer/portlayertest"
	"wolfpack/provider/portlayer/vcenter"
	"wolfpack/tests/vcsim"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

// there is the virtual container host that start made.
func there(t *testing.T, client *vsphere.Client) *vch.VCH {
	t.Helper()
	found, err := vch.Find(t.Context(), client, portlayertest.VCH)
	require.NoError(t, err)
	return found
}

func TestHostFollowsItsPool(t *testing.T) {
	_, client, backend := start(t, simulator.VPX(), vcsim.GuestsNone)
	watcher := portlayertest.Watch(t, backend)
	whole := watcher.AwaitHost(t, "the whole cluster", func(h portlayer.Host) bool { return h.All.CPUs == 6 })
	require.Equal(t, 3, whole.Hosts)
	require.Equal(t, 3, whole.UsableHosts)

	pool := object.NewResourcePool(client.Client, there(t, client).Pool.Ref)
	spec := types.DefaultResourceConfigSpec()
	spec.CpuAllocation.Limit, spec.MemoryAllocation.Limit = types.NewInt64(2294), types.NewInt64(1024)
	require.NoError(t, pool.UpdateConfig(t.Context(), "", &spec))
	watcher.AwaitHost(t, "its limits", func(h portlayer.Host) bool {
		return h.All == portlayer.Resources{CPUs: 1, MemoryBytes: 1 << 30}
	})
}

func TestHostFollowsPoolsBesideIt(t *testing.T) {
	_, client, backend := start(t, simulator.VPX(), vcsim.GuestsNone)
	watcher := portlayertest.Watch(t, backend)
	root, err := find.NewFinder(client.Client).ResourcePool(t.Context(), "/DC0/host/DC0_C0/Resources")
	require.NoError(t, err)
	spec := types.DefaultResourceConfigSpec()
	spec.CpuAllocation.Reservation = types.NewInt64(2 * 2294)
	_, err = root.Create(t.Context(), "beside", spec)
	require.NoError(t, err)
	watcher.AwaitHost(t, "less what is reserved beside it", func(h portlayer.Host) bool { return h.All.CPUs == 4 })
}

func TestHostFollowsMaintenanceAndConnection(t *testing.T) {
	_, client, backend := start(t, simulator.VPX(), vcsim.GuestsNone)
	watcher := portlayertest.Watch(t, backend)
	hosts, err := find.NewFinder(client.Client).HostSystemList(t.Context(), "/DC0/host/DC0_C0/*")
	require.NoError(t, err)
	usable := func(n int) func(portlayer.Host) bool {
		return func(h portlayer.Host) bool { return h.UsableHosts == n && h.All.CPUs == float64(2*n) && h.Hosts == 3 }
	}
	done := func(task *object.Task, err error) {
		t.Helper()
		require.NoError(t, err)
		require.NoError(t, task.Wait(t.Context()))
	}
	done(hosts[0].EnterMaintenanceMode(t.Context(), 0, false, nil))
	watcher.AwaitHost(t, "one in maintenance", usable(2))
	done(hosts[1].Disconnect(t.Context()))
	watcher.AwaitHost(t, "one disconnected too", usable(1))
	done(hosts[1].Reconnect(t.Context(), nil, nil))
	done(hosts[0].ExitMaintenanceMode(t.Context(), 0))
	watcher.AwaitHost(t, "all back", usable(3))
}

func TestHostCountsVMsThatAreNoPods(t *testing.T) {
	_, client, backend := start(t, simulator.VPX(), vcsim.GuestsNone)
	watcher := portlayertest.Watch(t, backend)
	endpoint := watcher.AwaitHost(t, "the endpoint VM", func(h portlayer.Host) bool { return h.Others.MemoryBytes > 0 }).Others
	require.Equal(t, portlayer.Resources{CPUs: vch.DefaultEndpointCPUs, MemoryBytes: vch.DefaultEndpointMemoryMB << 20}, endpoint)

	host := there(t, client)
	finder := find.NewFinder(client.Client)
	folder, err := finder.Folder(t.Context(), "/DC0/vm")
	require.NoError(t, err)
	task, err := folder.CreateVM(t.Context(), types.VirtualMachineConfigSpec{
		Name: "stranger", NumCPUs: 2, MemoryMB: 1024, GuestId: "otherGuest64",
		Files: &types.VirtualMachineFileInfo{VmPathName: "[" + host.Datastore.Name + "]"},
	}, object.NewResourcePool(client.Client, host.Pool.Ref), nil)
	require.NoError(t, err)
	info, err := task.WaitForResult(t.Context())
	require.NoError(t, err)
	stranger := object.NewVirtualMachine(client.Client, info.Result.(types.ManagedObjectReference))
	task, err = stranger.PowerOn(t.Context())
	require.NoError(t, err)
	require.NoError(t, task.Wait(t.Context()))
	watcher.AwaitHost(t, "the stranger, which is on", func(h portlayer.Host) bool {
		return h.Others == portlayer.Resources{CPUs: endpoint.CPUs + 2, MemoryBytes: endpoint.MemoryBytes + 1<<30}
	})
	task, err = stranger.PowerOff(t.Context())
	require.NoError(t, err)
	require.NoError(t, task.Wait(t.Context()))
	watcher.AwaitHost(t, "the endpoint VM alone", func(h portlayer.Host) bool { return h.Others == endpoint })
}

// change changes an object of the stand-in, as vCenter itself would.
func change(server *vcsim.Server, ref types.ManagedObjectReference, path string, value any) {
	ctx := *server.Service().Context
	ctx.Map.AtomicUpdate(&ctx, ctx.Map.Get(ref), []types.PropertyChange{{Name: path, Val: value}})
}

func TestHostFollowsItsDatastoreAndNetwork(t *testing.T) {
	server, client, backend := start(t, simulator.VPX(), vcsim.GuestsNone)
	watcher := portlayertest.Watch(t, backend)
	host := there(t, client)
	change(server, host.Datastore.Ref, "summary.freeSpace", int64(7))
	watcher.AwaitHost(t, "little space", func(h portlayer.Host) bool { return h.Datastore.Free == 7 })
	change(server, host.Datastore.Ref, "summary.maintenanceMode", "inMaintenance")
	watcher.AwaitHost(t, "a datastore in maintenance", func(h portlayer.Host) bool { return h.Datastore.MaintenanceMode })
	change(server, host.Datastore.Ref, "summary.accessible", false)
	watcher.AwaitHost(t, "no datastore", func(h portlayer.Host) bool { return h.Datastore.Found && !h.Datastore.Accessible })
}

func TestThingsThatAreGoneDoNotStopTheWatch(t *testing.T) {
	_, client, _ := start(t, simulator.VPX(), vcsim.GuestsNone)
	target := vcenter.TargetOf(there(t, client))
	target.DatastoreRef.Value, target.NetworkRef.Value = "datastore-gone", "network-gone"
	watcher := portlayertest.Watch(t, vcenter.New(client.Client, target))
	host := watcher.AwaitHost(t, "without datastore and network", func(portlayer.Host) bool { return true })
	require.False(t, host.Datastore.Found)
	require.False(t, host.Network.Found)
	require.Positive(t, host.All.CPUs)
}

func TestStatisticsAreRead(t *testing.T) {
	server, client, backend := start(t, simulator.VPX(), vcsim.GuestsNone)
	host := there(t, client)
	ctx := *server.Service().Context
	pool := ctx.Map.Get(host.Pool.Ref).(*simulator.ResourcePool)
	ctx.WithLock(pool, func() {
		pool.Summary.GetResourcePoolSummary().QuickStats = &types.ResourcePoolQuickStats{BalloonedMemory: 2, SwappedMemory: 3, CompressedMemory: 1024}
	})
	watcher := portlayertest.Watch(t, backend)
	watcher.AwaitHost(t, "reclaimed memory, at the start", func(h portlayer.Host) bool { return h.ReclaimedMemory == 6<<20 })
}
