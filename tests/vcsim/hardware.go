// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/vcsim/qemu"
)

// hardware is a VM's, as QEMU can have it.
type hardware struct {
	qemu.Machine
	networks []string // one for each card
	devices  []int32  // the keys of the cards
}

// hardwareOf reads a VM's configuration, and finds the files of its disks. The caller holds the VM's lock.
func hardwareOf(ctx *simulator.Context, vm *mo.VirtualMachine) (*hardware, error) {
	stores := newStores(ctx, vm)
	h := &hardware{Machine: qemu.Machine{
		Name: vm.Name, UUID: vm.Config.Uuid, CPUs: int(vm.Config.Hardware.NumCPU), MemoryMB: int64(vm.Config.Hardware.MemoryMB),
	}}
	if firmware := vm.Config.Firmware; firmware != "" && firmware != string(types.GuestOsDescriptorFirmwareTypeBios) {
		return nil, fmt.Errorf("firmware %q; QEMU guests have %q", firmware, types.GuestOsDescriptorFirmwareTypeBios)
	}
	if options := vm.Config.BootOptions; options != nil && len(options.BootOrder) > 0 {
		_, h.BootCD = options.BootOrder[0].(*types.VirtualMachineBootOptionsBootableCdromDevice)
	}
	devices := object.VirtualDeviceList(vm.Config.Hardware.Device)
	for _, device := range devices {
		var err error
		switch d := device.(type) {
		case *types.VirtualDisk:
			err = h.addDisk(devices, d, stores)
		case *types.VirtualCdrom:
			err = h.addCD(devices, d, stores)
		case *types.VirtualSerialPort:
			if b, ok := d.Backing.(*types.VirtualSerialPortFileBackingInfo); ok && h.Console == "" {
				h.Console, err = stores.find(b.FileName)
			}
		case types.BaseVirtualEthernetCard:
			err = h.addCard(d)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", devices.Name(device), err)
		}
	}
	if h.Console != "" {
		return h, nil
	}
	vmx, err := stores.find(vm.Config.Files.VmPathName)
	h.Console = filepath.Join(filepath.Dir(vmx), "console.log")
	return h, err
}

func (h *hardware) addDisk(devices object.VirtualDeviceList, d *types.VirtualDisk, stores stores) error {
	controller, ok := devices.FindByKey(d.ControllerKey).(types.BaseVirtualSCSIController)
	if !ok {
		return errors.New("QEMU guests have disks at SCSI controllers only")
	}
	b, ok := d.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	if !ok {
		return fmt.Errorf("a backing of type %T; QEMU guests have disks that are files", d.Backing)
	}
	file, err := stores.find(b.FileName)
	if err != nil {
		return err
	}
	disk := qemu.Disk{Bus: int(controller.GetVirtualSCSIController().BusNumber), Serial: strings.ReplaceAll(b.Uuid, "-", "")}
	if d.UnitNumber != nil {
		disk.Unit = int(*d.UnitNumber)
	}
	disk.ReadOnly = b.DiskMode == string(types.VirtualDiskModeIndependent_nonpersistent)
	disk.Shared = disk.ReadOnly || b.Sharing == string(types.VirtualDiskSharingSharingMultiWriter)
	if disk.Path, disk.Format, err = diskFile(file, d.CapacityInBytes); err != nil {
		return err
	}
	h.Disks = append(h.Disks, disk)
	return nil
}

// diskFile returns the file that has a disk's data, and its format. What the simulator makes is a description without
// data: the data is a sparse file beside it, named as in vSphere.
func diskFile(name string, capacity int64) (file, format string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	head := make([]byte, 4)
	if _, err := io.ReadFull(f, head); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", "", err
	}
	if bytes.Equal(head, []byte("KDMV")) {
		return name, "vmdk", nil
	}
	flat := simulator.VirtualDiskBackingFileName(name)
	data, err := os.OpenFile(flat, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", "", err
	}
	defer data.Close()
	info, err := data.Stat()
	if err == nil && info.Size() < capacity {
		err = data.Truncate(capacity)
	}
	return flat, "raw", err
}

func (h *hardware) addCD(devices object.VirtualDeviceList, d *types.VirtualCdrom, stores stores) error {
	b, ok := d.Backing.(*types.VirtualCdromIsoBackingInfo)
	if !ok || d.Connectable != nil && !d.Connectable.StartConnected {
		return nil // there is no disc in it
	}
	file, err := stores.find(b.FileName)
	if err != nil {
		return err
	}
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("%s is not there", b.FileName)
	}
	controller, ok := devices.FindByKey(d.ControllerKey).(*types.VirtualIDEController)
	if !ok {
		return errors.New("QEMU guests have CD-ROMs at IDE controllers only")
	}
	cd := qemu.CD{Path: file, Bus: int(controller.BusNumber)}
	if d.UnitNumber != nil {
		cd.Unit = int(*d.UnitNumber)
	}
	h.CDs = append(h.CDs, cd)
	return nil
}

// addCard adds a card that is connected. Its network is known by a port group's key, or by name.
func (h *hardware) addCard(d types.BaseVirtualEthernetCard) error {
	card := d.GetVirtualEthernetCard()
	if card.Connectable != nil && !card.Connectable.StartConnected {
		return nil
	}
	var network string
	switch b := card.Backing.(type) {
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		network = b.Port.PortgroupKey
	case *types.VirtualEthernetCardNetworkBackingInfo:
		network = b.DeviceName
	default:
		return fmt.Errorf("a backing of type %T; QEMU guests have cards in port groups", b)
	}
	model := "vmxnet3"
	switch d.(type) {
	case *types.VirtualE1000:
		model = "e1000"
	case *types.VirtualE1000e:
		model = "e1000e"
	}
	h.Cards = append(h.Cards, qemu.Card{Model: model, MAC: strings.ToLower(card.MacAddress)})
	h.networks, h.devices = append(h.networks, network), append(h.devices, card.Key)
	return nil
}

// stores are the folders of datastores, by name.
type stores map[string]string

// newStores returns those that there are. Of several with a name, the VM's own counts.
func newStores(ctx *simulator.Context, vm *mo.VirtualMachine) stores {
	s := make(stores)
	for _, entity := range ctx.Map.All("Datastore") {
		if ds, ok := entity.(*simulator.Datastore); ok && s[ds.Name] == "" {
			s[ds.Name] = ds.Summary.Url
		}
	}
	for _, ref := range vm.Datastore {
		if ds, ok := ctx.Map.Get(ref).(*simulator.Datastore); ok {
			s[ds.Name] = ds.Summary.Url
		}
	}
	return s
}

// find returns the file that a datastore path, such as "[ds] vm/vm.vmdk", means.
func (s stores) find(name string) (string, error) {
	var p object.DatastorePath
	if !p.FromString(name) {
		return "", fmt.Errorf(`%q is no datastore path; want "[DATASTORE] PATH"`, name)
	}
	folder, ok := s[p.Datastore]
	if !ok {
		return "", fmt.Errorf("there is no datastore %q", p.Datastore)
	}
	relative := path.Clean(p.Path)
	if !filepath.IsLocal(relative) {
		return "", fmt.Errorf("%q is outside its datastore", name)
	}
	return filepath.Join(folder, relative), nil
}
