// SPDX-License-Identifier: Apache-2.0

package telemetrytest

import (
	"fmt"
	"time"

	"wolfpack/telemetry"
)

// Detailed is a report with an Inventory that has what it counts.
func Detailed(r *telemetry.Report) *telemetry.Report {
	created := r.Taken.Add(-36 * time.Hour)
	left := map[telemetry.VMCount]int{}
	for _, c := range r.VMs {
		kind := c
		kind.Count = 0
		left[kind] += c.Count
	}
	add := func(vm telemetry.VM) {
		vm.MoID, vm.InstanceUUID = orElse(vm.MoID, fmt.Sprintf("vm-%d", 10000+len(r.Inventory))), fmt.Sprintf("5020d9a1-0000-4000-8000-%012x", len(r.Inventory))
		vm.Created = &created
		r.Inventory = append(r.Inventory, vm)
		left[telemetry.VMCount{Datacenter: vm.Datacenter, Cluster: vm.Cluster, PowerState: vm.PowerState, Template: vm.Template}]--
	}
	for _, v := range r.VCHs {
		add(telemetry.VM{
			Kind: telemetry.EndpointVM, Name: v.Name, MoID: v.MoID, GuestName: fmt.Sprintf("%s - VCH %s, %s, %s", v.OS, v.Version, v.Build, v.Commit),
			OS: v.OS, Version: v.Version, Build: v.Build, Commit: v.Commit, Datacenter: v.Datacenter, Cluster: v.Cluster, Host: v.Host, PowerState: v.PowerState,
		})
	}
	for _, c := range r.ContainerVMs {
		for range c.Count {
			add(telemetry.VM{
				Kind: telemetry.ContainerVM, Name: fmt.Sprintf("nginx-%012x", len(r.Inventory)), GuestName: fmt.Sprintf("%s - Container %s, 1, 0123abc", c.OS, c.Version),
				OS: c.OS, Version: c.Version, Build: "1", Commit: "0123abc", Datacenter: c.Datacenter, Cluster: c.Cluster, PowerState: c.PowerState,
				VCH: vchOf(r, c),
			})
		}
	}
	for _, c := range r.VMs {
		kind := c
		kind.Count = 0
		for range left[kind] {
			add(telemetry.VM{
				Kind: telemetry.OtherVM, Name: fmt.Sprintf("vm-%d", len(r.Inventory)), GuestName: "Debian GNU/Linux 12 (64-bit)",
				Datacenter: c.Datacenter, Cluster: c.Cluster, PowerState: c.PowerState, Template: c.Template,
			})
		}
	}
	return r
}

// vchOf names a VCH that container VMs of a kind can belong to.
func vchOf(r *telemetry.Report, c telemetry.ContainerVMCount) string {
	for _, v := range r.VCHs {
		if v.Datacenter == c.Datacenter && v.Cluster == c.Cluster && v.Version == c.Version {
			return v.Name
		}
	}
	return ""
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Harms are names that do harm to who writes them as they are: they end a tag, an attribute, a script, a comment or a line,
// begin a formula, turn the direction of writing, move the cursor of a terminal, or are too long.
var Harms = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title><svg onload=alert(1)>`,
	`--><!--`, `{{.}}`, `javascript:alert(1)`, "\u202egnp.exe", "\u2066\u2067isolated", "\x1b[2J\x1b[31mred", "a\tb\r\nc", "=1+cmd|' /C calc'!A0",
	"+1", "-1", "@SUM(A1)", "\xff\xfe not UTF-8", "", "a, b", `back\slash`, "名前名前名前", "مرحبا",
	"e\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301", "👩‍👩‍👧‍👦", "nul\x00byte",
}

// Hostile is a report in which each name is out to do harm.
func Hostile() *telemetry.Report {
	r := Sized(40)
	harms := append([]string{}, Harms...)
	for range 2 {
		long := make([]byte, 0, 4000)
		for len(long) < 4000 {
			long = append(long, "W"...)
		}
		harms = append(harms, string(long))
	}
	i := 0
	next := func() string { i++; return harms[i%len(harms)] }
	for _, field := range []*string{&r.VCenter.Name, &r.VCenter.FullName, &r.VCenter.Version, &r.VCenter.Build, &r.VCenter.APIVersion} {
		*field = next()
	}
	for j := range r.Clusters {
		r.Clusters[j].Name, r.Clusters[j].Datacenter = next(), next()
	}
	for j := range r.Hosts {
		h := &r.Hosts[j]
		h.Name, h.Cluster, h.Datacenter, h.Version, h.Build = next(), next(), next(), next(), next()
	}
	for j := range r.VCHs {
		v := &r.VCHs[j]
		v.Name, v.Cluster, v.Host, v.OS, v.Version, v.Build, v.Commit, v.PowerState = next(), next(), next(), next(), next(), next(), next(), next()
	}
	for j := range r.VMs {
		r.VMs[j].PowerState, r.VMs[j].Cluster = next(), next()
	}
	for j := range r.ContainerVMs {
		c := &r.ContainerVMs[j]
		c.OS, c.Version, c.Cluster, c.PowerState = next(), next(), next(), next()
	}
	for range harms {
		r.Products = append(r.Products, telemetry.Product{
			Name: next(), Version: next(), Source: next(), Confidence: next(), VM: next(), URL: next(), Problem: next(),
		})
		r.Quality.Problems = append(r.Quality.Problems, telemetry.Problem{Stage: next(), Object: next(), Message: next(), Partial: true})
		r.Inventory = append(r.Inventory, telemetry.VM{
			Kind: telemetry.Kind(next()), Name: next(), MoID: next(), GuestName: next(), OS: next(), Version: next(), VCH: next(), PowerState: next(),
		})
	}
	for j := range r.Lifetime.Histograms {
		r.Lifetime.Histograms[j].OS = next()
	}
	r.Quality.Complete = false
	return r
}
