// SPDX-License-Identifier: Apache-2.0

package guest

import "github.com/vmware/govmomi/vim25/types"

// photon is Photon OS, the one that boots endpoint VMs too.
func photon() OS {
	return OS{
		Word:      "Photon",
		ID:        types.VirtualMachineGuestOsIdentifierOtherGuest64,
		Firmware:  types.GuestOsDescriptorFirmwareTypeBios,
		MinMemory: MemoryMinMB,
		Roles:     []Role{VCH, Container},
	}
}
