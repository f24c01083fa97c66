// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/toolbox"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/guest/rpc"
	"wolfpack/tests/vcsim/qemu"
)

// guestSide is a VM of a server whose machine is this test: what a guest would do, it does.
type guestSide struct {
	*testing.T
	machines *machines
	vm       *simulator.VirtualMachine
	talk     *talk
	rpc      *rpc.Machine
}

// newGuestSide ends with the test.
func newGuestSide(t *testing.T, silence time.Duration) *guestSide {
	t.Helper()
	model := simulator.VPX()
	model.Machine = 0
	server, err := Start(t.Context(), Config{Model: model, Guests: GuestsQEMU})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	g := &guestSide{T: t, machines: server.guests.(*machines), vm: bareVM("")}
	g.machines.silence = silence
	server.Service().Context.Map.Put(g.vm)
	ctx := newContext(server.Service().Context)
	ctx.WithLock(g.vm, func() {
		g.vm.Guest.Net = []types.GuestNicInfo{{MacAddress: "00:50:56:00:00:01", Network: "VM Network"}}
		g.vm.Runtime.PowerState = types.VirtualMachinePowerStatePoweredOn // without a word to the server
	})
	hostOut, guestOut := net.Pipe()
	hostIn, guestIn := net.Pipe()
	m := &machine{of: g.machines, vm: g.vm.Self, stop: func() {}}
	g.talk = newTalk(m, &qemu.Process{Out: hostOut, In: hostIn})
	m.talk = g.talk
	g.machines.mu.Lock()
	g.machines.byVM[g.vm.Self] = m
	g.machines.mu.Unlock()
	g.rpc = rpc.New(guestOut, guestIn)
	var talking sync.WaitGroup
	talking.Go(g.talk.run)
	t.Cleanup(func() {
		require.NoError(t, g.rpc.Close())
		talking.Wait()
	})
	return g
}

// shows waits until the VM is as it should be.
func (g *guestSide) shows(what string, is func(vm *mo.VirtualMachine) bool) {
	g.Helper()
	require.Eventually(g, func() (ok bool) {
		ctx := newContext(g.machines.base)
		ctx.WithLock(g.vm, func() { ok = is(&g.vm.VirtualMachine) })
		return ok
	}, time.Minute, 5*time.Millisecond, what)
}

// govmomi's toolbox is what runs in a guest: here it is in this process.
func TestTalkWithTools(t *testing.T) {
	g := newGuestSide(t, time.Hour)
	service := toolbox.NewService(g.rpc.In(), g.rpc.Out())
	service.PrimaryIP = func() string { return "100.64.0.7" }
	halted := make(chan struct{})
	service.Power.Halt.Handler = func() error { close(halted); return nil }
	require.NoError(t, service.Start())
	g.shows("Tools run, at the address that they say", func(vm *mo.VirtualMachine) bool {
		return vm.Guest.ToolsRunningStatus == toolsRunning && vm.GuestHeartbeatStatus == types.ManagedEntityStatusGreen &&
			vm.Guest.GuestState == string(types.VirtualMachineGuestStateRunning) && extraConfig(vm, "guestinfo.ip") == "100.64.0.7"
	})

	require.True(t, g.talk.ask("ping")) // comes after what the toolbox says of this machine
	g.shows("it has been asked", func(*mo.VirtualMachine) bool { return len(g.talk.asks) == 0 })

	info := toolbox.NewGuestNicInfo()
	nic := toolbox.GuestNicV3{MacAddress: "00:50:56:00:00:01"}
	nic.AddIP(&net.IPNet{IP: net.IPv4(100, 64, 0, 8), Mask: net.CIDRMask(22, 32)})
	name := "web"
	info.V3.Nics, info.V3.DNSConfigInfo = []toolbox.GuestNicV3{nic}, &toolbox.DNSConfigInfo{HostName: &name}
	text, err := toolbox.EncodeXDR(info)
	require.NoError(t, err)
	out := toolbox.ChannelOut{Channel: g.rpc.Out()}
	_, err = out.Request(toolbox.GuestInfoCommand(infoNICs, text))
	require.NoError(t, err)
	g.shows("its cards are as it says", func(vm *mo.VirtualMachine) bool {
		card := vm.Guest.Net[0]
		return vm.Guest.IpAddress == "100.64.0.8" && vm.Summary.Guest.IpAddress == "100.64.0.8" && vm.Guest.HostName == "web" &&
			len(card.IpAddress) == 1 && card.IpConfig.IpAddress[0].PrefixLength == 22 && card.Network == "VM Network"
	})

	require.True(t, g.machines.halt(g.vm, nil))
	<-halted
	service.Stop()
	service.Wait()
}

func TestTalkOfVariables(t *testing.T) {
	g := newGuestSide(t, time.Hour)
	value, err := g.rpc.Get("guestinfo.wolfpack.status")
	require.NoError(t, err)
	require.Empty(t, value)
	require.NoError(t, g.rpc.Set("guestinfo.wolfpack.status", `{"a": "b c"}`))
	value, err = g.rpc.Get("guestinfo.wolfpack.status")
	require.NoError(t, err)
	require.Equal(t, `{"a": "b c"}`, value)
	g.shows("everyone sees it", func(vm *mo.VirtualMachine) bool {
		return extraConfig(vm, "guestinfo.wolfpack.status") == `{"a": "b c"}`
	})

	ctx := newContext(g.machines.base)
	ctx.WithLock(g.vm, func() {
		ctx.Update(g.vm, setExtraConfig(&g.vm.VirtualMachine, map[string]string{"wolfpack.vch": "v", "guestinfo.given": "x"}))
	})
	for key, want := range map[string]string{"wolfpack.vch": "", "guestinfo.given": "x"} {
		value, err = g.rpc.Get(key)
		require.NoError(t, err)
		require.Equal(t, want, value, key)
	}
	require.ErrorContains(t, g.rpc.Set("wolfpack.vch", "mine"), "Permission denied")
	require.ErrorContains(t, g.rpc.Set("guestinfo.", "x"), "Permission denied")
	for i := range maxInfo / (32 << 10) {
		err = g.rpc.Set("guestinfo."+string(rune('a'+i)), strings.Repeat("x", 32<<10))
	}
	require.ErrorContains(t, err, "at most 1048576 are allowed")

	out := toolbox.ChannelOut{Channel: g.rpc.Out()}
	for request, want := range map[string]string{
		"vmx.unknown 1":     "Unknown command",
		"SetGuestInfo  x y": "want a number",
		"SetGuestInfo  9 y": "information on network cards",
	} {
		_, err := out.Request([]byte(request))
		require.ErrorContains(t, err, want)
	}
}

// Tools that are silent are gone, until they speak again.
func TestTalkThatEnds(t *testing.T) {
	g := newGuestSide(t, 50*time.Millisecond)
	in := g.rpc.In()
	for range 2 {
		require.NoError(t, in.Send(nil))
		g.shows("Tools are gone", func(vm *mo.VirtualMachine) bool {
			return vm.Guest.ToolsRunningStatus == toolsStopped && vm.GuestHeartbeatStatus == types.ManagedEntityStatusGray
		})
	}
}

func FuzzParseNICs(f *testing.F) {
	info := toolbox.NewGuestNicInfo()
	nic := toolbox.GuestNicV3{MacAddress: "00:50:56:00:00:01"}
	nic.AddIP(&net.IPNet{IP: net.IPv4(100, 64, 0, 8), Mask: net.CIDRMask(22, 32)})
	info.V3.Nics = []toolbox.GuestNicV3{nic}
	text, err := toolbox.EncodeXDR(info)
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte("\x00\x00\x00\x03\x00\x00\x00\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		nics, _, err := parseNICs(text)
		if err == nil {
			_ = firstAddress(nics)
		}
	})
}
