// SPDX-License-Identifier: Apache-2.0

// Package qemu runs machines with VMware's hardware in QEMU: PVSCSI disks, VMXNET3 cards, IDE CD-ROMs, BIOS. A machine is a
// process of a Launcher, and never outlives it: the kernel kills it when the launcher's process dies, however that is, and
// a launcher that starts ends what others of this machine have left behind nevertheless. Nothing is on disk but the
// machine's own files: QEMU is spoken to over socket pairs.
//
// All methods may be called by several goroutines.
package qemu

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Machine is the hardware of a machine that is to be started.
type Machine struct {
	Name     string // for who looks at the processes
	UUID     string // of the BIOS
	CPUs     int
	MemoryMB int64
	Disks    []Disk
	CDs      []CD
	Cards    []Card
	Console  string // file that the first serial port appends to
	BootCD   bool   // the CD-ROMs are tried before the disks
}

// Disk is a SCSI disk.
type Disk struct {
	Path     string
	Format   string // of QEMU's: raw or vmdk
	ReadOnly bool
	Shared   bool // other machines may have it too, at the same time
	Bus      int  // number of its PVSCSI controller
	Unit     int
	Serial   string
}

// CD is an IDE CD-ROM. It is read-only, and other machines may have the same.
type CD struct {
	Path string
	Bus  int
	Unit int
}

// Card is a network card.
type Card struct {
	Model string // of QEMU's: vmxnet3, e1000 or e1000e
	MAC   string
	Cable *os.File // end of a stream socket with QEMU's framing
}

// descriptors are the numbers that a process of QEMU's finds its sockets at. The cables of cards follow.
const (
	fdMonitor = 3 + iota
	fdOut
	fdIn
	fdCables
)

// arguments is the command line of m.
func (m *Machine) arguments(marker, accelerator string) []string {
	args := []string{
		"-name", "guest=" + quote(marker+":"+m.Name),
		"-machine", "pc,graphics=off,vmport=off,dump-guest-core=off", "-accel", accelerator, "-cpu", "max",
		"-smp", strconv.Itoa(m.CPUs), "-m", fmt.Sprintf("size=%dM", m.MemoryMB),
		"-nodefaults", "-no-user-config", "-display", "none", "-rtc", "base=utc", "-no-reboot", "-boot", "strict=on",
		"-chardev", fmt.Sprintf("socket,id=monitor,fd=%d", fdMonitor), "-mon", "chardev=monitor,mode=control",
		"-device", "virtio-serial-pci,id=ports",
		"-chardev", fmt.Sprintf("socket,id=out,fd=%d", fdOut), "-device", "virtserialport,bus=ports.0,chardev=out,name=wolfpack.rpci",
		"-chardev", fmt.Sprintf("socket,id=in,fd=%d", fdIn), "-device", "virtserialport,bus=ports.0,chardev=in,name=wolfpack.tclo",
		"-chardev", "file,id=console,append=on,path=" + quote(m.Console), "-device", "isa-serial,chardev=console",
	}
	if m.UUID != "" {
		args = append(args, "-uuid", m.UUID)
	}
	disks, cds := 1, 1
	if m.BootCD {
		disks += len(m.CDs)
	} else {
		cds += len(m.Disks)
	}
	return append(append(append(args, m.disks(disks)...), m.cds(cds)...), m.cards()...)
}

// disks are the arguments of the disks, of which the first has a place in the boot order.
func (m *Machine) disks(place int) (args []string) {
	buses := make(map[int]bool)
	for i, d := range m.Disks {
		if !buses[d.Bus] {
			buses[d.Bus] = true
			args = append(args, "-device", fmt.Sprintf("pvscsi,id=scsi%d", d.Bus))
		}
		drive := fmt.Sprintf("if=none,id=disk%d,format=%s,file=%s", i, d.Format, quote(d.Path))
		if d.ReadOnly {
			drive += ",readonly=on"
		}
		if d.Shared {
			drive += ",file.locking=off"
		}
		device := fmt.Sprintf("scsi-hd,bus=scsi%d.0,scsi-id=%d,drive=disk%d,bootindex=%d", d.Bus, d.Unit, i, place+i)
		if d.Serial != "" {
			device += ",serial=" + quote(d.Serial)
		}
		args = append(args, "-drive", drive, "-device", device)
	}
	return args
}

func (m *Machine) cds(place int) (args []string) {
	for i, cd := range m.CDs {
		args = append(args,
			"-drive", fmt.Sprintf("if=none,id=cd%d,media=cdrom,format=raw,readonly=on,file.locking=off,file=%s", i, quote(cd.Path)),
			"-device", fmt.Sprintf("ide-cd,bus=ide.%d,unit=%d,drive=cd%d,bootindex=%d", cd.Bus, cd.Unit, i, place+i))
	}
	return args
}

func (m *Machine) cards() (args []string) {
	for i, card := range m.Cards {
		args = append(args,
			"-netdev", fmt.Sprintf("stream,id=net%d,server=off,addr.type=fd,addr.str=%d", i, fdCables+i),
			"-device", fmt.Sprintf("%s,netdev=net%d,mac=%s,romfile=", card.Model, i, card.MAC))
	}
	return args
}

// quote makes text the value of one of QEMU's options.
func quote(text string) string { return strings.ReplaceAll(text, ",", ",,") }
