// SPDX-License-Identifier: Apache-2.0

package render

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wolfpack/telemetry"
)

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
		l.info(productPresent, p.Name)
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
	for _, h := range grouped(t.Histograms, maxWords) {
		buckets := map[float64]uint64{}
		for _, b := range h.Buckets {
			buckets[b.UpTo] = uint64(max(b.Count, 0))
		}
		ch <- prometheus.MustNewConstHistogram(lifetimes.desc, uint64(max(h.Count, 0)), h.Sum, buckets, l.labels([]string{h.OS})...)
	}
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
