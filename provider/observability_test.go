// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"wolfpack/provider/metrics"
	"wolfpack/provider/portlayer"
)

// count is the value of the metric with the given name and labels, of a histogram its number of values, or -1 if there is none.
func count(t *testing.T, m *metrics.Metrics, name string, labels map[string]string) float64 {
	t.Helper()
	families, err := m.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	metric:
		for _, metric := range family.GetMetric() {
			found := map[string]string{}
			for _, pair := range metric.GetLabel() {
				found[pair.GetName()] = pair.GetValue()
			}
			for label, value := range labels {
				if found[label] != value {
					continue metric
				}
			}
			if h := metric.GetHistogram(); h != nil {
				return float64(h.GetSampleCount())
			}
			return metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	return -1
}

func TestAPodsLifeIsMeasured(t *testing.T) {
	m := metrics.New()
	w := newWorld(t)
	w.stop()
	w.restart(func(c *Config) { c.Node, c.Metrics = "n", m.Node("n") })
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	of := func(labels ...string) map[string]string {
		all := map[string]string{"node": "n"}
		for i := 0; i < len(labels); i += 2 {
			all[labels[i]] = labels[i+1]
		}
		return all
	}
	require.Eventually(t, func() bool {
		return count(t, m, "wolfpack_operation_duration_seconds", of("operation", "PodCreator", "outcome", "ok")) == 1
	},
		patience, time.Millisecond, "the guest runs before vSphere's task of starting it has ended")
	require.Equal(t, 1.0, count(t, m, "wolfpack_operation_step_duration_seconds", of("operation", "PodCreator", "step", "create the VM", "outcome", "ok")))
	require.Equal(t, 1.0, count(t, m, "wolfpack_operation_step_duration_seconds", of("operation", "PodStarter", "step", "power on", "outcome", "ok")))
	require.Equal(t, 1.0, count(t, m, "wolfpack_pods", of("phase", "Running")))
	require.Zero(t, count(t, m, "wolfpack_pods", of("phase", "Failed")))
	require.Equal(t, 1.0, count(t, m, "wolfpack_vms", of("state", "Running")))
	require.Positive(t, count(t, m, "wolfpack_pod_status_delivery_duration_seconds", of()))

	w.host.Set(w.host.VMs()[0].ID, func(vm *portlayer.VM) { vm.State = portlayer.Suspended })
	require.Eventually(t, func() bool { return count(t, m, "wolfpack_vms", of("state", "Suspended")) == 1 }, patience, time.Millisecond)
	problems, err := testutil.GatherAndLint(m)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestInterruptionsOfTheWatchAreCounted(t *testing.T) {
	m := metrics.New()
	w := newWorld(t)
	w.stop()
	w.restart(func(c *Config) { c.Metrics = m.Node("n") })
	listen := w.listen(t.Context())
	listen(portlayer.Update{Lost: errors.New("gone")})
	listen(portlayer.Update{Lost: errors.New("still gone")})
	listen(portlayer.Update{Sync: true, Received: time.Unix(1700000000, 0)})
	node := map[string]string{"node": "n"}
	require.Equal(t, 2.0, count(t, m, "wolfpack_watch_interruptions_total", node))
	require.Equal(t, 1.7e9, count(t, m, "wolfpack_watch_last_answer_timestamp_seconds", node))
}
