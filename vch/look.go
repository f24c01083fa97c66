// SPDX-License-Identifier: Apache-2.0

package vch

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

// places are what is read of all that is not a VM. A type's properties are listed in full even where a more general type has
// them too, because which of the two would count is not said.
func places() []types.PropertySpec {
	network := []string{"name", "parent", "tag"}
	return []types.PropertySpec{
		{Type: "Datacenter", PathSet: []string{"name", "parent", "vmFolder"}},
		{Type: "Folder", PathSet: []string{"name", "parent", "childType"}},
		{Type: "ComputeResource", PathSet: []string{"name", "parent", "resourcePool", "host", "datastore", "network", "summary"}},
		{Type: "ResourcePool", PathSet: []string{"name", "parent", "owner", "vm", "config", "runtime"}},
		{Type: "HostSystem", PathSet: []string{"name", "parent", "network", "datastore", "runtime.connectionState", "runtime.inMaintenanceMode"}},
		{Type: "Datastore", PathSet: []string{"name", "parent", "summary"}},
		{Type: "Network", PathSet: network},
		{Type: "OpaqueNetwork", PathSet: append(network[:len(network):len(network)], "summary")},
		{Type: "DistributedVirtualPortgroup", PathSet: append(network[:len(network):len(network)], "key", "config.distributedVirtualSwitch")},
		{Type: "DistributedVirtualSwitch", PathSet: []string{"name", "parent", "uuid"}},
	}
}

// machines are what is read of VMs. extraConfig is read whole, because whether a real vCenter accepts a path such as
// config.extraConfig["wolfpack.role"] in a read is not known.
func machines() types.PropertySpec {
	return types.PropertySpec{Type: "VirtualMachine", PathSet: []string{
		"name", "parent", "resourcePool", "datastore", "network", "runtime.powerState", "runtime.host", "guest.ipAddress",
		"config.instanceUuid", "config.guestFullName", "config.extraConfig", "config.hardware.numCPU", "config.hardware.memoryMB",
	}}
}

// walk is a step of a traversal: from things of a kind along a property, and then on by the steps of these names.
func walk(name, kind, path string, next ...string) types.BaseSelectionSpec {
	step := &types.TraversalSpec{SelectionSpec: types.SelectionSpec{Name: name}, Type: kind, Path: path}
	for _, n := range next {
		step.SelectSet = append(step.SelectSet, &types.SelectionSpec{Name: n})
	}
	return step
}

// down are the steps from the root folder to all that there is. VMs in a vApp are in no folder, so they are sought in pools
// as well.
func down() []types.BaseSelectionSpec {
	const folder, pool = "folder", "pool"
	steps := []types.BaseSelectionSpec{
		walk("pools", "ComputeResource", "resourcePool", pool, "vms"),
		walk(pool, "ResourcePool", "resourcePool", pool, "vms"),
		walk("vms", "ResourcePool", "vm"),
		walk("hosts", "ComputeResource", "host"),
	}
	next := []string{folder, "pools", "hosts"}
	for _, of := range []string{"vmFolder", "hostFolder", "datastoreFolder", "networkFolder"} {
		steps = append(steps, walk(of, "Datacenter", of, folder))
		next = append(next, of)
	}
	return append(steps, walk(folder, "Folder", "childEntity", next...))
}

// everywhere reads what is anywhere in the inventory and of one of these kinds.
func everywhere(client *vim25.Client, kinds ...types.PropertySpec) types.PropertyFilterSpec {
	return types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{Obj: client.ServiceContent.RootFolder, Skip: types.NewBool(true), SelectSet: down()}},
		PropSet:   kinds,
	}
}

// around reads these things and what they are in or on, up to their datacenters. One that is gone is left out.
func around(refs []reference) types.PropertyFilterSpec {
	filter := types.PropertyFilterSpec{
		PropSet:                       append(places(), machines()),
		ReportMissingObjectsInResults: types.NewBool(true),
	}
	for _, ref := range refs {
		filter.ObjectSet = append(filter.ObjectSet, types.ObjectSpec{Obj: ref, SelectSet: []types.BaseSelectionSpec{
			walk("parent", "ManagedEntity", "parent", "parent", "hosts"),
			walk("resourcePool", "VirtualMachine", "resourcePool", "parent"),
			walk("datastore", "VirtualMachine", "datastore", "parent"),
			walk("network", "VirtualMachine", "network", "parent", "switch"),
			walk("switch", "DistributedVirtualPortgroup", "config.distributedVirtualSwitch", "parent"),
			walk("hosts", "ComputeResource", "host"),
		}})
	}
	return filter
}

// inside reads what is in these folders and pools, at any depth.
func inside(refs []reference) types.PropertyFilterSpec {
	filter := types.PropertyFilterSpec{
		PropSet:                       append(places(), machines()),
		ReportMissingObjectsInResults: types.NewBool(true),
	}
	for _, ref := range refs {
		filter.ObjectSet = append(filter.ObjectSet, types.ObjectSpec{Obj: ref, SelectSet: []types.BaseSelectionSpec{
			walk("children", "Folder", "childEntity", "children"),
			walk("pools", "ResourcePool", "resourcePool", "pools", "vms"),
			walk("vms", "ResourcePool", "vm"),
		}})
	}
	return filter
}

// read adds what the filters select, in one round trip and as many pages as vCenter cuts it into.
func (inv *inventory) read(ctx context.Context, client *vim25.Client, filters ...types.PropertyFilterSpec) error {
	content, err := property.DefaultCollector(client).RetrieveProperties(ctx, types.RetrieveProperties{SpecSet: filters})
	if err != nil {
		return fmt.Errorf("read the inventory: %w", err)
	}
	return inv.add(content.Returnval)
}
