// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wolfpack/errs"
	"wolfpack/provider/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	unavailable = errs.New("test", errs.Unavailable, "vCenter is busy")
	overtaken   = errs.Wrap("test", context.Canceled)
)

// used is a process with two nodes in which each metric has a value.
func used() *metrics.Metrics {
	m := metrics.New()
	ctx := context.Background()
	for _, err := range []error{nil, nil, unavailable} {
		_, end := m.Request(ctx, "CreateVM_Task")
		end(err)
	}
	for i, name := range []string{"east", "west"} {
		n := m.Node(name)
		n.Collect(func() metrics.Snapshot {
			return metrics.Snapshot{
				Pods: map[string]int{"Running": 10 + i, "Failed": 0}, VMs: map[string]int{"Off": 1}, Busy: 2, Notices: 3,
			}
		})
		n.WatchAnswered(time.Unix(1700000000, 5e8))
		n.WatchLost()
		n.StatusDelivered(time.Now())
	}
	_, operation := m.Node("east").Step(ctx, "operations.PodCreator", "")
	_, step := m.Node("east").Step(ctx, "operations.PodCreator", "create the VM")
	step(overtaken)
	operation(overtaken)
	return m
}

// scrape is what Prometheus gets when it accepts the given format.
func scrape(t *testing.T, m *metrics.Metrics, accept string) (body, contentType string) {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	request.Header.Set("Accept", accept)
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, request)
	require.Equal(t, http.StatusOK, recorder.Code)
	return recorder.Body.String(), recorder.Header().Get("Content-Type")
}

func TestValues(t *testing.T) {
	body, _ := scrape(t, used(), "")
	for _, want := range []string{
		`wolfpack_vsphere_request_duration_seconds_count{method="CreateVM_Task",outcome="ok"} 2`,
		`wolfpack_vsphere_request_duration_seconds_count{method="CreateVM_Task",outcome="unavailable"} 1`,
		`wolfpack_operation_duration_seconds_count{node="east",operation="PodCreator",outcome="canceled"} 1`,
		`wolfpack_operation_step_duration_seconds_count{node="east",operation="PodCreator",outcome="canceled",step="create the VM"} 1`,
		`wolfpack_watch_last_answer_timestamp_seconds{node="west"} 1.7000000005e+09`,
		`wolfpack_watch_interruptions_total{node="west"} 1`,
		`wolfpack_pod_status_delivery_duration_seconds_count{node="east"} 1`,
		`wolfpack_pods{node="east",phase="Running"} 10`,
		`wolfpack_pods{node="west",phase="Running"} 11`,
		`wolfpack_pods{node="west",phase="Failed"} 0`,
		`wolfpack_vms{node="west",state="Off"} 1`,
		`wolfpack_pods_in_progress{node="west"} 2`,
		`wolfpack_pod_statuses_waiting{node="west"} 3`,
		`wolfpack_build_info{build="0",`,
		`go_goroutines `,
		`process_start_time_seconds `,
	} {
		require.Contains(t, body, "\n"+want)
	}
}

// Prometheus' own linter knows its conventions of names, units and help texts.
func TestLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(used())
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestFormats(t *testing.T) {
	m := used()
	body, kind := scrape(t, m, "application/openmetrics-text; version=1.0.0")
	require.Contains(t, kind, expfmt.OpenMetricsType)
	require.True(t, strings.HasSuffix(body, "# EOF\n"), "an OpenMetrics text is whole")
	_, kind = scrape(t, m, "text/plain")
	require.Contains(t, kind, "text/plain; version=0.0.4")
}

func TestOutcome(t *testing.T) {
	for want, err := range map[string]error{
		"ok":             nil,
		"canceled":       fmt.Errorf("create the VM: %w", context.Canceled),
		"unavailable":    unavailable,
		"not_found":      errs.New("test", errs.NotFound, "no VM"),
		"already_exists": errs.New("test", errs.Exists, "a VM"),
		"invalid":        errs.New("test", errs.Invalid, "no such OS"),
		"denied":         errs.New("test", errs.Denied, "no permission"),
		"internal_error": errors.New("what is this"),
	} {
		require.Equal(t, want, metrics.Outcome(err))
	}
}

func TestANodeThatEndedIsCollectedNoMore(t *testing.T) {
	m := metrics.New()
	node := m.Node("east")
	stop := node.Collect(func() metrics.Snapshot { return metrics.Snapshot{Busy: 1} })
	stop()
	body, _ := scrape(t, m, "")
	require.NotContains(t, body, "pods_in_progress")

	stop = node.Collect(func() metrics.Snapshot { return metrics.Snapshot{Busy: 1} })
	defer stop()
	node.Collect(func() metrics.Snapshot { return metrics.Snapshot{Busy: 7} })
	body, _ = scrape(t, m, "")
	require.Contains(t, body, `wolfpack_pods_in_progress{node="east"} 7`, "the second takes the place of the first")
}

func TestNoNodeTakesEverything(t *testing.T) {
	none := (*metrics.Metrics)(nil).Node("n")
	_, end := none.Step(t.Context(), "operations.PodCreator", "")
	end(nil)
	none.WatchAnswered(time.Now())
	none.WatchLost()
	none.StatusDelivered(time.Now())
	none.Collect(func() metrics.Snapshot { panic("nobody asks") })()
}

func TestScrapesWhileMuchHappens(t *testing.T) {
	m := metrics.New()
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			node := m.Node(fmt.Sprint("n", i%2))
			for range 50 {
				_, end := m.Request(t.Context(), "PowerOnVM_Task")
				end(nil)
				_, end = node.Step(t.Context(), "operations.PodStarter", "power on")
				end(unavailable)
				node.StatusDelivered(time.Now())
			}
		})
		group.Go(func() { scrape(t, m, "") })
	}
	group.Wait()
	body, _ := scrape(t, m, "")
	require.Contains(t, body, `wolfpack_vsphere_request_duration_seconds_count{method="PowerOnVM_Task",outcome="ok"} 200`)
	require.Contains(t, body, `wolfpack_operation_step_duration_seconds_count{node="n1",operation="PodStarter",outcome="unavailable",step="power on"} 100`)
}
