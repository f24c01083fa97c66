// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

// probes are the results of the pods' probes, which their guests carry out and count.
type probes struct {
	pods *gatherer[map[string]*dto.MetricFamily]
}

func newProbes(pods Pods) *probes {
	return &probes{pods: newGatherer(pods, "/metrics/probes", parseProbes)}
}

// parseProbes takes from a guest's metrics those of probes of its own pod. The parser panics on some of what is no metric,
// which must not let one guest end the provider of all.
func parseProbes(pod *corev1.Pod, body io.Reader) (found map[string]*dto.MetricFamily, err error) {
	defer func() {
		if r := recover(); r != nil {
			found, err = nil, fmt.Errorf("parse: %v", r)
		}
	}()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if found, err = parser.TextToMetricFamilies(body); err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	for name, family := range found {
		family.Metric = slices.DeleteFunc(family.Metric, func(m *dto.Metric) bool { return !belongs(m, pod) })
		if !strings.HasPrefix(name, "prober_") || len(family.Metric) == 0 {
			delete(found, name)
		}
	}
	return found, nil
}

// belongs says whether a metric is about the pod.
func belongs(metric *dto.Metric, pod *corev1.Pod) bool {
	labels := map[string]string{}
	for _, l := range metric.Label {
		labels[l.GetName()] = l.GetValue()
	}
	return labels["namespace"] == pod.Namespace && labels["pod"] == pod.Name
}

// serve answers /metrics/probes.
func (p *probes) serve(w http.ResponseWriter, r *http.Request) {
	merged := &families{byName: map[string]*dto.MetricFamily{}}
	err := p.pods.collect(r.Context(), func(answers []answer[map[string]*dto.MetricFamily]) {
		for _, a := range answers {
			merged.merge(a.value)
		}
	})
	if err != nil {
		klog.FromContext(r.Context()).Error(err, "No metrics of the pods' probes")
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	merged.serve(w, r)
}

// merge adds the metrics of other families to those of the same name, unless they are of another type.
func (f *families) merge(other map[string]*dto.MetricFamily) {
	for name, family := range other {
		mine, ok := f.byName[name]
		if !ok {
			f.define(name, family.GetType(), family.GetHelp())
			mine = f.byName[name]
		}
		if mine.GetType() == family.GetType() {
			mine.Metric = append(mine.Metric, family.Metric...)
		}
	}
	slices.SortFunc(f.all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
}
