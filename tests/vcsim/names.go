// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// names gives VMs the guest full name that vCenter shows: the alternate name for the two "other" guest ids, the human
// name for all others. The simulator shows the guest id.
//
// It listens to the registry: every way to make or change a VM ends in a property update, which the simulator sends with
// the VM locked and inside the task. So the name is right before the task ends, and watchers get an update of their own.
// The one thing that listening cannot do is to hand a source's name to its clone; see clone.
type names struct {
	listener
	byID map[types.VirtualMachineGuestOsIdentifier]string
}

func newNames() *names {
	return &names{listener: newListener("GuestNames"), byID: guestFullNames()}
}

// UpdateObject implements simulator.RegisterObject.
func (n *names) UpdateObject(ctx *simulator.Context, obj mo.Reference, _ []types.PropertyChange) {
	if vm, ok := obj.(*mo.VirtualMachine); ok {
		n.correct(ctx, vm)
	}
}

// correct sets the full name of vm, whose lock the caller holds. It does nothing if the name is right, which also ends
// the recursion through UpdateObject.
func (n *names) correct(ctx *simulator.Context, vm *mo.VirtualMachine) {
	if vm.Config == nil || vm.Config.GuestId == "" {
		return
	}
	name := n.fullName(vm.Config.GuestId, vm.Config.AlternateGuestName)
	if vm.Config.GuestFullName == name && vm.Summary.Config.GuestFullName == name {
		return
	}
	ctx.Update(vm, []types.PropertyChange{
		{Name: "config.guestFullName", Val: name},
		{Name: "summary.config.guestFullName", Val: name},
	})
}

// fullName is what vCenter shows for a guest id. A name that nobody knows is the id itself, as in the simulator.
func (n *names) fullName(id, alternate string) string {
	guest := types.VirtualMachineGuestOsIdentifier(id)
	switch guest {
	case types.VirtualMachineGuestOsIdentifierOtherGuest, types.VirtualMachineGuestOsIdentifierOtherGuest64:
		if alternate != "" {
			return alternate
		}
	}
	if name, ok := n.byID[guest]; ok {
		return name
	}
	return id
}

// vmMethods are the methods of a VM that the simulator lacks, or that need help with guest names.
type vmMethods struct{ *simulator.VirtualMachine }

// ReconfigVMTask refuses an unknown guest id before anything has changed: the simulator would answer the same fault, but
// after it had changed id and name. It also refuses a change of what has changed meanwhile, which the simulator takes.
func (vm *vmMethods) ReconfigVMTask(ctx *simulator.Context, req *types.ReconfigVM_Task) soap.HasFault {
	var fault types.BaseMethodFault
	switch version := req.Spec.ChangeVersion; {
	case version != "" && version != vm.Config.ChangeVersion:
		fault = new(types.ConcurrentAccess)
	case !validGuestID(req.Spec.GuestId):
		fault = invalidGuestID()
	default:
		return vm.VirtualMachine.ReconfigVMTask(ctx, req)
	}
	return &methods.ReconfigVM_TaskBody{
		Res: &types.ReconfigVM_TaskResponse{Returnval: vm.failTask(ctx, "reconfigVm", fault)},
	}
}

// CloneVMTask hands guest id and alternate name of the source, or those of the spec, to the clone.
func (vm *vmMethods) CloneVMTask(ctx *simulator.Context, req *types.CloneVM_Task) soap.HasFault {
	if req.Spec.Config == nil {
		req.Spec.Config = new(types.VirtualMachineConfigSpec)
	}
	spec := req.Spec.Config
	if !validGuestID(spec.GuestId) {
		return &methods.CloneVM_TaskBody{
			Res: &types.CloneVM_TaskResponse{Returnval: vm.failTask(ctx, "cloneVm", invalidGuestID())},
		}
	}
	spec.ExtraConfig = append(spec.ExtraConfig, inheritName(vm.Config, spec)...)
	return vm.VirtualMachine.CloneVMTask(ctx, req)
}

// inheritName returns what a clone of source must be told to get its guest name. The simulator takes only extraConfig
// from a clone's spec, but it lets an extraConfig key set any property.
func inheritName(source *types.VirtualMachineConfigInfo, spec *types.VirtualMachineConfigSpec) []types.BaseOptionValue {
	var set []types.BaseOptionValue
	if id := spec.GuestId; id != "" {
		set = append(set,
			&types.OptionValue{Key: "SET.config.guestId", Value: id},
			&types.OptionValue{Key: "SET.summary.config.guestId", Value: id},
			&types.OptionValue{Key: "SET.summary.guest.guestId", Value: id})
	}
	alternate := source.AlternateGuestName
	if spec.AlternateGuestName != "" {
		alternate = spec.AlternateGuestName
	}
	if alternate != "" {
		set = append(set, &types.OptionValue{Key: "SET.config.alternateGuestName", Value: alternate})
	}
	return set
}

// InstantCloneTask clones a running VM into a running VM with the same configuration.
func (vm *vmMethods) InstantCloneTask(ctx *simulator.Context, req *types.InstantClone_Task) soap.HasFault {
	body := new(methods.InstantClone_TaskBody)
	if state := vm.Runtime.PowerState; state != types.VirtualMachinePowerStatePoweredOn {
		body.Res = &types.InstantClone_TaskResponse{Returnval: vm.failTask(ctx, "instantClone", &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOn,
			ExistingState:  state,
		})}
		return body
	}
	folder := req.Spec.Location.Folder
	if folder == nil {
		folder = vm.Parent
	}
	res := vm.CloneVMTask(ctx, &types.CloneVM_Task{
		This:   req.This,
		Folder: *folder,
		Name:   req.Spec.Name,
		Spec: types.VirtualMachineCloneSpec{
			Location: req.Spec.Location,
			PowerOn:  true,
			Config: &types.VirtualMachineConfigSpec{
				Uuid:        req.Spec.BiosUuid,
				ExtraConfig: append(slices.Clone(vm.Config.ExtraConfig), req.Spec.Config...),
			},
		},
	})
	if fault := res.Fault(); fault != nil {
		body.Fault_ = fault
		return body
	}
	body.Res = &types.InstantClone_TaskResponse{Returnval: res.(*methods.CloneVM_TaskBody).Res.Returnval}
	return body
}

// failTask runs a task that does nothing but fail.
func (vm *vmMethods) failTask(ctx *simulator.Context, name string, fault types.BaseMethodFault) types.ManagedObjectReference {
	return simulator.CreateTask(vm.VirtualMachine, name, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		return nil, fault
	}).Run(ctx)
}

// validGuestID reports whether a spec may carry id; an empty one leaves the id as it is.
func validGuestID(id string) bool {
	return id == "" || slices.Contains(simulator.GuestID, types.VirtualMachineGuestOsIdentifier(id))
}

func invalidGuestID() types.BaseMethodFault {
	return &types.InvalidArgument{InvalidProperty: "configSpec.guestId"}
}
