// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// uses is a guest's summary of its pod: seconds of processor time and bytes of memory, which its containers share.
func uses(t *testing.T, pod *corev1.Pod, seconds, bytes uint64) string {
	t.Helper()
	at := metav1.NewTime(time.Unix(1700000000, 0))
	nanoseconds := seconds * uint64(time.Second)
	cpu := &stats.CPUStats{Time: at, UsageCoreNanoSeconds: &nanoseconds, UsageNanoCores: &seconds}
	memory := &stats.MemoryStats{Time: at, WorkingSetBytes: &bytes, UsageBytes: &bytes}
	found := stats.PodStats{
		PodRef: stats.PodReference{Namespace: "forged", Name: "forged", UID: string(pod.UID)}, CPU: cpu, Memory: memory,
		Network: &stats.NetworkStats{Time: at},
	}
	for _, c := range pod.Spec.Containers {
		found.Containers = append(found.Containers, stats.ContainerStats{Name: c.Name, StartTime: at, CPU: cpu, Memory: memory, Rootfs: &stats.FsStats{Time: at}})
	}
	other := stats.PodStats{PodRef: stats.PodReference{Namespace: "bank", Name: "vault", UID: "uid-of-vault"}, CPU: cpu, Memory: memory}
	text, err := json.Marshal(stats.Summary{Node: stats.NodeStats{NodeName: "the guest"}, Pods: []stats.PodStats{other, found}})
	require.NoError(t, err)
	return string(text)
}

// addPod adds a running pod whose guest tells what it uses.
func (w *world) addPod(name string, seconds, bytes uint64) (*corev1.Pod, *guest) {
	w.t.Helper()
	g := newGuest(w.t)
	pod := w.pods.add(newPod("shop", name), g)
	g.summary = uses(w.t, pod, seconds, bytes)
	return pod, g
}

func (w *world) summary(query string) stats.Summary {
	w.t.Helper()
	status, body := w.ask("scraper-token", http.MethodGet, "/stats/summary"+query)
	require.Equal(w.t, http.StatusOK, status, body)
	var summary stats.Summary
	require.NoError(w.t, json.Unmarshal([]byte(body), &summary))
	return summary
}

func TestSummary(t *testing.T) {
	w := newWorld(t)
	w.addPod("web", 3, 300)
	w.addPod("api", 4, 400)
	_, silent := w.addPod("silent", 5, 500)
	silent.status = http.StatusInternalServerError
	w.pods.add(newPod("shop", "booting"), nil)
	done, _ := w.addPod("done", 6, 600)
	done.Status.Phase = corev1.PodSucceeded

	summary := w.summary("")
	require.Equal(t, "n1", summary.Node.NodeName)
	require.EqualValues(t, 7*time.Second, *summary.Node.CPU.UsageCoreNanoSeconds)
	require.EqualValues(t, 700, *summary.Node.Memory.WorkingSetBytes)
	require.Len(t, summary.Pods, 2, "those that answer, and of them their own pod")
	require.Equal(t, stats.PodReference{Namespace: "shop", Name: "api", UID: "uid-of-api"}, summary.Pods[0].PodRef, "the name is not the guest's to say")
	require.Equal(t, "web", summary.Pods[1].PodRef.Name)
	require.Len(t, summary.Pods[1].Containers, 2)
	require.NotNil(t, summary.Pods[1].Network)

	less := w.summary("?only_cpu_and_memory=true")
	require.Nil(t, less.Pods[1].Network)
	require.Nil(t, less.Pods[1].Containers[0].Rootfs)
	require.NotNil(t, less.Pods[1].Containers[0].CPU)
}

func TestAGuestIsAskedOnceForManyScrapes(t *testing.T) {
	w := newWorld(t)
	_, g := w.addPod("web", 3, 300)
	w.summary("")
	w.summary("")
	status, _ := w.ask("scraper-token", http.MethodGet, "/metrics/resource")
	require.Equal(t, http.StatusOK, status)
	require.Len(t, g.requests(), 1)
	w.addPod("new", 1, 100)
	require.Len(t, w.summary("").Pods, 2, "a new pod is there at once")
	require.Len(t, g.requests(), 1)
}

// The node's processor time is a counter: it grows with its pods' and never shrinks, whatever becomes of them.
func TestNodeProcessorTimeIsACounter(t *testing.T) {
	pod := func(name string, seconds uint64, err error) answer[stats.PodStats] {
		n := seconds * uint64(time.Second)
		a := answer[stats.PodStats]{pod: newPod("shop", name), at: time.Now(), err: err}
		a.value.PodRef.UID = string(a.pod.UID)
		a.value.CPU = &stats.CPUStats{UsageCoreNanoSeconds: &n}
		return a
	}
	s := newStatistics(&fakePods{}, "n1", time.Now())
	steps := []struct {
		what    string
		answers []answer[stats.PodStats]
		want    time.Duration
	}{
		{"two pods", []answer[stats.PodStats]{pod("a", 10, nil), pod("b", 5, nil)}, 15 * time.Second},
		{"one works on", []answer[stats.PodStats]{pod("a", 12, nil), pod("b", 5, nil)}, 17 * time.Second},
		{"one is silent", []answer[stats.PodStats]{pod("a", 13, nil), pod("b", 0, fmt.Errorf("no answer"))}, 18 * time.Second},
		{"it answers again", []answer[stats.PodStats]{pod("a", 13, nil), pod("b", 6, nil)}, 19 * time.Second},
		{"one was reset", []answer[stats.PodStats]{pod("a", 1, nil), pod("b", 6, nil)}, 20 * time.Second},
		{"one has gone", []answer[stats.PodStats]{pod("b", 6, nil)}, 20 * time.Second},
		{"none is left", nil, 20 * time.Second},
	}
	for _, step := range steps {
		require.EqualValues(t, step.want, *s.sum(step.answers).CPU.UsageCoreNanoSeconds, step.what)
	}
}

func TestResourceMetrics(t *testing.T) {
	w := newWorld(t)
	w.addPod("web", 3, 300)
	w.pods.add(newPod("shop", "booting"), nil)
	status, body := w.ask("scraper-token", http.MethodGet, "/metrics/resource")
	require.Equal(t, http.StatusOK, status)
	for _, line := range []string{
		`container_cpu_usage_seconds_total{container="app",pod="web",namespace="shop"} 3 1700000000000`,
		`container_memory_working_set_bytes{container="side",pod="web",namespace="shop"} 300 1700000000000`,
		`container_start_time_seconds{container="app",pod="web",namespace="shop"} 1.7e+09`,
		`pod_cpu_usage_seconds_total{namespace="shop",pod="web"} 3 1700000000000`,
		`pod_memory_working_set_bytes{namespace="shop",pod="web"} 300 1700000000000`,
		`scrape_error 0`, `resource_scrape_error 0`, `wolfpack_guests_unanswered 1`,
		"# TYPE node_cpu_usage_seconds_total counter",
	} {
		require.Contains(t, strings.Split(body, "\n"), line)
	}
	require.Regexp(t, `(?m)^node_cpu_usage_seconds_total 3 \d+$`, body)
	require.Regexp(t, `(?m)^node_memory_working_set_bytes 300 \d+$`, body)
}

const probeMetrics = `# HELP prober_probe_total Cumulative number of a liveness, readiness or startup probe for a container by result.
# TYPE prober_probe_total counter
prober_probe_total{container="app",namespace="shop",pod="%[1]s",pod_uid="u",probe_type="Liveness",result="successful"} 7
prober_probe_total{container="app",namespace="bank",pod="vault",pod_uid="u",probe_type="Liveness",result="failed"} 1
# TYPE prober_probe_duration_seconds histogram
prober_probe_duration_seconds_bucket{container="app",namespace="shop",pod="%[1]s",probe_type="Liveness",le="+Inf"} 7
prober_probe_duration_seconds_sum{container="app",namespace="shop",pod="%[1]s",probe_type="Liveness"} 1
prober_probe_duration_seconds_count{container="app",namespace="shop",pod="%[1]s",probe_type="Liveness"} 7
# TYPE kubelet_node_name gauge
kubelet_node_name{namespace="shop",pod="%[1]s"} 1
`

func TestProbeMetrics(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"web", "api"} {
		_, g := w.addPod(name, 1, 1)
		g.probes = fmt.Sprintf(probeMetrics, name)
	}
	_, broken := w.addPod("broken", 1, 1)
	broken.probes = "{}" // on which the parser panics
	_, other := w.addPod("other", 1, 1)
	other.probes = "# TYPE prober_probe_total gauge\nprober_probe_total{namespace=\"shop\",pod=\"other\"} 1\n"
	status, body := w.ask("scraper-token", http.MethodGet, "/metrics/probes")
	require.Equal(t, http.StatusOK, status)
	for _, name := range []string{"web", "api"} {
		require.Contains(t, body, `prober_probe_total{container="app",namespace="shop",pod="`+name+`",pod_uid="u",probe_type="Liveness",result="successful"} 7`)
		require.Contains(t, body, `prober_probe_duration_seconds_count{container="app",namespace="shop",pod="`+name+`",probe_type="Liveness"} 7`)
	}
	require.Equal(t, 1, strings.Count(body, "# TYPE prober_probe_total counter"), "one family, of one type")
	require.NotContains(t, body, "vault", "a guest speaks for its own pod only")
	require.NotContains(t, body, "kubelet_node_name")
	require.NotContains(t, body, `pod="other"`)
}

func FuzzGuestsAnswers(f *testing.F) {
	f.Add(fmt.Sprintf(probeMetrics, "web"))
	f.Add(`{"node":{},"pods":[{"podRef":{"name":"web","uid":"uid-of-web"},"containers":[{"name":"app","cpu":null}]}]}`)
	f.Add("")
	pod := newPod("shop", "web")
	f.Fuzz(func(t *testing.T, text string) {
		if found, err := parseSummary(pod, strings.NewReader(text)); err == nil {
			require.Equal(t, stats.PodReference{Namespace: "shop", Name: "web", UID: "uid-of-web"}, found.PodRef)
			podCPU(&found)
			podMemory(&found)
		}
		if found, err := parseProbes(pod, strings.NewReader(text)); err == nil {
			for name, family := range found {
				require.True(t, strings.HasPrefix(name, "prober_"))
				require.NotEmpty(t, family.Metric)
			}
		}
	})
}
