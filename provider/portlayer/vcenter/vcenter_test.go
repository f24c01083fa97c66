// SPDX-License-Identifier: Apache-2.0

package vcenter_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"go.uber.org/goleak"

	"wolfpack/errs"
	"wolfpack/guest/contract"
	"wolfpack/provider/portlayer"
	"wolfpack/provider/portlayer/portlayertest"
	"wolfpack/provider/portlayer/vcenter"
	"wolfpack/tests/vcsim"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a stand-in with a VCH, and returns the portlayer of that.
func start(t *testing.T, model *simulator.Model, guests string) (*vcsim.Server, *vsphere.Client, *vcenter.VCenter) {
	t.Helper()
	server, err := vcsim.Start(t.Context(), vcsim.Config{Model: model, Username: "admin", Password: "secret", Guests: guests})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	client, err := vsphere.Connect(t.Context(), vsphere.Config{
		URL: server.URL().String(), Username: "admin", Password: "secret", CACerts: server.CAFile(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Logout(context.Background())) })
	made, err := vch.Create(t.Context(), client, vch.Spec{Name: portlayertest.VCH, Compute: compute(model)})
	require.NoError(t, err)
	return server, client, vcenter.New(client.Client, vcenter.TargetOf(made))
}

// compute names one of the places that the model has.
func compute(model *simulator.Model) string {
	if model.Datacenter > 0 && model.Cluster > 0 {
		return "DC0_C0"
	}
	return ""
}

func TestConformanceOnVCenter(t *testing.T) {
	portlayertest.Run(t, func(t *testing.T) portlayertest.Backend {
		return conforming(start(t, simulator.VPX(), vcsim.GuestsNone))
	})
}

func TestConformanceOnESXi(t *testing.T) {
	portlayertest.Run(t, func(t *testing.T) portlayertest.Backend {
		return conforming(start(t, simulator.ESX(), vcsim.GuestsNone))
	})
}

// conforming is a backend for the conformance suite.
func conforming(server *vcsim.Server, _ *vsphere.Client, backend *vcenter.VCenter) portlayertest.Backend {
	methods := map[string]string{
		"Create": "CreateVM_Task", "Start": "PowerOnVM_Task", "Shutdown": "ShutdownGuest", "Stop": "PowerOffVM_Task", "Remove": "Destroy_Task",
	}
	return portlayertest.Backend{
		Portlayer:  backend,
		LoseAnswer: func(op string) { server.Inject(vcsim.Fault{Method: methods[op], Count: 1, Do: vcsim.DoLoseAnswer}) },
		Interrupt:  func() { server.Inject(vcsim.Fault{Method: "WaitForUpdatesEx", Count: 1, Do: vcsim.DoReset}) },
	}
}

func TestRoundTripsOfAPod(t *testing.T) {
	server, _, backend := start(t, simulator.VPX(), vcsim.GuestsSim)
	before := server.Calls()["RetrievePropertiesEx"]
	watcher := portlayertest.Watch(t, backend)
	require.Eventually(t, func() bool { return server.Calls()["RetrievePropertiesEx"] > before }, time.Minute, time.Millisecond,
		"statistics are read as soon as the VMs are known, and not again for a minute")
	server.ResetCalls()

	id, err := backend.Create(t.Context(), portlayertest.Spec(t, "uid-1"))
	require.NoError(t, err)
	require.NoError(t, backend.Start(t.Context(), id))
	watcher.Await(t, "the guest reports Running", func(vms map[portlayer.ID]portlayer.VM) bool {
		return vms[id].Status != nil && vms[id].ToolsUp && vms[id].IP != ""
	})
	require.Equal(t, map[string]int{"CreateVM_Task": 1, "PowerOnVM_Task": 1}, changes(server))

	server.ResetCalls()
	require.NoError(t, backend.Shutdown(t.Context(), id))
	require.NoError(t, backend.AwaitOff(t.Context(), id))
	require.NoError(t, backend.Remove(t.Context(), id))
	require.Equal(t, map[string]int{"ShutdownGuest": 1, "Destroy_Task": 1}, changes(server))
}

// changes are the calls that were made, but for the one watch.
func changes(server *vcsim.Server) map[string]int {
	calls := server.Calls()
	delete(calls, "WaitForUpdatesEx")
	return calls
}

func TestGuestCannotBeAskedBeforeToolsRun(t *testing.T) {
	_, _, backend := start(t, simulator.VPX(), vcsim.GuestsSim)
	watcher := portlayertest.Watch(t, backend)
	spec := portlayertest.Spec(t, "uid-1")
	delete(spec.Machine.Extra, contract.KeyPod) // no pod, no guest, no Tools
	id, err := backend.Create(t.Context(), spec)
	require.NoError(t, err)
	require.NoError(t, backend.Start(t.Context(), id))
	watcher.Await(t, "running", func(vms map[portlayer.ID]portlayer.VM) bool { return vms[id].State == portlayer.Running })
	err = backend.Shutdown(t.Context(), id)
	require.True(t, errs.Is(err, errs.Unavailable), "%v", err)
}

func TestWatchComesBackAfterTheSessionIsGone(t *testing.T) {
	server, client, backend := start(t, simulator.VPX(), vcsim.GuestsNone)
	watcher := portlayertest.Watch(t, backend)
	id, err := backend.Create(t.Context(), portlayertest.Spec(t, "uid-1"))
	require.NoError(t, err)

	terminateSessions(t, server, client)
	require.NoError(t, backend.Start(t.Context(), id), "a call renews the session")
	watcher.Await(t, "running, seen by the new watch", func(vms map[portlayer.ID]portlayer.VM) bool {
		return vms[id].State == portlayer.Running
	})
}

// terminateSessions ends the client's session, as vCenter does when it expires.
func terminateSessions(t *testing.T, server *vcsim.Server, client *vsphere.Client) {
	t.Helper()
	admin, err := server.Client(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Logout(context.Background())) }()
	ours, err := session.NewManager(client.Client).UserSession(t.Context())
	require.NoError(t, err)
	require.NoError(t, admin.SessionManager.TerminateSession(t.Context(), []string{ours.Key}))
}

func TestFaultsKeepTheirKind(t *testing.T) {
	cases := []struct {
		method string
		fault  types.BaseMethodFault
		call   func(context.Context, *vcenter.VCenter, portlayer.ID) error
		want   errs.Kind
		says   string
	}{
		{"PowerOnVM_Task", &types.InsufficientMemoryResourcesFault{}, func(ctx context.Context, v *vcenter.VCenter, id portlayer.ID) error { return v.Start(ctx, id) }, errs.Unavailable, "power on VM"},
		{"PowerOnVM_Task", &types.FileLocked{}, func(ctx context.Context, v *vcenter.VCenter, id portlayer.ID) error { return v.Start(ctx, id) }, errs.Unavailable, "power on VM"},
		{"PowerOffVM_Task", &types.TaskInProgress{}, func(ctx context.Context, v *vcenter.VCenter, id portlayer.ID) error { return v.Stop(ctx, id) }, errs.Unavailable, "power off VM"},
		{"Destroy_Task", &types.NoPermission{}, func(ctx context.Context, v *vcenter.VCenter, id portlayer.ID) error { return v.Remove(ctx, id) }, errs.Denied, "destroy VM"},
		{"ShutdownGuest", &types.ToolsUnavailable{}, func(ctx context.Context, v *vcenter.VCenter, id portlayer.ID) error { return v.Shutdown(ctx, id) }, errs.Unavailable, "shut down guest of VM"},
		{"CreateVM_Task", &types.InvalidVmConfig{}, func(ctx context.Context, v *vcenter.VCenter, _ portlayer.ID) error {
			_, err := v.Create(ctx, portlayertest.Spec(&testing.T{}, "uid-2"))
			return err
		}, errs.Invalid, "create VM"},
	}
	server, _, backend := start(t, simulator.VPX(), vcsim.GuestsNone)
	portlayertest.Watch(t, backend)
	id, err := backend.Create(t.Context(), portlayertest.Spec(t, "uid-1"))
	require.NoError(t, err)
	for _, tc := range cases {
		t.Run(strings.TrimSuffix(tc.method, "_Task")+" "+tc.want.String(), func(t *testing.T) {
			defer server.Inject(vcsim.Fault{Method: tc.method, Do: vcsim.DoFault, Fault: tc.fault})()
			err := tc.call(t.Context(), backend, id)
			require.True(t, errs.Is(err, tc.want), "%v is %s", err, errs.KindOf(err))
			require.ErrorContains(t, err, tc.says)
		})
	}
}

func TestAVMThatWasMovedIsFollowed(t *testing.T) {
	_, client, backend := start(t, simulator.VPX(), vcsim.GuestsSim)
	watcher := portlayertest.Watch(t, backend)
	id, err := backend.Create(t.Context(), portlayertest.Spec(t, "uid-1"))
	require.NoError(t, err)
	require.NoError(t, backend.Start(t.Context(), id))
	reported := func(outside bool) func(map[portlayer.ID]portlayer.VM) bool {
		return func(vms map[portlayer.ID]portlayer.VM) bool { return vms[id].ID == id && vms[id].Outside == outside }
	}
	watcher.Await(t, "in the folder", reported(false))
	home, pool := placeOf(t, client, id)

	move(t, client, id, named(t, client, "/DC0/vm"))
	watcher.Await(t, "in another folder", reported(true))
	move(t, client, id, home)
	watcher.Await(t, "back", reported(false))
	move(t, client, id, named(t, client, "/DC0/vm"))
	relocate(t, client, id, named(t, client, "/DC0/host/DC0_C0/Resources"))
	watcher.Await(t, "in another folder and another pool", reported(true))
	require.NoError(t, backend.Stop(t.Context(), id))
	watcher.Await(t, "off, seen where it is", func(vms map[portlayer.ID]portlayer.VM) bool {
		return vms[id].State == portlayer.Off && vms[id].Outside
	})
	require.NoError(t, backend.AwaitOff(t.Context(), id))

	move(t, client, id, home)
	relocate(t, client, id, pool)
	watcher.Await(t, "back again", reported(false))
	relocate(t, client, id, named(t, client, "/DC0/host/DC0_C0/Resources"))
	move(t, client, id, named(t, client, "/DC0/vm"))
	watcher.Await(t, "away again", reported(true))
	require.NoError(t, backend.Remove(t.Context(), id))
	watcher.Await(t, "gone", func(vms map[portlayer.ID]portlayer.VM) bool { return len(vms) == 0 })
}

func TestAMovedVMIsFoundByAProviderThatDidNotSeeIt(t *testing.T) {
	_, client, backend := start(t, simulator.VPX(), vcsim.GuestsNone)
	func() {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- backend.Watch(ctx, func(portlayer.Update) {}) }()
		defer func() { cancel(); <-done }()
		id, err := backend.Create(t.Context(), portlayertest.Spec(t, "uid-1"))
		require.NoError(t, err)
		move(t, client, id, named(t, client, "/DC0/vm"))
		relocate(t, client, id, named(t, client, "/DC0/host/DC0_C0/Resources"))
	}()
	found, err := vch.Find(t.Context(), client, portlayertest.VCH)
	require.NoError(t, err)
	fresh := vcenter.New(client.Client, vcenter.TargetOf(found))
	watcher := portlayertest.Watch(t, fresh)
	watcher.Await(t, "nothing", func(vms map[portlayer.ID]portlayer.VM) bool { return len(vms) == 0 })
	require.NoError(t, fresh.Find(t.Context(), "uid-1"))
	watcher.Await(t, "found", func(vms map[portlayer.ID]portlayer.VM) bool {
		for _, vm := range vms {
			return vm.UID == "uid-1" && vm.Outside
		}
		return false
	})
	require.True(t, errs.Is(fresh.Find(t.Context(), "uid-2"), errs.NotFound))
}

func TestADestroyedVMIsAskedForOnceAndIsGone(t *testing.T) {
	server, client, backend := start(t, simulator.VPX(), vcsim.GuestsNone)
	watcher := portlayertest.Watch(t, backend)
	id, err := backend.Create(t.Context(), portlayertest.Spec(t, "uid-1"))
	require.NoError(t, err)
	watcher.Await(t, "created", func(vms map[portlayer.ID]portlayer.VM) bool { return len(vms) == 1 })
	vm := object.NewVirtualMachine(client.Client, self(id))
	server.ResetCalls()
	require.NoError(t, vm.Unregister(t.Context()))
	watcher.Await(t, "gone", func(vms map[portlayer.ID]portlayer.VM) bool { return len(vms) == 0 })
	calls := changes(server)
	delete(calls, "UnregisterVM")
	require.Equal(t, map[string]int{"RetrievePropertiesEx": 1}, calls)
}

func TestACloneOfAPodVMIsNoPodVM(t *testing.T) {
	_, client, backend := start(t, simulator.VPX(), vcsim.GuestsNone)
	watcher := portlayertest.Watch(t, backend)
	id, err := backend.Create(t.Context(), portlayertest.Spec(t, "uid-1"))
	require.NoError(t, err)
	vm := object.NewVirtualMachine(client.Client, self(id))
	home, _ := placeOf(t, client, id)
	task, err := vm.Clone(t.Context(), object.NewFolder(client.Client, home), "clone", types.VirtualMachineCloneSpec{})
	require.NoError(t, err)
	require.NoError(t, task.Wait(t.Context()))
	second, err := backend.Create(t.Context(), portlayertest.Spec(t, "uid-2")) // what comes after the clone is seen after it
	require.NoError(t, err)
	vms := watcher.Await(t, "the second VM", func(vms map[portlayer.ID]portlayer.VM) bool { return vms[second].ID == second })
	require.Len(t, vms, 2, "the clone says that it is the first, and is not: %v", vms)
}

func TestAVMThatHasThePodVMsNameIsNotTaken(t *testing.T) {
	_, _, backend := start(t, simulator.VPX(), vcsim.GuestsNone)
	portlayertest.Watch(t, backend)
	id, err := backend.Create(t.Context(), portlayertest.Spec(t, "uid-1"))
	require.NoError(t, err)
	spec := portlayertest.Spec(t, "uid-2")
	spec.Machine.VMName = portlayertest.Spec(t, "uid-1").Machine.VMName
	taken, err := backend.Create(t.Context(), spec)
	require.True(t, errs.Is(err, errs.Exists), "%v", err)
	require.Empty(t, taken)
	require.ErrorContains(t, err, string(id))
}

// placeOf is the folder and the pool that the VM is in.
func placeOf(t *testing.T, client *vsphere.Client, id portlayer.ID) (folder, pool types.ManagedObjectReference) {
	t.Helper()
	var vm mo.VirtualMachine
	require.NoError(t, property.DefaultCollector(client.Client).RetrieveOne(t.Context(), self(id), []string{"parent", "resourcePool"}, &vm))
	return *vm.Parent, *vm.ResourcePool
}

// named is the object at a path of the inventory.
func named(t *testing.T, client *vsphere.Client, path string) types.ManagedObjectReference {
	t.Helper()
	found, err := find.NewFinder(client.Client).ManagedObjectList(t.Context(), path)
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0].Object.Reference()
}

// move moves the VM to another folder.
func move(t *testing.T, client *vsphere.Client, id portlayer.ID, folder types.ManagedObjectReference) {
	t.Helper()
	task, err := object.NewFolder(client.Client, folder).MoveInto(t.Context(), []types.ManagedObjectReference{self(id)})
	require.NoError(t, err)
	require.NoError(t, task.Wait(t.Context()))
}

// relocate moves the VM to another pool.
func relocate(t *testing.T, client *vsphere.Client, id portlayer.ID, pool types.ManagedObjectReference) {
	t.Helper()
	task, err := object.NewVirtualMachine(client.Client, self(id)).Relocate(t.Context(), types.VirtualMachineRelocateSpec{Pool: &pool}, "")
	require.NoError(t, err)
	require.NoError(t, task.Wait(t.Context()))
}

func self(id portlayer.ID) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "VirtualMachine", Value: string(id)}
}
