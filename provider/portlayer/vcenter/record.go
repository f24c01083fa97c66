// SPDX-License-Identifier: Apache-2.0

package vcenter

import (
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

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
	"config.instanceUuid",      // tells a pod VM from a copy of one
	"parent",                   // the folder that it is in
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
	uuid                string // instanceUuid
	power               types.VirtualMachinePowerState
	connection          types.VirtualMachineConnectionState
	tools               types.VirtualMachineToolsRunningStatus
	extra               map[string]string  // of the keys that are kept
	status              *contract.Status   // what contract.KeyStatus says; nil if there is none that can be read
	endpoint            *contract.Endpoint // likewise
	pool                reference
	parent              reference // the folder that it is in
	cpus, memoryMB      int32
	selected            bool                           // by the filter of the folder and the pool
	own                 []types.ManagedObjectReference // filters of this VM alone, while it is not
}

// memory is in bytes.
func (r *record) memory() int64 { return int64(r.memoryMB) << 20 }

// isPodOf says whether it is a pod VM of the virtual container host of that name, and not a copy of one.
func (r *record) isPodOf(name string) bool {
	uid := r.extra[vch.KeyUID]
	return uid != "" && r.extra[vch.KeyVCH] == name && strings.EqualFold(r.uuid, instanceUUID(uid))
}

// apply takes one change of a property. vCenter may send an extraConfig of one key alone, as an indexed path.
func (r *record) apply(change types.PropertyChange) {
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
	case "config.instanceUuid":
		r.uuid, _ = change.Val.(string)
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
	case "parent":
		r.parent, _ = change.Val.(reference)
	case "config.hardware.numCPU":
		r.cpus, _ = change.Val.(int32)
	case "config.hardware.memoryMB":
		r.memoryMB, _ = change.Val.(int32)
	case "config.extraConfig":
		options, _ := change.Val.(types.ArrayOfOptionValue)
		r.extra, r.status, r.endpoint = make(map[string]string, len(kept)), nil, nil
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
		switch name, _ := key.(string); name {
		case contract.KeyStatus:
			r.status = nil
		case contract.KeyEndpoint:
			r.endpoint = nil
		default:
			delete(r.extra, name)
		}
	}
}

// kept are the keys whose values are kept as they are: the identity, and the pod. There may be thousands of VMs.
var kept = []string{vch.KeyNamespace, vch.KeyName, vch.KeyUID, vch.KeyVCH, vch.KeyCluster, vch.KeySpecHash, contract.KeyPod}

// set takes what is ours: the identity and the guest contract. What the guest wrote and cannot be read counts as not
// written: a guest must not be able to stop the watch.
func (r *record) set(option *types.OptionValue) {
	value, ok := option.Value.(string)
	switch {
	case !ok:
	case option.Key == contract.KeyStatus:
		r.status = nil
		if status, err := contract.DecodeStatus(value); err == nil {
			r.status = &status
		}
	case option.Key == contract.KeyEndpoint:
		r.endpoint = nil
		if endpoint, err := contract.DecodeEndpoint(value); err == nil {
			r.endpoint = &endpoint
		}
	case slices.Contains(kept, option.Key):
		r.extra[option.Key] = value
	}
}

// vm is the record as a portlayer.VM of the virtual container host with that folder. It is not ok if it is no pod VM of it.
func (r *record) vm(id portlayer.ID, vchName string, folder reference) (_ portlayer.VM, ok bool) {
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
			Cluster:   r.extra[vch.KeyCluster],
			SpecHash:  r.extra[vch.KeySpecHash],
		},
		VMName:    r.name,
		GuestName: r.guestName,
		State:     r.state(),
		Outside:   r.parent != reference{} && r.parent != folder,
		ToolsUp:   r.tools == types.VirtualMachineToolsRunningStatusGuestToolsRunning,
		IP:        r.ip,
		Payload:   r.extra[contract.KeyPod],
		Status:    r.status,
		Endpoint:  r.endpoint,
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

// instanceUUID is the instanceUuid of the VM of the pod with that UID: the UID itself if it is a UUID, as an API server's
// are. vCenter gives a clone another one, while all else that says whose VM it is gets cloned too.
func instanceUUID(uid string) string {
	if id, err := uuid.Parse(uid); err == nil {
		return id.String()
	}
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(uid)).String()
}
