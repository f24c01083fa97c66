// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// families are metrics to expose. They are made by hand, because a Prometheus registry sorts labels: there are readers of
// /metrics/resource, Virtual Kubelet's own test suite among them, that expect a pod's name at the place where the kubelet
// once had it.
type families struct {
	all    []*dto.MetricFamily
	byName map[string]*dto.MetricFamily
}

// define adds an empty family, in the order in which they are to appear.
func (f *families) define(name string, kind dto.MetricType, help string) {
	if f.byName == nil {
		f.byName = map[string]*dto.MetricFamily{}
	}
	family := &dto.MetricFamily{Name: &name, Help: &help, Type: &kind}
	f.all, f.byName[name] = append(f.all, family), family
}

// add adds a value to the family called name, with labels as pairs of name and value. A value of no time is of now.
func (f *families) add(name string, value float64, at metav1.Time, labels ...string) {
	metric := &dto.Metric{}
	for i := 0; i < len(labels); i += 2 {
		metric.Label = append(metric.Label, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
	}
	if !at.IsZero() {
		milliseconds := at.UnixMilli()
		metric.TimestampMs = &milliseconds
	}
	family := f.byName[name]
	if family.GetType() == dto.MetricType_COUNTER {
		metric.Counter = &dto.Counter{Value: &value}
	} else {
		metric.Gauge = &dto.Gauge{Value: &value}
	}
	family.Metric = append(family.Metric, metric)
}

// serve writes the families that have values, in the format that the client prefers.
func (f *families) serve(w http.ResponseWriter, r *http.Request) {
	format := expfmt.Negotiate(r.Header)
	w.Header().Set("Content-Type", string(format))
	encoder := expfmt.NewEncoder(w, format)
	for _, family := range f.all {
		if len(family.Metric) == 0 {
			continue
		}
		if err := encoder.Encode(family); err != nil {
			klog.FromContext(r.Context()).V(2).Info("Cannot answer", "path", r.URL.Path, "err", err)
			return
		}
	}
	if closer, ok := encoder.(expfmt.Closer); ok {
		_ = closer.Close()
	}
}

// The names are the kubelet's, but for the last.
const (
	nodeCPU          = "node_cpu_usage_seconds_total"
	nodeMemory       = "node_memory_working_set_bytes"
	containerCPU     = "container_cpu_usage_seconds_total"
	containerMemory  = "container_memory_working_set_bytes"
	containerStart   = "container_start_time_seconds"
	podCPUName       = "pod_cpu_usage_seconds_total"
	podMemoryName    = "pod_memory_working_set_bytes"
	scrapeError      = "scrape_error"
	resourceError    = "resource_scrape_error"
	guestsUnanswered = "wolfpack_guests_unanswered"
)

// resourceFamilies are the metrics of a summary. One that failed, or in which guests are missing, says so.
func resourceFamilies(summary stats.Summary, silent int, failed error) *families {
	const counter, gauge = dto.MetricType_COUNTER, dto.MetricType_GAUGE
	f := &families{}
	f.define(containerCPU, counter, "Cumulative cpu time consumed by the container in core-seconds")
	f.define(containerMemory, gauge, "Current working set of the container in bytes")
	f.define(containerStart, gauge, "Start time of the container since unix epoch in seconds")
	f.define(nodeCPU, counter, "Cumulative cpu time consumed by the node in core-seconds")
	f.define(nodeMemory, gauge, "Current working set of the node in bytes")
	f.define(podCPUName, counter, "Cumulative cpu time consumed by the pod in core-seconds")
	f.define(podMemoryName, gauge, "Current working set of the pod in bytes")
	f.define(scrapeError, gauge, "1 if there was an error while getting container metrics, 0 otherwise")
	f.define(resourceError, gauge, "1 if there was an error while getting container metrics, 0 otherwise")
	f.define(guestsUnanswered, gauge, "Running pods whose guest did not tell its metrics")
	trouble := 0.0
	if failed != nil {
		trouble = 1
	} else {
		f.addUse(nodeCPU, nodeMemory, summary.Node.CPU, summary.Node.Memory)
		for i := range summary.Pods {
			f.addPod(&summary.Pods[i])
		}
	}
	f.add(scrapeError, trouble, metav1.Time{})
	f.add(resourceError, trouble, metav1.Time{})
	f.add(guestsUnanswered, float64(silent), metav1.Time{})
	return f
}

func (f *families) addPod(pod *stats.PodStats) {
	name, namespace := pod.PodRef.Name, pod.PodRef.Namespace
	for _, c := range pod.Containers {
		labels := []string{"container", c.Name, "pod", name, "namespace", namespace}
		f.addUse(containerCPU, containerMemory, c.CPU, c.Memory, labels...)
		if c.StartTime.Unix() > 0 {
			f.add(containerStart, float64(c.StartTime.UnixNano())/float64(time.Second), metav1.Time{}, labels...)
		}
	}
	f.addUse(podCPUName, podMemoryName, podCPU(pod), podMemory(pod), "namespace", namespace, "pod", name)
}

// addUse adds what is known of a processor's and a memory's use.
func (f *families) addUse(cpuName, memoryName string, cpu *stats.CPUStats, memory *stats.MemoryStats, labels ...string) {
	if cpu != nil && cpu.UsageCoreNanoSeconds != nil {
		f.add(cpuName, float64(*cpu.UsageCoreNanoSeconds)/float64(time.Second), cpu.Time, labels...)
	}
	if memory != nil && memory.WorkingSetBytes != nil {
		f.add(memoryName, float64(*memory.WorkingSetBytes), memory.Time, labels...)
	}
}

// serveResource answers /metrics/resource, which metrics-server reads.
func (s *statistics) serveResource(w http.ResponseWriter, r *http.Request) {
	summary, silent, err := s.summarize(r)
	if err != nil {
		klog.FromContext(r.Context()).Error(err, "No metrics of the pods")
	}
	resourceFamilies(summary, silent, err).serve(w, r)
}
