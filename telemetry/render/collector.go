// SPDX-License-Identifier: Apache-2.0

package render

import (
	"io"
	"strconv"
	"strings"
	"time"

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

// ledger adds up samples, so that two objects of the same labels are one sample and never a contradiction.
type ledger struct {
	vcenter string
	samples map[*Metric]map[string]float64 // by label values
}

// separator is no valid UTF-8, so that no label has it.
const separator = "\xff"

// add adds to the sample with these label values.
func (l *ledger) add(m *Metric, value float64, labels ...string) {
	of := l.samples[m]
	if of == nil {
		of = map[string]float64{}
		l.samples[m] = of
	}
	of[l.key(labels)] += value
}

// info sets the sample with these label values to 1.
func (l *ledger) info(m *Metric, labels ...string) {
	l.add(m, 0, labels...)
	l.samples[m][l.key(labels)] = 1
}

func (l *ledger) key(labels []string) string { return strings.Join(l.labels(labels), separator) }

func (l *ledger) labels(labels []string) []string {
	valid := make([]string, 0, 1+len(labels))
	for _, label := range append([]string{l.vcenter}, labels...) {
		valid = append(valid, strings.ToValidUTF8(label, "\uFFFD"))
	}
	return valid
}

func (l *ledger) send(ch chan<- prometheus.Metric) {
	for m, samples := range l.samples {
		kind := prometheus.GaugeValue
		if m.Type == counter {
			kind = prometheus.CounterValue
		}
		for key, value := range samples {
			ch <- prometheus.MustNewConstMetric(m.desc, kind, value, strings.Split(key, separator)...)
		}
	}
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

// stages are those that a problem can be of.
var stages = []string{"connect", "inventory", "events", "products", "history"}

// places are metrics 1 to 3 and 8.
func (l *ledger) places(r *telemetry.Report) {
	for _, c := range r.Clusters {
		for _, state := range hostStates {
			l.add(clusterHosts, 0, c.Datacenter, c.Name, state)
		}
		for state, n := range c.Hosts {
			l.add(clusterHosts, float64(n), c.Datacenter, c.Name, state)
		}
	}
	for _, h := range r.Hosts {
		l.add(hosts, 1, h.Version, h.Build)
		l.info(hostInfo, h.Datacenter, h.Cluster, h.Name, h.Version, h.Build)
		l.add(hostVCHs, float64(h.VCHs), h.Datacenter, h.Cluster, h.Name)
	}
	v := r.VCenter
	l.info(vcenterInfo, v.Version, v.Build, v.APIVersion, v.InstanceUUID)
}

// products are metric 4.
func (l *ledger) products(r *telemetry.Report) {
	for _, name := range wanted {
		l.add(productPresent, flag(present(r, name)), name)
	}
	for _, p := range r.Products {
		l.info(productInfo, p.Name, p.Version, p.Source, p.Confidence, p.VM)
		if present(r, p.Name) {
			l.info(productPresent, p.Name)
		}
	}
}

// vms are metrics 5 and 7. Each cluster has its zeros, and each kind of VCH that could run container VMs of its kind.
func (l *ledger) vms(r *telemetry.Report) {
	for _, c := range r.Clusters {
		for _, state := range []string{"poweredOn", "poweredOff", "suspended"} {
			l.add(vms, 0, c.Datacenter, c.Name, state, "false")
		}
		l.add(vms, 0, c.Datacenter, c.Name, "poweredOff", "true")
	}
	for _, v := range r.VMs {
		l.add(vms, float64(v.Count), v.Datacenter, v.Cluster, v.PowerState, strconv.FormatBool(v.Template))
	}
	oses, versions := tally{}, tally{}
	for _, c := range r.ContainerVMs {
		oses.add(c.OS, c.Count)
		versions.add(c.Version, c.Count)
	}
	for _, v := range r.VCHs {
		oses.add(v.OS, 0)
		versions.add(v.Version, 0)
	}
	os, version := oses.most(maxWords), versions.most(maxWords)
	for _, v := range r.VCHs {
		l.add(containerVMs, 0, v.Datacenter, v.Cluster, os(v.OS), version(v.Version), "poweredOn")
	}
	for _, c := range r.ContainerVMs {
		l.add(containerVMs, float64(c.Count), c.Datacenter, c.Cluster, os(c.OS), version(c.Version), c.PowerState)
	}
}

// maxWords is how many values a label has that anyone who names a guest can fill with what he likes.
const maxWords = 50

// vchs are metrics 6 and 9.
func (l *ledger) vchs(r *telemetry.Report) {
	for _, c := range r.Clusters {
		for _, state := range []string{"poweredOn", "poweredOff"} {
			l.add(vchs, 0, c.Datacenter, c.Name, state)
		}
	}
	for _, v := range r.VCHs {
		l.add(vchs, 1, v.Datacenter, v.Cluster, v.PowerState)
		l.info(vchInfo, v.Datacenter, v.Cluster, v.Name, v.MoID, v.OS, v.Version, v.Build, v.Commit)
		l.add(vchContainerVMs, float64(v.ContainerVMs), v.Datacenter, v.Cluster, v.Name, v.MoID)
	}
	l.add(unassigned, float64(r.Unassigned))
}

// lifetime is metric 10 and how far it can be trusted.
func (l *ledger) lifetime(r *telemetry.Report, ch chan<- prometheus.Metric) {
	t := r.Lifetime
	if t == nil {
		return
	}
	label := window(t.To.Sub(t.From))
	if t.Completed.Count > 0 {
		l.add(lifetimeMean, t.Completed.Mean, "completed", label)
	}
	if t.Exposure.Deaths > 0 {
		l.add(lifetimeMean, t.Exposure.Mean, "exposure", label)
	}
	if t.Living.Count > 0 {
		l.add(ageMean, t.Living.Mean)
	}
	if t.OldestEvent != nil {
		l.add(eventsOldest, seconds(*t.OldestEvent))
	}
	l.add(removedUnclassified, float64(t.Unclassified))
	l.add(removedInferred, float64(t.Inferred))
	l.add(livesTruncated, float64(t.Truncated))
	l.add(livesStitched, float64(t.Stitched))
	for _, h := range few(t.Histograms) {
		buckets := map[float64]uint64{}
		for _, b := range h.Buckets {
			buckets[b.UpTo] = uint64(max(b.Count, 0))
		}
		ch <- prometheus.MustNewConstHistogram(lifetimes.desc, uint64(max(h.Count, 0)), h.Sum, buckets, l.labels([]string{h.OS})...)
	}
}

// few returns one histogram for each OS word, the less frequent words together as other.
func few(list []telemetry.Histogram) []telemetry.Histogram {
	words := tally{}
	for _, h := range list {
		words.add(h.OS, h.Count)
	}
	word := words.most(maxWords)
	var merged []telemetry.Histogram
	at := map[string]int{}
	for _, h := range list {
		os := strings.ToValidUTF8(word(h.OS), "\uFFFD")
		i, ok := at[os]
		if !ok {
			i = len(merged)
			at[os] = i
			merged = append(merged, telemetry.Histogram{OS: os})
		}
		merged[i] = merge(merged[i], h)
	}
	return merged
}

// merge adds a histogram to another one.
func merge(a, b telemetry.Histogram) telemetry.Histogram {
	sum := telemetry.Histogram{OS: a.OS, Count: a.Count + b.Count, Sum: a.Sum + b.Sum}
	for i, upTo := range telemetry.LifetimeBuckets {
		bucket := telemetry.Bucket{UpTo: upTo}
		for _, h := range []telemetry.Histogram{a, b} {
			if i < len(h.Buckets) {
				bucket.Count += h.Buckets[i].Count
			}
		}
		sum.Buckets = append(sum.Buckets, bucket)
	}
	return sum
}

// quality is what a report cost, and what it lacks.
func (l *ledger) quality(r *telemetry.Report) {
	q := r.Quality
	l.add(censusComplete, flag(q.Complete))
	l.add(censusDuration, q.Took.Seconds())
	l.add(censusLast, seconds(r.Taken))
	l.add(censusRequests, float64(q.Requests))
	l.add(censusPages, float64(q.Pages))
	l.add(censusObjects, float64(q.Objects))
	l.add(censusMissing, float64(q.Missing))
	l.add(censusUnclassified, float64(q.Unclassified))
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds since 1970, of a time that a census can have.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// window is the length of a window in the unit that suits it. It is rounded, so that the label keeps its value when one
// census is a little later than the one before.
func window(d time.Duration) string {
	hours := d.Hours()
	switch {
	case hours >= 48:
		return strconv.Itoa(int(hours/24+0.5)) + "d"
	case hours >= 2:
		return strconv.Itoa(int(hours+0.5)) + "h"
	default:
		return strconv.Itoa(int(d.Minutes()+0.5)) + "m"
	}
}
