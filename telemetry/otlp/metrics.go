// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"wolfpack/telemetry"
	"wolfpack/telemetry/render"
	"wolfpack/version"
)

// maxPoints is how many sets of attributes a metric has, the SDK's own limit: anyone who names a guest can make up words.
const maxPoints = 2000

// overflow is the set that all beyond count for, by the specification.
var overflow = attribute.NewSet(attribute.Bool("otel.metric.overflow", true))

// Metrics are what is known of a vCenter, as OpenTelemetry has it: the vCenter is the resource, besides self, and durations
// are seconds. began is when this process did.
func Metrics(census render.Census, self *resource.Resource, began, now time.Time) *metricdata.ResourceMetrics {
	about := []attribute.KeyValue{attribute.String("vcenter.name", census.VCenter)}
	s := &scope{began: began, now: now}
	up := s.count("vic.census.up", "1", "Whether the last census brought a report: 1 or 0.")
	up.add(number(census.Up))
	if r := census.Report; r != nil {
		v := r.VCenter
		about = append(about, attribute.String("vcenter.version", v.Version), attribute.String("vcenter.build", v.Build),
			attribute.String("vcenter.api_version", v.APIVersion), attribute.String("vcenter.instance.uuid", v.InstanceUUID))
		s.places(r)
		s.products(r)
		s.vms(r)
		s.lifetime(r.Lifetime)
	}
	merged, err := resource.Merge(self, resource.NewSchemaless(about...))
	if err != nil {
		merged = self // only for schemas that contradict each other, of which there is one
	}
	return &metricdata.ResourceMetrics{Resource: merged, ScopeMetrics: []metricdata.ScopeMetrics{{
		Scope: instrumentation.Scope{Name: "wolfpack/telemetry", Version: version.Get().Version}, Metrics: s.metrics(),
	}}}
}

// scope collects metrics.
type scope struct {
	began, now time.Time
	counts     []*count
	others     []metricdata.Metrics
}

// count is a number of things by their attributes.
type count struct {
	name, unit, description string
	points                  []metricdata.DataPoint[int64]
	at                      map[attribute.Distinct]int
	scope                   *scope
}

func (s *scope) count(name, unit, description string) *count {
	c := &count{name: name, unit: unit, description: description, at: map[attribute.Distinct]int{}, scope: s}
	s.counts = append(s.counts, c)
	return c
}

// add adds to what has these attributes.
func (c *count) add(n int, attributes ...attribute.KeyValue) {
	set := attribute.NewSet(attributes...)
	i, known := c.at[set.Equivalent()]
	if !known && len(c.points) >= maxPoints-1 {
		set = overflow
		i, known = c.at[set.Equivalent()]
	}
	if !known {
		i = len(c.points)
		c.at[set.Equivalent()] = i
		c.points = append(c.points, metricdata.DataPoint[int64]{Attributes: set, StartTime: c.scope.began, Time: c.scope.now})
	}
	c.points[i].Value += int64(n)
}

// metrics are all, without those of which there is nothing.
func (s *scope) metrics() []metricdata.Metrics {
	var all []metricdata.Metrics
	for _, c := range s.counts {
		if len(c.points) > 0 {
			all = append(all, metricdata.Metrics{
				Name: c.name, Unit: c.unit, Description: c.description,
				Data: metricdata.Sum[int64]{DataPoints: c.points, Temporality: metricdata.CumulativeTemporality},
			})
		}
	}
	return append(all, s.others...)
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// at says where something is.
func at(datacenter, cluster string, more ...attribute.KeyValue) []attribute.KeyValue {
	return append([]attribute.KeyValue{
		attribute.String("vcenter.datacenter.name", datacenter), attribute.String("vcenter.cluster.name", cluster),
	}, more...)
}

// places are metrics 1, 2 and 8; metric 3 is of the resource.
func (s *scope) places(r *telemetry.Report) {
	hosts := s.count("vic.cluster.host.count", "{host}", "ESX hosts in each cluster, by connection state, version and build.")
	empty := map[[2]string]bool{}
	for _, c := range r.Clusters {
		empty[[2]string{c.Datacenter, c.Name}] = true
	}
	vchs := s.count("vic.host.vch.count", "{vch}", "Virtual container hosts whose endpoint VM is on each ESX host.")
	for _, h := range r.Hosts {
		delete(empty, [2]string{h.Datacenter, h.Cluster})
		hosts.add(1, at(h.Datacenter, h.Cluster, attribute.String("state", h.State), attribute.String("host.version", h.Version), attribute.String("host.build", h.Build))...)
		vchs.add(h.VCHs, at(h.Datacenter, h.Cluster, attribute.String("vcenter.host.name", h.Name))...)
	}
	for c := range empty {
		hosts.add(0, at(c[0], c[1])...)
	}
}

// products are metric 4.
func (s *scope) products(r *telemetry.Report) {
	present := s.count("vic.product.present", "1", "Whether a product was found: 1 or 0, with the version, how it was found, and how sure that is.")
	found := map[string]bool{}
	for _, p := range r.Products {
		found[p.Name] = true
		present.add(1, attribute.String("product.name", p.Name), attribute.String("product.version", p.Version),
			attribute.String("source", p.Source), attribute.String("confidence", p.Confidence), attribute.String("vcenter.vm.name", p.VM))
	}
	for _, name := range []string{"admiral", "harbor"} {
		if !found[name] {
			present.add(0, attribute.String("product.name", name))
		}
	}
}

// vms are metrics 5, 6, 7 and 9.
func (s *scope) vms(r *telemetry.Report) {
	vms := s.count("vic.vm.count", "{vm}", "VMs of every kind, by power state. Templates are counted apart.")
	for _, v := range r.VMs {
		vms.add(v.Count, at(v.Datacenter, v.Cluster, attribute.String("power_state", v.PowerState), attribute.Bool("template", v.Template))...)
	}
	vchs := s.count("vic.vch.count", "{vch}", "Virtual container hosts by OS, version and build, and by the power state of the endpoint VM.")
	containers := s.count("vic.vch.container_vm.count", "{vm}", "Container VMs of each virtual container host.")
	for _, v := range r.VCHs {
		vchs.add(1, at(v.Datacenter, v.Cluster, attribute.String("power_state", v.PowerState), attribute.String("os", v.OS),
			attribute.String("version", v.Version), attribute.String("build", v.Build))...)
		containers.add(v.ContainerVMs, at(v.Datacenter, v.Cluster, attribute.String("vch.name", v.Name), attribute.String("vch.moid", v.MoID))...)
	}
	all := s.count("vic.container_vm.count", "{vm}", "Container VMs by OS and version.")
	for _, c := range r.ContainerVMs {
		all.add(c.Count, at(c.Datacenter, c.Cluster, attribute.String("os", c.OS), attribute.String("version", c.Version), attribute.String("power_state", c.PowerState))...)
	}
}

// lifetime is metric 10.
func (s *scope) lifetime(l *telemetry.Lifetime) {
	if l == nil {
		return
	}
	histogram := metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality}
	for _, h := range l.Histograms[:min(len(l.Histograms), maxPoints)] {
		point := metricdata.HistogramDataPoint[float64]{
			Attributes: attribute.NewSet(attribute.String("os", h.OS)), StartTime: l.From, Time: l.To, Count: uint64(h.Count), Sum: h.Sum,
		}
		below := 0
		for _, b := range h.Buckets {
			point.Bounds = append(point.Bounds, b.UpTo)
			point.BucketCounts = append(point.BucketCounts, uint64(b.Count-below))
			below = b.Count
		}
		point.BucketCounts = append(point.BucketCounts, uint64(h.Count-below))
		histogram.DataPoints = append(histogram.DataPoints, point)
	}
	if len(histogram.DataPoints) > 0 {
		s.others = append(s.others, metricdata.Metrics{
			Name: "vic.container_vm.lifetime", Unit: "s", Data: histogram,
			Description: "Lifetimes of the container VMs that ended within the window, which begins at the start time.",
		})
	}
	mean := func(there int, value float64, attributes ...attribute.KeyValue) (points []metricdata.DataPoint[float64]) {
		if there == 0 {
			return nil
		}
		return []metricdata.DataPoint[float64]{{Attributes: attribute.NewSet(attributes...), Time: s.now, Value: value}}
	}
	s.gauge("vic.container_vm.lifetime.mean", "Mean lifetime of container VMs, by estimator.", append(
		mean(l.Completed.Count, l.Completed.Mean, attribute.String("estimator", "completed")),
		mean(l.Exposure.Deaths, l.Exposure.Mean, attribute.String("estimator", "exposure"))...))
	s.gauge("vic.container_vm.age.mean", "Mean age of the container VMs that live now.", mean(l.Living.Count, l.Living.Mean))
}

func (s *scope) gauge(name, description string, points []metricdata.DataPoint[float64]) {
	if len(points) > 0 {
		s.others = append(s.others, metricdata.Metrics{Name: name, Unit: "s", Description: description, Data: metricdata.Gauge[float64]{DataPoints: points}})
	}
}
