// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/vcsim"
)

const (
	other64  = string(types.VirtualMachineGuestOsIdentifierOtherGuest64)
	other32  = string(types.VirtualMachineGuestOsIdentifierOtherGuest)
	photon64 = string(types.VirtualMachineGuestOsIdentifierVmwarePhoton64Guest)
	wolfpack = "Photon - Container v1.2.0, 17, abc1234"
)

// naming is what decides a VM's full name, and that name.
type naming struct{ guestID, alternate, want string }

var namings = []naming{
	{other64, wolfpack, wolfpack},
	{other32, wolfpack, wolfpack},
	{other64, "", "Other (64-bit)"},
	{other32, "", "Other (32-bit)"},
	{photon64, wolfpack, "VMware Photon OS (64-bit)"},
	{"otherLinux64Guest", "", "Other Linux (64-bit)"},
	{"other3xLinux64Guest", wolfpack, "Other 3.x Linux (64-bit)"},
	{"windows2019srv_64Guest", "", "Microsoft Windows Server 2019 (64-bit)"},
	{"rhel8_64Guest", "", "Red Hat Enterprise Linux 8 (64-bit)"},
}

// requireName checks all that tells a VM's guest.
func (b *bench) requireName(ref mo.Reference, want naming) {
	b.Helper()
	vm := b.vm(ref, "config.guestFullName", "config.guestId", "summary.config.guestFullName", "summary.config.guestId", "config.alternateGuestName")
	require.Equal(b, want.want, vm.Config.GuestFullName)
	require.Equal(b, want.want, vm.Summary.Config.GuestFullName)
	require.Equal(b, want.guestID, vm.Config.GuestId)
	require.Equal(b, want.guestID, vm.Summary.Config.GuestId)
	require.Equal(b, want.alternate, vm.Config.AlternateGuestName)
}

// ways are the ways to get a VM with a name.
var ways = map[string]func(b *bench, n naming) mo.Reference{
	"CreateVM": func(b *bench, n naming) mo.Reference { return b.source(n) },
	"CloneVM inherits": func(b *bench, n naming) mo.Reference {
		return b.ref(b.source(n).Clone(b.ctx, b.folder, "clone", types.VirtualMachineCloneSpec{}))
	},
	"CloneVM overrides": func(b *bench, n naming) mo.Reference {
		from := b.source(naming{guestID: "debian12_64Guest"})
		return b.ref(from.Clone(b.ctx, b.folder, "clone", types.VirtualMachineCloneSpec{
			Config: &types.VirtualMachineConfigSpec{GuestId: n.guestID, AlternateGuestName: n.alternate},
		}))
	},
	"InstantClone": func(b *bench, n naming) mo.Reference {
		vm := b.source(n)
		b.result(vm.PowerOn(b.ctx))
		return b.ref(vm.InstantClone(b.ctx, types.VirtualMachineInstantCloneSpec{Name: "clone"}))
	},
	"ReconfigVM": func(b *bench, n naming) mo.Reference {
		vm := b.source(naming{guestID: "debian12_64Guest"})
		b.result(vm.Reconfigure(b.ctx, types.VirtualMachineConfigSpec{GuestId: n.guestID, AlternateGuestName: n.alternate}))
		return vm
	},
	"ReconfigVM in two steps": func(b *bench, n naming) mo.Reference {
		vm := b.source(naming{guestID: n.guestID})
		b.result(vm.Reconfigure(b.ctx, types.VirtualMachineConfigSpec{AlternateGuestName: n.alternate}))
		return vm
	},
	"ImportVApp": func(b *bench, n naming) mo.Reference {
		s := &types.VirtualMachineImportSpec{ConfigSpec: spec("imported", n.guestID, n.alternate, nil)}
		lease, err := b.pool.ImportVApp(b.ctx, s, b.folder, nil)
		require.NoError(b, err)
		info, err := lease.Wait(b.ctx, nil)
		require.NoError(b, err)
		require.NoError(b, lease.Complete(b.ctx))
		vm := object.NewVirtualMachine(b.client.Client, info.Entity)
		b.Cleanup(func() { b.destroy(vm) })
		return vm
	},
}

func TestGuestNames(t *testing.T) {
	t.Parallel()
	all := newBench(t, vcsim.Config{Username: "admin", Password: "secret"})
	for way, get := range ways {
		for _, n := range namings {
			t.Run(way+"/"+n.guestID+"/"+n.alternate, func(t *testing.T) {
				b := *all
				b.TB = t
				b.requireName(get(&b, n), n)
			})
		}
	}
}

// source makes a VM, to be destroyed at the end of the test.
func (b *bench) source(n naming) *object.VirtualMachine {
	b.Helper()
	vm := b.create(spec("source", n.guestID, n.alternate, nil))
	b.Cleanup(func() { b.destroy(vm) })
	return vm
}

// ref is the VM that a task made; it is destroyed at the end of the test.
func (b *bench) ref(task *object.Task, err error) mo.Reference {
	b.Helper()
	vm := object.NewVirtualMachine(b.client.Client, b.result(task, err).(types.ManagedObjectReference))
	b.Cleanup(func() { b.destroy(vm) })
	return vm
}

// destroy powers a VM off if need be, and destroys it.
func (b *bench) destroy(vm *object.VirtualMachine) {
	b.Helper()
	if task, err := vm.PowerOff(b.ctx); err == nil {
		_, _ = task.WaitForResult(b.ctx) // it may be off
	}
	b.result(vm.Destroy(b.ctx))
}

// TestGuestNameOfRefusedChange checks that a refused guest id changes nothing; the simulator would keep it.
func TestGuestNameOfRefusedChange(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	n := naming{other64, wolfpack, wolfpack}
	vm := b.create(spec("vm", n.guestID, n.alternate, nil))
	for name, start := range map[string]func() (*object.Task, error){
		"reconfigure": func() (*object.Task, error) {
			return vm.Reconfigure(b.ctx, types.VirtualMachineConfigSpec{GuestId: "beos"})
		},
		"clone": func() (*object.Task, error) {
			return vm.Clone(b.ctx, b.folder, "clone", types.VirtualMachineCloneSpec{Config: &types.VirtualMachineConfigSpec{GuestId: "beos"}})
		},
	} {
		task, err := start()
		require.NoError(t, err, name)
		_, err = task.WaitForResult(b.ctx)
		var invalid *types.InvalidArgument
		_, ok := fault.As(err, &invalid)
		require.True(t, ok, "%s: %v", name, err)
		require.Equal(t, "configSpec.guestId", invalid.InvalidProperty, name)
		b.requireName(vm, n)
	}
}

func TestInstantCloneNeedsRunningSource(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	vm := b.create(spec("vm", other64, wolfpack, nil))
	task, err := vm.InstantClone(b.ctx, types.VirtualMachineInstantCloneSpec{Name: "clone"})
	require.NoError(t, err)
	_, err = task.WaitForResult(b.ctx)
	var state *types.InvalidPowerState
	_, ok := fault.As(err, &state)
	require.True(t, ok, "%v", err)
	require.Equal(t, types.VirtualMachinePowerStatePoweredOff, state.ExistingState)
}

func TestInstantCloneRunsAndInherits(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	source := b.create(spec("source", other64, wolfpack, map[string]string{"a": "1", "b": "1"}))
	b.result(source.PowerOn(b.ctx))
	clone := b.ref(source.InstantClone(b.ctx, types.VirtualMachineInstantCloneSpec{
		Name:   "clone",
		Config: []types.BaseOptionValue{&types.OptionValue{Key: "b", Value: "2"}},
	}))
	vm := b.vm(clone, "runtime.powerState", "config.extraConfig", "name")
	require.Equal(t, types.VirtualMachinePowerStatePoweredOn, vm.Runtime.PowerState)
	require.Equal(t, "clone", vm.Name)
	extra := object.OptionValueList(vm.Config.ExtraConfig)
	for key, want := range map[string]string{"a": "1", "b": "2"} {
		got, _ := extra.GetString(key)
		require.Equal(t, want, got, key)
	}
}

// TestInitialInventory checks the VMs that a server begins with.
func TestInitialInventory(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{Model: simulator.VPX()})
	vms := b.server.Service().Context.Map.All("VirtualMachine")
	require.NotEmpty(t, vms)
	for _, vm := range vms {
		b.requireName(vm, naming{other32, "", "Other (32-bit)"})
	}
}

// watch runs a collector on properties of the VMs in the folder, until stop. Each update is sent.
func (b *bench) watch(properties ...string) (updates <-chan types.ObjectUpdate) {
	b.Helper()
	client, err := b.server.Client(b.ctx)
	require.NoError(b, err)
	collector, err := property.DefaultCollector(client.Client).Create(b.ctx)
	require.NoError(b, err)
	vms, err := view.NewManager(client.Client).CreateContainerView(b.ctx, b.folder.Reference(), []string{"VirtualMachine"}, true)
	require.NoError(b, err)
	filter := &property.WaitFilter{}
	filter.Spec.ObjectSet = []types.ObjectSpec{{
		Obj:  vms.Reference(),
		Skip: types.NewBool(true),
		SelectSet: []types.BaseSelectionSpec{
			&types.TraversalSpec{Type: "ContainerView", Path: "view"},
		},
	}}
	filter.Spec.PropSet = []types.PropertySpec{{Type: "VirtualMachine", PathSet: properties}}
	ctx, stop := context.WithCancel(b.ctx)
	ch := make(chan types.ObjectUpdate, 10000)
	ended := make(chan error, 1)
	go func() {
		ended <- property.WaitForUpdates(ctx, collector, filter, func(u []types.ObjectUpdate) bool {
			for i := range u {
				ch <- u[i]
			}
			return false
		})
	}()
	b.Cleanup(func() {
		stop()
		<-ended
		_ = client.Logout(context.Background())
		client.CloseIdleConnections()
	})
	return ch
}

// await returns the values of a VM's properties, as a watcher puts them together, once they satisfy done.
func await(t testing.TB, updates <-chan types.ObjectUpdate, ref mo.Reference, done func(map[string]any) bool) map[string]any {
	t.Helper()
	values := make(map[string]any)
	deadline := time.After(patience)
	for {
		select {
		case u := <-updates:
			if u.Obj != ref.Reference() {
				continue
			}
			for _, c := range u.ChangeSet {
				values[c.Name] = c.Val
			}
			if done(values) {
				return values
			}
		case <-deadline:
			require.Fail(t, "the update did not come", "so far: %v", values)
		}
	}
}

// TestWatchersSeeNames checks the updates that a watcher gets, from the first: a VM never shows an unfinished name.
func TestWatchersSeeNames(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	properties := []string{"config.guestFullName", "summary.config.guestFullName"}
	updates := b.watch(properties...)
	vm := b.create(spec("vm", other64, wolfpack, nil))
	show := func(name string) func(map[string]any) bool {
		return func(values map[string]any) bool {
			return values[properties[0]] == name && values[properties[1]] == name
		}
	}
	first := <-updates
	require.Equal(t, types.ObjectUpdateKindEnter, first.Kind)
	require.Len(t, first.ChangeSet, 2)
	for _, c := range first.ChangeSet {
		require.Equal(t, wolfpack, c.Val, c.Name)
	}
	for _, change := range []struct {
		spec types.VirtualMachineConfigSpec
		want string
	}{
		{types.VirtualMachineConfigSpec{AlternateGuestName: "Photon - VCH v1.2.0, 17, abc1234"}, "Photon - VCH v1.2.0, 17, abc1234"},
		{types.VirtualMachineConfigSpec{GuestId: photon64}, "VMware Photon OS (64-bit)"},
		{types.VirtualMachineConfigSpec{GuestId: other32}, "Photon - VCH v1.2.0, 17, abc1234"},
	} {
		b.result(vm.Reconfigure(b.ctx, change.spec))
		await(t, updates, vm, show(change.want))
	}
	clone := b.ref(vm.Clone(b.ctx, b.folder, "clone", types.VirtualMachineCloneSpec{}))
	await(t, updates, clone, show("Photon - VCH v1.2.0, 17, abc1234"))
}

func TestEveryGuestIDHasAName(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	vm := b.create(spec("vm", other64, "", nil))
	seen := make(map[string]string)
	for _, id := range simulator.GuestID {
		b.result(vm.Reconfigure(b.ctx, types.VirtualMachineConfigSpec{GuestId: string(id)}))
		name := b.vm(vm, "config.guestFullName").Config.GuestFullName
		require.NotEqual(t, string(id), name)
		require.Contains(t, name, " ", "the name of %s is a human one", id)
		require.Empty(t, seen[name], "%s and %s have one name", id, seen[name])
		seen[name] = string(id)
	}
}
