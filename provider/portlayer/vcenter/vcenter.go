// SPDX-License-Identifier: Apache-2.0

// Package vcenter runs pod VMs on a vCenter or an ESXi host.
//
// A VM is created, started, shut down or destroyed with one request each. Everything that is waited for, tasks and VMs
// alike, comes from the one property collector that Watch holds.
package vcenter

import (
	"context"
	"fmt"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"golang.org/x/sync/semaphore"

	"wolfpack/errs"
	"wolfpack/provider/portlayer"
	"wolfpack/vch"
)

// Target is where pod VMs go: the parts of one virtual container host.
type Target struct {
	VCH          string
	Folder       types.ManagedObjectReference // of pod VMs; on an ESXi host that of all VMs
	Pool         types.ManagedObjectReference
	Datastore    string // name
	DatastoreRef types.ManagedObjectReference
	Network      types.BaseVirtualDeviceBackingInfo // of each VM's card
	NetworkRef   types.ManagedObjectReference
}

// TargetOf is where the pod VMs of a virtual container host go, as vch.Find and vch.Create return it.
func TargetOf(host *vch.VCH) Target {
	return Target{
		VCH: host.Name, Folder: host.Folder.Ref, Pool: host.Pool.Ref,
		Datastore: host.Datastore.Name, DatastoreRef: host.Datastore.Ref,
		Network: host.NetworkBacking, NetworkRef: host.Network.Ref,
	}
}

const (
	// concurrent bounds the changes under way: vCenter runs about 640 tasks at once, for all its users.
	concurrent = 32
	// creating bounds how many of them create VMs. When many pods come at once, the others start the VMs that are made
	// already; else none would run before all were made, since slots are given out in the order in which they are asked for.
	creating = concurrent / 2
)

// VCenter is a portlayer.Portlayer on vSphere.
type VCenter struct {
	client *vim25.Client
	target Target
	limits limits
	slots  *semaphore.Weighted
	making *semaphore.Weighted // of slots
	tasks  *tasks
	power  *power

	outside *outside
}

var _ portlayer.Portlayer = (*VCenter)(nil)

// New returns the portlayer of one virtual container host. Nothing is asked of vSphere before Watch.
func New(client *vim25.Client, target Target) *VCenter {
	return &VCenter{
		client: client,
		target: target,
		limits: defaultLimits,
		slots:  semaphore.NewWeighted(concurrent),
		making: semaphore.NewWeighted(creating),
		tasks:  newTasks(client),
		power:  newPower(),

		outside: newOutside(),
	}
}

// Create makes the VM. The VM's name has the pod's UID in it and names are unique in a folder, so that a create whose
// answer was lost cannot be repeated into a second VM.
func (v *VCenter) Create(ctx context.Context, spec portlayer.Spec) (portlayer.ID, error) {
	const op = "vcenter.Create"
	machine := spec.Machine
	machine.Network = v.target.Network
	config, err := spec.OS.Spec(machine)
	if err != nil {
		return "", errs.New(op, errs.Invalid, "%w", err)
	}
	config.InstanceUuid = instanceUUID(spec.UID)
	config.Files = &types.VirtualMachineFileInfo{VmPathName: fmt.Sprintf("[%s]", v.target.Datastore)}
	result, err := v.runIn(ctx, []*semaphore.Weighted{v.making, v.slots}, func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.CreateVM_Task(ctx, v.client, &types.CreateVM_Task{This: v.target.Folder, Config: config, Pool: v.target.Pool})
		if err != nil {
			return types.ManagedObjectReference{}, err
		}
		return res.Returnval, nil
	})
	if errs.Is(err, errs.Exists) {
		return v.existing(ctx, op, machine.VMName, spec.UID, err)
	}
	if err != nil {
		return "", errs.New(op, errs.KindOf(err), "create VM %q: %w", machine.VMName, err)
	}
	ref, ok := result.(types.ManagedObjectReference)
	if !ok {
		return "", errs.New(op, errs.Internal, "create VM %q: vCenter returned %T, want a VM", machine.VMName, result)
	}
	return portlayer.ID(ref.Value), nil
}

// existing finds the VM whose name is taken. It must be the pod's: any VM can have any name.
func (v *VCenter) existing(ctx context.Context, op, name, uid string, taken error) (portlayer.ID, error) {
	ctx, cancel := context.WithTimeout(ctx, v.limits.request)
	defer cancel()
	child, err := object.NewSearchIndex(v.client).FindChild(ctx, v.target.Folder, name)
	if err != nil {
		return "", errs.New(op, errs.KindOf(err), "find VM %q: %w", name, err)
	}
	if child == nil {
		return "", errs.New(op, errs.Unavailable, "VM %q: %w", name, taken)
	}
	var vm mo.VirtualMachine
	err = property.DefaultCollector(v.client).RetrieveOne(ctx, child.Reference(), []string{"config.instanceUuid"}, &vm)
	if err != nil {
		return "", errs.New(op, errs.Unavailable, "ask whose VM %q is: %w", name, err)
	}
	if vm.Config == nil || !strings.EqualFold(vm.Config.InstanceUuid, instanceUUID(uid)) {
		return "", errs.New(op, errs.Exists, "VM %q (%s) has the name of the pod's VM and is not it: rename it or move it to another folder", name, child.Reference().Value)
	}
	return portlayer.ID(child.Reference().Value), errs.New(op, errs.Exists, "VM %q: %w", name, taken)
}

// Start powers the VM on.
func (v *VCenter) Start(ctx context.Context, id portlayer.ID) error {
	_, err := v.run(ctx, func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.PowerOnVM_Task(ctx, v.client, &types.PowerOnVM_Task{This: ref(id)})
		if err != nil {
			return types.ManagedObjectReference{}, err
		}
		return res.Returnval, nil
	})
	err = unlessState(err, types.VirtualMachinePowerStatePoweredOn)
	if err == nil {
		v.power.started(id)
	}
	return explain("vcenter.Start", "power on", id, err)
}

// Shutdown asks VMware Tools in the guest to shut it down. A guest that was asked already is asked again in vain.
func (v *VCenter) Shutdown(ctx context.Context, id portlayer.ID) error {
	err := v.repeat(ctx, func() error {
		ctx, cancel := context.WithTimeout(ctx, v.limits.request)
		defer cancel()
		_, err := methods.ShutdownGuest(ctx, v.client, &types.ShutdownGuest{This: ref(id)})
		return err
	})
	if toolsAreDown(err) {
		return errs.New("vcenter.Shutdown", errs.Unavailable, "shut down guest of VM %s: %w", id, err)
	}
	return explain("vcenter.Shutdown", "shut down guest of", id, unlessState(err, types.VirtualMachinePowerStatePoweredOff))
}

// Stop powers the VM off.
func (v *VCenter) Stop(ctx context.Context, id portlayer.ID) error {
	_, err := v.run(ctx, func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.PowerOffVM_Task(ctx, v.client, &types.PowerOffVM_Task{This: ref(id)})
		if err != nil {
			return types.ManagedObjectReference{}, err
		}
		return res.Returnval, nil
	})
	return explain("vcenter.Stop", "power off", id, unlessState(err, types.VirtualMachinePowerStatePoweredOff))
}

// AwaitOff waits for the watch to say that the VM is off or gone.
func (v *VCenter) AwaitOff(ctx context.Context, id portlayer.ID) error {
	return v.power.awaitOff(ctx, id)
}

// Remove destroys the VM.
func (v *VCenter) Remove(ctx context.Context, id portlayer.ID) error {
	v.outside.remove(id, true)
	_, err := v.run(ctx, func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.Destroy_Task(ctx, v.client, &types.Destroy_Task{This: ref(id)})
		if err != nil {
			return types.ManagedObjectReference{}, err
		}
		return res.Returnval, nil
	})
	if err != nil {
		v.outside.remove(id, false)
	}
	return explain("vcenter.Remove", "destroy", id, err)
}

func ref(id portlayer.ID) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "VirtualMachine", Value: string(id)}
}

func explain(op, verb string, id portlayer.ID, err error) error {
	if err == nil {
		return nil
	}
	return errs.New(op, errs.KindOf(err), "%s VM %s: %w", verb, id, err)
}
