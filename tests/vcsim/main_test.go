// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"go.uber.org/goleak"

	"wolfpack/tests/vcsim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// bench is a server and a client that has logged in.
type bench struct {
	testing.TB
	ctx    context.Context
	server *vcsim.Server
	client *govmomi.Client
	folder *object.Folder
	pool   *object.ResourcePool
}

// newBench starts a server with one host and no VMs.
func newBench(t testing.TB, cfg vcsim.Config) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // lives through the clean-up
	t.Cleanup(cancel)
	if cfg.Model == nil {
		cfg.Model = simulator.VPX()
		cfg.Model.Machine, cfg.Model.Cluster = 0, 0
	}
	server, err := vcsim.Start(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	client, err := server.Client(ctx)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = client.Logout(context.Background())
		client.CloseIdleConnections()
	})
	finder := find.NewFinder(client.Client)
	dc, err := finder.DefaultDatacenter(ctx)
	require.NoError(t, err)
	finder.SetDatacenter(dc)
	folders, err := dc.Folders(ctx)
	require.NoError(t, err)
	pools, err := finder.ResourcePoolList(ctx, "*")
	require.NoError(t, err)
	return &bench{TB: t, ctx: ctx, server: server, client: client, folder: folders.VmFolder, pool: pools[0]}
}

// result waits for a task and returns what it brought.
func (b *bench) result(task *object.Task, err error) types.AnyType {
	b.Helper()
	require.NoError(b, err)
	info, err := task.WaitForResult(b.ctx)
	require.NoError(b, err)
	require.NoError(b, b.ctx.Err())
	return info.Result
}

// spec is a VM with a network card.
func spec(name, guestID, alternate string, extra map[string]string) types.VirtualMachineConfigSpec {
	devices := object.VirtualDeviceList{}
	card, err := devices.CreateEthernetCard("vmxnet3", &types.VirtualEthernetCardNetworkBackingInfo{
		VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: "VM Network"},
	})
	if err != nil {
		panic(err)
	}
	changes, err := object.VirtualDeviceList{card}.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	if err != nil {
		panic(err)
	}
	return types.VirtualMachineConfigSpec{
		Name:               name,
		GuestId:            guestID,
		AlternateGuestName: alternate,
		Files:              &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"},
		MemoryMB:           512,
		DeviceChange:       changes,
		ExtraConfig:        object.OptionValueListFromMap(extra),
	}
}

// create makes a VM.
func (b *bench) create(spec types.VirtualMachineConfigSpec) *object.VirtualMachine {
	b.Helper()
	ref := b.result(b.folder.CreateVM(b.ctx, spec, b.pool, nil))
	return object.NewVirtualMachine(b.client.Client, ref.(types.ManagedObjectReference))
}

// vm reads properties of a VM.
func (b *bench) vm(ref mo.Reference, properties ...string) mo.VirtualMachine {
	b.Helper()
	var vm mo.VirtualMachine
	require.NoError(b, property.DefaultCollector(b.client.Client).RetrieveOne(b.ctx, ref.Reference(), properties, &vm))
	return vm
}
