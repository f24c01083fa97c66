// SPDX-License-Identifier: Apache-2.0

package census_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/telemetry"
	"wolfpack/telemetry/census"
	"wolfpack/tests/vcsim"
	"wolfpack/vsphere"
)

// watched is a vCenter with a watch over it, and an admin who changes what is in it.
type watched struct {
	t      *testing.T
	server *vcsim.Server
	admin  *vsphere.Client
	client *vsphere.Client
	watch  *census.Watch

	mu   sync.Mutex // guards left
	left []telemetry.VM
}

func newWatched(t *testing.T, options census.WatchOptions) *watched {
	t.Helper()
	model := simulator.VPX()
	model.App, model.Datacenter = 1, 2
	server, err := vcsim.Start(t.Context(), vcsim.Config{Model: model})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	w := &watched{t: t, server: server, admin: connect(t, server), client: connect(t, server)}
	options.Left = func(vm telemetry.VM) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.left = append(w.left, vm)
	}
	w.watch = census.NewWatch(w.client, options)
	t.Cleanup(func() { w.watch.Close(context.Background()) })
	return w
}

// take takes a census by the watch.
func (w *watched) take() *telemetry.Report {
	w.t.Helper()
	report, err := w.watch.Take(w.t.Context())
	require.NoError(w.t, err)
	require.True(w.t, report.Quality.Complete, "%+v", report.Quality)
	return report
}

// same fails unless the watch knows what a census that reads everything does.
func (w *watched) same(options census.Options) *telemetry.Report {
	w.t.Helper()
	want, err := census.Take(w.t.Context(), w.admin, options)
	require.NoError(w.t, err)
	got := w.take()
	quality := got.Quality
	for _, report := range []*telemetry.Report{want, got} {
		report.Taken = time.Time{}
		report.Quality.Took, report.Quality.Requests, report.Quality.Pages = 0, 0, 0
	}
	require.Equal(w.t, want, got)
	got.Quality = quality
	return got
}

// idle fails unless a census makes one request.
func (w *watched) idle() {
	w.t.Helper()
	w.server.ResetCalls()
	report := w.take()
	require.Equal(w.t, map[string]int{"WaitForUpdatesEx": 1}, w.server.Calls())
	require.Equal(w.t, 1, report.Quality.Requests)
}

// vm is one of the VMs, by its name.
func (w *watched) vm(name string) *object.VirtualMachine {
	w.t.Helper()
	vm, err := find.NewFinder(w.admin.Client).VirtualMachine(w.t.Context(), "/DC0/vm/"+name)
	require.NoError(w.t, err)
	return vm
}

// done waits for a task of the admin's.
func (w *watched) done(task *object.Task, err error) {
	w.t.Helper()
	require.NoError(w.t, err)
	require.NoError(w.t, task.Wait(w.t.Context()))
}

// name gives a VM a guest name.
func (w *watched) name(vm *object.VirtualMachine, guest string) {
	w.t.Helper()
	w.done(vm.Reconfigure(w.t.Context(), types.VirtualMachineConfigSpec{
		GuestId: string(types.VirtualMachineGuestOsIdentifierOtherGuest64), AlternateGuestName: guest,
	}))
}

func (w *watched) remove(vm *object.VirtualMachine) {
	w.t.Helper()
	w.done(vm.PowerOff(w.t.Context()))
	w.done(vm.Destroy(w.t.Context()))
}

const (
	containerName = "Photon - Container v1.5.6, 21, 7c0e68c"
	vchName       = "Photon - VCH v1.5.6, 21, 7c0e68c"
)

func TestAWatchKnowsWhatACensusDoes(t *testing.T) {
	w := newWatched(t, census.WatchOptions{Detail: true})
	first := w.same(census.Options{Detail: true})
	require.NotEmpty(t, first.Inventory)
	w.idle()

	pod, doomed := w.vm("DC0_H0_VM0"), w.vm("DC0_H0_VM1")
	w.name(pod, containerName)
	w.name(w.vm("DC0_C0_RP0_VM0"), vchName)
	w.name(doomed, containerName)
	report := w.same(census.Options{Detail: true})
	require.Len(t, report.VCHs, 1)
	require.Equal(t, 2, report.Unassigned)
	w.idle()

	w.done(pod.PowerOff(t.Context()))
	w.done(pod.Rename(t.Context(), "renamed"))
	w.remove(doomed)
	w.same(census.Options{Detail: true})
	require.Len(t, w.left, 1)
	require.Equal(t, "DC0_H0_VM1", w.left[0].Name)
	require.Equal(t, telemetry.ContainerVM, w.left[0].Kind)
	require.Equal(t, containerName, w.left[0].GuestName)
	w.idle()
	require.Len(t, w.left, 1, "a VM leaves once")

	seen := map[string]bool{}
	w.watch.VMs(func(vm telemetry.VM) { seen[vm.Name] = true })
	require.True(t, seen["renamed"])
	require.Len(t, seen, len(report.Inventory)-1)
}

func TestAWatchIsFilledPageByPage(t *testing.T) {
	w := newWatched(t, census.WatchOptions{PageSize: 7})
	report := w.same(census.Options{})
	pages := (report.Quality.Objects + 6) / 7
	require.Greater(t, pages, 3)
	require.GreaterOrEqual(t, report.Quality.Pages, pages)
	require.Equal(t, 2+report.Quality.Pages, report.Quality.Requests, "a collector, a filter, and the pages")
	w.idle()
}

func TestAWatchOfOneDatacenter(t *testing.T) {
	w := newWatched(t, census.WatchOptions{Datacenter: "DC1"})
	report := w.same(census.Options{Datacenter: "DC1"})
	for _, cluster := range report.Clusters {
		require.Equal(t, "DC1", cluster.Datacenter)
	}
	w.idle()

	_, err := census.NewWatch(w.client, census.WatchOptions{Datacenter: "DC9"}).Take(t.Context())
	require.True(t, errs.Is(err, errs.Invalid))
	require.ErrorContains(t, err, `no datacenter "DC9"`)
}

func TestAWatchReadsEverythingAnewFromTimeToTime(t *testing.T) {
	w := newWatched(t, census.WatchOptions{Resync: time.Nanosecond})
	w.take()
	w.server.ResetCalls()
	w.same(census.Options{})
	calls := w.server.Calls()
	for _, method := range []string{"DestroyPropertyCollector", "CreatePropertyCollector", "CreateFilter", "WaitForUpdatesEx"} {
		require.Equal(t, 1, calls[method], method)
	}
}

func TestAWatchOfAnOldVCenter(t *testing.T) {
	w := newWatched(t, census.WatchOptions{})
	w.inject(vcsim.Fault{Method: "CreateFilter", Count: 1, Do: vcsim.DoFault, Fault: &types.InvalidProperty{Name: "config.createDate"}})
	report := w.take()
	require.Equal(t, []telemetry.Problem{{Stage: "inventory", Message: "this vCenter does not know the property config.createDate"}}, report.Quality.Problems)
	w.watch.VMs(func(vm telemetry.VM) { require.Nil(t, vm.Created) })
	w.idle()
}

// What happens while nobody watches is found out when everything is read anew.
func TestAWatchGoesOn(t *testing.T) {
	for name, interrupt := range map[string]func(w *watched){
		"after the session has expired": func(w *watched) {
			ours, err := session.NewManager(w.client.Client).UserSession(t.Context())
			require.NoError(w.t, err)
			require.NoError(w.t, session.NewManager(w.admin.Client).TerminateSession(w.t.Context(), []string{ours.Key}))
		},
		"after vCenter has lost count": func(w *watched) {
			w.inject(vcsim.Fault{Method: "WaitForUpdatesEx", Count: 1, Do: vcsim.DoFault, Fault: &types.InvalidCollectorVersion{}})
		},
		"after vCenter has lost the collector": func(w *watched) {
			w.inject(vcsim.Fault{Method: "WaitForUpdatesEx", Count: 1, Do: vcsim.DoFault, Fault: &types.ManagedObjectNotFound{}})
		},
		"after an answer was lost": func(w *watched) {
			w.inject(vcsim.Fault{Method: "WaitForUpdatesEx", Count: 1, Do: vcsim.DoLoseAnswer})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatched(t, census.WatchOptions{})
			doomed := w.vm("DC0_H0_VM0")
			w.name(doomed, containerName)
			w.take()
			w.remove(doomed)
			w.name(w.vm("DC0_H0_VM1"), vchName)
			interrupt(w)
			report := w.same(census.Options{})
			require.Len(t, report.VCHs, 1)
			require.Len(t, w.left, 1)
			require.Equal(t, containerName, w.left[0].GuestName)
			w.idle()
		})
	}
}

func (w *watched) inject(fault vcsim.Fault) {
	w.t.Helper()
	require.NoError(w.t, w.server.AddFaults(fault))
}

func TestAWatchOfAVCenterThatIsAway(t *testing.T) {
	for name, method := range map[string]string{
		"to begin with": "CreatePropertyCollector", "while it tells what to look at": "CreateFilter", "while it is filled": "WaitForUpdatesEx",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatched(t, census.WatchOptions{PageSize: 7})
			w.inject(vcsim.Fault{Name: "away", Method: method, Do: vcsim.DoStatus, Status: 503})
			_, err := w.watch.Take(t.Context())
			require.True(t, errs.Is(err, errs.Unavailable), "%v", err)
			_, err = w.watch.Take(t.Context())
			require.Error(t, err)
			require.True(t, w.server.RemoveFault("away"))
			w.same(census.Options{})
			w.idle()
		})
	}
}

func TestAWatchThatIsInterruptedLeavesNothing(t *testing.T) {
	w := newWatched(t, census.WatchOptions{})
	w.take()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.server.ResetCalls()
	_, err := w.watch.Take(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, w.server.Calls()["DestroyPropertyCollector"])
	w.watch.Close(ctx)
	require.Equal(t, 1, w.server.Calls()["DestroyPropertyCollector"], "it is closed once")
}
