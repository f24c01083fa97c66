// SPDX-License-Identifier: Apache-2.0

package lifetimes_test

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
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/guest"
	"wolfpack/telemetry"
	"wolfpack/telemetry/lifetimes"
	"wolfpack/tests/vcsim"
)

// bench is a stand-in, and a client that has logged in.
type bench struct {
	testing.TB
	ctx    context.Context
	server *vcsim.Server
	client *govmomi.Client
	folder *object.Folder
	pool   *object.ResourcePool
}

func newBench(t testing.TB) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // lives through the clean-up
	t.Cleanup(cancel)
	model := simulator.VPX()
	model.Machine, model.Cluster = 0, 0
	server, err := vcsim.Start(ctx, vcsim.Config{Model: model})
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
	pool, err := finder.DefaultResourcePool(ctx)
	require.NoError(t, err)
	return &bench{TB: t, ctx: ctx, server: server, client: client, folder: folders.VmFolder, pool: pool}
}

const photonContainer = "Photon - Container v1, 2, 3"

// create makes a VM; alternate is its guest's name.
func (b *bench) create(name, alternate string, extra ...types.BaseOptionValue) *object.VirtualMachine {
	b.Helper()
	info := b.result(b.folder.CreateVM(b.ctx, types.VirtualMachineConfigSpec{
		Name: name, GuestId: "otherGuest64", AlternateGuestName: alternate, ExtraConfig: extra,
		Files: &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"},
	}, b.pool, nil))
	return object.NewVirtualMachine(b.client.Client, info.(types.ManagedObjectReference))
}

func (b *bench) destroy(vm *object.VirtualMachine) {
	b.Helper()
	b.result(vm.Destroy(b.ctx))
}

func (b *bench) result(task *object.Task, err error) types.AnyType {
	b.Helper()
	require.NoError(b, err)
	info, err := task.WaitForResult(b.ctx)
	require.NoError(b, err)
	require.NoError(b, b.ctx.Err())
	return info.Result
}

// census is what a census reads of each VM, but for the fields that lifetimes do not need.
func (b *bench) census() (all []telemetry.VM) {
	b.Helper()
	v, err := view.NewManager(b.client.Client).CreateContainerView(b.ctx, b.client.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	require.NoError(b, err)
	refs, err := v.Find(b.ctx, []string{"VirtualMachine"}, nil)
	require.NoError(b, err)
	require.NoError(b, v.Destroy(b.ctx))
	var vms []mo.VirtualMachine
	if len(refs) > 0 {
		require.NoError(b, property.DefaultCollector(b.client.Client).Retrieve(b.ctx, refs, []string{"name", "config"}, &vms))
	}
	for _, vm := range vms {
		seen := telemetry.VM{
			Kind: telemetry.OtherVM, MoID: vm.Self.Value, Name: vm.Name, InstanceUUID: vm.Config.InstanceUuid, Created: vm.Config.CreateDate,
		}
		if name, err := guest.Parse(vm.Config.GuestFullName); err == nil && name.Role == guest.Container {
			seen.Kind, seen.OS = telemetry.ContainerVM, name.OS
		}
		all = append(all, seen)
	}
	return all
}

// study is a run, whose state goes through JSON.
func (b *bench) study(source lifetimes.Source, state *lifetimes.State) (*telemetry.Lifetime, *lifetimes.State, *lifetimes.Study) {
	b.Helper()
	study, err := lifetimes.Read(b.ctx, source, state, time.Time{})
	require.NoError(b, err)
	for _, vm := range b.census() {
		study.See(vm)
	}
	now, err := methods.GetCurrentTime(b.ctx, b.client.Client)
	require.NoError(b, err)
	lifetime, next := study.Finish(*now)
	return lifetime, through(b, next), study
}

func TestVMsOfTheStandIn(t *testing.T) {
	b := newBench(t)
	source := &lifetimes.VCenter{Client: b.client.Client}
	b.create("other", "Windows 3.11")
	dead, _ := b.create("dead", photonContainer), b.create("alive", photonContainer)
	b.destroy(dead)

	lifetime, state, study := b.study(source, nil)
	require.Empty(t, study.Problems)
	require.Equal(t, 1, lifetime.Completed.Count)
	require.Positive(t, lifetime.Completed.Mean)
	require.Equal(t, 1, lifetime.Living.Count)
	require.Equal(t, 1, lifetime.Exposure.Deaths)
	require.Zero(t, lifetime.Unclassified)
	require.Equal(t, "Photon", lifetime.Histograms[0].OS)

	alive := b.find("alive")
	b.destroy(alive)
	lifetime, _, study = b.study(source, state)
	require.Empty(t, study.Problems)
	require.Equal(t, 2, lifetime.Completed.Count)
	require.Zero(t, lifetime.Living.Count)
}

func (b *bench) find(name string) *object.VirtualMachine {
	b.Helper()
	vm, err := find.NewFinder(b.client.Client).VirtualMachine(b.ctx, "/DC0/vm/"+name)
	require.NoError(b, err)
	return vm
}

// The reading takes exactly 2 requests and one for each page, of which the last is empty.
func TestRequests(t *testing.T) {
	b := newBench(t)
	b.destroy(b.create("dead", photonContainer))
	b.server.ResetCalls()
	study, err := lifetimes.Read(b.ctx, &lifetimes.VCenter{Client: b.client.Client}, nil, time.Time{})
	require.NoError(t, err)
	require.Equal(t, 2, study.Pages)
	require.Equal(t, map[string]int{"CreateCollectorForEvents": 1, "ReadNextEvents": 2, "DestroyCollector": 1}, b.server.Calls())
}
