// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"bytes"
	"fmt"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// snapshotMethods is a snapshot to which a VM goes back with its whole configuration and its power state, as in vCenter. In the
// simulator the VM stays as it is, and only the tree says that it went back.
type snapshotMethods struct {
	*simulator.VirtualMachineSnapshot
	vm *simulator.VirtualMachine
}

// RevertToSnapshotTask reverts the VM: off, unless the snapshot has its memory.
func (s *snapshotMethods) RevertToSnapshotTask(ctx *simulator.Context, _ *types.RevertToSnapshot_Task) soap.HasFault {
	task := simulator.CreateTask(s.vm, "revertToSnapshot", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		taken := find(s.vm.Snapshot, s.Self)
		if taken == nil {
			return nil, &types.ManagedObjectNotFound{Obj: s.Self}
		}
		if s.vm.Runtime.PowerState != taken.State {
			if fault := s.power(ctx, taken.State); fault != nil {
				return nil, fault
			}
		}
		ctx.Update(s.vm, s.changes())
		return nil, nil
	})
	return &methods.RevertToSnapshot_TaskBody{Res: &types.RevertToSnapshot_TaskResponse{Returnval: task.Run(ctx)}}
}

// power switches the VM on or off.
func (s *snapshotMethods) power(ctx *simulator.Context, state types.VirtualMachinePowerState) types.BaseMethodFault {
	var ref types.ManagedObjectReference
	if state == types.VirtualMachinePowerStatePoweredOn {
		ref = s.vm.PowerOnVMTask(ctx, &types.PowerOnVM_Task{This: s.vm.Self}).(*methods.PowerOnVM_TaskBody).Res.Returnval
	} else {
		ref = s.vm.PowerOffVMTask(ctx, &types.PowerOffVM_Task{This: s.vm.Self}).(*methods.PowerOffVM_TaskBody).Res.Returnval
	}
	task := ctx.Map.Get(ref).(*simulator.Task)
	task.Wait()
	if task.Info.Error != nil {
		return task.Info.Error.Fault
	}
	return nil
}

// changes are those of a VM that goes back: to the configuration that was, but under the name and version that are now.
func (s *snapshotMethods) changes() []types.PropertyChange {
	config := copied(s.Config)
	config.Name, config.Files, config.Modified = s.vm.Config.Name, s.vm.Config.Files, time.Now()
	config.ChangeVersion = fmt.Sprint(config.Modified.UnixNano())
	return []types.PropertyChange{
		{Name: "config", Val: &config},
		{Name: "summary.config.guestId", Val: config.GuestId},
		{Name: "summary.config.guestFullName", Val: config.GuestFullName},
		{Name: "summary.config.numCpu", Val: config.Hardware.NumCPU},
		{Name: "summary.config.memorySizeMB", Val: config.Hardware.MemoryMB},
		{Name: "snapshot.currentSnapshot", Val: s.Self},
	}
}

// copied is a copy that shares nothing: the VM may go back to the snapshot again.
func copied(config types.VirtualMachineConfigInfo) types.VirtualMachineConfigInfo {
	var text bytes.Buffer
	var own types.VirtualMachineConfigInfo
	if err := types.NewJSONEncoder(&text).Encode(config); err != nil {
		panic(err) // it came as XML, so it can be written
	}
	if err := types.NewJSONDecoder(&text).Decode(&own); err != nil {
		panic(err)
	}
	return own
}

// find is the snapshot in a VM's tree, or nil.
func find(tree *types.VirtualMachineSnapshotInfo, ref types.ManagedObjectReference) *types.VirtualMachineSnapshotTree {
	if tree == nil {
		return nil
	}
	for rest := tree.RootSnapshotList; len(rest) > 0; rest = rest[1:] {
		if rest[0].Snapshot == ref {
			return &rest[0]
		}
		rest = append(rest, rest[0].ChildSnapshotList...)
	}
	return nil
}

// snapshotOf returns who answers instead of a snapshot.
func snapshotOf(ctx *simulator.Context, this types.ManagedObjectReference) mo.Reference {
	snapshot, ok := ctx.Map.Get(this).(*simulator.VirtualMachineSnapshot)
	if !ok {
		return nil
	}
	vm, ok := ctx.Map.Get(snapshot.Vm).(*simulator.VirtualMachine)
	if !ok {
		return nil
	}
	return &snapshotMethods{snapshot, vm}
}
