// SPDX-License-Identifier: Apache-2.0

// Package metrics is what the provider tells Prometheus. A Metrics has those of the process, and a Node those of each of
// its virtual nodes, told apart by the label node. What can be counted where it happens is a counter or a histogram; what
// is a state, such as the number of pods in a phase, is computed from the provider's cache when Prometheus asks, so that
// it cannot drift.
//
// The values of a label are few by design: an outcome is ok or one of errs' kinds, a method one of those that this program
// calls. No pod's name is a label.
//
// All methods are safe for concurrent use. A nil Node takes everything and does nothing.
package metrics

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"wolfpack/version"
)

const namespace = "wolfpack"

// Metrics are those of one process.
type Metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.HistogramVec
	operations *prometheus.HistogramVec
	steps      *prometheus.HistogramVec
	notices    *prometheus.HistogramVec
	answered   *prometheus.GaugeVec
	lost       *prometheus.CounterVec
}

// New returns the metrics of a process that has done nothing yet.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: "vsphere", Name: "request_duration_seconds",
			Help: "Time from sending a request to vSphere to its answer, by method of the vSphere API and outcome: ok, or the kind of error. " +
				"Each request on the wire counts, logins and repeats too. WaitForUpdatesEx is a long poll: vSphere holds its answer back until there is news, up to 50 seconds.",
			Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"method", "outcome"}),
		operations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "operation_duration_seconds",
			Help: "Time that one try of an operation on a pod's VM took, by operation and outcome: ok, canceled (the pod was deleted meanwhile, or the program ended), or the kind of error. " +
				"A failure of kind unavailable is tried again, and each try counts.",
			Buckets: durations,
		}, []string{"node", "operation", "outcome"}),
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "operation_step_duration_seconds",
			Help:    "Time that one step of an operation on a pod's VM took, by operation, step and outcome. A step includes the wait for vSphere's task, and for the guest where it is asked to shut down.",
			Buckets: durations,
		}, []string{"node", "operation", "step", "outcome"}),
		notices: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: "pod", Name: "status_delivery_duration_seconds",
			Help:    "Time from learning of a pod's change, by vSphere's answer or our own work, to handing its new status to Virtual Kubelet, which writes it to the API server.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}, []string{"node"}),
		answered: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: "watch", Name: "last_answer_timestamp_seconds",
			Help: "When vSphere last answered the watch over the pods' VMs, in seconds since 1970. While all is well that is at most 50 seconds ago, even if nothing changes.",
		}, []string{"node"}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "watch", Name: "interruptions_total",
			Help: "Times that the watch over the pods' VMs broke off or could not be begun again. After each it reads all VMs anew.",
		}, []string{"node"}),
	}
	stamp := version.Get()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the labels say which build of Wolfpack this is.",
		ConstLabels: prometheus.Labels{"version": stamp.Version, "build": stamp.Build, "commit": stamp.Commit, "goversion": stamp.Go},
	})
	build.Set(1)
	m.registry.MustRegister(
		build, m.requests, m.operations, m.steps, m.notices, m.answered, m.lost,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// durations are the bounds of what takes as long as a VM's creation or its guest's shutdown.
var durations = []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300}

// Handler answers Prometheus, in its text format or OpenMetrics as it asks. When one collector fails, the rest is given.
func (m *Metrics) Handler() http.Handler {
	return promhttp.InstrumentMetricHandler(m.registry, promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		ErrorHandling:     promhttp.ContinueOnError,
		Registry:          m.registry,
	}))
}

// Gather gives all metrics; a prometheus.Gatherer has it.
func (m *Metrics) Gather() ([]*dto.MetricFamily, error) { return m.registry.Gather() }

// Request observes a request to vSphere: it is called when the request is sent, and what it returns, with its outcome. It is
// a vsphere.Observer.
func (m *Metrics) Request(ctx context.Context, method string) (context.Context, func(error)) {
	begun := time.Now()
	return ctx, func(err error) {
		m.requests.WithLabelValues(method, Outcome(err)).Observe(time.Since(begun).Seconds())
	}
}

// Node returns the metrics of one virtual node, of a nil Metrics a nil Node.
func (m *Metrics) Node(name string) *Node {
	if m == nil {
		return nil
	}
	label := prometheus.Labels{"node": name}
	return &Node{
		name:       name,
		registry:   m.registry,
		operations: m.operations.MustCurryWith(label),
		steps:      m.steps.MustCurryWith(label),
		notices:    m.notices.With(label),
		answered:   m.answered.With(label),
		lost:       m.lost.With(label),
	}
}
