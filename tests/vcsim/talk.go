// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	xdr "github.com/rasky/go-xdr/xdr2"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/toolbox"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/guest/rpc"
	"wolfpack/tests/vcsim/qemu"
)

const (
	infoPrefix = "guestinfo."
	maxInfo    = 1 << 20                // of a VM's variables altogether, as in ESXi
	askEvery   = 500 * time.Millisecond // how long a guest waits for a request of its machine's

	infoDNSName = 1 // of SetGuestInfo, as in open-vm-tools
	infoNICs    = 9
)

// talk is the machine's side of GuestRPC, from a boot to the next. The guest's Tools run while it speaks.
type talk struct {
	machine *machine
	process *qemu.Process
	asks    chan string

	mu    sync.Mutex // guards the fields below
	heard bool       // Tools run
	name  string     // of the guest, as it says
	nics  []types.GuestNicInfo
	ip    string
}

func newTalk(m *machine, process *qemu.Process) *talk {
	t := &talk{machine: m, process: process, asks: make(chan string, 16)}
	for _, request := range []string{"reset", "Capabilities_Register", "Set_Option broadcastIP 1"} {
		t.asks <- request
	}
	return t
}

// ask has the guest get a request. It returns false if it takes none.
func (t *talk) ask(request string) bool {
	select {
	case t.asks <- request:
		return true
	default:
		return false
	}
}

// run talks until the guest is gone.
func (t *talk) run() {
	var both sync.WaitGroup
	both.Go(t.answer)
	both.Go(t.request)
	both.Wait()
}

// answer answers the guest's requests. One that breaks the rules of the channel has talked.
func (t *talk) answer() {
	for {
		request, err := rpc.ReadFrame(t.process.Out, rpc.MaxRequest)
		if err != nil {
			break
		}
		result, err := t.carryOut(string(request))
		text := "1 " + result
		if err != nil {
			text = "0 " + err.Error()
		}
		if rpc.WriteFrame(t.process.Out, []byte(text)) != nil {
			break
		}
	}
	_ = t.process.Out.Close() // it has been, if the guest is gone
}

// request hands the guest the machine's requests, as often as it asks for one.
func (t *talk) request() {
	defer func() { _ = t.process.In.Close() }() // it has been, if the guest is gone
	in := bufio.NewReader(t.process.In)
	for {
		_ = t.process.In.SetReadDeadline(time.Now().Add(t.machine.of.silence)) // fails when In is closed, and then so does Peek
		if _, err := in.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
			t.hear(false)
			_ = t.process.In.SetReadDeadline(time.Time{})
		}
		if _, err := in.Peek(1); err != nil {
			return
		}
		_ = t.process.In.SetReadDeadline(time.Time{})
		if _, err := rpc.ReadFrame(in, rpc.MaxRequest); err != nil {
			return
		}
		t.hear(true)
		var request string
		select {
		case request = <-t.asks:
		case <-time.After(askEvery):
		case <-t.process.Done():
			return
		}
		if rpc.WriteFrame(t.process.In, []byte(request)) != nil {
			return
		}
	}
}

// hear notes that the guest speaks, or does not any more.
func (t *talk) hear(speaks bool) {
	t.mu.Lock()
	same := t.heard == speaks
	t.mu.Unlock()
	if same && !speaks {
		return
	}
	t.machine.update(func(ctx *simulator.Context, vm *simulator.VirtualMachine) {
		t.mu.Lock()
		t.heard = speaks
		t.mu.Unlock()
		switch shown := vm.Guest.ToolsRunningStatus == toolsRunning; {
		case speaks && !shown && vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn:
			ctx.Update(vm, t.shown(&vm.VirtualMachine))
		case !speaks && shown:
			ctx.Update(vm, toolsGone(&vm.VirtualMachine))
		}
	})
}

// shown returns the changes that show what is known of the guest.
func (t *talk) shown(vm *mo.VirtualMachine) []types.PropertyChange {
	t.mu.Lock()
	defer t.mu.Unlock()
	changes := toolsHere(vm, "", t.name)
	for i := range changes {
		switch changes[i].Name {
		case "guest.ipAddress", "summary.guest.ipAddress":
			changes[i].Val = t.ip
		case "guest.net":
			changes[i].Val = t.cards(vm)
		}
	}
	return changes
}

// cards returns the VM's cards with the addresses that the guest has told. The caller holds mu.
func (t *talk) cards(vm *mo.VirtualMachine) []types.GuestNicInfo {
	cards := network(vm, "")
	for i := range cards {
		for _, nic := range t.nics {
			if strings.EqualFold(nic.MacAddress, cards[i].MacAddress) {
				cards[i].IpAddress, cards[i].IpConfig, cards[i].Connected = nic.IpAddress, nic.IpConfig, true
			}
		}
	}
	return cards
}

// refusal is why a request is refused, in VMware's words.
type refusal string

func (r refusal) Error() string { return string(r) }

// carryOut carries out a request of the guest's, and returns the result.
func (t *talk) carryOut(request string) (result string, err error) {
	verb, rest, _ := strings.Cut(request, " ")
	switch {
	case verb == "info-get":
		return t.get(strings.TrimRight(rest, "\x00"))
	case verb == "info-set":
		key, value, _ := strings.Cut(rest, " ")
		return "", t.set(key, value)
	case verb == "SetGuestInfo":
		return "", t.inform(rest)
	case verb == "tools.set.version", verb == "tools.os.statechange.status", verb == "log", strings.HasPrefix(verb, "tools.capability."):
		return "", nil // noted
	default:
		return "", refusal("Unknown command")
	}
}

// get returns a variable. A guest sees no other configuration of its VM's.
func (t *talk) get(key string) (value string, err error) {
	err = refusal(rpc.NoValue)
	if !strings.HasPrefix(key, infoPrefix) {
		return "", err
	}
	t.machine.update(func(_ *simulator.Context, vm *simulator.VirtualMachine) {
		if value = extraConfig(&vm.VirtualMachine, key); value != "" {
			err = nil
		}
	})
	return value, err
}

// set sets a variable, for everyone to see who may read the VM.
func (t *talk) set(key, value string) (err error) {
	if !strings.HasPrefix(key, infoPrefix) || key == infoPrefix {
		return refusal("Permission denied")
	}
	if key == infoPrefix+"ip" {
		defer t.moved(value)
	}
	t.machine.update(func(ctx *simulator.Context, vm *simulator.VirtualMachine) {
		size := len(key) + len(value)
		for _, option := range vm.Config.ExtraConfig {
			if o := option.GetOptionValue(); strings.HasPrefix(o.Key, infoPrefix) && o.Key != key {
				text, _ := o.Value.(string)
				size += len(o.Key) + len(text)
			}
		}
		if size > maxInfo {
			err = fmt.Errorf("the variables would have %d bytes; at most %d are allowed", size, maxInfo)
			return
		}
		ctx.Update(vm, setExtraConfig(&vm.VirtualMachine, map[string]string{key: value}))
	})
	return err
}

// moved notes the guest's first address, as Tools tell it.
func (t *talk) moved(ip string) {
	if _, err := netip.ParseAddr(ip); err != nil {
		return
	}
	t.mu.Lock()
	t.ip = ip
	t.mu.Unlock()
	t.show()
}

// inform takes what the guest says of itself: the number of a kind of information, and the information.
func (t *talk) inform(text string) error {
	number, info, _ := strings.Cut(strings.TrimLeft(text, " "), " ")
	kind, err := strconv.Atoi(number)
	if err != nil {
		return fmt.Errorf("information of kind %q; want a number", number)
	}
	switch kind {
	case infoDNSName:
		t.mu.Lock()
		t.name = info
		t.mu.Unlock()
	case infoNICs:
		nics, name, err := parseNICs([]byte(info))
		if err != nil {
			return err
		}
		t.mu.Lock()
		t.nics, t.ip = nics, firstAddress(nics)
		if name != "" {
			t.name = name
		}
		t.mu.Unlock()
	default:
		return nil // of no interest here
	}
	t.show()
	return nil
}

// show shows what is known of the guest, if its Tools are shown to run.
func (t *talk) show() {
	t.machine.update(func(ctx *simulator.Context, vm *simulator.VirtualMachine) {
		if vm.Guest.ToolsRunningStatus == toolsRunning {
			ctx.Update(vm, t.shown(&vm.VirtualMachine))
		}
	})
}

// parseNICs reads what a guest says of its cards, and its host name if that is there.
func parseNICs(text []byte) (nics []types.GuestNicInfo, name string, err error) {
	var info toolbox.GuestNicInfo
	if _, err := xdr.UnmarshalLimited(bytes.NewReader(text), &info, uint(len(text))); err != nil {
		return nil, "", fmt.Errorf("information on network cards: %w", err)
	}
	if info.V3 == nil {
		return nil, "", fmt.Errorf("information on network cards of version %d; want 3", info.Version)
	}
	for _, nic := range info.V3.Nics {
		var addresses []string
		var config types.NetIpConfigInfo
		for _, entry := range nic.IPs {
			ip, ok := netip.AddrFromSlice(entry.Address.Address)
			if !ok || int(entry.PrefixLength) > ip.BitLen() {
				return nil, "", fmt.Errorf("information on network card %s: %v/%d is no address", nic.MacAddress, net.IP(entry.Address.Address), entry.PrefixLength)
			}
			addresses = append(addresses, ip.String())
			config.IpAddress = append(config.IpAddress, types.NetIpConfigInfoIpAddress{
				IpAddress: ip.String(), PrefixLength: int32(entry.PrefixLength),
				State: string(types.NetIpConfigInfoIpAddressStatusPreferred),
			})
		}
		nics = append(nics, types.GuestNicInfo{MacAddress: nic.MacAddress, IpAddress: addresses, IpConfig: &config})
	}
	if dns := info.V3.DNSConfigInfo; dns != nil && dns.HostName != nil {
		name = *dns.HostName
	}
	return nics, name, nil
}

// firstAddress is the guest's own: the first of version 4.
func firstAddress(nics []types.GuestNicInfo) string {
	for _, nic := range nics {
		for _, address := range nic.IpAddress {
			if ip, err := netip.ParseAddr(address); err == nil && ip.Is4() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
				return address
			}
		}
	}
	return ""
}
