// SPDX-License-Identifier: Apache-2.0

package vch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/vsphere"
)

// Detail is a VCH with all that is in its places.
type Detail struct {
	*VCH
	Pods      []Pod    // sorted by namespace and name
	Strangers []Object // VMs and other things in its folder and pool that are not its own, and that a delete leaves alone
	Spec      Spec     // that would make it again, with every place named by its path
}

// Pod is the VM of a pod.
type Pod struct {
	Namespace  string
	Name       string
	UID        string
	VM         Object
	PowerState types.VirtualMachinePowerState
	GuestName  string
}

// Inspect returns all about the VCH of that name, whole or not. It is errs.NotFound if there is none.
func Inspect(ctx context.Context, client *vsphere.Client, name string) (*Detail, error) {
	const op = "vch.Inspect"
	s, err := look(ctx, client)
	if err != nil {
		return nil, errs.Wrap(op, fmt.Errorf("inspect VCH %q: %w", name, err))
	}
	defer s.end()
	found, err := s.find(ctx, name)
	s.mend(ctx)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if found == nil {
		return nil, errs.New(op, errs.NotFound, "no VCH %q; %s", name, s.known())
	}
	if err := s.lookInside(ctx, found); err != nil {
		return nil, errs.Wrap(op, fmt.Errorf("inspect VCH %q: %w", name, err))
	}
	detail := &Detail{VCH: found, Spec: s.specOf(found)}
	for _, vm := range s.within(found) {
		if isPodOf(identity(vm), found.Name) {
			detail.Pods = append(detail.Pods, s.pod(vm))
		}
	}
	slices.SortFunc(detail.Pods, func(a, b Pod) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(a.VM.Path, b.VM.Path))
	})
	detail.Strangers = s.strangers(found)
	return detail, nil
}

// places are the folder and the pool that are the VCH's own.
func (v *VCH) places() []Object {
	var own []Object
	if v.ownFolder {
		own = append(own, v.Folder)
	}
	if v.Pool.exists() {
		own = append(own, v.Pool)
	}
	return own
}

// lookInside reads what is in the VCH's places, unless everything has been read.
func (s *survey) lookInside(ctx context.Context, vch *VCH) error {
	var refs []reference
	for _, place := range vch.places() {
		refs = append(refs, place.Ref)
	}
	if s.all || len(refs) == 0 {
		return nil
	}
	return s.read(ctx, s.client.Client, inside(refs))
}

// within are the VMs in the VCH's places, each once.
func (inv *inventory) within(vch *VCH) []*mo.VirtualMachine {
	found := map[reference]*mo.VirtualMachine{}
	for _, place := range vch.places() {
		for _, vm := range inv.vms(place.Ref) {
			found[vm.Self] = vm
		}
	}
	var vms []*mo.VirtualMachine
	for _, vm := range found {
		vms = append(vms, vm)
	}
	return vms
}

// strangers are the things in the VCH's places that are not its own.
func (inv *inventory) strangers(vch *VCH) []Object {
	strangers := map[reference]Object{}
	for _, vm := range inv.within(vch) {
		if vm.Self != vch.EndpointVM.Ref && !isPodOf(identity(vm), vch.Name) {
			strangers[vm.Self] = inv.object(vm.Self)
		}
	}
	for _, place := range vch.places() {
		for _, child := range inv.children(place.Ref) {
			if child.Ref.Type != "VirtualMachine" {
				strangers[child.Ref] = child
			}
		}
	}
	var sorted []Object
	for _, stranger := range strangers {
		sorted = append(sorted, stranger)
	}
	slices.SortFunc(sorted, func(a, b Object) int { return strings.Compare(a.Path, b.Path) })
	return sorted
}

func (inv *inventory) pod(vm *mo.VirtualMachine) Pod {
	values := identity(vm)
	return Pod{
		Namespace: values[KeyNamespace], Name: values[KeyName], UID: values[KeyUID],
		VM: inv.object(vm.Self), PowerState: vm.Runtime.PowerState, GuestName: vm.Config.GuestFullName,
	}
}

// specOf is what makes the VCH again.
func (s *survey) specOf(vch *VCH) Spec {
	vm := s.entities[vch.EndpointVM.Ref].(*mo.VirtualMachine)
	spec := Spec{
		Name: vch.Name, Datastore: vch.Datastore.Path, Network: vch.Network.Path, GuestOS: vch.GuestOS,
		EndpointCPUs: vm.Config.Hardware.NumCPU, EndpointMemoryMB: int64(vm.Config.Hardware.MemoryMB),
	}
	parent := s.parentPool(vm, vch.Pool)
	spec.Compute = parent.Path
	if compute := s.computeOf(parent); compute.exists() {
		spec.Compute = compute.Path
	}
	if folder := s.entities[vch.Folder.Ref]; vch.ownFolder && folder.Entity().Parent != nil {
		spec.Folder = s.path(*folder.Entity().Parent)
	}
	if pool, ok := s.entities[vch.Pool.Ref].(*mo.ResourcePool); ok {
		spec.CPU = allocationOf(pool.Config.CpuAllocation)
		spec.Memory = allocationOf(pool.Config.MemoryAllocation)
	}
	return spec
}

// allocationOf is the Allocation that info was made from.
func allocationOf(info types.ResourceAllocationInfo) Allocation {
	var a Allocation
	if info.Limit != nil && *info.Limit > 0 {
		a.Limit = *info.Limit
	}
	if info.Reservation != nil {
		a.Reservation = *info.Reservation
	}
	if info.Shares != nil && info.Shares.Level != types.SharesLevelNormal {
		a.Shares = string(info.Shares.Level)
		if info.Shares.Level == types.SharesLevelCustom {
			a.Shares = strconv.Itoa(int(info.Shares.Shares))
		}
	}
	return a
}
