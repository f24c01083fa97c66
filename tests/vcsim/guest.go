// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"crypto/x509"
	"net/netip"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
	corev1 "k8s.io/api/core/v1"

	"wolfpack/guest/contract"
	"wolfpack/tests/vcsim/simkubelet"
)

// maxBackOff bounds how long containers that exit again and again wait to be restarted, as in the kubelet.
const maxBackOff = 5 * time.Minute

// simulated is a simulated guest, from power on to power off; in a VM that is suspended it stands still. Its steps run with
// its VM locked, and so do the calls that use what has no other guard.
type simulated struct {
	vm     types.ManagedObjectReference
	hasPod bool // else it is an endpoint VM's, and does nothing but be there

	ip      netip.Addr    // guarded by guests.mu; set once, at boot
	visible *visible      // guarded by guests.mu
	timer   *time.Timer   // guarded by guests.mu; of the next step
	turn    int           // guarded by guests.mu; changes when the next step does
	next    step          // guarded by guests.mu; the next step, nil if there is none
	due     time.Time     // guarded by guests.mu; when it is due
	frozen  bool          // guarded by guests.mu; the VM is suspended
	left    time.Duration // guarded by guests.mu; of a frozen guest, until the next step

	pod      *corev1.Pod
	clients  *x509.CertPool
	cpus     int32
	memoryMB int32
	memory   *simkubelet.Memory
	script   script
	run      run
	sequence uint64 // of the last status
	stopping bool
}

// boot is the first step: Tools run, the guest has an address and reads its pod.
func (g *guests) boot(ctx *simulator.Context, vm *simulator.VirtualMachine, guest *simulated) {
	values := make(map[string]string)
	var ip string
	if len(vm.Guest.Net) > 0 { // without a network card there is no address
		address, port, err := g.address(guest)
		if err == nil {
			ip = address.String()
			values[contract.KeyEndpoint], err = contract.EncodeEndpoint(contract.Endpoint{Port: port, SHA256: g.endpoint.sha256})
		}
		if err != nil {
			guest.run.failure = err.Error()
		}
	}
	guest.run.booted = time.Now()
	if guest.hasPod {
		guest.read(&vm.VirtualMachine)
	}
	hardware := vm.Config.Hardware
	guest.cpus, guest.memoryMB, guest.memory = hardware.NumCPU, hardware.MemoryMB, new(simkubelet.Memory)
	g.show(guest, guest.seen(nil))
	changes := toolsHere(&vm.VirtualMachine, ip, guest.hostName(vm.Name))
	if !guest.hasPod || guest.script.hang {
		ctx.Update(vm, changes)
		return
	}
	begin := guest.run.failure == "" && guest.script.startDelay == 0
	if begin {
		guest.begin()
	}
	g.report(ctx, vm, guest, values, changes...)
	switch {
	case begin:
		g.awaitExit(guest)
	case guest.run.failure == "":
		g.after(guest, guest.script.startDelay, g.start)
	}
}

// start is the step after the start delay.
func (g *guests) start(ctx *simulator.Context, vm *simulator.VirtualMachine, guest *simulated) {
	guest.begin()
	g.report(ctx, vm, guest, nil)
	g.awaitExit(guest)
}

// exit is the step at which the containers exit by themselves.
func (g *guests) exit(ctx *simulator.Context, vm *simulator.VirtualMachine, guest *simulated) {
	run := &guest.run
	run.exited, run.exitCode = time.Now(), guest.script.exitCode
	if !guest.script.restarts(guest.pod.Spec.RestartPolicy) {
		run.done = true
		g.report(ctx, vm, guest, nil)
		return
	}
	if run.backOff = g.backOffAfter(run.restarts); run.backOff == 0 {
		g.restart(ctx, vm, guest)
		return
	}
	g.report(ctx, vm, guest, nil)
	g.after(guest, run.backOff, g.restart)
}

// restart is the step at which containers that have exited run again.
func (g *guests) restart(ctx *simulator.Context, vm *simulator.VirtualMachine, guest *simulated) {
	guest.run.last = guest.run.terminated()
	guest.run.restarts++
	g.start(ctx, vm, guest)
}

// backOffAfter is how long containers wait that were restarted a number of times: not at all at first.
func (g *guests) backOffAfter(restarts int32) time.Duration {
	if restarts == 0 {
		return 0
	}
	wait := g.backOff
	for range min(restarts-1, 32) {
		wait = min(2*wait, maxBackOff)
	}
	return wait
}

// awaitExit sets the timer for the exit, if the containers exit by themselves.
func (g *guests) awaitExit(guest *simulated) {
	if guest.script.exits && guest.run.failure == "" {
		g.after(guest, guest.script.exitAfter, g.exit)
	}
}

// shutdown makes guest stop, once, on behalf of a session. The caller holds the VM's lock.
func (g *guests) shutdown(guest *simulated, session *simulator.Session) {
	if guest.stopping {
		return
	}
	guest.stopping = true
	var delay time.Duration
	if guest.run.running() || guest.script.hang {
		delay = guest.script.stopDelay
	}
	g.after(guest, delay, func(ctx *simulator.Context, vm *simulator.VirtualMachine, guest *simulated) {
		run := &guest.run
		if guest.hasPod && !guest.script.hang && run.failure == "" && !run.done {
			run.done, run.exitCode = true, 0
			if run.exited.IsZero() {
				run.exited = time.Now()
			}
			g.report(ctx, vm, guest, nil)
		}
		ctx.Session = session
		vm.ShutdownGuest(ctx, &types.ShutdownGuest{This: vm.Self}) // sends the events and powers the VM off
	})
}

// address is where the guest is, or "".
func (guest *simulated) address() string {
	if !guest.ip.IsValid() {
		return ""
	}
	return guest.ip.String()
}

// begin makes the containers run, or the guest fail if it is told to.
func (guest *simulated) begin() {
	if guest.script.fail != "" {
		guest.run.failure = guest.script.fail
		return
	}
	run := &guest.run
	run.started, run.exited = time.Now(), time.Time{}
	if run.firstStarted.IsZero() {
		run.firstStarted = run.started
	}
}

// seen is what the network sees of the guest in a status.
func (guest *simulated) seen(status *corev1.PodStatus) *visible {
	return &visible{clients: guest.clients, Guest: simkubelet.Guest{
		Pod: guest.pod, Status: status, Booted: guest.run.booted, CPUs: guest.cpus, MemoryMB: guest.memoryMB, Memory: guest.memory,
	}}
}

// hostName is what the guest calls itself: what its pod says, or else the name of its VM.
func (guest *simulated) hostName(vm string) string {
	switch {
	case guest.pod == nil:
		return vm
	case guest.pod.Spec.Hostname != "":
		return guest.pod.Spec.Hostname
	default:
		return guest.pod.Name
	}
}
