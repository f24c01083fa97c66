// SPDX-License-Identifier: Apache-2.0

package render

import (
	"strconv"

	"wolfpack/telemetry"
)

// tile is one of the ten metrics in words. Table and page say the same.
type tile struct {
	N       int
	ID      string // stable, for those who look for it in the page
	Title   string
	Value   string
	Raw     string   // the value for programs: a number without separators, or seconds; words as they are
	Unit    string   // of the value, if it needs one
	Change  string   // since the last report; empty if there is none
	Details []detail // most important first; safe to write
}

// tiles are the ten metrics in their order. Last is the report before, or nil.
func tiles(r, last *telemetry.Report) []tile {
	now := figuresOf(r)
	list := []tile{
		{ID: "hosts", Title: "ESX hosts", Value: number(now.hosts), Details: append(names(now.hostsIn.sorted()), away(now.hostsAway)...)},
		{ID: "host-versions", Title: "ESX versions", Value: versions(now.esx), Details: names(now.esx.sorted())},
		{ID: "vcenter", Title: "vCenter version", Value: orNone(short(r.VCenter.Version)), Details: vcenter(r.VCenter)},
		{ID: "products", Title: "Harbor, Admiral", Value: found(r), Details: products(r.Products)},
		{ID: "vms", Title: "VMs", Value: number(now.vms), Details: power(now)},
		{ID: "vchs", Title: "VCHs", Value: number(now.vchs), Details: append(names(now.vchsBy.sorted()), some(now.vchsOff, "not running")...)},
		{ID: "container-vms", Title: "Container VMs", Value: number(now.containers), Details: names(now.containerBy.sorted())},
		{ID: "host-vchs", Title: "VCHs per host", Value: decimal(mean(now.hostVCHs)), Unit: "mean", Details: spread(now.hostVCHs)},
		{ID: "vch-container-vms", Title: "Container VMs per VCH", Value: decimal(mean(now.vchVMs)), Unit: "mean", Details: append(spread(now.vchVMs), some(r.Unassigned, "of no known VCH")...)},
		{ID: "lifetime", Title: "Container VM lifetime", Value: lifetimeOf(r.Lifetime), Unit: lifetimeUnit(r.Lifetime), Details: lives(r.Lifetime)},
	}
	for i, raw := range raws(r, now) {
		list[i].Raw = raw
	}
	if last != nil {
		for i, change := range changed(r, last, now, figuresOf(last)) {
			list[i].Change = change
		}
	}
	for i := range list {
		list[i].N = i + 1
	}
	return list
}

// raws are the values for programs.
func raws(r *telemetry.Report, f figures) []string {
	lifetime := ""
	if t := r.Lifetime; t != nil && t.Exposure.Deaths > 0 {
		lifetime = strconv.FormatFloat(t.Exposure.Mean, 'f', 0, 64)
	}
	return []string{
		strconv.Itoa(f.hosts), versions(f.esx), visible(r.VCenter.Version), found(r), strconv.Itoa(f.vms), strconv.Itoa(f.vchs), strconv.Itoa(f.containers),
		strconv.FormatFloat(mean(f.hostVCHs), 'f', 2, 64), strconv.FormatFloat(mean(f.vchVMs), 'f', 2, 64), lifetime,
	}
}
