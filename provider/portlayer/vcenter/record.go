// SPDX-License-Identifier: Apache-2.0

package vcenter

import (
	"strings"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	corev1 "k8s.io/api/core/v1"

	"wolfpack/guest/contract"
	"wolfpack/provider/portlayer"
	"wolfpack/vch"
)

// watched are the properties of a VM that are watched, each with what it is for. Absent on purpose: guest.net and
// summary (large, and change with every heartbeat), layoutEx and storage (change with every write of the guest).
var watched = []string{
	"name",
	"config.extraConfig",       // identity, and what the guest reports
	"config.guestFullName",     // the guest name
	"runtime.powerState",       // Off, Running, Suspended
	"runtime.connectionState",  // Inaccessible
	"guest.ipAddress",          // the pod's address
	"guest.toolsRunningStatus", // whether the guest can be asked to shut down
	"resourcePool",             // whether it uses what the VCH has
	"config.hardware.numCPU",   // and how much of that
	"config.hardware.memoryMB", //
}

// record is what the watch knows of one VM.
type record struct {
	name, guestName, ip string
	power               types.VirtualMachinePowerState
	connection          types.VirtualMachineConnectionState
	tools               types.VirtualMachineToolsRunningStatus
	extra               map[string]string
	pod                 *corev1.Pod // what contract.KeyPod says, once it was asked for; nil before
	pool                reference
	cpus, memoryMB      int32
}

// memory is in bytes.
func (r *record) memory() int64 { return int64(r.memoryMB) << 20 }

// isPodOf says whether it is a pod VM of the virtual container host of that name.
func (r *record) isPodOf(name string) bool {
	return r.extra[vch.KeyUID] != "" && r.extra[vch.KeyVCH] == name
}

// apply takes one change of a property. vCenter may send an extraConfig of one key alone, as an indexed path.
func (r *record) apply(change types.PropertyChange) {
	defer func(before string) {
		if r.extra[contract.KeyPod] != before {
			r.pod = nil
		}
	}(r.extra[contract.KeyPod])
	var field mo.Field
	if field.FromString(change.Name) && field.Path == "config.extraConfig" && field.Key != nil {
		r.applyOption(field.Key, change)
		return
	}
	switch change.Name {
	case "name":
		r.name, _ = change.Val.(string)
	case "config.guestFullName":
		r.guestName, _ = change.Val.(string)
	case "guest.ipAddress":
		r.ip, _ = change.Val.(string)
	case "runtime.powerState":
		r.power, _ = change.Val.(types.VirtualMachinePowerState)
	case "runtime.connectionState":
		r.connection, _ = change.Val.(types.VirtualMachineConnectionState)
	case "guest.toolsRunningStatus":
		status, _ := change.Val.(string)
		r.tools = types.VirtualMachineToolsRunningStatus(status)
	case "resourcePool":
		r.pool, _ = change.Val.(reference)
	case "config.hardware.numCPU":
		r.cpus, _ = change.Val.(int32)
	case "config.hardware.memoryMB":
		r.memoryMB, _ = change.Val.(int32)
	case "config.extraConfig":
		options, _ := change.Val.(types.ArrayOfOptionValue)
		r.extra = make(map[string]string, len(options.OptionValue))
		for _, option := range options.OptionValue {
			r.set(option.GetOptionValue())
		}
	}
}

func (r *record) applyOption(key any, change types.PropertyChange) {
	if r.extra == nil {
		r.extra = map[string]string{}
	}
	switch value := change.Val.(type) {
	case types.OptionValue:
		r.set(&value)
	case *types.OptionValue:
		r.set(value)
	case nil:
		if name, ok := key.(string); ok {
			delete(r.extra, name)
		}
	}
}

// set keeps what is ours: the identity and the guest contract.
func (r *record) set(option *types.OptionValue) {
	value, ok := option.Value.(string)
	if ok && (strings.HasPrefix(option.Key, "wolfpack.") || strings.HasPrefix(option.Key, "guestinfo.wolfpack.")) {
		r.extra[option.Key] = value
	}
}

// vm is the record as a portlayer.VM. It is not ok if it is no pod VM of this virtual container host. What the guest
// wrote and cannot be read counts as not written: a guest must not be able to stop the watch.
func (r *record) vm(id portlayer.ID, vchName string) (_ portlayer.VM, ok bool) {
	if !r.isPodOf(vchName) {
		return portlayer.VM{}, false
	}
	vm := portlayer.VM{
		ID: id,
		Identity: portlayer.Identity{
			Namespace: r.extra[vch.KeyNamespace],
			Name:      r.extra[vch.KeyName],
			UID:       r.extra[vch.KeyUID],
			VCH:       r.extra[vch.KeyVCH],
			SpecHash:  r.extra[vch.KeySpecHash],
		},
		VMName:    r.name,
		GuestName: r.guestName,
		State:     r.state(),
		ToolsUp:   r.tools == types.VirtualMachineToolsRunningStatusGuestToolsRunning,
		IP:        r.ip,
	}
	if r.pod == nil {
		r.pod, _ = contract.DecodePod(r.extra[contract.KeyPod]) // a VM of a pod that cannot be read has an identity all the same
	}
	vm.Pod = r.pod
	if status, err := contract.DecodeStatus(r.extra[contract.KeyStatus]); err == nil {
		vm.Status = &status
	}
	if endpoint, err := contract.DecodeEndpoint(r.extra[contract.KeyEndpoint]); err == nil {
		vm.Endpoint = &endpoint
	}
	return vm, true
}

func (r *record) state() portlayer.State {
	switch {
	case r.connection != "" && r.connection != types.VirtualMachineConnectionStateConnected:
		return portlayer.Inaccessible
	case r.power == types.VirtualMachinePowerStatePoweredOn:
		return portlayer.Running
	case r.power == types.VirtualMachinePowerStateSuspended:
		return portlayer.Suspended
	default:
		return portlayer.Off
	}
}
