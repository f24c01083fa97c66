// SPDX-License-Identifier: Apache-2.0

package guest

import "github.com/vmware/govmomi/vim25/types"

// redhat is Red Hat Enterprise Linux and what is built from its sources.
func redhat() OS {
	return OS{
		Word:      "Redhat",
		ID:        types.VirtualMachineGuestOsIdentifierOtherGuest64,
		Firmware:  types.GuestOsDescriptorFirmwareTypeBios,
		MinMemory: MemoryMinMB,
		Roles:     []Role{Container},
	}
}
