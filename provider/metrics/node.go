// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Node has the metrics of one virtual node.
type Node struct {
	name       string
	registry   *prometheus.Registry
	operations prometheus.ObserverVec
	steps      prometheus.ObserverVec
	notices    prometheus.Observer
	answered   prometheus.Gauge
	lost       prometheus.Counter
}

// Step observes an operation as a whole, if step is "", or one step of it: it is called when that begins, and what it
// returns, with its outcome. It is an operations.Observer. The labels are the words that errors and traces use too.
func (n *Node) Step(ctx context.Context, op, step string) (context.Context, func(error)) {
	if n == nil {
		return ctx, func(error) {}
	}
	begun := time.Now()
	op = strings.TrimPrefix(op, "operations.")
	return ctx, func(err error) {
		took := time.Since(begun).Seconds()
		if step == "" {
			n.operations.WithLabelValues(op, Outcome(err)).Observe(took)
			return
		}
		n.steps.WithLabelValues(op, step, Outcome(err)).Observe(took)
	}
}

// WatchAnswered says when vSphere last answered the watch.
func (n *Node) WatchAnswered(at time.Time) {
	if n != nil && !at.IsZero() {
		n.answered.Set(float64(at.UnixNano()) / float64(time.Second))
	}
}

// WatchLost counts an interruption of the watch.
func (n *Node) WatchLost() {
	if n != nil {
		n.lost.Inc()
	}
}

// StatusDelivered says that Virtual Kubelet now has the status of a pod whose change was learnt of at since.
func (n *Node) StatusDelivered(since time.Time) {
	if n != nil {
		n.notices.Observe(time.Since(since).Seconds())
	}
}

// Snapshot is the state of a node at one moment.
type Snapshot struct {
	Pods    map[string]int // by phase; a phase without pods is there with 0
	VMs     map[string]int // by state, likewise
	Busy    int            // pods that are worked on
	Notices int            // statuses that wait to be handed to Virtual Kubelet
}

var (
	podsDesc = describe("pods", "Pods of the node by phase, as Wolfpack reports them.", "phase")
	vmsDesc  = describe("vms", "VMs of the node's pods by state: Off, Running, Suspended, or Inaccessible when vSphere does not reach them.", "state")
	busyDesc = describe("pods_in_progress",
		"Pods that are worked on now: created, started, deleted, or waiting to be tried again. Each has a queue of its own, so that none waits for another.")
	noticesDesc = describe("pod_statuses_waiting",
		"Changed pods whose status waits to be handed to Virtual Kubelet. A number that stays high says that the API server is slow.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

// Collect has snapshot called whenever Prometheus asks, until stop is called. It must be safe for concurrent use. A node has
// one snapshot: a second takes the place of the first.
func (n *Node) Collect(snapshot func() Snapshot) (stop func()) {
	if n == nil {
		return func() {}
	}
	registry := prometheus.WrapRegistererWith(prometheus.Labels{"node": n.name}, n.registry)
	registry.Unregister(collector(snapshot))
	registry.MustRegister(collector(snapshot))
	return func() { registry.Unregister(collector(snapshot)) }
}

// collector asks for the state of a node at a scrape.
type collector func() Snapshot

// Describe says which metrics Collect gives; a prometheus.Collector has it, and is known by it.
func (collector) Describe(descs chan<- *prometheus.Desc) {
	descs <- podsDesc
	descs <- vmsDesc
	descs <- busyDesc
	descs <- noticesDesc
}

// Collect gives the present values; a prometheus.Collector has it.
func (c collector) Collect(values chan<- prometheus.Metric) {
	now := c()
	gauge := func(desc *prometheus.Desc, value int, labels ...string) {
		values <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	for phase, count := range now.Pods {
		gauge(podsDesc, count, phase)
	}
	for state, count := range now.VMs {
		gauge(vmsDesc, count, state)
	}
	gauge(busyDesc, now.Busy)
	gauge(noticesDesc, now.Notices)
}
