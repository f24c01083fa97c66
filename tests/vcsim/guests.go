// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/guest/contract"
)

// The identity of an endpoint VM, in its extraConfig.
const (
	keyRole      = "wolfpack.role"
	roleEndpoint = "endpoint"
)

// backend runs what is in VMs that are powered on. It hears of power changes from the registry, so it does not matter who
// changed the power, or how.
type backend interface {
	simulator.RegisterObject
	// power begins, freezes or ends the guest of vm to match its power state. The caller holds the VM's lock.
	power(ctx *simulator.Context, vm *mo.VirtualMachine)
	// check says why the VM cannot be powered on; nil if it can. The caller holds the VM's lock.
	check(ctx *simulator.Context, vm *mo.VirtualMachine) error
	// halt asks a guest whose Tools run to stop, on behalf of a session, and reboot to boot anew. reset boots the guest of a
	// VM anew, if it has one, without a word to it. The caller holds the VM's lock. They return false if there is no guest.
	halt(vm *simulator.VirtualMachine, session *simulator.Session) bool
	reboot(ctx *simulator.Context, vm *simulator.VirtualMachine) bool
	reset(ctx *simulator.Context, vm *simulator.VirtualMachine) bool
	// close ends all guests as if the power had failed, and returns when they have ended.
	close()
}

// guests runs a simulated guest in each pod VM and endpoint VM that is powered on. A guest has no goroutine: it is a state
// that timers and calls move on, with its VM locked.
//
// Locks are taken in this order: a VM, then mu. mu is never held while waiting for anything else.
type guests struct {
	listener
	base     *simulator.Context // of the simulator's service
	backOff  time.Duration      // before a second restart
	endpoint *endpoint
	steps    sync.WaitGroup // one for each timer that is set or running

	mu        sync.Mutex // guards the fields below and the marked ones of each guest
	byVM      map[types.ManagedObjectReference]*simulated
	byIP      map[netip.Addr]*simulated
	addresses addresses
	closed    bool
}

// newGuests claims addresses and listens for the guests' clients. The caller must close it.
func newGuests(ctx context.Context, base *simulator.Context, backOff time.Duration) (*guests, error) {
	if backOff == 0 {
		backOff = 10 * time.Second
	}
	g := &guests{
		listener: newListener("Guests"),
		base:     base,
		backOff:  backOff,
		byVM:     make(map[types.ManagedObjectReference]*simulated),
		byIP:     make(map[netip.Addr]*simulated),
	}
	if err := g.addresses.claim(ctx); err != nil {
		return nil, err
	}
	var err error
	if g.endpoint, err = newEndpoint(true, g.find); err != nil {
		g.addresses.close()
		return nil, fmt.Errorf("start simulated guests: %w", err)
	}
	return g, nil
}

// close ends all guests as if the power had failed, and waits for what they were doing.
func (g *guests) close() {
	g.mu.Lock()
	g.closed = true
	for _, guest := range g.byVM {
		g.cancel(guest)
	}
	g.mu.Unlock()
	g.steps.Wait()
	g.endpoint.close()
	g.addresses.close()
}

// find returns what the network sees of the guest with an address, or nil.
func (g *guests) find(ip netip.Addr) *visible {
	g.mu.Lock()
	defer g.mu.Unlock()
	if guest := g.byIP[ip]; guest != nil && !guest.frozen {
		return guest.visible
	}
	return nil
}

// UpdateObject implements simulator.RegisterObject.
func (g *guests) UpdateObject(ctx *simulator.Context, obj mo.Reference, changes []types.PropertyChange) {
	if vm, ok := obj.(*mo.VirtualMachine); ok && changed(changes, "runtime.powerState") {
		g.power(ctx, vm)
	}
}

// RemoveObject implements simulator.RegisterObject.
func (g *guests) RemoveObject(_ *simulator.Context, ref types.ManagedObjectReference) {
	if ref.Type == "VirtualMachine" {
		g.remove(ref)
	}
}

// power begins, freezes or ends the guest of vm to match its power state. The caller holds the VM's lock.
func (g *guests) power(ctx *simulator.Context, vm *mo.VirtualMachine) {
	switch vm.Runtime.PowerState {
	case types.VirtualMachinePowerStatePoweredOn:
		if guest := g.thaw(vm.Self); guest == nil {
			g.begin(vm)
		} else if !guest.run.booted.IsZero() {
			ctx.Update(vm, toolsHere(vm, guest.address(), guest.hostName(vm.Name)))
		}
	case types.VirtualMachinePowerStateSuspended:
		if g.freeze(vm.Self) {
			ctx.Update(vm, toolsGone(vm))
		}
	default:
		if g.remove(vm.Self) {
			ctx.Update(vm, toolsGone(vm))
		}
	}
}

// begin boots the guest of a VM, if it has one that is not there yet.
func (g *guests) begin(vm *mo.VirtualMachine) {
	pod := extraConfig(vm, contract.KeyPod) != ""
	if !pod && extraConfig(vm, keyRole) != roleEndpoint {
		return
	}
	guest := &simulated{vm: vm.Self, hasPod: pod}
	g.mu.Lock()
	old := g.byVM[vm.Self]
	if old == nil {
		g.byVM[vm.Self] = guest
	}
	g.mu.Unlock()
	if old == nil {
		g.after(guest, 0, g.boot)
	}
}

// freeze has the guest of a VM, if it has one, stand still. Nobody on the network finds it, and its connections end.
func (g *guests) freeze(ref types.ManagedObjectReference) bool {
	g.mu.Lock()
	guest := g.byVM[ref]
	if guest == nil {
		g.mu.Unlock()
		return false
	}
	g.cancel(guest)
	guest.frozen, guest.left = true, time.Until(guest.due)
	ip := guest.ip
	g.mu.Unlock()
	if ip.IsValid() {
		g.endpoint.cut(ip)
	}
	return true
}

// thaw has the guest of a VM go on where it was frozen. It returns nil if there is none that was.
func (g *guests) thaw(ref types.ManagedObjectReference) *simulated {
	g.mu.Lock()
	guest := g.byVM[ref]
	if guest == nil || !guest.frozen {
		g.mu.Unlock()
		return nil
	}
	guest.frozen = false
	next, left := guest.next, guest.left
	g.mu.Unlock()
	if next != nil {
		g.after(guest, left, next)
	}
	return guest
}

// remove ends the guest of a VM, if it has one, without a word to the VM.
func (g *guests) remove(ref types.ManagedObjectReference) bool {
	g.mu.Lock()
	guest := g.byVM[ref]
	if guest == nil {
		g.mu.Unlock()
		return false
	}
	g.cancel(guest)
	delete(g.byVM, ref)
	ip := guest.ip
	if ip.IsValid() {
		delete(g.byIP, ip)
		g.addresses.release(ip)
	}
	g.mu.Unlock()
	if ip.IsValid() {
		g.endpoint.shut(ip)
	}
	return true
}

// address gives guest an address that answers, and returns it with its port.
func (g *guests) address(guest *simulated) (netip.Addr, int, error) {
	g.mu.Lock()
	ip, err := g.addresses.take(context.Background())
	if err == nil {
		guest.ip = ip
		g.byIP[ip] = guest
	}
	g.mu.Unlock()
	if err != nil {
		return netip.Addr{}, 0, err
	}
	port, err := g.endpoint.open(context.Background(), ip)
	return ip, port, err
}

// show changes what the network sees of guest.
func (g *guests) show(guest *simulated, v *visible) {
	g.mu.Lock()
	guest.visible = v
	g.mu.Unlock()
}

// step is what a guest does next. It runs with the VM locked on behalf of ctx.
type step func(ctx *simulator.Context, vm *simulator.VirtualMachine, guest *simulated)

// after makes guest do next after a while, instead of what it was going to do.
func (g *guests) after(guest *simulated, delay time.Duration, next step) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cancel(guest)
	if g.closed || g.byVM[guest.vm] != guest {
		return
	}
	turn := guest.turn
	guest.next, guest.due = next, time.Now().Add(delay)
	g.steps.Add(1)
	guest.timer = time.AfterFunc(delay, func() {
		defer g.steps.Done()
		g.take(guest, turn, next)
	})
}

// cancel takes back what guest was going to do. The caller holds mu.
func (g *guests) cancel(guest *simulated) {
	guest.turn++
	if guest.timer != nil && guest.timer.Stop() {
		g.steps.Done()
	}
	guest.timer = nil
}

// take takes a step, unless it was cancelled on the way.
func (g *guests) take(guest *simulated, turn int, next step) {
	vm, ok := g.base.Map.Get(guest.vm).(*simulator.VirtualMachine)
	if !ok {
		return
	}
	ctx := newContext(g.base)
	ctx.WithLock(vm, func() {
		g.mu.Lock()
		valid := guest.turn == turn
		if valid {
			guest.next = nil
		}
		g.mu.Unlock()
		if valid {
			next(ctx, vm, guest)
		}
	})
}

// check implements backend: nothing keeps a simulated guest from booting.
func (g *guests) check(*simulator.Context, *mo.VirtualMachine) error { return nil }

// halt implements backend.
func (g *guests) halt(vm *simulator.VirtualMachine, session *simulator.Session) bool {
	guest := g.of(vm)
	if guest == nil {
		return false
	}
	g.shutdown(guest, session)
	return true
}

// reboot implements backend: the guest ends, and another boots.
func (g *guests) reboot(ctx *simulator.Context, vm *simulator.VirtualMachine) bool {
	return g.of(vm) != nil && g.reset(ctx, vm)
}

// reset implements backend.
func (g *guests) reset(ctx *simulator.Context, vm *simulator.VirtualMachine) bool {
	had := g.remove(vm.Self)
	ctx.Update(vm, toolsGone(&vm.VirtualMachine))
	g.power(ctx, &vm.VirtualMachine)
	return had
}

// of returns the VM's guest, or nil.
func (g *guests) of(vm *simulator.VirtualMachine) *simulated {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.byVM[vm.Self]
}

// guestMethods are the methods of a VM that ask its guest for something.
type guestMethods struct {
	*simulator.VirtualMachine
	guests backend
}

// ShutdownGuest asks the guest to stop. It powers the VM off when it has.
func (vm *guestMethods) ShutdownGuest(ctx *simulator.Context, req *types.ShutdownGuest) soap.HasFault {
	if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		return vm.VirtualMachine.ShutdownGuest(ctx, req) // which says so
	}
	if !vm.reachable() || !vm.guests.halt(vm.VirtualMachine, ctx.Session) {
		return &methods.ShutdownGuestBody{Fault_: simulator.Fault("VMware Tools is not running", new(types.ToolsUnavailable))}
	}
	return &methods.ShutdownGuestBody{Res: new(types.ShutdownGuestResponse)}
}

// RebootGuest asks the guest to boot anew.
func (vm *guestMethods) RebootGuest(ctx *simulator.Context, req *types.RebootGuest) soap.HasFault {
	if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		return vm.VirtualMachine.RebootGuest(ctx, req) // which says so
	}
	if !vm.reachable() || !vm.guests.reboot(ctx, vm.VirtualMachine) {
		return &methods.RebootGuestBody{Fault_: simulator.Fault("VMware Tools is not running", new(types.ToolsUnavailable))}
	}
	return &methods.RebootGuestBody{Res: new(types.RebootGuestResponse)}
}

// PowerOnVMTask fails where the VM's hardware cannot be had, such as an image that is not there.
func (vm *guestMethods) PowerOnVMTask(ctx *simulator.Context, req *types.PowerOnVM_Task) soap.HasFault {
	why := vm.guests.check(ctx, &vm.VirtualMachine.VirtualMachine)
	if why == nil || vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
		return vm.VirtualMachine.PowerOnVMTask(ctx, req)
	}
	task := simulator.CreateTask(vm.VirtualMachine, "powerOn", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		return nil, &types.GenericVmConfigFault{Reason: why.Error()}
	})
	return &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{Returnval: task.Run(ctx)}}
}

// ResetVMTask boots the guest anew without the VM ever being off, as vCenter's does and the simulator's does not.
func (vm *guestMethods) ResetVMTask(ctx *simulator.Context, _ *types.ResetVM_Task) soap.HasFault {
	task := simulator.CreateTask(vm.VirtualMachine, "reset", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		if state := vm.Runtime.PowerState; state != types.VirtualMachinePowerStatePoweredOn {
			return nil, &types.InvalidPowerState{RequestedState: types.VirtualMachinePowerStatePoweredOn, ExistingState: state}
		}
		vm.guests.reset(ctx, vm.VirtualMachine)
		return nil, nil
	})
	return &methods.ResetVM_TaskBody{Res: &types.ResetVM_TaskResponse{Returnval: task.Run(ctx)}}
}

// reachable says whether the guest's Tools run.
func (vm *guestMethods) reachable() bool { return vm.Guest.ToolsRunningStatus == toolsRunning }
