// SPDX-License-Identifier: Apache-2.0

package guest

import "github.com/vmware/govmomi/vim25/types"

// windows is Windows Server with the containers feature, which needs UEFI and 2 GB (Microsoft's requirements for
// Windows Server Core).
func windows() OS {
	return OS{
		Word:      "Windows",
		ID:        types.VirtualMachineGuestOsIdentifierOtherGuest64,
		Firmware:  types.GuestOsDescriptorFirmwareTypeEfi,
		MinMemory: 2048,
		Roles:     []Role{Container},
	}
}
