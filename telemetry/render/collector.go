// SPDX-License-Identifier: Apache-2.0

package render

import (
	"io"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"

	"wolfpack/telemetry"
)

// Census is what is known of one vCenter: the last report of it, and how its censuses went.
type Census struct {
	VCenter string            // label of all its metrics; empty means the report's name of it
	Report  *telemetry.Report // the last there is; nil before the first
	Up      bool              // the last census brought a report
	Errors  map[string]int    // problems of all its censuses so far, by stage
}

// CensusOf is a vCenter of which there is one report and no more.
func CensusOf(report *telemetry.Report) Census {
	errors := map[string]int{}
	for _, p := range report.Quality.Problems {
		errors[p.Stage]++
	}
	return Census{Report: report, Up: true, Errors: errors}
}

// Collector gives Prometheus what is known of vCenters. It asks no vCenter itself.
type Collector struct {
	censuses func() []Census
}

// NewCollector returns the collector of what a function returns whenever Prometheus asks. What it returns must not change
// afterwards. Of two with the same label the first counts.
func NewCollector(censuses func() []Census) *Collector { return &Collector{censuses: censuses} }

// Describe sends what there may be.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range metrics {
		ch <- m.desc
	}
}

// Collect sends what there is.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	seen := map[string]bool{}
	for _, census := range c.censuses() {
		name := census.VCenter
		if name == "" && census.Report != nil {
			name = census.Report.VCenter.Name
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		collect(census, name, ch)
	}
}

// Families are the metrics of one report, as a registry gathers them.
func Families(report *telemetry.Report) ([]*dto.MetricFamily, error) {
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(NewCollector(func() []Census { return []Census{CensusOf(report)} })); err != nil {
		return nil, err
	}
	return registry.Gather()
}

// OpenMetrics writes the metrics of one report as OpenMetrics text.
func OpenMetrics(w io.Writer, report *telemetry.Report) error {
	families, err := Families(report)
	if err != nil {
		return err
	}
	encoder := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeOpenMetrics), expfmt.WithUnit())
	for _, family := range families {
		if strings.HasSuffix(family.GetName(), "_seconds") {
			family.Unit = proto.String("seconds")
		}
		if err := encoder.Encode(family); err != nil {
			return err
		}
	}
	return encoder.(expfmt.Closer).Close()
}

func collect(census Census, vcenter string, ch chan<- prometheus.Metric) {
	l := &ledger{vcenter: vcenter, samples: map[*Metric]map[string]float64{}}
	l.add(censusUp, flag(census.Up))
	for _, stage := range stages {
		l.add(censusErrors, 0, stage)
	}
	for stage, n := range census.Errors {
		l.add(censusErrors, float64(n), stage)
	}
	if r := census.Report; r != nil {
		l.places(r)
		l.products(r)
		l.vms(r)
		l.vchs(r)
		l.quality(r)
		l.lifetime(r, ch)
	}
	l.send(ch)
}
