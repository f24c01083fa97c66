// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// OS is a guest operating system: its word in a guest name, and what a VM that boots it is made of.
type OS struct {
	Word      string                                // in guest names, such as Photon
	ID        types.VirtualMachineGuestOsIdentifier // otherGuest or otherGuest64: only these show the alternate name
	Firmware  types.GuestOsDescriptorFirmwareType   // what the boot media is made for
	MinMemory int64                                 // MB: the guest itself does not run in less
	Roles     []Role                                // what it can be used for
}

// Memory of a VM is a multiple of MemoryAlignMB, as vSphere's hot-add wants it, and at least MemoryMinMB. Both are VIC's
// figures.
const (
	MemoryAlignMB = 128
	MemoryMinMB   = 512
)

// All returns the guest operating systems, one for each file of its own beside this one.
func All() []OS { return []OS{photon(), redhat(), windows()} }

// Lookup returns the guest OS of that word, in any case, if it can be used for role. Its error lists the words that
// there are.
func Lookup(word string, role Role) (OS, error) {
	var words []string
	for _, os := range All() {
		if !slices.Contains(os.Roles, role) {
			continue
		}
		if strings.EqualFold(os.Word, word) {
			return os, nil
		}
		words = append(words, strings.ToLower(os.Word))
	}
	return OS{}, fmt.Errorf("no guest OS %q for a %s; there are: %s", word, role, strings.Join(words, ", "))
}

// AlignMemory returns the memory in MB that a VM gets whose guest needs mb: at least the guest OS's minimum, rounded up
// to a multiple of 128.
func (os OS) AlignMemory(mb int64) int64 {
	mb = max(mb, MemoryMinMB, os.MinMemory)
	return (mb + MemoryAlignMB - 1) / MemoryAlignMB * MemoryAlignMB
}
