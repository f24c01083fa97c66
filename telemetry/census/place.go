// SPDX-License-Identifier: Apache-2.0

package census

import (
	"cmp"
	"slices"

	"wolfpack/telemetry"
)

// place is where something is, in words; what is not known is empty.
type place struct{ datacenter, cluster, host string }

// place says where a spot is.
func (f *Fold) place(at spot) place {
	host, known := f.hosts[at.host]
	switch {
	case at.host == Ref{}:
		return place{datacenter: f.datacenter(at.folder)}
	case !known:
		return place{datacenter: f.datacenter(f.folderOf[at.host])}
	}
	p := place{datacenter: f.datacenter(host.Parent), host: host.label()}
	if compute, known := f.computes[host.Parent]; known {
		p.cluster = compute.label()
	}
	if p.datacenter == "" {
		p.datacenter = f.datacenter(f.folderOf[at.host])
	}
	return p
}

// datacenter says in what datacenter something is, up from it. One that is in a folder is called by its path, for its name
// need not be the only one of its kind.
func (f *Fold) datacenter(from Ref) string {
	for range maxDepth {
		switch from.Type {
		case "Datacenter":
			return f.path(from)
		case "Folder":
			folder, known := f.folders[from]
			if !known {
				return ""
			}
			from = folder.Parent
		default:
			compute, known := f.computes[from]
			if !known {
				return ""
			}
			from = compute.Parent
		}
	}
	return ""
}

// maxDepth is deeper than any inventory is, for parents that lead in a circle.
const maxDepth = 100

// path is the inventory path of a datacenter, without the slash before it.
func (f *Fold) path(ref Ref) string {
	datacenter, known := f.datacenters[ref]
	if !known {
		return ref.Value
	}
	path, up := datacenter.label(), datacenter.Parent
	for range maxDepth {
		folder, known := f.folders[up]
		if !known || folder.Parent == (Ref{}) { // the root folder, whose name is not part of paths
			break
		}
		path, up = folder.label()+"/"+path, folder.Parent
	}
	return path
}

// owners say which VCH a container VM belongs to, as VIC itself does: that of its folder, if the folder is one VCH's own, or
// else that of its resource pool. The values are indices of the Fold's VCHs.
type owners struct{ byFolder, byPool map[Ref]int }

// shared stands for several VCHs.
const shared = -1

func (f *Fold) owners() owners {
	o := owners{byFolder: map[Ref]int{}, byPool: map[Ref]int{}}
	for i := range f.vchs {
		vch := &f.vchs[i]
		if folder := vch.home.folder; !f.roots[folder] {
			claim(o.byFolder, folder, i)
		}
		claim(o.byPool, vch.pool, i)
	}
	return o
}

// claim notes whose a folder or a pool is.
func claim(by map[Ref]int, ref Ref, vch int) {
	if ref == (Ref{}) {
		return
	}
	if _, taken := by[ref]; taken {
		vch = shared
	}
	by[ref] = vch
}

// of returns the VCH of a container VM by its home.
func (o owners) of(h home) (int, bool) {
	if vch, known := o.byFolder[h.folder]; known && vch != shared {
		return vch, true
	}
	vch, known := o.byPool[h.pool]
	return vch, known && vch != shared
}

// sortReport puts all lists in an order that the inventory alone decides.
func sortReport(r *telemetry.Report) {
	slices.SortFunc(r.Clusters, func(a, b telemetry.Cluster) int {
		return cmp.Or(cmp.Compare(a.Datacenter, b.Datacenter), cmp.Compare(a.Name, b.Name), cmp.Compare(a.MoID, b.MoID))
	})
	slices.SortFunc(r.Hosts, func(a, b telemetry.Host) int {
		return cmp.Or(cmp.Compare(a.Datacenter, b.Datacenter), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Name, b.Name), cmp.Compare(a.MoID, b.MoID))
	})
	slices.SortFunc(r.Products, func(a, b telemetry.Product) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.VM, b.VM), cmp.Compare(a.Version, b.Version))
	})
	slices.SortFunc(r.VMs, func(a, b telemetry.VMCount) int {
		return cmp.Or(cmp.Compare(a.Datacenter, b.Datacenter), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.PowerState, b.PowerState),
			compareBool(a.Template, b.Template))
	})
	slices.SortFunc(r.VCHs, func(a, b telemetry.VCH) int {
		return cmp.Or(cmp.Compare(a.Datacenter, b.Datacenter), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Name, b.Name), cmp.Compare(a.MoID, b.MoID))
	})
	slices.SortFunc(r.ContainerVMs, func(a, b telemetry.ContainerVMCount) int {
		return cmp.Or(cmp.Compare(a.Datacenter, b.Datacenter), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.OS, b.OS),
			cmp.Compare(a.Version, b.Version), cmp.Compare(a.PowerState, b.PowerState))
	})
	slices.SortFunc(r.Inventory, func(a, b telemetry.VM) int {
		return cmp.Or(cmp.Compare(a.Datacenter, b.Datacenter), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Name, b.Name), cmp.Compare(a.MoID, b.MoID))
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}
