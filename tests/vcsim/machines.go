// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/vcsim/guestnet"
	"wolfpack/tests/vcsim/qemu"
)

// silence is how long a guest says nothing before its Tools are taken for gone. Guests speak twice a second, but those that
// QEMU emulates may be slow.
const silence = time.Minute

// machines runs each VM that is powered on in QEMU. A machine that is reset or boots anew is another process; a VM that is
// suspended is a process that stands still, and what was in its memory is lost when it is powered off, or the stand-in ends.
//
// Locks are taken in this order: a VM, then mu or a machine's. Neither is held while waiting for anything else.
type machines struct {
	listener
	base     *simulator.Context // of the simulator's service
	launcher *qemu.Launcher
	networks *guestnet.Networks
	silence  time.Duration
	running  sync.WaitGroup // one for each machine

	mu     sync.Mutex // guards the fields below
	byVM   map[types.ManagedObjectReference]*machine
	closed bool
}

// machine is a VM's, from power on to power off.
type machine struct {
	of       *machines
	vm       types.ManagedObjectReference
	ctx      context.Context // ends with the machine
	stop     context.CancelFunc
	hardware *hardware

	mu      sync.Mutex // guards the fields below
	process *qemu.Process
	paused  bool
	session *simulator.Session // of who asked the guest to stop; nil if nobody did
	talk    *talk              // with the guest, since it booted
}

// newMachines finds QEMU and makes the guests' network. The caller must close it.
func newMachines(ctx context.Context, base *simulator.Context) (*machines, error) {
	launcher, err := qemu.New(ctx)
	if err != nil {
		return nil, err
	}
	networks, err := guestnet.New(ctx)
	if err != nil {
		launcher.Close()
		return nil, err
	}
	return &machines{
		listener: newListener("Machines"), base: base, launcher: launcher, networks: networks, silence: silence,
		byVM: make(map[types.ManagedObjectReference]*machine),
	}, nil
}

// close implements backend.
func (g *machines) close() {
	g.mu.Lock()
	g.closed = true
	for _, m := range g.byVM {
		m.stop()
	}
	g.mu.Unlock()
	g.launcher.Close()
	g.running.Wait()
	g.networks.Close()
}

// UpdateObject implements simulator.RegisterObject.
func (g *machines) UpdateObject(ctx *simulator.Context, obj mo.Reference, changes []types.PropertyChange) {
	if vm, ok := obj.(*mo.VirtualMachine); ok && changed(changes, "runtime.powerState") {
		g.power(ctx, vm)
	}
}

// RemoveObject implements simulator.RegisterObject.
func (g *machines) RemoveObject(_ *simulator.Context, ref types.ManagedObjectReference) {
	if ref.Type == "VirtualMachine" {
		g.remove(ref)
	}
}

// check implements backend.
func (g *machines) check(ctx *simulator.Context, vm *mo.VirtualMachine) error {
	_, err := hardwareOf(ctx, vm)
	return err
}

// power implements backend.
func (g *machines) power(ctx *simulator.Context, vm *mo.VirtualMachine) {
	m := g.find(vm.Self)
	switch vm.Runtime.PowerState {
	case types.VirtualMachinePowerStatePoweredOn:
		if m != nil {
			m.pause(false)
		} else {
			g.begin(ctx, vm)
		}
	case types.VirtualMachinePowerStateSuspended:
		if m != nil {
			m.pause(true)
			ctx.Update(vm, toolsGone(vm))
		}
	default:
		if g.remove(vm.Self) {
			ctx.Update(vm, toolsGone(vm))
		}
	}
}

// begin turns on the machine of a VM. What goes wrong with that is the machine's end.
func (g *machines) begin(ctx *simulator.Context, vm *mo.VirtualMachine) {
	hardware, err := hardwareOf(ctx, vm)
	m := &machine{of: g, vm: vm.Self, hardware: hardware}
	m.ctx, m.stop = context.WithCancel(context.Background())
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		m.stop()
		return
	}
	g.byVM[vm.Self] = m
	g.running.Go(func() {
		defer m.stop()
		exit := qemu.Crashed
		if err == nil {
			exit, err = m.run()
		}
		m.end(exit, err)
	})
}

// find returns the machine of a VM, or nil.
func (g *machines) find(ref types.ManagedObjectReference) *machine {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.byVM[ref]
}

// remove turns off the machine of a VM, if it has one, without a word to the VM. It returns when the process has ended.
func (g *machines) remove(ref types.ManagedObjectReference) bool {
	g.mu.Lock()
	m := g.byVM[ref]
	delete(g.byVM, ref)
	g.mu.Unlock()
	if m == nil {
		return false
	}
	m.stop()
	if process := m.current(); process != nil {
		process.Kill()
	}
	return true
}

// halt implements backend.
func (g *machines) halt(vm *simulator.VirtualMachine, session *simulator.Session) bool {
	m := g.find(vm.Self)
	if m == nil {
		return false
	}
	m.mu.Lock()
	m.session = session
	m.mu.Unlock()
	return m.ask("OS_Halt")
}

// reboot implements backend.
func (g *machines) reboot(_ *simulator.Context, vm *simulator.VirtualMachine) bool {
	m := g.find(vm.Self)
	return m != nil && m.ask("OS_Reboot")
}

// reset implements backend.
func (g *machines) reset(ctx *simulator.Context, vm *simulator.VirtualMachine) bool {
	m := g.find(vm.Self)
	if m == nil {
		return false
	}
	ctx.Update(vm, toolsGone(&vm.VirtualMachine))
	process := m.current()
	return process == nil || process.Reset() == nil
}

// current returns the machine's process, or nil if there is none at the moment.
func (m *machine) current() *qemu.Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process
}

// pause has the machine stand still, or go on. One that has just ended does neither.
func (m *machine) pause(still bool) {
	m.mu.Lock()
	m.paused = still
	process := m.process
	m.mu.Unlock()
	switch {
	case process == nil:
	case still:
		_ = process.Pause()
	default:
		_ = process.Resume()
	}
}

// ask sends the guest a request of its machine's. It returns false if the guest takes none.
func (m *machine) ask(request string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.talk != nil && m.talk.ask(request)
}

// run runs the machine until its end, however often it boots meanwhile, and returns how it ended.
func (m *machine) run() (qemu.Exit, error) {
	for {
		exit, err := m.runOnce()
		if m.ctx.Err() != nil {
			return qemu.Killed, nil
		}
		if err != nil || exit != qemu.Reboot {
			return exit, err
		}
		m.update(func(ctx *simulator.Context, vm *simulator.VirtualMachine) {
			ctx.Update(vm, toolsGone(&vm.VirtualMachine))
		})
	}
}

// runOnce runs the machine from a boot to its end, or the next boot.
func (m *machine) runOnce() (qemu.Exit, error) {
	hardware := m.hardware.Machine
	hardware.Cards = append([]qemu.Card(nil), hardware.Cards...)
	for i := range hardware.Cards {
		port, cable, err := m.plug(i)
		if err != nil {
			closeCables(hardware.Cards[:i])
			return qemu.Crashed, err
		}
		defer port.Close()
		hardware.Cards[i].Cable = cable
	}
	process, err := m.of.launcher.Start(hardware)
	if err != nil {
		return qemu.Crashed, err
	}
	talk := newTalk(m, process)
	m.mu.Lock()
	m.process, m.talk = process, talk
	paused := m.paused
	m.mu.Unlock()
	switch {
	case m.ctx.Err() != nil: // it was turned off meanwhile
		process.Kill()
	case paused:
		_ = process.Pause() // it has ended, if it does not
	}
	talk.run()
	exit := process.Exit()
	m.mu.Lock()
	m.process, m.talk = nil, nil
	m.mu.Unlock()
	if exit == qemu.Crashed {
		err = fmt.Errorf("the machine crashed: %s", process.Reason())
	}
	return exit, err
}

// plug plugs a card of the machine's into its network.
func (m *machine) plug(card int) (*guestnet.Port, *os.File, error) {
	ours, theirs, err := qemu.SocketPair()
	if err != nil {
		return nil, nil, err
	}
	port, err := m.of.networks.Join(m.hardware.networks[card], m.hardware.Cards[card].MAC, ours)
	if err != nil {
		_ = ours.Close() // it was not used
		_ = theirs.Close()
		return nil, nil, err
	}
	return port, theirs, nil
}

func closeCables(cards []qemu.Card) {
	for _, card := range cards {
		_ = card.Cable.Close() // nothing is plugged in
	}
}

// update changes the VM, unless it has another machine by now or none. It takes the VM's lock.
func (m *machine) update(change func(ctx *simulator.Context, vm *simulator.VirtualMachine)) {
	vm, ok := m.of.base.Map.Get(m.vm).(*simulator.VirtualMachine)
	if !ok {
		return
	}
	ctx := newContext(m.of.base)
	ctx.WithLock(vm, func() {
		if m.of.find(m.vm) == m {
			change(ctx, vm)
		}
	})
}

// end powers the VM off, unless it was a power-off that ended the machine. Events say why.
func (m *machine) end(exit qemu.Exit, cause error) {
	if exit == qemu.Killed {
		return
	}
	m.update(func(ctx *simulator.Context, vm *simulator.VirtualMachine) {
		m.mu.Lock()
		session := m.session
		m.mu.Unlock()
		if ctx.Session = session; session == nil {
			ctx.Session = new(simulator.Session)
		}
		event := vmEvent(ctx, vm)
		if exit == qemu.Off && session != nil {
			post(ctx, &types.VmGuestShutdownEvent{VmEvent: event})
		}
		if cause != nil {
			post(ctx, &types.GeneralVmErrorEvent{GeneralEvent: types.GeneralEvent{Event: event.Event, Message: cause.Error()}})
		}
		ctx.Update(vm, []types.PropertyChange{
			{Name: "runtime.powerState", Val: types.VirtualMachinePowerStatePoweredOff},
			{Name: "summary.runtime.powerState", Val: types.VirtualMachinePowerStatePoweredOff},
			{Name: "summary.runtime.bootTime", Val: nil},
		})
		post(ctx, &types.VmPoweredOffEvent{VmEvent: event})
	})
}

// vmEvent is what all events of a VM's have.
func vmEvent(ctx *simulator.Context, vm *simulator.VirtualMachine) types.VmEvent {
	event := types.VmEvent{Event: types.Event{Vm: &types.VmEventArgument{EntityEventArgument: types.EntityEventArgument{Name: vm.Name}, Vm: vm.Self}}}
	if vm.Runtime.Host != nil {
		if host, ok := ctx.Map.Get(*vm.Runtime.Host).(*simulator.HostSystem); ok {
			event.Host = &types.HostEventArgument{EntityEventArgument: types.EntityEventArgument{Name: host.Name}, Host: host.Self}
		}
	}
	for at := vm.Parent; at != nil; {
		entity, ok := ctx.Map.Get(*at).(mo.Entity)
		if !ok {
			break
		}
		if at.Type == "Datacenter" {
			event.Datacenter = &types.DatacenterEventArgument{EntityEventArgument: types.EntityEventArgument{Name: entity.Entity().Name}, Datacenter: *at}
			break
		}
		at = entity.Entity().Parent
	}
	return event
}

func post(ctx *simulator.Context, event types.BaseEvent) {
	manager := ctx.Map.EventManager()
	ctx.WithLock(manager, func() { manager.PostEvent(ctx, &types.PostEvent{EventToPost: event}) })
}

// GuestProxy returns the URL of the SOCKS5 proxy by which QEMU guests are reached, or nil if there are none.
func (s *Server) GuestProxy() *url.URL {
	if g, ok := s.guests.(*machines); ok {
		return g.networks.Proxy()
	}
	return nil
}
