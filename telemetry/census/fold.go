// SPDX-License-Identifier: Apache-2.0

package census

import (
	"fmt"
	"maps"
	"slices"

	"wolfpack/telemetry"
)

// Fold counts what it is told of, in any order. It keeps what it needs to say where things are, which is a little of each
// host, cluster, folder and datacenter, and of each VCH; of other VMs it keeps counts, unless each is asked for.
type Fold struct {
	computes    map[Ref]*Compute
	hosts       map[Ref]*Host
	folders     map[Ref]*Folder
	datacenters map[Ref]*Datacenter
	roots       map[Ref]bool // VM folders that are a datacenter's own

	vms        map[vmKey]int
	containers map[containerKey]int
	homes      map[home]int // container VMs
	vchs       []resident
	folderOf   map[Ref]Ref // a folder of some VM on a host, which says in what datacenter a host is that cannot be read
	products   []telemetry.Product

	detail    bool
	inventory []resident

	objects, unclassified int
	missing               map[string]*lack // by fault
}

// spot is where a VM is, as far as it says so itself. Without a host its folder says something.
type spot struct{ host, folder Ref }

type vmKey struct {
	spot
	power    string
	template bool
}

type containerKey struct {
	spot
	os, version, power string
}

// home is what a VM may share with the VCH that it belongs to.
type home struct{ folder, pool Ref }

// resident is a VM with where it is.
type resident struct {
	telemetry.VM
	spot
	home
}

// lack is how many objects a fault keeps from being known, and one of them.
type lack struct {
	count   int
	example Ref
}

// NewFold returns a Fold that knows of nothing. With detail it keeps each VM for the report.
func NewFold(detail bool) *Fold {
	return &Fold{
		computes: map[Ref]*Compute{}, hosts: map[Ref]*Host{}, folders: map[Ref]*Folder{}, datacenters: map[Ref]*Datacenter{},
		roots: map[Ref]bool{}, vms: map[vmKey]int{}, containers: map[containerKey]int{}, homes: map[home]int{},
		folderOf: map[Ref]Ref{}, detail: detail, missing: map[string]*lack{},
	}
}

// Add counts an object; nil is none. It must be told of each only once, and may keep the facts.
func (f *Fold) Add(facts Facts) {
	if facts == nil {
		return
	}
	f.objects++
	if o := facts.object(); o.Missing != "" {
		l := f.missing[o.Missing]
		if l == nil {
			l = &lack{example: o.Ref}
			f.missing[o.Missing] = l
		}
		l.count++
	}
	f.know(facts)
}

// know takes what there is to know of an object.
func (f *Fold) know(facts Facts) {
	switch o := facts.(type) {
	case *VM:
		f.addVM(o)
	case *Host:
		f.hosts[o.Ref] = o
	case *Compute:
		f.computes[o.Ref] = o
	case *Datacenter:
		f.datacenters[o.Ref] = o
		f.roots[o.VMFolder] = true
	case *Folder:
		f.folders[o.Ref] = o
		if o.Parent.Type == "Datacenter" {
			f.roots[o.Ref] = true
		}
	}
}

func (f *Fold) addVM(v *VM) {
	vm := v.Describe()
	at := spot{host: v.Host}
	switch {
	case v.Host == Ref{}:
		at.folder = v.Parent
	case v.Parent != Ref{}:
		f.folderOf[v.Host] = v.Parent
	}
	f.vms[vmKey{at, vm.PowerState, vm.Template}]++
	f.products = append(f.products, v.products(vm.Kind)...)
	r := resident{vm, at, home{v.Parent, v.Pool}}
	switch vm.Kind {
	case telemetry.EndpointVM:
		f.vchs = append(f.vchs, r)
	case telemetry.ContainerVM:
		f.containers[containerKey{at, vm.OS, vm.Version, vm.PowerState}]++
		f.homes[r.home]++
	case telemetry.Unclassified:
		f.unclassified++
	}
	if f.detail {
		f.inventory = append(f.inventory, r)
	}
}

// Report returns what has been counted so far. The Fold can go on.
func (f *Fold) Report() *telemetry.Report {
	owners := f.owners()
	report := &telemetry.Report{
		Schema:   telemetry.Schema,
		Clusters: f.clusters(), Hosts: f.hostList(), Products: append([]telemetry.Product{}, f.products...),
		VMs: f.vmCounts(), VCHs: f.vchList(owners), ContainerVMs: f.containerCounts(),
	}
	for home, count := range f.homes {
		if _, owned := owners.of(home); !owned {
			report.Unassigned += count
		}
	}
	report.Inventory = f.each(owners)
	report.Quality = telemetry.Quality{Objects: f.objects, Unclassified: f.unclassified, Problems: f.problems()}
	for _, l := range f.missing {
		report.Quality.Missing += l.count
	}
	report.Quality.Complete = complete(report.Quality.Problems)
	sortReport(report)
	return report
}

// problems say what could not be known, and why.
func (f *Fold) problems() []telemetry.Problem {
	problems := []telemetry.Problem{}
	for _, fault := range slices.Sorted(maps.Keys(f.missing)) {
		l := f.missing[fault]
		message := fmt.Sprintf("objects that cannot be read whole (%s): %d, such as %s", fault, l.count, l.example)
		if fault == "NoPermission" {
			message += "; give the user the role Read-only on the inventory's root folder, propagated to its children"
		}
		problems = append(problems, telemetry.Problem{Stage: stage, Message: message, Partial: true})
	}
	return problems
}

// clusters is metric 1.
func (f *Fold) clusters() []telemetry.Cluster {
	clusters := make([]telemetry.Cluster, 0, len(f.computes))
	hosts := make(map[Ref]map[string]int, len(f.computes))
	for ref, c := range f.computes {
		hosts[ref] = map[string]int{"connected": 0, "disconnected": 0, "notResponding": 0}
		clusters = append(clusters, telemetry.Cluster{
			Datacenter: f.datacenter(c.Parent), Name: c.label(), MoID: ref.Value, Standalone: ref.Type != clusterType, Hosts: hosts[ref],
		})
	}
	for _, h := range f.hosts {
		if count, known := hosts[h.Parent]; known {
			count[connection(h.State)]++
		}
	}
	return clusters
}

// hostList is metrics 2 and 8.
func (f *Fold) hostList() []telemetry.Host {
	vchs := map[Ref]int{}
	for i := range f.vchs {
		vchs[f.vchs[i].host]++
	}
	hosts := make([]telemetry.Host, 0, len(f.hosts))
	for ref, h := range f.hosts {
		at := f.place(spot{host: ref})
		hosts = append(hosts, telemetry.Host{
			Datacenter: at.datacenter, Cluster: at.cluster, Name: at.host, MoID: ref.Value,
			State: connection(h.State), Version: h.Version, Build: h.Build, VCHs: vchs[ref],
		})
	}
	return hosts
}

// vmCounts is metric 5.
func (f *Fold) vmCounts() []telemetry.VMCount {
	counts := map[telemetry.VMCount]int{}
	for key, count := range f.vms {
		at := f.place(key.spot)
		counts[telemetry.VMCount{Datacenter: at.datacenter, Cluster: at.cluster, PowerState: key.power, Template: key.template}] += count
	}
	list := make([]telemetry.VMCount, 0, len(counts))
	for key, count := range counts {
		key.Count = count
		list = append(list, key)
	}
	return list
}

// containerCounts is metric 7.
func (f *Fold) containerCounts() []telemetry.ContainerVMCount {
	counts := map[telemetry.ContainerVMCount]int{}
	for key, count := range f.containers {
		at := f.place(key.spot)
		counts[telemetry.ContainerVMCount{
			Datacenter: at.datacenter, Cluster: at.cluster, OS: key.os, Version: key.version, PowerState: key.power,
		}] += count
	}
	list := make([]telemetry.ContainerVMCount, 0, len(counts))
	for key, count := range counts {
		key.Count = count
		list = append(list, key)
	}
	return list
}

// vchList is metrics 6 and 9.
func (f *Fold) vchList(owners owners) []telemetry.VCH {
	members := make([]int, len(f.vchs))
	for home, count := range f.homes {
		if owner, owned := owners.of(home); owned {
			members[owner] += count
		}
	}
	list := make([]telemetry.VCH, 0, len(f.vchs))
	for i := range f.vchs {
		vch := &f.vchs[i]
		at := f.place(vch.spot)
		list = append(list, telemetry.VCH{
			Datacenter: at.datacenter, Cluster: at.cluster, Host: at.host, Name: vch.Name, MoID: vch.MoID,
			OS: vch.OS, Version: vch.Version, Build: vch.Build, Commit: vch.Commit, PowerState: vch.PowerState, ContainerVMs: members[i],
		})
	}
	return list
}

// each is all VMs, if they are kept.
func (f *Fold) each(owners owners) []telemetry.VM {
	if !f.detail {
		return nil
	}
	list := make([]telemetry.VM, 0, len(f.inventory))
	for i := range f.inventory {
		r := &f.inventory[i]
		vm, at := r.VM, f.place(r.spot)
		vm.Datacenter, vm.Cluster, vm.Host = at.datacenter, at.cluster, at.host
		if vm.Kind == telemetry.ContainerVM {
			if owner, owned := owners.of(r.home); owned {
				vm.VCH = f.vchs[owner].Name
			}
		}
		list = append(list, vm)
	}
	return list
}
