// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"context"
	"math"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/vcsim"
)

// wait waits for a task and returns how it ended.
func (b *bench) wait(task *object.Task, err error) error {
	b.Helper()
	require.NoError(b, err)
	_, err = task.WaitForResult(b.ctx)
	return err
}

// last returns the last journal entry of a method.
func (b *bench) last(method string) vcsim.Request {
	b.Helper()
	var found *vcsim.Request
	for _, r := range b.server.Journal() {
		if r.Method == method {
			found = &r
		}
	}
	require.NotNil(b, found, "no %s in the journal", method)
	return *found
}

func (b *bench) power(vm *object.VirtualMachine) types.VirtualMachinePowerState {
	b.Helper()
	return b.vm(vm, "runtime.powerState").Runtime.PowerState
}

// TestFaultRefuses has a row for each effect that keeps a request from being carried out.
func TestFaultRefuses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		fault   vcsim.Fault
		is      func(error) bool
		says    string
		outcome string
	}{
		"SOAP fault": {
			vcsim.Fault{Name: "busy", Do: vcsim.DoFault, Fault: &types.TaskInProgress{Task: types.ManagedObjectReference{Type: "Task", Value: "t"}}},
			func(err error) bool {
				var f *types.TaskInProgress
				_, ok := fault.As(err, &f)
				return ok && f.Task.Value == "t"
			},
			"TaskInProgress, injected by busy", "fault TaskInProgress",
		},
		"HTTP status": {
			vcsim.Fault{Do: vcsim.DoStatus, RetryAfter: time.Second},
			func(error) bool { return true }, "503 Service Unavailable", "HTTP 503",
		},
		"other status": {
			vcsim.Fault{Do: vcsim.DoStatus, Status: 429},
			func(error) bool { return true }, "429 Too Many Requests", "HTTP 429",
		},
		"reset": {
			vcsim.Fault{Do: vcsim.DoReset},
			func(err error) bool { return isErrno(err, syscall.ECONNRESET) }, "connection reset by peer", "reset",
		},
		"expired session": {
			vcsim.Fault{Do: vcsim.DoExpire},
			func(err error) bool { return fault.Is(err, new(types.NotAuthenticated)) }, "NotAuthenticated", "fault NotAuthenticated",
		},
		"no permission": {
			vcsim.Fault{Object: "vm", Do: vcsim.DoDeny},
			func(err error) bool { return fault.Is(err, new(types.NoPermission)) }, "NoPermission", "fault NoPermission",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, vcsim.Config{})
			vm := b.create(spec("vm", other64, wolfpack, nil))
			row.fault.Method = "PowerOnVM_Task"
			remove := b.server.Inject(row.fault)
			_, err := vm.PowerOn(b.ctx)
			require.Error(t, err)
			require.True(t, row.is(err), "%v", err)
			require.ErrorContains(t, err, row.says)
			entry := b.last("PowerOnVM_Task")
			require.Equal(t, row.outcome, entry.Outcome)
			require.Equal(t, []string{b.server.Faults()[0].Name}, entry.Faults)
			require.Equal(t, 1, b.server.Faults()[0].Struck)
			remove()
			require.Empty(t, b.server.Faults())
			if row.fault.Do == vcsim.DoExpire {
				require.NoError(t, b.client.Login(b.ctx, b.server.URL().User))
			}
			require.Equal(t, types.VirtualMachinePowerStatePoweredOff, b.power(vm), "it was carried out")
			require.NoError(t, b.wait(vm.PowerOn(b.ctx)))
		})
	}
}

func isErrno(err error, want syscall.Errno) bool {
	for ; err != nil; err = unwrap(err) {
		if err == want {
			return true
		}
	}
	return false
}

func unwrap(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok {
		return u.Unwrap()
	}
	return nil
}

// TestAnswerLost is the important case: the client does not learn that the request was carried out.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]vcsim.Config{"TLS": {}, "plain": {Plain: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, cfg)
			b.server.Inject(vcsim.Fault{Method: "CreateVM_Task", Object: "vm", Count: 1, Do: vcsim.DoLoseAnswer})
			_, err := b.folder.CreateVM(b.ctx, spec("vm", other64, wolfpack, nil), b.pool, nil)
			require.True(t, isErrno(err, syscall.ECONNRESET), "%v", err)
			require.Equal(t, "answer lost", b.last("CreateVM_Task").Outcome)
			err = b.wait(b.folder.CreateVM(b.ctx, spec("vm", other64, wolfpack, nil), b.pool, nil))
			require.True(t, fault.Is(err, new(types.DuplicateName)), "%v", err)
			require.Len(t, b.server.Service().Context.Map.All("VirtualMachine"), 1)
		})
	}
}

func TestTaskFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	vm := b.create(spec("vm", other64, wolfpack, nil))
	b.server.Inject(vcsim.Fault{Method: "*On*", Object: "vm", Count: 1, Do: vcsim.DoTaskFault, Fault: &types.FileLocked{}})
	b.server.Inject(vcsim.Fault{Method: "PowerOn*", Object: "vm", Count: 1, Do: vcsim.DoTaskStuck})
	err := b.wait(vm.PowerOn(b.ctx))
	require.True(t, fault.Is(err, &types.FileLocked{}), "%v", err)

	stuck, err := vm.PowerOn(b.ctx)
	require.NoError(t, err)
	var task mo.Task
	require.NoError(t, property.DefaultCollector(b.client.Client).RetrieveOne(b.ctx, stuck.Reference(), []string{"info"}, &task))
	require.Equal(t, types.TaskInfoStateRunning, task.Info.State)
	require.Equal(t, vm.Reference(), *task.Info.Entity)
	require.Equal(t, types.VirtualMachinePowerStatePoweredOff, b.power(vm), "its VM can be looked at")
	require.NoError(t, stuck.Cancel(b.ctx))
	require.True(t, fault.Is(b.wait(stuck, nil), &types.RequestCanceled{}))
	require.NoError(t, b.wait(vm.PowerOn(b.ctx)))
}

// TestExpiredSession sees a session go with its collector, its view and the wait of another goroutine.
func TestExpiredSession(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	other, err := b.server.Client(b.ctx)
	require.NoError(t, err)
	defer func() { _ = other.Logout(context.Background()) }()
	collector, err := property.DefaultCollector(b.client.Client).Create(b.ctx)
	require.NoError(t, err)
	all, err := view.NewManager(b.client.Client).CreateContainerView(b.ctx, b.folder.Reference(), nil, true)
	require.NoError(t, err)
	waits := waitForUpdate(b.ctx, b.client)
	require.Eventually(t, func() bool { return b.server.Calls()["WaitForUpdatesEx"] == 2 }, patience, time.Millisecond)

	b.server.Inject(vcsim.Fault{Method: "CurrentTime", Count: 1, Do: vcsim.DoExpire})
	_, err = methods.GetCurrentTime(b.ctx, b.client)
	require.True(t, fault.Is(err, new(types.NotAuthenticated)), "%v", err)
	require.Error(t, <-waits)
	_, err = methods.GetCurrentTime(b.ctx, b.client)
	require.True(t, fault.Is(err, new(types.NotAuthenticated)), "it is over for good: %v", err)
	_, err = methods.GetCurrentTime(b.ctx, other)
	require.NoError(t, err, "another session is another's")

	require.NoError(t, b.client.Login(b.ctx, b.server.URL().User))
	require.True(t, fault.Is(collector.Destroy(b.ctx), new(types.ManagedObjectNotFound)))
	require.True(t, fault.Is(all.Destroy(b.ctx), new(types.ManagedObjectNotFound)))
}

// TestNoPermission looks at an object that is denied: as what is called, as what is handed over, and as what is read.
func TestNoPermission(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	denied := b.create(spec("denied", other64, wolfpack, nil))
	other := b.create(spec("other", other64, wolfpack, nil))
	folder, err := b.folder.CreateFolder(b.ctx, "place")
	require.NoError(t, err)
	remove := b.server.Inject(vcsim.Fault{Object: "den*", Do: vcsim.DoDeny})
	isDenied := func(err error) {
		t.Helper()
		require.True(t, fault.Is(err, new(types.NoPermission)), "%v", err)
	}
	_, err = denied.Destroy(b.ctx)
	isDenied(err)
	_, err = folder.MoveInto(b.ctx, []types.ManagedObjectReference{other.Reference(), denied.Reference()})
	isDenied(err)
	var vm mo.VirtualMachine
	collector := property.DefaultCollector(b.client.Client)
	isDenied(collector.RetrieveOne(b.ctx, denied.Reference(), []string{"name"}, &vm))
	_, err = collector.RetrieveProperties(b.ctx, types.RetrieveProperties{SpecSet: []types.PropertyFilterSpec{{
		ObjectSet: []types.ObjectSpec{{Obj: other.Reference()}}, PropSet: []types.PropertySpec{{Type: "VirtualMachine", PathSet: []string{"name"}}},
	}}})
	require.NoError(t, err)
	require.Equal(t, "other", b.vm(other, "name").Name)

	updates := 0
	err = property.WaitForUpdates(b.ctx, collector, &property.WaitFilter{
		CreateFilter: types.CreateFilter{Spec: types.PropertyFilterSpec{
			ObjectSet: []types.ObjectSpec{{Obj: denied.Reference()}},
			PropSet:   []types.PropertySpec{{Type: "VirtualMachine", PathSet: []string{"name"}}},
		}},
	}, func(set []types.ObjectUpdate) bool {
		updates++
		require.Empty(t, set[0].ChangeSet)
		require.Equal(t, "name", set[0].MissingSet[0].Path)
		return true
	})
	require.NoError(t, err)
	require.Equal(t, 1, updates)
	remove()
	require.Equal(t, "denied", b.vm(denied, "name").Name)
	require.NoError(t, b.wait(denied.Destroy(b.ctx)))
}

func TestFullDatastore(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	vm := b.create(spec("vm", other64, wolfpack, nil))
	remove := b.server.Inject(vcsim.Fault{Object: "LocalDS_0", Do: vcsim.DoFill})
	full := func(task *object.Task, err error) {
		t.Helper()
		var f *types.NoDiskSpace
		err = b.wait(task, err)
		_, ok := fault.As(err, &f)
		require.True(t, ok, "%v", err)
		require.Equal(t, "LocalDS_0", f.Datastore)
	}
	full(b.folder.CreateVM(b.ctx, spec("more", other64, wolfpack, nil), b.pool, nil))
	full(vm.PowerOn(b.ctx))
	full(vm.Clone(b.ctx, b.folder, "twin", types.VirtualMachineCloneSpec{}))
	require.NoError(t, b.wait(vm.Reconfigure(b.ctx, types.VirtualMachineConfigSpec{Annotation: "x"})))
	remove()
	require.NoError(t, b.wait(vm.PowerOn(b.ctx)))
	b.server.Inject(vcsim.Fault{Object: "another", Do: vcsim.DoFill})
	require.NoError(t, b.wait(vm.PowerOff(b.ctx)))
	require.NoError(t, b.wait(vm.PowerOn(b.ctx)))
}

// TestFullDatastoreHasNoFreeSpace looks at what a client reads, and whether one that watches hears of it.
func TestFullDatastoreHasNoFreeSpace(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{Faults: []vcsim.Fault{{Name: "first", Object: "Local*", Do: vcsim.DoFill}}})
	store := b.server.Model().Map().Any("Datastore").Reference()
	watch := func(want func(free int64) bool) {
		t.Helper()
		require.NoError(t, property.Wait(b.ctx, property.DefaultCollector(b.client.Client), store, []string{"summary.freeSpace"}, func(changes []types.PropertyChange) bool {
			return want(changes[0].Val.(int64))
		}))
	}
	none := func(free int64) bool { return free == 0 }
	some := func(free int64) bool { return free == int64(1<<40) }
	watch(none)
	remove := b.server.Inject(vcsim.Fault{Object: store.String(), Do: vcsim.DoFill})
	require.True(t, b.server.RemoveFault("first"))
	watch(none)
	watch(func(free int64) bool {
		remove() // once the watch has begun
		return some(free)
	})
	b.server.Inject(vcsim.Fault{Object: "LocalDS_0", Do: vcsim.DoFill})
	watch(none)
	b.server.RemoveFaults()
	watch(some)
}

// TestStaleChangeVersion is no fault of a rule: vCenter refuses to change what has changed since it was read.
func TestStaleChangeVersion(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	vm := b.create(spec("vm", other64, wolfpack, nil))
	read := b.vm(vm, "config.changeVersion").Config.ChangeVersion
	require.NotEmpty(t, read)
	change := types.VirtualMachineConfigSpec{ChangeVersion: read, Annotation: "first"}
	require.NoError(t, b.wait(vm.Reconfigure(b.ctx, change)))
	change.Annotation = "second"
	err := b.wait(vm.Reconfigure(b.ctx, change))
	require.True(t, fault.Is(err, new(types.ConcurrentAccess)), "%v", err)
	require.Equal(t, "first", b.vm(vm, "config.annotation").Config.Annotation)
	change.ChangeVersion = ""
	require.NoError(t, b.wait(vm.Reconfigure(b.ctx, change)))
}

// TestSelection counts which of ten requests are struck.
func TestSelection(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	b.client.UserAgent = "tester/1"
	for name, row := range map[string]struct {
		fault  vcsim.Fault
		struck []int
	}{
		"all":             {vcsim.Fault{}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		"the third":       {vcsim.Fault{Skip: 2, Count: 1}, []int{2}},
		"after the sixth": {vcsim.Fault{Skip: 6}, []int{6, 7, 8, 9}},
		"a pattern":       {vcsim.Fault{Method: "Curr*T?me", Count: 1}, []int{0}},
		"a reference":     {vcsim.Fault{Object: "ServiceInstance:*", Count: 1}, []int{0}},
		"another object":  {vcsim.Fault{Object: "web-*"}, nil},
		"the agent":       {vcsim.Fault{Agent: "tester/*", Count: 1}, []int{0}},
		"another agent":   {vcsim.Fault{Agent: "wolfpack/*"}, nil},
		"one in three":    {vcsim.Fault{Probability: 0.3, Seed: 7}, []int{0, 5, 7, 9}},
	} {
		t.Run(name, func(t *testing.T) {
			row.fault.Do, row.fault.Fault = vcsim.DoFault, new(types.InvalidState)
			if row.fault.Method == "" {
				row.fault.Method = "CurrentTime"
			}
			remove := b.server.Inject(row.fault)
			defer remove()
			var struck []int
			for i := range 10 {
				if _, err := methods.GetCurrentTime(b.ctx, b.client); err != nil {
					struck = append(struck, i)
				}
			}
			require.Equal(t, row.struck, struck)
		})
	}
}

// TestOrder injects rules that would all strike: the first one does, and those that only delay or look let others on.
func TestOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	var seen []string
	b.server.Inject(vcsim.Fault{
		Name: "look", Method: "CurrentTime",
		Before: func(r vcsim.Request) { seen = append(seen, "before "+r.Outcome) },
		After:  func(r vcsim.Request) { seen = append(seen, "after "+r.Outcome) },
	})
	b.server.Inject(vcsim.Fault{Name: "slow", Method: "CurrentTime", Count: 2, Do: vcsim.DoDelay, Delay: time.Millisecond})
	b.server.Inject(vcsim.Fault{Name: "slow answer", Method: "CurrentTime", Count: 1, Do: vcsim.DoDelayAnswer, Delay: time.Millisecond})
	b.server.Inject(vcsim.Fault{Name: "first", Method: "CurrentTime", Count: 1, Do: vcsim.DoFault, Fault: new(types.InvalidState)})
	b.server.Inject(vcsim.Fault{Name: "second", Method: "CurrentTime", Count: 1, Do: vcsim.DoFault, Fault: new(types.NotSupported)})
	for _, want := range []types.BaseMethodFault{new(types.InvalidState), new(types.NotSupported)} {
		_, err := methods.GetCurrentTime(b.ctx, b.client)
		require.True(t, fault.Is(err, want), "%v", err)
	}
	_, err := methods.GetCurrentTime(b.ctx, b.client)
	require.NoError(t, err)
	require.Equal(t, []string{"before ", "after fault InvalidState", "before ", "after fault NotSupported", "before ", "after ok"}, seen)
	var names [][]string
	for _, r := range b.server.Journal() {
		if r.Method == "CurrentTime" {
			names = append(names, r.Faults)
		}
	}
	require.Equal(t, [][]string{{"look", "slow", "slow answer", "first"}, {"look", "slow", "second"}, {"look"}}, names)
	require.Equal(t, 1, b.server.Faults()[4].Struck)
}

// TestClientCutOffInAHook cuts the client off just before, and just after, its request is carried out.
func TestClientCutOffInAHook(t *testing.T) {
	t.Parallel()
	for name, made := range map[string]int{"before": 0, "after": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, vcsim.Config{})
			ctx, cut := context.WithCancel(b.ctx)
			gone := make(chan struct{})
			hook := func(vcsim.Request) {
				cut()
				<-gone
			}
			f := vcsim.Fault{Method: "CreateVM_Task", Before: hook, Count: 1}
			if name == "after" {
				f.Before, f.After = nil, hook
			} else {
				f.Do = vcsim.DoReset
			}
			b.server.Inject(f)
			_, err := b.folder.CreateVM(ctx, spec("vm", other64, wolfpack, nil), b.pool, nil)
			close(gone)
			require.ErrorIs(t, err, context.Canceled)
			require.Eventually(t, func() bool { return b.last("CreateVM_Task").Outcome != "" }, patience, time.Millisecond)
			require.Eventually(t, func() bool {
				return len(b.server.Service().Context.Map.All("VirtualMachine")) == made
			}, patience, time.Millisecond)
		})
	}
}

// TestDelayEnds lets the server close, and the client go, in the middle of a delay.
func TestDelayEnds(t *testing.T) {
	t.Parallel()
	server, err := vcsim.Start(t.Context(), vcsim.Config{})
	require.NoError(t, err)
	defer server.Close()
	client, err := server.Client(t.Context())
	require.NoError(t, err)
	defer client.CloseIdleConnections()
	server.Inject(vcsim.Fault{Method: "CurrentTime", Do: vcsim.DoDelay, Delay: time.Hour})
	call := func(ctx context.Context) <-chan error {
		ended := make(chan error, 1)
		started := server.Calls()["CurrentTime"] + 1
		go func() {
			_, err := methods.GetCurrentTime(ctx, client)
			ended <- err
		}()
		require.Eventually(t, func() bool { return server.Calls()["CurrentTime"] == started }, patience, time.Millisecond)
		return ended
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := call(ctx)
	cancel()
	require.ErrorIs(t, <-gone, context.Canceled)
	require.Eventually(t, func() bool {
		journal := server.Journal()
		return journal[len(journal)-1].Outcome == "gone"
	}, patience, time.Millisecond)
	closed := call(t.Context())
	server.Close()
	require.Error(t, <-closed)
}

// TestBadFaults has a row for each mistake: nothing is applied, and the error says what would be right.
func TestBadFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	require.NoError(t, b.server.AddFaults(vcsim.Fault{Name: "taken", Do: vcsim.DoReset, Method: "Destroy_Task"}))
	before := b.server.Faults()
	for name, row := range map[string]struct {
		fault vcsim.Fault
		says  string
	}{
		"name":        {vcsim.Fault{Name: "taken", Do: vcsim.DoReset}, `fault "taken": field name is "taken"; want one that no other rule has`},
		"no effect":   {vcsim.Fault{}, `field do is ""; want one of fault, task-fault,`},
		"effect":      {vcsim.Fault{Do: "explode"}, `field do is "explode"; want one of fault, task-fault,`},
		"method":      {vcsim.Fault{Method: "PowerOn", Do: vcsim.DoReset}, `field method is "PowerOn"; want a method of the vSphere API such as PowerOnVM_Task`},
		"no method":   {vcsim.Fault{Method: "VirtualMachine", Do: vcsim.DoReset}, `field method is "VirtualMachine"; want a method`},
		"pattern":     {vcsim.Fault{Method: "[", Do: vcsim.DoReset}, `field method is "["; want a pattern such as PowerOn*`},
		"object":      {vcsim.Fault{Object: "a[", Do: vcsim.DoReset}, `field object is "a["; want a pattern`},
		"agent":       {vcsim.Fault{Agent: `\`, Do: vcsim.DoReset}, `field agent is "\\"; want a pattern`},
		"skip":        {vcsim.Fault{Skip: -1, Do: vcsim.DoReset}, `field skip is -1; want`},
		"count":       {vcsim.Fault{Count: -2, Do: vcsim.DoReset}, `field count is -2; want`},
		"probability": {vcsim.Fault{Probability: 1.5, Do: vcsim.DoReset}, `field probability is 1.5; want a number from 0 to 1`},
		"no number":   {vcsim.Fault{Probability: math.NaN(), Do: vcsim.DoReset}, `field probability is NaN; want a number from 0 to 1`},
		"no fault":    {vcsim.Fault{Do: vcsim.DoFault}, `field fault is none; want a fault such as NotAuthenticated`},
		"odd fault":   {vcsim.Fault{Do: vcsim.DoReset, Fault: new(types.NotFound)}, `field fault is NotFound; want`},
		"no task":     {vcsim.Fault{Method: "ShutdownGuest", Do: vcsim.DoTaskStuck}, `field method is "ShutdownGuest"; want one that makes a task`},
		"no delay":    {vcsim.Fault{Do: vcsim.DoDelay}, `field delay is 0s; want a duration such as "1.5s"`},
		"odd delay":   {vcsim.Fault{Do: vcsim.DoReset, Delay: 1}, `field delay is 1ns; want`},
		"status":      {vcsim.Fault{Do: vcsim.DoStatus, Status: 200}, `field status is 200; want one of 429, 502, 503, 504`},
		"odd status":  {vcsim.Fault{Do: vcsim.DoReset, Status: 503}, `field do is "reset"; want http-status`},
		"retry after": {vcsim.Fault{Do: vcsim.DoStatus, RetryAfter: -1}, `field retryAfter is -1ns; want`},
		"no object":   {vcsim.Fault{Do: vcsim.DoFill}, `field object is "*"; want the objects that do: full-datastore is for`},
		"no state":    {vcsim.Fault{Do: vcsim.DoDeny, Object: "x", Count: 1}, `field do is no-permission; want another one`},
	} {
		t.Run(name, func(t *testing.T) {
			err := b.server.AddFaults(vcsim.Fault{Name: "good", Do: vcsim.DoReset}, row.fault)
			require.ErrorContains(t, err, row.says)
			require.Equal(t, before, b.server.Faults(), "one of two was applied")
		})
	}
	require.Panics(t, func() { b.server.Inject(vcsim.Fault{}) })
	require.False(t, b.server.RemoveFault("good"))
	require.True(t, b.server.RemoveFault("taken"))
	b.server.Inject(vcsim.Fault{Do: vcsim.DoReset, Method: "Destroy_Task"})
	b.server.RemoveFaults()
	require.Empty(t, b.server.Faults())
}

func TestJournal(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	b.client.UserAgent = "tester/1"
	b.server.ResetJournal()
	require.Empty(t, b.server.Journal())
	vm := b.create(spec("vm", other64, wolfpack, nil))
	b.result(vm.PowerOn(b.ctx))
	other, err := b.server.Client(b.ctx)
	require.NoError(t, err)
	_, err = methods.GetCurrentTime(b.ctx, other)
	require.NoError(t, err)
	require.NoError(t, other.Logout(b.ctx))

	entry := b.last("CreateVM_Task")
	require.Equal(t, b.folder.Reference().String(), entry.Object)
	require.Equal(t, "vm", entry.Name, "of the folder")
	require.Equal(t, "vm", entry.Makes)
	require.Equal(t, "tester/1", entry.Agent)
	require.Equal(t, "ok", entry.Outcome)
	require.NotZero(t, entry.Time)
	require.Positive(t, entry.Duration)
	power := b.last("PowerOnVM_Task")
	require.Equal(t, vm.Reference().String(), power.Object)
	require.Equal(t, "vm", power.Name)
	require.Greater(t, power.Number, entry.Number)
	require.Equal(t, entry.Session, power.Session)

	login := b.last("Login")
	require.Equal(t, login.Session, b.last("CurrentTime").Session, "a login has the session that it began")
	require.NotEqual(t, entry.Session, login.Session)
	ours, err := b.client.SessionManager.UserSession(b.ctx)
	require.NoError(t, err)
	require.NotContains(t, ours.Key, entry.Session, "the key would let anyone in")
	require.Equal(t, 1, b.server.Calls()["PowerOnVM_Task"])

	number := login.Number
	b.server.ResetJournal()
	require.Empty(t, b.server.Journal())
	require.Empty(t, b.server.Calls())
	_, err = vm.PowerOff(b.ctx)
	require.NoError(t, err)
	require.Greater(t, b.last("PowerOffVM_Task").Number, number, "numbers go on")
}

// TestOtherPath reaches the vSphere API where some clients look for it: there is no way around journal and faults.
func TestOtherPath(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{Plain: true})
	u := b.server.URL()
	u.Path += "/vimService"
	client, err := vim25.NewClient(b.ctx, soap.NewClient(u, false))
	require.NoError(t, err)
	defer client.CloseIdleConnections()
	require.NoError(t, session.NewManager(client).Login(b.ctx, u.User))
	b.server.ResetJournal()
	b.server.Inject(vcsim.Fault{Method: "CurrentTime", Count: 1, Do: vcsim.DoFault, Fault: new(types.InvalidState)})
	_, err = methods.GetCurrentTime(b.ctx, client)
	require.True(t, fault.Is(err, new(types.InvalidState)), "%v", err)
	_, err = methods.GetCurrentTime(b.ctx, client)
	require.NoError(t, err)
	require.Equal(t, 2, b.server.Calls()["CurrentTime"])
}
