// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/vcsim"
)

// What a tiny guest does after it has written its line to the console.
var (
	guestStays     = []byte{}
	guestPowersOff = []byte{0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef} // ACPI: to S5, at port 604h
	guestReboots   = []byte{0xb0, 0xfe, 0xe6, 0x64}                   // the keyboard controller's reset line
)

// bootSector is a guest that writes a line to the first serial port, and then does something.
func bootSector(line string, then []byte) []byte {
	code := []byte{
		0x31, 0xc0, 0x8e, 0xd8, 0xfc, 0xbe, 0, 0, // ds = 0; si = the line
		0xac, 0x84, 0xc0, 0x74, 0x06, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xf5, // each byte of it to port 3f8h, until the 0
	}
	code = append(append(code, then...), 0xf4, 0xeb, 0xfd) // halt
	binary.LittleEndian.PutUint16(code[6:], uint16(0x7c00+len(code)))
	sector := make([]byte, 512)
	copy(sector, append(code, line+"\n\x00"...))
	sector[510], sector[511] = 0x55, 0xaa
	return sector
}

// bootDisc is an image of a CD-ROM that boots a sector (El Torito, no emulation).
func bootDisc(sector []byte) []byte {
	const size = 2048
	disc := make([]byte, 32*size)
	at := func(block int) []byte { return disc[block*size:] }
	copy(at(16), "\x01CD001\x01")
	copy(at(17), "\x00CD001\x01EL TORITO SPECIFICATION")
	binary.LittleEndian.PutUint32(at(17)[0x47:], 19)
	copy(at(18), "\xffCD001\x01")
	catalog := at(19)
	catalog[0], catalog[28], catalog[29], catalog[30], catalog[31] = 1, 0xaa, 0x55, 0x55, 0xaa
	catalog[32] = 0x88
	binary.LittleEndian.PutUint16(catalog[38:], 4)
	binary.LittleEndian.PutUint32(catalog[40:], 20)
	copy(at(20), sector)
	return disc
}

// machineBench is a server whose VMs QEMU runs.
func machineBench(t *testing.T) *bench {
	t.Helper()
	return newBench(t, vcsim.Config{Guests: vcsim.GuestsQEMU})
}

// file is where the file of a datastore path is.
func (b *bench) file(name string) string {
	var p object.DatastorePath
	require.True(b, p.FromString(name), name)
	for _, entity := range b.server.Service().Context.Map.All("Datastore") {
		if ds := entity.(*simulator.Datastore); ds.Name == p.Datastore {
			return filepath.Join(ds.Summary.Url, p.Path)
		}
	}
	require.Fail(b, "no datastore", name)
	return ""
}

// machine makes a VM with a disk that has a guest, and a CD-ROM with one if disc is not "".
func (b *bench) machine(name string, sector []byte, disc string) *object.VirtualMachine {
	b.Helper()
	vm := spec(name, "otherGuest64", "", nil)
	vm.NumCPUs, vm.MemoryMB = 1, 32
	devices := object.VirtualDeviceList{}
	scsi, err := devices.CreateSCSIController("pvscsi")
	require.NoError(b, err)
	devices = append(devices, scsi)
	disk := devices.CreateDisk(scsi.(types.BaseVirtualController), types.ManagedObjectReference{}, "")
	disk.CapacityInKB = 1024
	disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo).Datastore = nil
	disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo).FileName = "[LocalDS_0] " + name + "/" + name + ".vmdk"
	devices = append(devices, disk)
	if disc != "" {
		ide, err := devices.CreateIDEController()
		require.NoError(b, err)
		devices = append(devices, ide)
		cd, err := devices.CreateCdrom(ide.(*types.VirtualIDEController))
		require.NoError(b, err)
		devices = append(devices, devices.InsertIso(cd, disc))
	}
	changes, err := devices.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	require.NoError(b, err)
	for _, change := range changes {
		if d, ok := change.GetVirtualDeviceConfigSpec().Device.(*types.VirtualDisk); ok && d.CapacityInKB > 0 {
			change.GetVirtualDeviceConfigSpec().FileOperation = types.VirtualDeviceConfigSpecFileOperationCreate
		}
	}
	vm.DeviceChange = append(vm.DeviceChange, changes...)
	created := b.create(vm)
	if sector != nil {
		require.NoError(b, os.WriteFile(b.file("[LocalDS_0] "+name+"/"+name+"-flat.vmdk"), sector, 0o600))
	}
	return created
}

// console waits until a VM's console says a line a number of times or more.
func (b *bench) console(name, line string, times int) {
	b.Helper()
	file := b.file("[LocalDS_0] " + name + "/console.log")
	var text []byte
	require.Eventually(b, func() bool {
		text, _ = os.ReadFile(file)
		return strings.Count(string(text), line+"\n") >= times
	}, patience, 10*time.Millisecond, "%s: want %q %d times, got %q", name, line, times, &text)
}

// powered waits for a VM to be in a power state.
func (b *bench) powered(vm *object.VirtualMachine, state types.VirtualMachinePowerState) {
	b.Helper()
	require.Eventually(b, func() bool { return b.vm(vm, "runtime.powerState").Runtime.PowerState == state }, patience, 10*time.Millisecond)
}

// happened returns the types of a VM's events, with what those of errors say.
func (b *bench) happened(vm *object.VirtualMachine) (all []string) {
	b.Helper()
	events, err := event.NewManager(b.client.Client).QueryEvents(b.ctx, types.EventFilterSpec{
		Entity: &types.EventFilterSpecByEntity{Entity: vm.Reference(), Recursion: types.EventFilterSpecRecursionOptionSelf},
	})
	require.NoError(b, err)
	for _, e := range events {
		switch e := e.(type) {
		case *types.VmPoweredOffEvent:
			all = append(all, "off")
		case *types.VmGuestShutdownEvent:
			all = append(all, "shutdown")
		case *types.GeneralVmErrorEvent:
			all = append(all, e.Message)
		}
	}
	return all
}

func TestMachineBootsFromItsDisk(t *testing.T) {
	t.Parallel()
	b := machineBench(t)
	vm := b.machine("disk", bootSector("I am here", guestStays), "")
	b.result(vm.PowerOn(b.ctx))
	b.console("disk", "I am here", 1)

	b.result(vm.Reset(b.ctx))
	b.console("disk", "I am here", 2)

	b.result(vm.Suspend(b.ctx))
	b.powered(vm, types.VirtualMachinePowerStateSuspended)
	b.result(vm.PowerOn(b.ctx))
	b.powered(vm, types.VirtualMachinePowerStatePoweredOn)

	b.result(vm.PowerOff(b.ctx))
	b.powered(vm, types.VirtualMachinePowerStatePoweredOff)
	require.NoError(t, os.WriteFile(b.file("[LocalDS_0] disk/disk-flat.vmdk"), bootSector("once more", guestStays), 0o600), "its files are free")
	b.result(vm.PowerOn(b.ctx))
	b.console("disk", "once more", 1)
	b.result(vm.PowerOff(b.ctx))
	b.result(vm.Destroy(b.ctx))
	require.NoFileExists(t, b.file("[LocalDS_0] disk/console.log"))
}

// Several machines have the same disc. A disk with nothing to boot is passed over.
func TestMachinesBootFromOneDisc(t *testing.T) {
	t.Parallel()
	b := machineBench(t)
	require.NoError(t, os.WriteFile(b.file("[LocalDS_0] boot.iso"), bootDisc(bootSector("I am a disc", guestStays)), 0o600))
	for _, name := range []string{"one", "two"} {
		b.result(b.machine(name, nil, "[LocalDS_0] boot.iso").PowerOn(b.ctx))
	}
	for _, name := range []string{"one", "two"} {
		b.console(name, "I am a disc", 1)
	}
}

func TestMachineTurnsItselfOff(t *testing.T) {
	t.Parallel()
	b := machineBench(t)
	vm := b.machine("off", bootSector("good-bye", guestPowersOff), "")
	b.result(vm.PowerOn(b.ctx))
	b.powered(vm, types.VirtualMachinePowerStatePoweredOff)
	b.console("off", "good-bye", 1)
	require.Eventually(t, func() bool { return len(b.happened(vm)) > 0 }, patience, 10*time.Millisecond)
	require.Equal(t, []string{"off"}, b.happened(vm))
}

func TestMachineReboots(t *testing.T) {
	t.Parallel()
	b := machineBench(t)
	vm := b.machine("again", bootSector("again", guestReboots), "")
	b.result(vm.PowerOn(b.ctx))
	b.console("again", "again", 3)
	require.Equal(t, types.VirtualMachinePowerStatePoweredOn, b.vm(vm, "runtime.powerState").Runtime.PowerState)
	b.result(vm.PowerOff(b.ctx))
	require.Equal(t, []string{"off"}, b.happened(vm))
}

func TestMachineCrashes(t *testing.T) {
	t.Parallel()
	b := machineBench(t)
	vm := b.machine("crash", bootSector("I am here", guestStays), "")
	b.result(vm.PowerOn(b.ctx))
	b.console("crash", "I am here", 1)
	process, err := os.FindProcess(b.server.MachinePid(vm.Reference()))
	require.NoError(t, err)
	require.NoError(t, process.Kill())
	b.powered(vm, types.VirtualMachinePowerStatePoweredOff)
	require.Eventually(t, func() bool { return len(b.happened(vm)) == 2 }, patience, 10*time.Millisecond)
	require.ElementsMatch(t, []string{"off", "the machine crashed: signal: killed"}, b.happened(vm))
}

// A machine that cannot be as it is configured is not powered on, and the task says why.
func TestMachinesThatCannotBe(t *testing.T) {
	t.Parallel()
	b := machineBench(t)
	vm := b.machine("bad", nil, "[LocalDS_0] missing.iso")
	on, err := vm.PowerOn(b.ctx)
	require.NoError(t, err)
	_, err = on.WaitForResult(b.ctx)
	require.Error(t, err)
	require.Contains(t, err.Error()+faultReason(err), "[LocalDS_0] missing.iso is not there")
	require.Equal(t, types.VirtualMachinePowerStatePoweredOff, b.vm(vm, "runtime.powerState").Runtime.PowerState)
}

// faultReason is what a failed task's fault says.
func faultReason(err error) string {
	var failed task.Error
	if !errors.As(err, &failed) {
		return ""
	}
	if f, ok := failed.Fault().(*types.GenericVmConfigFault); ok {
		return f.Reason
	}
	return ""
}
