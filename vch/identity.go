// SPDX-License-Identifier: Apache-2.0

package vch

import (
	"strings"

	"github.com/vmware/govmomi/vim25/mo"

	"wolfpack/guest/contract"
)

// A VM says what it is in its extraConfig, which survives renames, moves and restarts of everything. The keys of an
// endpoint VM:
const (
	KeyRole      = "wolfpack.role"      // RoleEndpoint
	KeyVCH       = "wolfpack.vch"       // name of the VCH; pod VMs have it too
	KeyVCHID     = "wolfpack.vch-id"    // UUID of the VCH; equal to the endpoint VM's instanceUuid, which a clone does not share
	KeyFolder    = "wolfpack.folder"    // managed object id of the VCH's folder; absent on a lone ESXi host
	KeyPool      = "wolfpack.pool"      // managed object id of the VCH's resource pool
	KeyDatastore = "wolfpack.datastore" // name of the datastore for pod VMs
	KeyNetwork   = "wolfpack.network"   // name of the network for pod VMs
	KeyGuestOS   = "wolfpack.guest-os"  // word of the guest OS, such as photon
)

// The keys of a pod VM, beside KeyVCH and those of package contract:
const (
	KeyNamespace = "wolfpack.namespace" // of the pod
	KeyName      = "wolfpack.name"      // of the pod
	KeyUID       = "wolfpack.uid"       // of the pod
	KeySpecHash  = "wolfpack.spec-hash" // of what the pod VM was made from
	KeyCluster   = "wolfpack.cluster"   // that the pod is of: the UID of its namespace kube-system
)

// RoleEndpoint is the value of KeyRole in an endpoint VM.
const RoleEndpoint = "endpoint"

// identity returns the extraConfig keys of vm that are listed above. It is empty for a VM of anyone else.
func identity(vm *mo.VirtualMachine) map[string]string {
	values := map[string]string{}
	if vm.Config == nil {
		return values
	}
	for _, option := range vm.Config.ExtraConfig {
		option := option.GetOptionValue()
		text, ok := option.Value.(string)
		if ok && (strings.HasPrefix(option.Key, "wolfpack.") || option.Key == contract.KeyPod) {
			values[option.Key] = text
		}
	}
	return values
}

// isEndpoint says whether vm is a VCH's endpoint VM and not a clone of one.
func isEndpoint(vm *mo.VirtualMachine, values map[string]string) bool {
	return values[KeyRole] == RoleEndpoint && values[KeyVCHID] != "" && strings.EqualFold(values[KeyVCHID], vm.Config.InstanceUuid)
}

// isPodOf says whether a VM with these keys runs a pod of the VCH of that name.
func isPodOf(values map[string]string, name string) bool {
	return values[contract.KeyPod] != "" && values[KeyVCH] == name
}
