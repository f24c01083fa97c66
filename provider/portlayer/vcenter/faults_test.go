// SPDX-License-Identifier: Apache-2.0

package vcenter_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/provider/portlayer"
	"wolfpack/provider/portlayer/portlayertest"
	"wolfpack/provider/portlayer/vcenter"
	"wolfpack/tests/vcsim"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// site is a backend whose watch runs, on a stand-in.
type site struct {
	*testing.T
	server  *vcsim.Server
	backend *vcenter.VCenter
	watcher *portlayertest.Watcher
}

func newSite(t *testing.T, prepare ...func(*vcenter.VCenter)) *site {
	t.Helper()
	server, _, backend := start(t, simulator.VPX(), vcsim.GuestsSim)
	for _, do := range prepare {
		do(backend)
	}
	return &site{T: t, server: server, backend: backend, watcher: portlayertest.Watch(t, backend)}
}

// vm makes a VM and brings it to a state.
func (s *site) vm(uid string, on bool) portlayer.ID {
	s.Helper()
	id, err := s.backend.Create(s.Context(), portlayertest.Spec(s.T, uid))
	require.NoError(s, err)
	if on {
		require.NoError(s, s.backend.Start(s.Context(), id))
		s.watcher.Await(s.T, "the guest can be asked", func(vms map[portlayer.ID]portlayer.VM) bool { return vms[id].ToolsUp })
	}
	return id
}

// await waits until the VMs, by UID, are in these states, and no others exist.
func (s *site) await(states map[string]portlayer.State) {
	s.Helper()
	s.watcher.Await(s.T, "the end state", func(vms map[portlayer.ID]portlayer.VM) bool {
		for _, vm := range vms {
			if states[vm.UID] != vm.State {
				return false
			}
		}
		return len(vms) == len(states)
	})
}

// changesOfAVM are the methods of all changes that the backend makes, each with how to make it and what comes of it.
var changesOfAVM = []struct {
	method string
	on     bool // the VM is, before
	make   func(context.Context, *site, portlayer.ID) error
	want   portlayer.State // "" is gone
}{
	{"CreateVM_Task", false, nil, portlayer.Off},
	{"PowerOnVM_Task", false, func(ctx context.Context, s *site, id portlayer.ID) error { return s.backend.Start(ctx, id) }, portlayer.Running},
	{"PowerOffVM_Task", true, func(ctx context.Context, s *site, id portlayer.ID) error { return s.backend.Stop(ctx, id) }, portlayer.Off},
	{"ShutdownGuest", true, func(ctx context.Context, s *site, id portlayer.ID) error { return s.backend.Shutdown(ctx, id) }, portlayer.Off},
	{"Destroy_Task", false, func(ctx context.Context, s *site, id portlayer.ID) error { return s.backend.Remove(ctx, id) }, ""},
}

// TestWhatPassesInAMomentIsNotNoticed strikes each change with each fault once: it is made all the same, and once. In a
// repeat of what was done already, vCenter's refusal is a success; that a VM exists, or is gone, is for the caller to judge.
func TestWhatPassesInAMomentIsNotNoticed(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]vcsim.Fault{
		"reset":               {Do: vcsim.DoReset},
		"answer lost":         {Do: vcsim.DoLoseAnswer},
		"proxy":               {Do: vcsim.DoStatus},
		"too many requests":   {Do: vcsim.DoStatus, Status: 429, RetryAfter: time.Second},
		"session expired":     {Do: vcsim.DoExpire},
		"slow":                {Do: vcsim.DoDelay, Delay: 10 * time.Millisecond},
		"slow answer":         {Do: vcsim.DoDelayAnswer, Delay: 10 * time.Millisecond},
		"another task":        {Do: vcsim.DoFault, Fault: &types.TaskInProgress{}},
		"vCenter restarts":    {Do: vcsim.DoFault, Fault: &types.SystemError{}},
		"changed meanwhile":   {Do: vcsim.DoTaskFault, Fault: &types.ConcurrentAccess{}},
		"disk locked":         {Do: vcsim.DoTaskFault, Fault: &types.FileLocked{}},
		"task of another end": {Do: vcsim.DoTaskFault, Fault: &types.TaskInProgress{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			for _, change := range changesOfAVM {
				if fault.Do == vcsim.DoTaskFault && !strings.HasSuffix(change.method, "_Task") {
					continue
				}
				fault.Method, fault.Count = change.method, 1
				uid := "uid-" + change.method
				var err error
				if change.make == nil {
					remove := s.server.Inject(fault)
					_, err = s.backend.Create(t.Context(), portlayertest.Spec(t, uid))
					remove()
				} else {
					id := s.vm(uid, change.on)
					remove := s.server.Inject(fault)
					err = change.make(t.Context(), s, id)
					remove()
				}
				lost := fault.Do == vcsim.DoLoseAnswer
				switch {
				case lost && change.method == "CreateVM_Task":
					require.True(t, errs.Is(err, errs.Exists), "%s: %v", change.method, err)
				case lost && change.method == "Destroy_Task":
					require.True(t, errs.Is(err, errs.NotFound), "%s: %v", change.method, err)
				default:
					require.NoError(t, err, change.method)
				}
				states := map[string]portlayer.State{}
				if change.want != "" {
					states[uid] = change.want
				}
				s.await(states)
				s.clear()
			}
		})
	}
}

// clear removes all VMs.
func (s *site) clear() {
	s.Helper()
	for _, vm := range s.watcher.Await(s.T, "anything", func(map[portlayer.ID]portlayer.VM) bool { return true }) {
		require.NoError(s, s.backend.Stop(s.Context(), vm.ID))
		require.NoError(s, s.backend.Remove(s.Context(), vm.ID))
	}
	s.await(nil)
}

// TestWhatLastsIsTheCallers has a row for each trouble that the backend does not wait out: its kind says whether to try
// again, and when it is over the same call works.
func TestWhatLastsIsTheCallers(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		fault vcsim.Fault
		want  errs.Kind
		says  string
	}{
		"vCenter is down":       {vcsim.Fault{Do: vcsim.DoStatus}, errs.Unavailable, "503 Service Unavailable"},
		"every answer is lost":  {vcsim.Fault{Do: vcsim.DoReset}, errs.Unavailable, "connection reset by peer"},
		"disk stays locked":     {vcsim.Fault{Do: vcsim.DoTaskFault, Fault: &types.GenericVmConfigFault{Reason: "disk is locked"}}, errs.Unavailable, "GenericVmConfigFault"},
		"datastore is full":     {vcsim.Fault{Object: "LocalDS_0", Do: vcsim.DoFill}, errs.Unavailable, "NoDiskSpace"},
		"host is in trouble":    {vcsim.Fault{Do: vcsim.DoTaskFault, Fault: &types.HostCommunication{}}, errs.Unavailable, "HostCommunication"},
		"nothing is permitted":  {vcsim.Fault{Object: "*uid-1*", Do: vcsim.DoDeny}, errs.Denied, "NoPermission"},
		"the task is cancelled": {vcsim.Fault{Do: vcsim.DoTaskFault, Fault: &types.RequestCanceled{}}, errs.Unavailable, "RequestCanceled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			id := s.vm("uid-1", false)
			if row.fault.Do != vcsim.DoDeny {
				row.fault.Method = "PowerOnVM_Task"
			}
			remove := s.server.Inject(row.fault)
			err := s.backend.Start(t.Context(), id)
			require.True(t, errs.Is(err, row.want), "%v is %s", err, errs.KindOf(err))
			require.ErrorContains(t, err, row.says)
			remove()
			require.NoError(t, s.backend.Start(t.Context(), id))
			s.await(map[string]portlayer.State{"uid-1": portlayer.Running})
		})
	}
}

// TestStuckTaskIsCancelled waits for tasks that never end: they are cancelled, so that the next try is not refused because
// of them.
func TestStuckTaskIsCancelled(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(v *vcenter.VCenter) {
		v.Hurry(vcenter.Limits{Task: 2 * time.Second, Settle: 5 * time.Second})
	})
	id := s.vm("uid-1", false)
	remove := s.server.Inject(vcsim.Fault{Method: "PowerOnVM_Task", Do: vcsim.DoTaskStuck})
	err := s.backend.Start(t.Context(), id)
	require.True(t, errs.Is(err, errs.Unavailable), "%v", err)
	require.ErrorContains(t, err, "canceled by a user")
	s.server.Inject(vcsim.Fault{Method: "CancelTask", Do: vcsim.DoFault, Fault: &types.NotSupported{}})
	err = s.backend.Start(t.Context(), id)
	require.True(t, errs.Is(err, errs.Unavailable), "%v", err)
	require.ErrorContains(t, err, "task task-stuck-2 does not end, and cannot be cancelled")
	require.Equal(t, 2, s.server.Calls()["CancelTask"])
	remove()
	require.NoError(t, s.backend.Start(t.Context(), id))
	s.await(map[string]portlayer.State{"uid-1": portlayer.Running})
}

// TestStuckTasksKeepNoSlots has every slot taken by a task that never ends: another change is made all the same.
func TestStuckTasksKeepNoSlots(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(v *vcenter.VCenter) {
		v.Hurry(vcenter.Limits{Slot: 200 * time.Millisecond, Abandon: 100 * time.Millisecond})
	})
	id := s.vm("uid-1", false)
	other := s.vm("uid-2", false)
	s.server.ResetCalls()
	s.server.Inject(vcsim.Fault{Method: "PowerOnVM_Task", Count: vcenter.Concurrent, Do: vcsim.DoTaskStuck})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range vcenter.Concurrent {
		group.Go(func() {
			err := s.backend.Start(ctx, id)
			require.True(t, errs.Is(err, errs.Unavailable), "%v", err)
		})
	}
	require.Eventually(t, func() bool { return s.server.Calls()["PowerOnVM_Task"] == vcenter.Concurrent }, patience, time.Millisecond)
	require.NoError(t, s.backend.Start(t.Context(), other))
	cancel() // nobody wants them any more
	group.Wait()
	s.await(map[string]portlayer.State{"uid-1": portlayer.Off, "uid-2": portlayer.Running})
	require.Equal(t, vcenter.Concurrent, s.server.Calls()["CancelTask"])
}

// TestManyCreatesLeaveRoomForStarts has more VMs made at once than there are slots, and none is made in time: another that is
// made already is started all the same.
func TestManyCreatesLeaveRoomForStarts(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(v *vcenter.VCenter) { v.Hurry(vcenter.Limits{Abandon: 100 * time.Millisecond}) })
	made := s.vm("uid-1", false)
	s.server.ResetCalls()
	s.server.Inject(vcsim.Fault{Method: "CreateVM_Task", Do: vcsim.DoTaskStuck})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for i := range 2 * vcenter.Concurrent {
		spec := portlayertest.Spec(t, fmt.Sprintf("waits-%d", i))
		group.Go(func() {
			_, err := s.backend.Create(ctx, spec)
			assert.Error(t, err)
		})
	}
	require.Eventually(t, func() bool { return s.server.Calls()["CreateVM_Task"] == vcenter.Creating }, patience, time.Millisecond)
	require.NoError(t, s.backend.Start(t.Context(), made))
	require.Equal(t, vcenter.Creating, s.server.Calls()["CreateVM_Task"])
	cancel() // nobody wants them any more
	group.Wait()
}

// TestForgottenTask is what becomes of a task when vCenter restarts: nobody hears of it again.
func TestForgottenTask(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(v *vcenter.VCenter) { v.Hurry(vcenter.Limits{AskAfter: 50 * time.Millisecond}) })
	id := s.vm("uid-1", false)
	registry := s.server.Service().Context.Map
	s.server.Inject(vcsim.Fault{Method: "PowerOnVM_Task", Count: 1, Do: vcsim.DoTaskStuck})
	s.server.Inject(vcsim.Fault{Method: "RetrieveProperties*", Count: 1, Before: func(vcsim.Request) {
		registry.Remove(s.server.Service().Context, types.ManagedObjectReference{Type: "Task", Value: "task-stuck-1"})
	}})
	err := s.backend.Start(t.Context(), id)
	require.True(t, errs.Is(err, errs.Unavailable), "%v", err)
	require.ErrorContains(t, err, "vCenter has forgotten task task-stuck-1")
	require.NoError(t, s.backend.Start(t.Context(), id))
}

// TestWatchComesBack interrupts the watch in each way, at each of its requests. It says so, comes back with all there is,
// and leaves nothing of the old one in vCenter.
func TestWatchComesBack(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]vcsim.Fault{
		"reset":           {Do: vcsim.DoReset},
		"answer lost":     {Do: vcsim.DoLoseAnswer},
		"proxy":           {Do: vcsim.DoStatus},
		"session expired": {Do: vcsim.DoExpire},
		"refused":         {Do: vcsim.DoFault, Fault: &types.SystemError{}},
		"collector gone":  {Do: vcsim.DoFault, Fault: &types.ManagedObjectNotFound{Obj: types.ManagedObjectReference{Type: "PropertyCollector", Value: "x"}}},
		"never answered":  {Do: vcsim.DoDelay, Delay: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(v *vcenter.VCenter) { v.Hurry(vcenter.Limits{Request: 2 * time.Second}) })
			id := s.vm("uid-0", false)
			states := map[string]portlayer.State{"uid-0": portlayer.Off}
			for _, method := range []string{"WaitForUpdatesEx", "CreatePropertyCollector", "CreateContainerView", "CreateFilter"} {
				lost := s.watcher.Lost()
				fault.Method, fault.Count = method, 1
				remove := s.server.Inject(fault)
				if method != "WaitForUpdatesEx" { // which comes by itself
					s.server.Inject(vcsim.Fault{Method: "WaitForUpdatesEx", Count: 1, Do: vcsim.DoReset})
				}
				require.Eventually(t, func() bool { return struck(s.server, method) }, patience, time.Millisecond)
				s.vm("uid-"+method, false)
				states["uid-"+method] = portlayer.Off
				s.await(states)
				if fault.Do != vcsim.DoExpire || method == "WaitForUpdatesEx" {
					require.Greater(t, s.watcher.Lost(), lost, "nobody was told")
				}
				remove()
			}
			require.NoError(t, s.backend.Start(t.Context(), id))
			states["uid-0"] = portlayer.Running
			s.await(states)
			if fault.Do == vcsim.DoExpire || fault.Do == vcsim.DoLoseAnswer {
				return // what was made is gone with the session, or nobody knows its name
			}
			require.Eventually(t, func() bool {
				return left(s.server, "CreateContainerView", "DestroyView") == 1 && left(s.server, "CreatePropertyCollector", "DestroyPropertyCollector") == 1
			}, patience, 10*time.Millisecond, "only what the present watch uses is left")
		})
	}
}

// struck says whether the rule for a method has struck.
func struck(server *vcsim.Server, method string) bool {
	for _, f := range server.Faults() {
		if f.Method == method && f.Struck > 0 {
			return true
		}
	}
	return false
}

// left is how many more things were made than destroyed.
func left(server *vcsim.Server, made, destroyed string) (n int) {
	for _, r := range server.Journal() {
		switch {
		case r.Outcome != "ok":
		case r.Method == made:
			n++
		case r.Method == destroyed:
			n--
		}
	}
	return n
}
