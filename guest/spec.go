// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
)

// Machine is what a VM is asked to be, beyond what its guest OS says.
type Machine struct {
	VMName   string                             // display name in the inventory
	Guest    Name                               // Guest.OS is ignored: it is the guest OS's word
	CPUs     int32                              // at least 1
	MemoryMB int64                              // is aligned by OS.AlignMemory
	Network  types.BaseVirtualDeviceBackingInfo // what the VMXNET3 card is connected to; nil for no card
	Media    string                             // datastore path of the boot ISO, such as "[ds] vch/boot.iso"; empty leaves the slot empty
	Extra    map[string]string                  // extraConfig
}

// Spec returns the default VM of this guest OS: its guest id and full name, a PVSCSI controller, a VMXNET3 card, a
// CD-ROM as the boot media slot, and the memory aligned. It is an error if the guest name is not valid.
func (os OS) Spec(m Machine) (types.VirtualMachineConfigSpec, error) {
	m.Guest.OS = os.Word
	fullName, err := m.Guest.Format()
	if err != nil {
		return types.VirtualMachineConfigSpec{}, err
	}
	devices, err := m.devices()
	if err != nil {
		return types.VirtualMachineConfigSpec{}, err
	}
	changes, err := devices.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	if err != nil {
		return types.VirtualMachineConfigSpec{}, err
	}
	return types.VirtualMachineConfigSpec{
		Name:               m.VMName,
		GuestId:            string(os.ID),
		AlternateGuestName: fullName,
		Firmware:           string(os.Firmware),
		NumCPUs:            max(m.CPUs, 1),
		MemoryMB:           os.AlignMemory(m.MemoryMB),
		DeviceChange:       changes,
		ExtraConfig:        extraConfig(m.Extra),
	}, nil
}

// devices are the hardware that the drivers of every guest OS here have: VMware's paravirtual SCSI and network cards,
// and a CD-ROM to boot from.
func (m Machine) devices() (object.VirtualDeviceList, error) {
	var devices object.VirtualDeviceList
	scsi, err := devices.CreateSCSIController("pvscsi")
	if err != nil {
		return nil, fmt.Errorf("PVSCSI controller: %w", err)
	}
	ide, err := devices.CreateIDEController()
	if err != nil {
		return nil, fmt.Errorf("IDE controller: %w", err)
	}
	devices = append(devices, scsi, ide)
	cdrom, err := devices.CreateCdrom(ide.(types.BaseVirtualController))
	if err != nil {
		return nil, fmt.Errorf("CD-ROM: %w", err)
	}
	if m.Media != "" {
		cdrom = devices.InsertIso(cdrom, m.Media)
		cdrom.Connectable.StartConnected = true
	}
	devices = append(devices, cdrom)
	if m.Network == nil {
		return devices, nil
	}
	card, err := devices.CreateEthernetCard("vmxnet3", m.Network)
	if err != nil {
		return nil, fmt.Errorf("VMXNET3 card: %w", err)
	}
	return append(devices, card), nil
}

// extraConfig is sorted, so that the same machine always gives the same spec.
func extraConfig(values map[string]string) []types.BaseOptionValue {
	options := make([]types.BaseOptionValue, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		options = append(options, &types.OptionValue{Key: key, Value: values[key]})
	}
	return options
}
