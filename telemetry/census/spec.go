// SPDX-License-Identifier: Apache-2.0

package census

import (
	"slices"

	"github.com/vmware/govmomi/vim25/types"
)

// Ref is a reference to an object in the inventory; the zero one refers to none.
type Ref = types.ManagedObjectReference

// Properties returns what a census reads of each kind of object. Two that tempt are absent: guest.guestFullName, which the guest
// itself may set, and summary.config whole, which is long.
func Properties() []types.PropertySpec {
	return []types.PropertySpec{
		{Type: "VirtualMachine", PathSet: []string{
			"name", "parent", "runtime.host", "resourcePool",
			"summary.config.guestFullName", "config.alternateGuestName", // an inaccessible VM has no config, but a summary
			"config.instanceUuid", "config.createDate", "runtime.powerState", "summary.config.product", "summary.config.template",
		}},
		{Type: "HostSystem", PathSet: []string{
			"name", "parent", "runtime.connectionState", "summary.config.product.version", "summary.config.product.build",
		}},
		{Type: "ComputeResource", PathSet: []string{"name", "parent"}}, // clusters are some too
		{Type: "Datacenter", PathSet: []string{"name", "parent", "vmFolder"}},
		{Type: "Folder", PathSet: []string{"name", "parent"}},
	}
}

// without takes a property out of a filter, and reports whether it was there. A server older than a property refuses to read
// anything if it is asked for that: config.createDate came with 6.7.
func without(filter *types.PropertyFilterSpec, property string) bool {
	taken := false
	for i := range filter.PropSet {
		set := &filter.PropSet[i]
		before := len(set.PathSet)
		set.PathSet = slices.DeleteFunc(set.PathSet, func(path string) bool { return path == property })
		taken = taken || len(set.PathSet) < before
	}
	return taken
}

// Objects selects all objects of a census from a root on: the inventory's root folder, or a datacenter.
func Objects(root Ref) types.ObjectSpec {
	by := traversals()
	object := types.ObjectSpec{Obj: root, SelectSet: []types.BaseSelectionSpec{by.datacenters}}
	if root.Type == "Datacenter" {
		object.SelectSet = []types.BaseSelectionSpec{by.vms, by.hosts}
	}
	return object
}

// census is the filter of a whole census.
func census(root Ref) types.PropertyFilterSpec {
	return types.PropertyFilterSpec{PropSet: Properties(), ObjectSet: []types.ObjectSpec{Objects(root)}}
}

// datacenters is the filter of all datacenters, with the folders that they are in.
func datacenters(root Ref) types.PropertyFilterSpec {
	return types.PropertyFilterSpec{
		PropSet: []types.PropertySpec{
			{Type: "Datacenter", PathSet: []string{"name", "parent"}},
			{Type: "Folder", PathSet: []string{"name", "parent"}},
		},
		ObjectSet: []types.ObjectSpec{{Obj: root, SelectSet: []types.BaseSelectionSpec{
			traversal("datacenters", "Folder", "childEntity", ref("datacenters")),
		}}},
	}
}

// ways lead from a root folder, or from a datacenter, to what is in it.
type ways struct{ datacenters, vms, hosts *types.TraversalSpec }

// traversals follow the inventory down. VMs are in folders, but for those of a vApp, which are found by way of the pools: VIC
// made its VCHs as vApps where it could.
func traversals() ways {
	vms := traversal("vms", "Datacenter", "vmFolder",
		traversal("vmFolders", "Folder", "childEntity", ref("vmFolders")))
	pools := traversal("pools", "ResourcePool", "resourcePool", ref("pools"), traversal("vApps", "VirtualApp", "vm"))
	hosts := traversal("hosts", "Datacenter", "hostFolder",
		traversal("hostFolders", "Folder", "childEntity", ref("hostFolders"),
			traversal("computeHosts", "ComputeResource", "host"),
			traversal("computePools", "ComputeResource", "resourcePool", pools)))
	return ways{traversal("datacenters", "Folder", "childEntity", ref("datacenters"), vms, hosts), vms, hosts}
}

func traversal(name, kind, path string, then ...types.BaseSelectionSpec) *types.TraversalSpec {
	return &types.TraversalSpec{SelectionSpec: types.SelectionSpec{Name: name}, Type: kind, Path: path, SelectSet: then}
}

// ref refers to a traversal by its name.
func ref(name string) *types.SelectionSpec { return &types.SelectionSpec{Name: name} }
