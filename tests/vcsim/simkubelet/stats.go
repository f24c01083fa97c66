// SPDX-License-Identifier: Apache-2.0

package simkubelet

import (
	"hash/fnv"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// What is used, for each second of running where it is a rate. Counters follow from how long a guest or a container has
// run, so that they only grow.
const (
	containerCPU    = 20_000_000 // nanoseconds
	systemCPU       = 5_000_000  // nanoseconds, of the guest itself
	containerMemory = 12 << 20   // bytes, and a little more that depends on its name
	systemMemory    = 96 << 20   // bytes
	received        = 1500       // bytes
	sent            = 900        // bytes
)

// usage is what one container uses.
type usage struct {
	name    string
	started time.Time
	seconds float64
	cpu     uint64 // nanoseconds so far
	memory  uint64 // bytes
}

// usages is what the containers that run use.
func (g Guest) usages(now time.Time) []usage {
	var all []usage
	if g.Status == nil {
		return nil
	}
	for _, list := range [][]corev1.ContainerStatus{g.Status.InitContainerStatuses, g.Status.ContainerStatuses} {
		for _, c := range list {
			if c.State.Running == nil {
				continue
			}
			sum := fnv.New32a()
			_, _ = sum.Write([]byte(c.Name))
			started := c.State.Running.StartedAt.Time
			seconds := max(now.Sub(started).Seconds(), 0)
			all = append(all, usage{c.Name, started, seconds, uint64(seconds * containerCPU), containerMemory + uint64(sum.Sum32()%(4<<20))})
		}
	}
	return all
}

// machine is what the guest as a whole uses.
func (g Guest) machine(now time.Time) (cpu, memory uint64, seconds float64) {
	seconds = max(now.Sub(g.Booted).Seconds(), 0)
	rate := systemCPU
	if g.Pod != nil {
		rate += containerCPU * len(g.Pod.Spec.Containers)
	}
	memory = systemMemory
	for _, u := range g.usages(now) {
		memory += u.memory
	}
	return uint64(seconds * float64(rate)), memory, seconds
}

func (g Guest) memory() uint64 { return uint64(g.MemoryMB) << 20 }

// summary answers /stats/summary.
func summary(w http.ResponseWriter, _ *http.Request, g Guest) {
	now := time.Now()
	cpu, memory, seconds := g.machine(now)
	all := stats.Summary{Node: stats.NodeStats{
		StartTime: metav1.NewTime(g.Booted), CPU: cpuStats(now, cpu, seconds), Memory: memoryStats(now, memory, g.memory()), Network: networkStats(now, seconds),
	}}
	if g.Pod != nil {
		all.Node.NodeName = g.Pod.Spec.NodeName
		pod := stats.PodStats{
			PodRef:    stats.PodReference{Namespace: g.Pod.Namespace, Name: g.Pod.Name, UID: string(g.Pod.UID)},
			StartTime: metav1.NewTime(g.Booted), CPU: cpuStats(now, cpu, seconds), Memory: memoryStats(now, memory, g.memory()), Network: networkStats(now, seconds),
			Containers: []stats.ContainerStats{},
		}
		for _, u := range g.usages(now) {
			pod.Containers = append(pod.Containers, stats.ContainerStats{
				Name: u.name, StartTime: metav1.NewTime(u.started), CPU: cpuStats(now, u.cpu, u.seconds), Memory: memoryStats(now, u.memory, g.memory()),
			})
		}
		all.Pods = append(all.Pods, pod)
	}
	writeJSON(w, all)
}

func cpuStats(now time.Time, nanoseconds uint64, seconds float64) *stats.CPUStats {
	var rate uint64
	if seconds > 0 {
		rate = uint64(float64(nanoseconds) / seconds)
	}
	return &stats.CPUStats{Time: metav1.NewTime(now), UsageNanoCores: &rate, UsageCoreNanoSeconds: &nanoseconds}
}

func memoryStats(now time.Time, used, whole uint64) *stats.MemoryStats {
	available := whole - min(used, whole)
	return &stats.MemoryStats{Time: metav1.NewTime(now), AvailableBytes: &available, UsageBytes: &used, WorkingSetBytes: &used, RSSBytes: &used}
}

func networkStats(now time.Time, seconds float64) *stats.NetworkStats {
	in, out, none := uint64(seconds*received), uint64(seconds*sent), uint64(0)
	card := stats.InterfaceStats{Name: "eth0", RxBytes: &in, RxErrors: &none, TxBytes: &out, TxErrors: &none}
	return &stats.NetworkStats{Time: metav1.NewTime(now), InterfaceStats: card, Interfaces: []stats.InterfaceStats{card}}
}

// metric is one of the kubelet's metrics.
func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// The kubelet's resource and probe metrics.
var (
	nodeCPU     = metric("node_cpu_usage_seconds_total", "Cumulative cpu time consumed by the node in core-seconds")
	nodeMemory  = metric("node_memory_working_set_bytes", "Current working set of the node in bytes")
	podCPU      = metric("pod_cpu_usage_seconds_total", "Cumulative cpu time consumed by the pod in core-seconds", "pod", "namespace")
	podMemory   = metric("pod_memory_working_set_bytes", "Current working set of the pod in bytes", "pod", "namespace")
	ctrCPU      = metric("container_cpu_usage_seconds_total", "Cumulative cpu time consumed by the container in core-seconds", "container", "pod", "namespace")
	ctrMemory   = metric("container_memory_working_set_bytes", "Current working set of the container in bytes", "container", "pod", "namespace")
	ctrStarted  = metric("container_start_time_seconds", "Start time of the container since unix epoch in seconds", "container", "pod", "namespace")
	scrapeError = metric("resource_scrape_error", "1 if there was an error while getting container metrics, 0 otherwise")
	probes      = metric("prober_probe_total", "Cumulative number of a liveness, readiness or startup probe for a container by result.",
		"probe_type", "result", "container", "pod", "namespace", "pod_uid")
)

// serve answers with metrics.
func serve(w http.ResponseWriter, r *http.Request, metrics []prometheus.Metric) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(constant(metrics))
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(w, r)
}

// constant is a collector of metrics that are known.
type constant []prometheus.Metric

func (constant) Describe(chan<- *prometheus.Desc) {}

func (c constant) Collect(to chan<- prometheus.Metric) {
	for _, m := range c {
		to <- m
	}
}

// resourceMetrics answers /metrics/resource.
func resourceMetrics(w http.ResponseWriter, r *http.Request, g Guest) {
	now := time.Now()
	cpu, memory, _ := g.machine(now)
	counter := func(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
		return prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
		return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	all := []prometheus.Metric{
		counter(nodeCPU, float64(cpu)/1e9), gauge(nodeMemory, float64(memory)), gauge(scrapeError, 0),
	}
	if pod := g.Pod; pod != nil {
		all = append(all, counter(podCPU, float64(cpu)/1e9, pod.Name, pod.Namespace), gauge(podMemory, float64(memory), pod.Name, pod.Namespace))
		for _, u := range g.usages(now) {
			all = append(all, counter(ctrCPU, float64(u.cpu)/1e9, u.name, pod.Name, pod.Namespace),
				gauge(ctrMemory, float64(u.memory), u.name, pod.Name, pod.Namespace),
				gauge(ctrStarted, float64(u.started.UnixNano())/1e9, u.name, pod.Name, pod.Namespace))
		}
	}
	serve(w, r, all)
}

// probeMetrics answers /metrics/probes: a probe of a container that runs has succeeded each time.
func probeMetrics(w http.ResponseWriter, r *http.Request, g Guest) {
	var all []prometheus.Metric
	for _, u := range g.usages(time.Now()) {
		container := find(g.Pod, u.name)
		if container == nil {
			continue
		}
		for kind, probe := range map[string]*corev1.Probe{
			"Liveness": container.LivenessProbe, "Readiness": container.ReadinessProbe, "Startup": container.StartupProbe,
		} {
			if probe == nil {
				continue
			}
			times := probesBy(probe, u.seconds)
			if kind == "Startup" {
				times = min(times, float64(max(probe.SuccessThreshold, 1)))
			}
			all = append(all, prometheus.MustNewConstMetric(probes, prometheus.CounterValue, times,
				kind, "successful", u.name, g.Pod.Name, g.Pod.Namespace, string(g.Pod.UID)))
		}
	}
	serve(w, r, all)
}

// probesBy is how often a container was probed.
func probesBy(probe *corev1.Probe, seconds float64) float64 {
	period := probe.PeriodSeconds
	if period == 0 {
		period = 10
	}
	return float64(max(int64(seconds)-int64(probe.InitialDelaySeconds), 0) / int64(period))
}
