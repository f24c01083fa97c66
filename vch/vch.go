// SPDX-License-Identifier: Apache-2.0

// Package vch makes, finds and removes virtual container hosts. A VCH is a VM folder (on vCenter; a lone ESXi host has
// none), a resource pool and an endpoint VM, all of one name, which is unique in its vSphere. The endpoint VM's
// extraConfig says what the VCH is and which folder and pool are its own; a name alone never makes a thing ours.
//
// A folder or pool that is not whole yet, or no longer, has the suffix ".incomplete" to its name. So whatever was
// killed in the middle of a create or a delete, the next create completes it and the next delete removes it.
//
// All functions look at the inventory first and decide from that. Which VCHs there are they ask vCenter's index of them
// (index.go); what was made by builds that knew of none is found by a look at everything, and written into it. They are safe for use by several goroutines, and two
// that change the same VCH at once cannot both succeed: vSphere's own rule that names are unique in a place decides.
package vch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/guest"
	"wolfpack/vsphere"
)

// VCH is a virtual container host as it was when it was looked at.
type VCH struct {
	ID         string                         // UUID of its own; the endpoint VM's instanceUuid too
	Name       string                         // unique in its vSphere
	GuestOS    string                         // word of the guest OS, such as photon
	GuestName  string                         // guest full name of the endpoint VM, as vCenter shows it
	PowerState types.VirtualMachinePowerState // of the endpoint VM
	PodVMs     int                            // how many VMs its pool has beside the endpoint VM, powered on or not
	Incomplete []string                       // what is missing of it, in words; empty for a VCH that is whole
	Problems   []string                       // what else is wrong with it, in words
	Version    string                         // of the build that the guest name tells of; "" if it tells of none
	Address    string                         // of the endpoint VM; "" as long as it has reported none
	CPU        Usage                          // of the resource pool, in MHz
	Memory     Usage                          // of the resource pool, in MB

	Datacenter Object
	Folder     Object // where pod VMs go; on a lone ESXi host its only folder, which everyone shares
	Pool       Object // zero if it is missing
	EndpointVM Object
	Datastore  Object   // for pod VMs
	Network    Object   // for pod VMs
	Compute    Object   // the cluster or host whose the resource pool is
	Host       Object   // that the endpoint VM is on
	Hosts      []Object // of Compute

	// NetworkBacking connects a network card to Network. Only Find and Create fill it in.
	NetworkBacking types.BaseVirtualDeviceBackingInfo

	ownFolder bool // Folder is the VCH's own and no one else's
}

// Usage is what a resource pool may use, and what it uses.
type Usage struct {
	Used     int64 // now, by all of its VMs
	Capacity int64 // its limit, or what its cluster or host has if that is less or there is no limit; 0 if that cannot be read
}

// suffix marks the folder and the pool of a VCH that is not whole.
const suffix = ".incomplete"

// List returns all VCHs of all datacenters, sorted by name, in a constant number of round trips and as many pages as vCenter
// cuts the VCHs into. It asks vCenter's index of them, and reads no other VM.
func List(ctx context.Context, client *vsphere.Client) ([]*VCH, error) {
	s, err := look(ctx, client)
	if err != nil {
		return nil, errs.Wrap("vch.List", fmt.Errorf("list VCHs: %w", err))
	}
	defer s.end()
	s.mend(ctx)
	return s.vchs(), nil
}

// Find returns the VCH of that name. It is errs.NotFound if there is none, and errs.Invalid if the VCH is not whole.
func Find(ctx context.Context, client *vsphere.Client, name string) (*VCH, error) {
	const op = "vch.Find"
	s, err := look(ctx, client)
	if err != nil {
		return nil, errs.Wrap(op, fmt.Errorf("find VCH %q: %w", name, err))
	}
	defer s.end()
	found, err := s.find(ctx, name)
	s.mend(ctx)
	switch {
	case err != nil:
		return nil, errs.Wrap(op, err)
	case found == nil:
		return nil, errs.New(op, errs.NotFound, "no VCH %q; %s", name, s.known())
	case len(found.Incomplete) > 0:
		return nil, errs.New(op, errs.Invalid, "VCH %q is not whole: %s; complete it with `wolfpack vch create %s`",
			name, strings.Join(found.Incomplete, ", "), name)
	}
	if found.NetworkBacking, err = s.backing(found.Network); err != nil {
		return nil, errs.Wrap(op, err)
	}
	return found, nil
}

// vch returns the VCH of that name, or nil if there is none. Two of one name are an error: neither is taken for the
// other.
func (inv *inventory) vch(name string) (*VCH, error) {
	var found []*VCH
	var places []string
	for _, vch := range inv.vchs() {
		if vch.Name == name {
			found = append(found, vch)
			places = append(places, vch.EndpointVM.Path)
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], nil
	default:
		return nil, errs.New("vch.Find", errs.Exists, "there are %d VCHs %q, with the endpoint VMs %s; remove all but one of these VMs",
			len(found), name, strings.Join(places, ", "))
	}
}

// endpoints are the endpoint VMs.
func (inv *inventory) endpoints() []*mo.VirtualMachine {
	var vms []*mo.VirtualMachine
	for _, entity := range inv.entities {
		if vm, ok := entity.(*mo.VirtualMachine); ok && isEndpoint(vm, identity(vm)) {
			vms = append(vms, vm)
		}
	}
	return vms
}

func (inv *inventory) vchs() []*VCH {
	var all []*VCH
	for _, vm := range inv.endpoints() {
		all = append(all, inv.newVCH(vm, identity(vm)))
	}
	slices.SortFunc(all, func(a, b *VCH) int { return strings.Compare(a.Name+a.EndpointVM.Path, b.Name+b.EndpointVM.Path) })
	return all
}

func (inv *inventory) newVCH(vm *mo.VirtualMachine, values map[string]string) *VCH {
	vch := &VCH{
		ID:         values[KeyVCHID],
		Name:       values[KeyVCH],
		GuestOS:    values[KeyGuestOS],
		GuestName:  vm.Config.GuestFullName,
		PowerState: vm.Runtime.PowerState,
		EndpointVM: inv.object(vm.Self),
		Datacenter: inv.datacenter(vm.Self),
		Folder:     inv.object(reference{Type: "Folder", Value: values[KeyFolder]}),
		Pool:       inv.object(reference{Type: "ResourcePool", Value: values[KeyPool]}),
		Datastore:  inv.named(vm.Datastore, values[KeyDatastore]),
		Network:    inv.named(vm.Network, values[KeyNetwork]),
	}
	vch.ownFolder = vch.Folder.exists()
	if !vch.ownFolder && vm.Parent != nil {
		vch.Folder = inv.object(*vm.Parent)
	}
	if pool, ok := inv.entities[vch.Pool.Ref].(*mo.ResourcePool); ok {
		vch.PodVMs = len(slices.DeleteFunc(slices.Clone(pool.Vm), func(ref reference) bool { return ref == vm.Self }))
	}
	inv.complement(vch, vm)
	vch.Incomplete = inv.missing(vch, vm)
	vch.Problems = inv.problems(vch)
	return vch
}

// complement fills in what the VCH is like, which has no part in what it is.
func (inv *inventory) complement(vch *VCH, vm *mo.VirtualMachine) {
	if name, err := guest.Parse(vch.GuestName); err == nil && name.Role == guest.VCH {
		vch.Version = name.Version
	}
	if vm.Guest != nil {
		vch.Address = vm.Guest.IpAddress
	}
	if vm.Runtime.Host != nil {
		vch.Host = inv.object(*vm.Runtime.Host)
	}
	pool, ok := inv.entities[vch.Pool.Ref].(*mo.ResourcePool)
	if !ok {
		return
	}
	vch.CPU = Usage{Used: pool.Runtime.Cpu.OverallUsage}
	vch.Memory = Usage{Used: pool.Runtime.Memory.OverallUsage >> 20}
	vch.Compute = inv.object(pool.Owner)
	compute := asCompute(inv.entities[pool.Owner])
	if compute == nil {
		return
	}
	for _, ref := range compute.Host {
		if host := inv.object(ref); host.exists() {
			vch.Hosts = append(vch.Hosts, host)
		}
	}
	if compute.Summary != nil {
		has := compute.Summary.GetComputeResourceSummary()
		vch.CPU.Capacity = lower(int64(has.EffectiveCpu), pool.Config.CpuAllocation.Limit)
		vch.Memory.Capacity = lower(has.EffectiveMemory, pool.Config.MemoryAllocation.Limit)
	}
}

// problems says what is wrong with a VCH, beside what keeps it from being whole.
func (inv *inventory) problems(vch *VCH) []string {
	var problems []string
	if vch.PowerState != types.VirtualMachinePowerStatePoweredOn {
		problems = append(problems, "its endpoint VM is "+string(vch.PowerState))
	}
	if store, ok := inv.entities[vch.Datastore.Ref].(*mo.Datastore); ok && !store.Summary.Accessible {
		problems = append(problems, fmt.Sprintf("its datastore %s is not accessible", vch.Datastore.Name))
	}
	for _, object := range vch.Hosts {
		host := inv.entities[object.Ref].(*mo.HostSystem)
		switch {
		case host.Runtime.ConnectionState != types.HostSystemConnectionStateConnected:
			problems = append(problems, fmt.Sprintf("host %s is %s", object.Name, host.Runtime.ConnectionState))
		case host.Runtime.InMaintenanceMode:
			problems = append(problems, fmt.Sprintf("host %s is in maintenance", object.Name))
		}
	}
	return problems
}

// missing says what keeps a VCH from being whole.
func (inv *inventory) missing(vch *VCH, vm *mo.VirtualMachine) []string {
	var missing []string
	switch {
	case !vch.Pool.exists():
		missing = append(missing, "its resource pool is gone")
	case vm.ResourcePool != nil && *vm.ResourcePool != vch.Pool.Ref:
		missing = append(missing, "its endpoint VM is not in its resource pool")
	case vch.Pool.unfinished():
		missing = append(missing, "its resource pool was not finished")
	}
	if vch.Folder.unfinished() {
		missing = append(missing, "its folder was not finished")
	}
	if !vch.Datastore.exists() {
		missing = append(missing, "its datastore is gone")
	}
	if !vch.Network.exists() {
		missing = append(missing, "its network is gone")
	}
	return missing
}

// named is the one of refs that has that name, or else the first: a rename does not part a VCH from its datastore.
func (inv *inventory) named(refs []reference, name string) Object {
	var objects []Object
	for _, ref := range refs {
		if object := inv.object(ref); object.exists() {
			objects = append(objects, object)
		}
	}
	if i := slices.IndexFunc(objects, func(o Object) bool { return o.Name == name }); i >= 0 {
		return objects[i]
	}
	if len(objects) == 0 {
		return Object{}
	}
	return objects[0]
}

// known lists the names of the VCHs, for the error of who asked for another.
func (inv *inventory) known() string {
	names := map[string]bool{}
	for _, vch := range inv.vchs() {
		names[vch.Name] = true
	}
	if len(names) == 0 {
		return "there are none; `wolfpack vch create NAME` makes one"
	}
	return "there are: " + some(slices.Sorted(maps.Keys(names)))
}

// backing is how a network card is connected to network.
func (inv *inventory) backing(network Object) (types.BaseVirtualDeviceBackingInfo, error) {
	switch found := inv.entities[network.Ref].(type) {
	case *mo.Network:
		return &types.VirtualEthernetCardNetworkBackingInfo{
			VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: network.Name},
		}, nil
	case *mo.OpaqueNetwork:
		if summary, ok := found.Network.Summary.(*types.OpaqueNetworkSummary); ok {
			return &types.VirtualEthernetCardOpaqueNetworkBackingInfo{
				OpaqueNetworkId: summary.OpaqueNetworkId, OpaqueNetworkType: summary.OpaqueNetworkType,
			}, nil
		}
	case *mo.DistributedVirtualPortgroup:
		if uuid := inv.switchUUID(found.Config.DistributedVirtualSwitch); uuid != "" {
			return &types.VirtualEthernetCardDistributedVirtualPortBackingInfo{
				Port: types.DistributedVirtualSwitchPortConnection{PortgroupKey: found.Key, SwitchUuid: uuid},
			}, nil
		}
		return nil, errs.New("vch.backing", errs.Denied, "network %s: its distributed switch cannot be read by this user, who needs System.Read on it", network)
	}
	return nil, fmt.Errorf("network %s is a %s, which no network card connects to", network, network.Ref.Type)
}

// switchUUID is that of a distributed switch, or "" if it cannot be read.
func (inv *inventory) switchUUID(ref *reference) string {
	if ref == nil {
		return ""
	}
	switch found := inv.entities[*ref].(type) {
	case *mo.DistributedVirtualSwitch:
		return found.Uuid
	case *mo.VmwareDistributedVirtualSwitch:
		return found.Uuid
	default:
		return ""
	}
}

// some joins the first of many names.
func some(names []string) string {
	const most = 20
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
