// SPDX-License-Identifier: Apache-2.0

package census

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/guest"
	"wolfpack/telemetry"
)

// Describe says what the VM is, but not where: that only the rest of the inventory tells.
func (v *VM) Describe() telemetry.VM {
	vm := telemetry.VM{
		Kind: telemetry.OtherVM, Name: v.label(), MoID: v.Ref.Value, InstanceUUID: v.InstanceUUID,
		PowerState: power(v.PowerState), Template: v.Template, Created: v.Created,
	}
	// Of a guest id other than otherGuest and otherGuest64 vCenter shows the name of that id, and VIC's is only the alternate
	// one. Some servers show the id itself.
	vm.GuestName = cmp.Or(strings.TrimSpace(v.FullName), strings.TrimSpace(v.AlternateName))
	for _, text := range []string{v.FullName, v.AlternateName} {
		name, err := guest.Parse(text)
		if err != nil {
			continue
		}
		vm.Kind = telemetry.ContainerVM
		if name.Role == guest.VCH {
			vm.Kind = telemetry.EndpointVM
		}
		vm.GuestName, vm.OS, vm.Version, vm.Build, vm.Commit = text, name.OS, name.Version, name.Build, name.Commit
		return vm
	}
	if vm.GuestName == "" {
		vm.Kind = telemetry.Unclassified
	}
	return vm
}

// power is one of the states that a report knows.
func power(state string) string {
	switch types.VirtualMachinePowerState(state) {
	case types.VirtualMachinePowerStatePoweredOn, types.VirtualMachinePowerStatePoweredOff, types.VirtualMachinePowerStateSuspended:
		return state
	default:
		return unknown
	}
}

// connection is one of the states that a report knows.
func connection(state string) string {
	switch types.HostSystemConnectionState(state) {
	case types.HostSystemConnectionStateConnected, types.HostSystemConnectionStateDisconnected, types.HostSystemConnectionStateNotResponding:
		return state
	default:
		return unknown
	}
}

const unknown = "unknown"

// The products that a census looks for, by what they are called: a word of its own in the name of a product or of a VM.
var (
	vicName = regexp.MustCompile(`(?i)^\s*vSphere Integrated Containers\b`)
	others  = []struct {
		product string
		name    *regexp.Regexp
	}{
		{"harbor", regexp.MustCompile(`(?i)(^|[^a-z])harbor([^a-z]|$)`)},
		{"admiral", regexp.MustCompile(`(?i)(^|[^a-z])admiral([^a-z]|$)`)},
	}
)

// products are what the VM has of them: by what its OVF package says, or else by its own name, from which little follows. A
// template runs nothing, and what the VMs of a VCH are called is for its users to choose.
func (v *VM) products(kind telemetry.Kind) []telemetry.Product {
	if v.Template || kind == telemetry.EndpointVM || kind == telemetry.ContainerVM {
		return nil
	}
	if v.Product != nil {
		if found := v.packaged(v.Product.Name, cmp.Or(v.Product.Version, v.Product.FullVersion)); len(found) > 0 {
			return found
		}
	}
	var found []telemetry.Product
	for _, other := range others {
		if other.name.MatchString(v.Name) {
			found = append(found, telemetry.Product{
				Name: other.product, Source: "name", Confidence: "low", VM: v.label(), Problem: "only the name of the VM speaks of it",
			})
		}
	}
	return found
}

// packaged are the products of an OVF package. VIC's appliance has Harbor and Admiral in it, of versions of their own.
func (v *VM) packaged(name, version string) []telemetry.Product {
	found := telemetry.Product{Version: version, Source: "ovf", Confidence: "high", VM: v.label()}
	if vicName.MatchString(name) {
		found.Name = "vic"
		all := []telemetry.Product{found}
		for _, other := range others {
			all = append(all, telemetry.Product{
				Name: other.product, Source: "ovf", Confidence: "medium", VM: v.label(),
				Problem: "it is part of the appliance, and only its API tells its version",
			})
		}
		return all
	}
	for _, other := range others {
		if other.name.MatchString(name) {
			found.Name = other.product
			return []telemetry.Product{found}
		}
	}
	return nil
}

// faultName is the type of a fault, such as NoPermission.
func faultName(fault types.BaseMethodFault) string {
	if fault == nil {
		return "no reason given"
	}
	_, name, _ := strings.Cut(fmt.Sprintf("%T", fault), ".")
	return name
}
