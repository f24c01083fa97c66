// SPDX-License-Identifier: Apache-2.0

package render

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metric is one that Prometheus sees.
type Metric struct {
	Name   string
	Type   string // gauge, counter or histogram
	Help   string
	Labels []string // vcenter, and those of its own

	desc *prometheus.Desc
}

// Series are the names that a query may use: of a histogram there are three.
func (m Metric) Series() []string {
	if m.Type == histogram {
		return []string{m.Name + "_bucket", m.Name + "_sum", m.Name + "_count"}
	}
	return []string{m.Name}
}

// Names are all metrics there may be, in the order of the ten that they stand for, those about the census itself last.
// Dashboards, alert rules and documentation are checked against this list.
func Names() []Metric {
	list := make([]Metric, len(metrics))
	for i, m := range metrics {
		list[i] = *m
	}
	return list
}

// The types of metrics.
const (
	gauge     = "gauge"
	counter   = "counter"
	histogram = "histogram"
)

// metrics are filled by define, in the order of the definitions below.
var metrics []*Metric

func define(kind, name, help string, labels ...string) *Metric {
	labels = append([]string{"vcenter"}, labels...)
	m := &Metric{Name: name, Type: kind, Help: help, Labels: labels, desc: prometheus.NewDesc(name, help, labels, nil)}
	metrics = append(metrics, m)
	return m
}

// The ten metrics. Where there is a cluster there is its datacenter, for a cluster's name is its own only within one.
var (
	clusterHosts = define(gauge, "vic_cluster_hosts",
		"ESX hosts in each cluster, by connection state. A host in no cluster counts under its own name.",
		"datacenter", "cluster", "state")
	hosts = define(gauge, "vic_hosts",
		"ESX hosts by version and build. Both are empty where vCenter does not tell.",
		"version", "build")
	hostInfo = define(gauge, "vic_host_info",
		"Always 1; the labels say which version and build of ESX a host runs.",
		"datacenter", "cluster", "host", "version", "build")
	vcenterInfo = define(gauge, "vic_vcenter_info",
		"Always 1; the labels say what vCenter this is.",
		"version", "build", "api_version", "instance_uuid")
	productPresent = define(gauge, "vic_product_present",
		"Whether a product was found: 1 or 0. The VIC appliance holds a Harbor and an Admiral.",
		"product")
	productInfo = define(gauge, "vic_product_info",
		"Always 1; the labels say which version of a product was found, how (ovf, api or name), how sure that is, and in which VM. The version is empty if it is not told.",
		"product", "version", "source", "confidence", "vm")
	vms = define(gauge, "vic_vms",
		"VMs of every kind, by power state. Templates are counted apart.",
		"datacenter", "cluster", "power_state", "template")
	vchs = define(gauge, "vic_vchs",
		"Virtual container hosts, by the power state of the endpoint VM.",
		"datacenter", "cluster", "power_state")
	vchInfo = define(gauge, "vic_vch_info",
		"Always 1; the labels say which OS, version, build and commit a virtual container host is of.",
		"datacenter", "cluster", "vch", "moid", "os", "version", "build", "commit")
	containerVMs = define(gauge, "vic_container_vms",
		"Container VMs by OS and version. What is beyond the 50 most frequent words of a label counts as other.",
		"datacenter", "cluster", "os", "version", "power_state")
	hostVCHs = define(gauge, "vic_host_vchs",
		"Virtual container hosts whose endpoint VM is on each ESX host.",
		"datacenter", "cluster", "host")
	vchContainerVMs = define(gauge, "vic_vch_container_vms",
		"Container VMs of each virtual container host.",
		"datacenter", "cluster", "vch", "moid")
	unassigned = define(gauge, "vic_unassigned_container_vms",
		"Container VMs that belong to no virtual container host that is known.")
	lifetimes = define(histogram, "vic_container_vm_lifetime_seconds",
		"Lifetimes of the container VMs that ended within the window. The window moves, so that counts fall too: use the buckets as they are, without rate().",
		"os")
	lifetimeMean = define(gauge, "vic_container_vm_lifetime_mean_seconds",
		"Mean lifetime of container VMs. Estimator exposure is the time that all lived in the window divided by the deaths in it; completed is the mean of the lives that ended, which is too short where the window cuts the long ones off. Absent if none ended.",
		"estimator", "window")
	ageMean = define(gauge, "vic_container_vm_age_mean_seconds",
		"Mean age of the container VMs that live now. Absent if there are none.")
)

// About the census, and how far the ten can be trusted.
var (
	censusUp = define(gauge, "vic_census_up",
		"Whether the last census brought a report: 1 or 0. At 0 the other metrics are of the last that did.")
	censusComplete = define(gauge, "vic_census_complete",
		"Whether all that was asked for was read: 1 or 0.")
	censusDuration = define(gauge, "vic_census_duration_seconds",
		"Time that the last report took to make.")
	censusLast = define(gauge, "vic_census_last_success_timestamp_seconds",
		"When the last report was made, by vCenter's clock, in seconds since 1970.")
	censusRequests = define(gauge, "vic_census_requests",
		"Requests to vCenter that the last report took.")
	censusPages = define(gauge, "vic_census_pages",
		"Pages of objects and events that the last report read.")
	censusObjects = define(gauge, "vic_census_objects",
		"Objects that the last report read.")
	censusMissing = define(gauge, "vic_census_missing_objects",
		"Objects with properties that may not be read, or are not there.")
	censusUnclassified = define(gauge, "vic_census_unclassified_vms",
		"VMs without a guest name, so that nobody knows whether they are container VMs.")
	censusErrors = define(counter, "vic_census_errors_total",
		"Problems of censuses so far, by stage: connect, inventory, events, products or history.",
		"stage")
	eventsOldest = define(gauge, "vic_events_oldest_timestamp_seconds",
		"When the oldest event that vCenter keeps happened, in seconds since 1970. Absent if there is none.")
	removedUnclassified = define(gauge, "vic_removed_vms_unclassified",
		"VMs removed within the window of which nobody knows whether they were container VMs.")
	removedInferred = define(gauge, "vic_removed_vms_inferred",
		"VMs removed within the window that are taken for container VMs by their name alone.")
	livesTruncated = define(gauge, "vic_lives_truncated",
		"Lives of container VMs that ended within the window, and whose beginning is not known.")
	livesStitched = define(counter, "vic_lives_stitched_total",
		"Times that a container VM was registered again and lived on, as far as the events tell. It starts anew when old events are forgotten.")
)
