// SPDX-License-Identifier: Apache-2.0

// Package telemetrytest has reports to test with: a realistic one, any size of it, an empty one, and one in which each name is
// out to do harm. What a report says is consistent in itself: sums are sums, and an Inventory has what is counted. Each call
// returns a report of its own.
package telemetrytest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"wolfpack/telemetry"
)

//go:embed testdata/report.json
var sample []byte

// Report is a vCenter with two datacenters, 16 hosts, 14 VCHs and some 800 container VMs, without Inventory. It is
// testdata/report.json.
func Report() *telemetry.Report {
	r := &telemetry.Report{}
	if err := json.Unmarshal(sample, r); err != nil {
		panic(fmt.Sprintf("testdata/report.json: %v", err))
	}
	return r
}

// History are n earlier reports of the vCenter of Report, a day apart, oldest first. It grows from about a third to what it is.
func History(n int) []*telemetry.Report {
	var list []*telemetry.Report
	for i := n; i > 0; i-- {
		part := 1 - 0.65*float64(i)/float64(n)
		r := Report()
		r.Taken = r.Taken.AddDate(0, 0, -i)
		r.Hosts[0].Version, r.Hosts[0].Build = "7.0.3", "23794027" // it was upgraded since
		shrink(r, part)
		list = append(list, r)
	}
	return list
}

// shrink takes container VMs and VCHs away until a part of them is left.
func shrink(r *telemetry.Report, part float64) {
	of := func(n int) int { return int(float64(n)*part + 0.5) }
	r.VCHs = r.VCHs[:max(1, of(len(r.VCHs)))]
	r.Products = r.Products[:min(1, len(r.Products))]
	for i := range r.VCHs {
		r.VCHs[i].ContainerVMs = of(r.VCHs[i].ContainerVMs)
	}
	for i := range r.ContainerVMs {
		r.ContainerVMs[i].Count = of(r.ContainerVMs[i].Count)
	}
	for i := range r.VMs {
		r.VMs[i].Count = of(r.VMs[i].Count)
	}
	on := map[string]int{}
	for _, v := range r.VCHs {
		on[v.Host]++
	}
	for i := range r.Hosts {
		r.Hosts[i].VCHs = on[r.Hosts[i].Name]
	}
	if t := r.Lifetime; t != nil {
		t.From, t.To = t.From.Add(r.Taken.Sub(t.To)), r.Taken
		t.Exposure.Mean *= 2 - part
	}
}

// Empty is a vCenter with nothing in it, and no events.
func Empty() *telemetry.Report {
	taken := time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)
	return &telemetry.Report{
		Schema: telemetry.Schema,
		Taken:  taken,
		VCenter: telemetry.VCenter{
			Name: "empty.example.com", FullName: "VMware vCenter Server 8.0.3 build-24022515", Version: "8.0.3", Build: "24022515",
			APIVersion: "8.0.3.0", InstanceUUID: "5d7c1c0e-0000-4000-8000-000000000000",
		},
		Clusters: []telemetry.Cluster{}, Hosts: []telemetry.Host{}, Products: []telemetry.Product{}, VMs: []telemetry.VMCount{},
		VCHs: []telemetry.VCH{}, ContainerVMs: []telemetry.ContainerVMCount{},
		Quality: telemetry.Quality{Complete: true, Took: 41 * time.Millisecond, Requests: 4, Pages: 1, Objects: 2, Problems: []telemetry.Problem{}},
	}
}
