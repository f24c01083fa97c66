// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"go.uber.org/goleak"

	"wolfpack/telemetry"
	"wolfpack/tests/vcsim"
	"wolfpack/vsphere"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a vCenter with an admin who changes what is in it.
type world struct {
	*testing.T
	server *vcsim.Server
	admin  *govmomi.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server, err := vcsim.Start(t.Context(), vcsim.Config{Model: simulator.VPX()})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	admin, err := server.Client(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = admin.Logout(context.Background())
		admin.CloseIdleConnections()
	})
	return &world{t, server, admin}
}

// vCenter is how to export it.
func (w *world) vCenter(name string) VCenter {
	url := w.server.URL()
	secret, _ := url.User.Password()
	file := filepath.Join(w.TempDir(), "password")
	require.NoError(w, os.WriteFile(file, []byte(secret+"\n"), 0o600))
	config := vsphere.Config{URL: "https://" + url.Host + "/sdk", Username: url.User.Username(), CACerts: w.server.CAFile()}
	return VCenter{Config: config, Name: name, PasswordFile: file}
}

// export is an Exporter that does not run: the test takes each census.
func (w *world) export(edit ...func(*Options)) *Exporter {
	w.Helper()
	options := Options{VCenters: []VCenter{w.vCenter("east")}, Listen: "127.0.0.1:0"}
	for _, change := range edit {
		change(&options)
	}
	e, err := New(options)
	require.NoError(w, err)
	w.Cleanup(func() {
		for _, t := range e.targets {
			t.end(context.Background())
			t.prober.Close()
		}
		e.Close()
	})
	return e
}

// cycle takes a census of the only vCenter.
func (w *world) cycle(e *Exporter) snapshot {
	w.Helper()
	e.targets[0].cycle(w.Context())
	return e.targets[0].snapshot()
}

// rest takes censuses until what happened during the first one has been read.
func (w *world) rest(e *Exporter) *telemetry.Report {
	w.Helper()
	w.cycle(e)
	w.cycle(e)
	now := w.cycle(e)
	require.True(w, now.Up)
	return now.Report
}

const containerName = "Photon - Container v1.5.6, 21, 7c0e68c"

func (w *world) vm(name string) *object.VirtualMachine {
	w.Helper()
	vm, err := find.NewFinder(w.admin.Client).VirtualMachine(w.Context(), "/DC0/vm/"+name)
	require.NoError(w, err)
	return vm
}

func (w *world) done(task *object.Task, err error) {
	w.Helper()
	require.NoError(w, err)
	require.NoError(w, task.Wait(w.Context()))
}

// container makes a container VM of a VM that is there.
func (w *world) container(name string) *object.VirtualMachine {
	w.Helper()
	vm := w.vm(name)
	w.done(vm.Reconfigure(w.Context(), types.VirtualMachineConfigSpec{GuestId: "otherGuest64", AlternateGuestName: containerName}))
	return vm
}

func (w *world) remove(vm *object.VirtualMachine) {
	w.Helper()
	w.done(vm.PowerOff(w.Context()))
	w.done(vm.Destroy(w.Context()))
}

// sessions are those that there are besides the admin's.
func (w *world) sessions() int {
	w.Helper()
	var manager mo.SessionManager
	require.NoError(w, w.admin.RetrieveOne(w.Context(), *w.admin.ServiceContent.SessionManager, []string{"sessionList"}, &manager))
	return len(manager.SessionList) - 1
}

// get asks an Exporter's handler.
func get(t *testing.T, e *Exporter, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, path, nil)
	if len(header) == 2 {
		request.Header.Set(header[0], header[1])
	}
	answer := httptest.NewRecorder()
	e.Handler().ServeHTTP(answer, request)
	return answer
}

func TestAnIdleCycleIsTwoRequests(t *testing.T) {
	w := newWorld(t)
	e := w.export()
	w.rest(e)
	for range 3 {
		w.server.ResetCalls()
		report := w.cycle(e).Report
		require.Equal(t, map[string]int{"WaitForUpdatesEx": 1, "ReadNextEvents": 1}, w.server.Calls())
		require.Equal(t, 2, report.Quality.Requests)
		require.True(t, report.Quality.Complete, "%+v", report.Quality)
	}
}

func TestWithoutEventsAnIdleCycleIsOne(t *testing.T) {
	w := newWorld(t)
	e := w.export(func(o *Options) { o.NoEvents = true })
	w.cycle(e)
	w.server.ResetCalls()
	report := w.cycle(e).Report
	require.Equal(t, map[string]int{"WaitForUpdatesEx": 1}, w.server.Calls())
	require.Nil(t, report.Lifetime)
}

func TestAScrapeAsksNobody(t *testing.T) {
	w := newWorld(t)
	e := w.export()
	w.cycle(e)
	w.server.ResetCalls()
	for path, want := range map[string]string{
		"/metrics":           `vic_vms{cluster="DC0_C0",datacenter="DC0",power_state="poweredOn",template="false",vcenter="east"} 2`,
		"/probe?target=east": "vic_census_up", "/report": "<!DOCTYPE html>", "/healthz": "ok", "/": "report?target=east",
	} {
		answer := get(t, e, path)
		require.Equal(t, http.StatusOK, answer.Code, path)
		require.Contains(t, answer.Body.String(), want)
	}
	require.Empty(t, w.server.Calls())
}

func TestWhatIsServedFollowsTheVCenter(t *testing.T) {
	w := newWorld(t)
	e := w.export()
	w.cycle(e)
	doomed := w.container("DC0_H0_VM0")
	w.container("DC0_H0_VM1")
	require.Equal(t, 2, w.cycle(e).Report.Unassigned)
	w.remove(doomed)
	now := w.cycle(e)
	require.Equal(t, 1, now.Report.Unassigned)
	require.Equal(t, 1, now.Report.Lifetime.Completed.Count, "it is known to have been a container VM")
	require.Equal(t, 1, now.Report.Lifetime.Living.Count)
	body := get(t, e, "/metrics").Body.String()
	require.Contains(t, body, `vic_unassigned_container_vms{vcenter="east"} 1`)
	require.Contains(t, body, `vic_container_vm_lifetime_seconds_count{os="Photon",vcenter="east"} 1`)
}

func TestFormats(t *testing.T) {
	w := newWorld(t)
	e := w.export()
	w.cycle(e)
	answer := get(t, e, "/metrics", "Accept", "application/openmetrics-text; version=1.0.0")
	require.Contains(t, answer.Header().Get("Content-Type"), expfmt.OpenMetricsType)
	require.Contains(t, answer.Body.String(), "# EOF\n")
	answer = get(t, e, "/metrics", "Accept", "text/plain")
	require.Contains(t, answer.Header().Get("Content-Type"), "text/plain; version=0.0.4")

	problems, err := testutil.GatherAndLint(pages{e.targets}.all())
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestWhileAVCenterIsAwayItsLastReportStays(t *testing.T) {
	for name, fault := range map[string]vcsim.Fault{
		"to all":         {Name: "away", Do: vcsim.DoStatus, Status: 503},
		"to the watch":   {Name: "away", Method: "WaitForUpdatesEx", Do: vcsim.DoReset},
		"to who logs in": {Name: "away", Method: "Login", Do: vcsim.DoFault, Fault: &types.InvalidLogin{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := w.export()
			before := w.rest(e)
			e.targets[0].session.began = time.Now().Add(-sessionAge - time.Second)
			require.NoError(t, w.server.AddFaults(fault))
			now := w.cycle(e)
			require.False(t, now.Up)
			require.Same(t, before, now.Report)
			w.cycle(e)
			body := get(t, e, "/metrics").Body.String()
			require.Contains(t, body, `vic_census_up{vcenter="east"} 0`)
			require.Contains(t, body, `vic_vms{cluster="DC0_C0"`)
			require.Contains(t, body, `vic_census_errors_total{stage="connect",vcenter="east"}`)

			require.True(t, w.server.RemoveFault("away"))
			now = w.cycle(e)
			require.True(t, now.Up)
			require.NotSame(t, before, now.Report)
			require.Equal(t, 1, w.sessions(), "none is left behind")
		})
	}
}

func TestAVCenterThatHasNeverAnswered(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.server.AddFaults(vcsim.Fault{Do: vcsim.DoStatus, Status: 503}))
	e := w.export()
	w.cycle(e)
	body := get(t, e, "/metrics").Body.String()
	require.Contains(t, body, `vic_census_up{vcenter="east"} 0`)
	require.Contains(t, body, `vic_census_errors_total{stage="connect",vcenter="east"} 1`)
	answer := get(t, e, "/report")
	require.Equal(t, http.StatusServiceUnavailable, answer.Code)
	require.Contains(t, answer.Body.String(), "there is no report of east yet")
}

func TestHealth(t *testing.T) {
	w := newWorld(t)
	e := w.export()
	target := e.targets[0]
	requireHealth := func(status int, text string) {
		t.Helper()
		answer := get(t, e, "/healthz")
		require.Equal(t, status, answer.Code)
		require.Contains(t, answer.Body.String(), text)
	}
	requireHealth(http.StatusServiceUnavailable, "east: no report yet")
	target.began = time.Now().Add(-time.Hour)
	requireHealth(http.StatusServiceUnavailable, "east: no report since the start, 1h0m0s ago")
	w.cycle(e)
	requireHealth(http.StatusOK, "ok")
	target.now.last = time.Now().Add(-3*DefaultInterval - grace + 10*time.Second)
	requireHealth(http.StatusOK, "ok")
	target.now.last = time.Now().Add(-3*DefaultInterval - grace)
	requireHealth(http.StatusServiceUnavailable, "east: the last report is 3m30s old")
}

func TestOnlyWhatIsConfiguredCanBeProbed(t *testing.T) {
	w := newWorld(t)
	e := w.export(func(o *Options) { o.VCenters = append(o.VCenters, w.vCenter("west")) })
	for _, target := range e.targets {
		target.cycle(t.Context())
	}
	answer := get(t, e, "/probe?target=west")
	require.Contains(t, answer.Body.String(), `vcenter="west"`)
	require.NotContains(t, answer.Body.String(), `vcenter="east"`)
	require.NotContains(t, answer.Body.String(), "go_goroutines")
	for _, page := range []string{"/probe", "/report"} {
		answer = get(t, e, page+"?target=vc.example.com")
		require.Equal(t, http.StatusNotFound, answer.Code)
		require.Equal(t, "no vCenter \"vc.example.com\" is configured; want ?target= with one of: east, west\n", answer.Body.String())
		require.Equal(t, http.StatusBadRequest, get(t, e, page).Code, "there are two")
	}
	require.Equal(t, http.StatusMethodNotAllowed, func() int {
		answer := httptest.NewRecorder()
		e.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/metrics", nil))
		return answer.Code
	}())
}

func TestAHistoryIsGoneOnWith(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "history")
	keep := func(o *Options) { o.History = file }
	first := w.export(keep)
	doomed := w.container("DC0_H0_VM0")
	w.rest(first)
	w.remove(doomed)
	w.cycle(first)
	first.targets[0].end(t.Context())
	require.FileExists(t, file)
	require.Zero(t, w.sessions())

	second := w.export(keep)
	now := w.cycle(second)
	require.NotEmpty(t, now.Earlier)
	require.Equal(t, 1, now.Report.Lifetime.Completed.Count)
	require.True(t, now.Report.Quality.Complete, "%+v", now.Report.Quality.Problems)
}

func TestAHistoryThatCannotBeKept(t *testing.T) {
	w := newWorld(t)
	folder := filepath.Join(t.TempDir(), "here")
	require.NoError(t, os.Mkdir(folder, 0o755))
	e := w.export(func(o *Options) { o.History = filepath.Join(folder, "history") })
	require.NoError(t, os.Remove(folder))
	now := w.cycle(e)
	require.False(t, now.Up)
	require.Equal(t, 1, now.Errors["history"])
	require.NoError(t, os.Mkdir(folder, 0o755))
	require.True(t, w.cycle(e).Up)
}

// What is learnt when a session begins, such as the version, must not grow old.
func TestASessionLastsAnHour(t *testing.T) {
	w := newWorld(t)
	e := w.export()
	w.rest(e)
	e.targets[0].session.began = time.Now().Add(-sessionAge - time.Second)
	w.server.ResetCalls()
	report := w.rest(e)
	require.True(t, report.Quality.Complete)
	calls := w.server.Calls()
	require.Equal(t, 1, calls["Login"])
	require.Equal(t, 1, calls["Logout"])
	require.Equal(t, calls["CreatePropertyCollector"], calls["DestroyPropertyCollector"])
	require.Equal(t, 1, w.sessions())
}

// A password that was changed is in the file, and the session that was made with the old one has ended.
func TestAPasswordIsReadAtEachLogin(t *testing.T) {
	w := newWorld(t)
	e := w.export()
	file := e.targets[0].vc.PasswordFile
	right, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	w.cycle(e)
	require.False(t, e.targets[0].snapshot().Up)
	require.Equal(t, 1, e.targets[0].snapshot().Errors["connect"])
	require.NoError(t, os.WriteFile(file, right, 0o600))
	require.True(t, w.cycle(e).Up)
}

// TestRun has two vCenters, of which one is away at first, and ends as a signal has it end.
func TestRun(t *testing.T) {
	east, west := newWorld(t), newWorld(t)
	require.NoError(t, west.server.AddFaults(vcsim.Fault{Name: "away", Do: vcsim.DoStatus, Status: 503}))
	e, err := New(Options{
		VCenters: []VCenter{east.vCenter("east"), west.vCenter("west")}, Listen: "127.0.0.1:0", Interval: 20 * time.Millisecond,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	until := func(lines ...string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			answer, err := client.Get("http://" + e.Addr().String() + "/metrics")
			if !assert.NoError(c, err) {
				return
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			assert.NoError(c, err)
			for _, line := range lines {
				assert.Contains(c, string(body), line)
			}
		}, time.Minute, 20*time.Millisecond)
	}
	until(`vic_census_up{vcenter="east"} 1`, `vic_census_up{vcenter="west"} 0`)
	require.True(t, west.server.RemoveFault("away"))
	until(`vic_census_up{vcenter="west"} 1`)
	cancel()
	require.NoError(t, <-done)
	require.Zero(t, east.sessions())
	require.Zero(t, west.sessions())
	_, err = client.Get("http://" + e.Addr().String() + "/metrics")
	require.Error(t, err, "nobody listens any more")
}
