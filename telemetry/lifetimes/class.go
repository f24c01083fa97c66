// SPDX-License-Identifier: Apache-2.0

package lifetimes

import (
	"regexp"

	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/guest"
	"wolfpack/telemetry"
)

// unknownOS is the OS word of a container VM that is known by its name alone.
const unknownOS = "unknown"

// vicName is a container VM's name as VIC gives it: the container's name and the first digits of its ID.
var vicName = regexp.MustCompile(`.-[0-9a-f]{12}$`)

// or is what is known already, or else what is known now. What was only inferred gives way.
func (c class) or(other class) class {
	if !c.known() || c.inferred && other.known() {
		return other
	}
	return c
}

// classOfGuest is what a VM is by the configuration that it was made with. Without one it is unknown.
func classOfGuest(g *Guest) class {
	if g == nil || g.ID == "" && g.Alternate == "" {
		return class{}
	}
	switch types.VirtualMachineGuestOsIdentifier(g.ID) {
	case "", types.VirtualMachineGuestOsIdentifierOtherGuest, types.VirtualMachineGuestOsIdentifierOtherGuest64:
	default:
		return class{kind: telemetry.OtherVM} // vCenter shows its own name of that guest
	}
	name, err := guest.Parse(g.Alternate)
	switch {
	case err != nil:
		return class{kind: telemetry.OtherVM}
	case name.Role == guest.Container:
		return class{kind: telemetry.ContainerVM, os: name.OS}
	default:
		return class{kind: telemetry.EndpointVM}
	}
}

// classOfVM is what a VM is by a census.
func classOfVM(vm *telemetry.VM) class {
	switch vm.Kind {
	case telemetry.Unclassified, "":
		return class{}
	case telemetry.ContainerVM:
		return class{kind: vm.Kind, os: vm.OS}
	default:
		return class{kind: vm.Kind}
	}
}

// classOfName is what a VM may be by its name. That a name is not VIC's says nothing.
func classOfName(name string) class {
	if vicName.MatchString(name) {
		return class{kind: telemetry.ContainerVM, os: unknownOS, inferred: true}
	}
	return class{}
}
