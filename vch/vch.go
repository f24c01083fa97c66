// SPDX-License-Identifier: Apache-2.0

// Package vch makes, finds and removes virtual container hosts. A VCH is a VM folder (on vCenter; a lone ESXi host has
// none), a resource pool and an endpoint VM, all of one name, which is unique in its vSphere. The endpoint VM's
// extraConfig says what the VCH is and which folder and pool are its own; a name alone never makes a thing ours.
//
// A folder or pool that is not whole yet, or no longer, has the suffix ".incomplete" to its name. So whatever was
// killed in the middle of a create or a delete, the next create completes it and the next delete removes it.
//
// All functions look at the inventory once and decide from that. They are safe for use by several goroutines, and two
// that change the same VCH at once cannot both succeed: vSphere's own rule that names are unique in a place decides.
package vch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/vsphere"
)

// VCH is a virtual container host as it was when it was looked at.
type VCH struct {
	ID         string                         // UUID of its own; the endpoint VM's instanceUuid too
	Name       string                         // unique in its vSphere
	GuestOS    string                         // word of the guest OS, such as photon
	GuestName  string                         // guest full name of the endpoint VM, as vCenter shows it
	PowerState types.VirtualMachinePowerState // of the endpoint VM
	PodVMs     int                            // how many VMs of pods it has, powered on or not
	Incomplete []string                       // what is missing of it, in words; empty for a VCH that is whole

	Datacenter Object
	Folder     Object // where pod VMs go; on a lone ESXi host its only folder, which everyone shares
	Pool       Object // zero if it is missing
	EndpointVM Object
	Datastore  Object // for pod VMs
	Network    Object // for pod VMs

	// NetworkBacking connects a network card to Network. Only Find and Create fill it in.
	NetworkBacking types.BaseVirtualDeviceBackingInfo

	ownFolder bool // Folder is the VCH's own and no one else's
}

// suffix marks the folder and the pool of a VCH that is not whole.
const suffix = ".incomplete"

// List returns all VCHs of all datacenters, sorted by name, in a constant number of round trips.
func List(ctx context.Context, client *vsphere.Client) ([]*VCH, error) {
	inv, err := scan(ctx, client.Client)
	if err != nil {
		return nil, errs.Wrap("vch.List", fmt.Errorf("list VCHs: %w", err))
	}
	return inv.vchs(), nil
}

// Find returns the VCH of that name. It is errs.NotFound if there is none, and errs.Invalid if the VCH is not whole.
func Find(ctx context.Context, client *vsphere.Client, name string) (*VCH, error) {
	const op = "vch.Find"
	inv, err := scan(ctx, client.Client)
	if err != nil {
		return nil, errs.Wrap(op, fmt.Errorf("find VCH %q: %w", name, err))
	}
	found, err := inv.vch(name)
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, errs.New(op, errs.NotFound, "no VCH %q; %s", name, inv.known())
	case len(found.Incomplete) > 0:
		return nil, errs.New(op, errs.Invalid, "VCH %q is not whole: %s; complete it with `wolfpack vch create %s`",
			name, strings.Join(found.Incomplete, ", "), name)
	}
	if found.NetworkBacking, err = backing(ctx, client.Client, found.Network); err != nil {
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

func (inv *inventory) vchs() []*VCH {
	var all []*VCH
	pods := map[string]int{}
	for _, entity := range inv.entities {
		vm, ok := entity.(*mo.VirtualMachine)
		if !ok {
			continue
		}
		values := identity(vm)
		if isEndpoint(vm, values) {
			all = append(all, inv.newVCH(vm, values))
		}
		if isPodOf(values, values[KeyVCH]) {
			pods[values[KeyVCH]]++
		}
	}
	for _, vch := range all {
		vch.PodVMs = pods[vch.Name]
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
	vch.Incomplete = inv.missing(vch, vm)
	return vch
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

// backing asks vSphere how a network card is connected to network.
func backing(ctx context.Context, client *vim25.Client, network Object) (types.BaseVirtualDeviceBackingInfo, error) {
	reference, ok := object.NewReference(client, network.Ref).(object.NetworkReference)
	if !ok {
		return nil, fmt.Errorf("network %s is a %s, which no network card connects to", network, network.Ref.Type)
	}
	info, err := reference.EthernetCardBackingInfo(ctx)
	if err != nil {
		return nil, fmt.Errorf("network %s: %w", network, err)
	}
	return info, nil
}

// some joins the first of many names.
func some(names []string) string {
	const most = 20
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
