// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"slices"

	"wolfpack/telemetry"
)

// Truth is what a census of the fleet must find, once it has been started: everything but when and how it was taken, and the
// words of its problems. With a datacenter, which is named by its path, it is that of this datacenter alone.
func (f *Fleet) Truth(datacenter string) *telemetry.Report {
	t := &truth{Fleet: f, only: datacenter, report: telemetry.Report{
		Schema: telemetry.Schema, Clusters: []telemetry.Cluster{}, Hosts: []telemetry.Host{}, Products: []telemetry.Product{},
		VMs: []telemetry.VMCount{}, VCHs: []telemetry.VCH{}, ContainerVMs: []telemetry.ContainerVMCount{}, Inventory: []telemetry.VM{},
	}}
	r := &t.report
	r.VCenter = telemetry.VCenter{
		FullName: f.about.FullName, Version: f.about.Version, Build: f.about.Build, APIVersion: f.about.ApiVersion, InstanceUUID: f.about.InstanceUuid,
	}
	t.tellClusters()
	t.tellVMs()
	r.Quality.Unclassified = len(slices.DeleteFunc(slices.Clone(r.Inventory), func(v telemetry.VM) bool { return v.Kind != telemetry.Unclassified }))
	r.Quality.Complete = r.Quality.Missing == 0
	t.sort()
	return r
}

// truth tells it.
type truth struct {
	*Fleet
	only   string
	report telemetry.Report
}

// concerns says whether a cluster is in the datacenter that is asked for.
func (t *truth) concerns(c *cluster) bool { return t.only == "" || t.only == c.datacenter }

func (t *truth) tellClusters() {
	for _, c := range t.clusters {
		if !t.concerns(c) {
			continue
		}
		states := map[string]int{"connected": 0, "disconnected": 0, "notResponding": 0}
		for _, h := range c.hosts {
			if h.hidden {
				continue
			}
			t.tellHost(h)
			if !h.denied {
				states[h.state]++
			}
		}
		t.report.Clusters = append(t.report.Clusters, telemetry.Cluster{
			Datacenter: c.datacenter, Name: c.name, MoID: c.ref.Value, Standalone: c.lone, Hosts: states,
		})
	}
}

// tellHost tells of a host. Of one that may not be read there is only what VMs say that are on it.
func (t *truth) tellHost(h *host) {
	told := telemetry.Host{
		Datacenter: h.cluster.datacenter, Cluster: h.cluster.name, Name: h.name, MoID: h.ref.Value,
		State: h.state, Version: h.version, Build: h.build,
	}
	if h.denied {
		t.report.Quality.Missing++
		told = telemetry.Host{Datacenter: t.datacenterOf(h), Name: h.ref.Value, MoID: h.ref.Value, State: "unknown"}
	}
	for _, v := range t.vms {
		if v.kind == telemetry.EndpointVM && v.host == h {
			told.VCHs++
		}
	}
	t.report.Hosts = append(t.report.Hosts, told)
}

// datacenterOf is the datacenter of a host that may not be read: that of the folder of a VM on it.
func (t *truth) datacenterOf(h *host) string {
	for _, v := range t.vms {
		if v.host == h && !v.denied && !v.vApp() {
			return h.cluster.datacenter
		}
	}
	return ""
}

func (v *vm) vApp() bool { return v.pool != nil && v.pool.vApp }

func (t *truth) tellVMs() {
	vms := map[telemetry.VMCount]int{}
	containers := map[telemetry.ContainerVMCount]int{}
	members := map[*vch]int{}
	for _, v := range t.vms {
		if !t.concerns(v.host.cluster) {
			continue
		}
		told := t.tellVM(v)
		t.report.Inventory = append(t.report.Inventory, told)
		vms[telemetry.VMCount{Datacenter: told.Datacenter, Cluster: told.Cluster, PowerState: told.PowerState, Template: told.Template}]++
		if v.denied {
			t.report.Quality.Missing++
			continue
		}
		for _, product := range v.holds {
			product.VM = v.name
			t.report.Products = append(t.report.Products, product)
		}
		if v.kind != telemetry.ContainerVM {
			continue
		}
		containers[telemetry.ContainerVMCount{
			Datacenter: told.Datacenter, Cluster: told.Cluster, OS: told.OS, Version: told.Version, PowerState: told.PowerState,
		}]++
		if v.vch == nil {
			t.report.Unassigned++
		} else {
			members[v.vch]++
		}
	}
	for count, n := range vms {
		count.Count = n
		t.report.VMs = append(t.report.VMs, count)
	}
	for count, n := range containers {
		count.Count = n
		t.report.ContainerVMs = append(t.report.ContainerVMs, count)
	}
	for _, v := range t.vchs {
		if e := t.tellVM(v.endpoint); t.concerns(v.pool.cluster) {
			t.report.VCHs = append(t.report.VCHs, telemetry.VCH{
				Datacenter: e.Datacenter, Cluster: e.Cluster, Host: e.Host, Name: e.Name, MoID: e.MoID, OS: e.OS, Version: e.Version,
				Build: e.Build, Commit: e.Commit, PowerState: e.PowerState, ContainerVMs: members[v],
			})
		}
	}
}

// tellVM tells of a VM. Of one that may not be read it is only known that it is there.
func (t *truth) tellVM(v *vm) telemetry.VM {
	if v.denied {
		return telemetry.VM{Kind: telemetry.Unclassified, Name: v.ref.Value, MoID: v.ref.Value, PowerState: "unknown"}
	}
	told := telemetry.VM{
		Kind: v.kind, Name: v.name, MoID: v.ref.Value, GuestName: v.full, PowerState: string(v.power), Template: v.template,
		OS: v.told.OS, Version: v.told.Version, Build: v.told.Build, Commit: v.told.Commit,
		Datacenter: v.host.cluster.datacenter, Cluster: v.host.cluster.name, Host: v.host.name,
	}
	switch {
	case v.host.denied:
		told.Datacenter, told.Cluster, told.Host = t.datacenterOf(v.host), "", v.host.ref.Value
	case v.host.hidden:
		told.Datacenter, told.Cluster, told.Host = t.datacenterOf(v.host), "", ""
	}
	if v.told.OS != "" && v.alt != "" {
		told.GuestName = v.alt
	}
	if !v.orphan {
		told.InstanceUUID, told.Created = v.uuid, &v.created
	}
	if v.vch != nil {
		told.VCH = v.vch.endpoint.name
	}
	return told
}

// sort puts everything in the order that a report has.
func (t *truth) sort() {
	r := &t.report
	slices.SortFunc(r.Clusters, func(a, b telemetry.Cluster) int {
		return compare(a.Datacenter, b.Datacenter, a.Name, b.Name, a.MoID, b.MoID)
	})
	slices.SortFunc(r.Hosts, func(a, b telemetry.Host) int {
		return compare(a.Datacenter, b.Datacenter, a.Cluster, b.Cluster, a.Name, b.Name, a.MoID, b.MoID)
	})
	slices.SortFunc(r.Products, func(a, b telemetry.Product) int { return compare(a.Name, b.Name, a.VM, b.VM, a.Version, b.Version) })
	slices.SortFunc(r.VMs, func(a, b telemetry.VMCount) int {
		return cmp.Or(compare(a.Datacenter, b.Datacenter, a.Cluster, b.Cluster, a.PowerState, b.PowerState), count(a.Template)-count(b.Template))
	})
	slices.SortFunc(r.VCHs, func(a, b telemetry.VCH) int {
		return compare(a.Datacenter, b.Datacenter, a.Cluster, b.Cluster, a.Name, b.Name, a.MoID, b.MoID)
	})
	slices.SortFunc(r.ContainerVMs, func(a, b telemetry.ContainerVMCount) int {
		return compare(a.Datacenter, b.Datacenter, a.Cluster, b.Cluster, a.OS, b.OS, a.Version, b.Version, a.PowerState, b.PowerState)
	})
	slices.SortFunc(r.Inventory, func(a, b telemetry.VM) int {
		return compare(a.Datacenter, b.Datacenter, a.Cluster, b.Cluster, a.Name, b.Name, a.MoID, b.MoID)
	})
}

// compare compares pairs, of which the first that differ decide.
func compare(pairs ...string) int {
	for i := 0; i < len(pairs); i += 2 {
		if c := cmp.Compare(pairs[i], pairs[i+1]); c != 0 {
			return c
		}
	}
	return 0
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
