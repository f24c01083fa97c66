// SPDX-License-Identifier: Apache-2.0

// Package inprocess keeps pod VMs in memory: a portlayer with state for tests of what stands on one. Its guests do what the
// test tells them.
package inprocess

import (
	"context"
	"fmt"
	"sync"

	"wolfpack/errs"
	"wolfpack/guest/contract"
	"wolfpack/provider/portlayer"
)

// Host is a portlayer.Portlayer without a vSphere.
type Host struct {
	// Before is called before each operation with its name (Create, Start, Shutdown, Stop, Remove, Find) and the VM. An
	// error that it returns is the operation's. Set it before use.
	Before func(op string, id portlayer.ID) error
	// OnStart and OnShutdown are called when a VM was started, and when its guest was asked to stop, without locks held. Set
	// them before use.
	OnStart, OnShutdown func(id portlayer.ID)
	mu                  sync.Mutex // guards all below, and is held while a watcher is told, so that news keep their order
	vms                 map[portlayer.ID]*portlayer.VM
	hidden              map[portlayer.ID]bool // from the watch
	place               portlayer.Host
	lost                bool
	unanswered          string        // the operation whose next answer is lost
	changed             chan struct{} // closed and replaced at each change
	watcher             func(portlayer.Update)
	made                int
}

var _ portlayer.Portlayer = (*Host)(nil)

// New returns a host without VMs.
func New() *Host {
	return &Host{
		Before:     func(string, portlayer.ID) error { return nil },
		OnStart:    func(portlayer.ID) {},
		OnShutdown: func(portlayer.ID) {},
		vms:        map[portlayer.ID]*portlayer.VM{},
		hidden:     map[portlayer.ID]bool{},
		place: portlayer.Host{
			Product: "in process", Version: "1",
			All: portlayer.Resources{CPUs: 16, MemoryBytes: 64 << 30}, Hosts: 1, UsableHosts: 1,
			Datastore: portlayer.Datastore{Name: "memory", Found: true, Accessible: true, Capacity: 100 << 30, Free: 50 << 30},
			Network:   portlayer.Network{Name: "pods", Found: true, Accessible: true},
		},
		changed: make(chan struct{}),
	}
}

// Create makes a VM that is off.
func (h *Host) Create(_ context.Context, spec portlayer.Spec) (portlayer.ID, error) {
	if err := h.Before("Create", ""); err != nil {
		return "", err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, vm := range h.vms {
		if vm.UID == spec.UID {
			return id, errs.New("inprocess.Create", errs.Exists, "pod %s has VM %s", spec.UID, id)
		}
	}
	config, err := spec.OS.Spec(spec.Machine)
	if err != nil {
		return "", errs.New("inprocess.Create", errs.Invalid, "%w", err)
	}
	h.made++
	vm := portlayer.VM{
		ID: portlayer.ID(fmt.Sprintf("vm-%d", h.made)), Identity: spec.Identity,
		VMName: spec.Machine.VMName, GuestName: config.AlternateGuestName, State: portlayer.Off,
		Payload: spec.Machine.Extra[contract.KeyPod],
	}
	h.put(vm)
	if err := h.answer("Create"); err != nil {
		return "", err
	}
	return vm.ID, nil
}

// Start powers a VM on.
func (h *Host) Start(_ context.Context, id portlayer.ID) error {
	err := h.change("Start", id, func(vm *portlayer.VM) error {
		vm.State = portlayer.Running
		return nil
	})
	if err == nil {
		h.OnStart(id)
	}
	return err
}

// Shutdown calls OnShutdown if Tools run.
func (h *Host) Shutdown(_ context.Context, id portlayer.ID) error {
	asked := false
	err := h.change("Shutdown", id, func(vm *portlayer.VM) error {
		if vm.State != portlayer.Off && !vm.ToolsUp {
			return errs.New("inprocess.Shutdown", errs.Unavailable, "no Tools in VM %s", id)
		}
		asked = vm.State != portlayer.Off
		return nil
	})
	if asked {
		h.OnShutdown(id)
	}
	return err
}

// Stop powers a VM off.
func (h *Host) Stop(_ context.Context, id portlayer.ID) error {
	return h.change("Stop", id, func(vm *portlayer.VM) error {
		vm.State, vm.ToolsUp, vm.IP = portlayer.Off, false, ""
		return nil
	})
}

// AwaitOff waits until the VM is off or gone.
func (h *Host) AwaitOff(ctx context.Context, id portlayer.ID) error {
	for {
		h.mu.Lock()
		vm, ok := h.vms[id]
		off, changed := !ok || vm.State == portlayer.Off, h.changed
		h.mu.Unlock()
		if off {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Remove drops a VM that is off.
func (h *Host) Remove(_ context.Context, id portlayer.ID) error {
	if err := h.Before("Remove", id); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	vm, ok := h.vms[id]
	switch {
	case !ok:
		return errs.New("inprocess.Remove", errs.NotFound, "no VM %s", id)
	case vm.State != portlayer.Off:
		return errs.New("inprocess.Remove", errs.Unavailable, "VM %s is %s", id, vm.State)
	}
	h.drop(id)
	return h.answer("Remove")
}

// Find looks for a VM that Hide has hidden, and reports it as Outside from then on.
func (h *Host) Find(_ context.Context, uid string) error {
	if err := h.Before("Find", ""); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, vm := range h.vms {
		if vm.UID == uid {
			found := *vm
			found.Outside = found.Outside || h.hidden[vm.ID]
			delete(h.hidden, vm.ID)
			h.put(found)
			return nil
		}
	}
	return errs.New("inprocess.Find", errs.NotFound, "no VM of pod %s", uid)
}

// Watch reports the VMs and what they run on.
func (h *Host) Watch(ctx context.Context, sink func(portlayer.Update)) error {
	h.mu.Lock()
	h.watcher = sink
	h.sync()
	h.mu.Unlock()
	<-ctx.Done()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watcher = nil
	return ctx.Err()
}

// Change changes what the VMs run on, as an admin or a failure would.
func (h *Host) Change(change func(*portlayer.Host)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&h.place)
	place := h.place
	h.tell(portlayer.Update{Host: &place})
}

// Lose interrupts the watch until Regain: what happens meanwhile is not reported.
func (h *Host) Lose(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tell(portlayer.Update{Lost: why})
	h.lost = true
}

// Regain ends what Lose began.
func (h *Host) Regain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost = false
	h.sync()
}

// LoseAnswer has the next operation of that name (Create, Start, Shutdown, Stop, Remove) be carried out and its answer be lost.
func (h *Host) LoseAnswer(op string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unanswered = op
}

// Set changes a VM behind the provider's back, as its guest or an admin would. It returns false if there is no such VM.
func (h *Host) Set(id portlayer.ID, change func(*portlayer.VM)) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	vm, ok := h.vms[id]
	if ok {
		next := *vm
		change(&next)
		h.put(next)
	}
	return ok
}

// Vanish drops a VM behind the provider's back.
func (h *Host) Vanish(id portlayer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(id)
}

// Hide moves a VM to where only Find finds it, as one is that was moved out of the folder while nobody watched. The next
// Watch does not report it.
func (h *Host) Hide(id portlayer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hidden[id] = true
}

// Copy makes a VM with the identity of another, as a clone has, and reports it although no backend should.
func (h *Host) Copy(id portlayer.ID) portlayer.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.made++
	vm := *h.vms[id]
	vm.ID, vm.VMName, vm.State = portlayer.ID(fmt.Sprintf("vm-%d", h.made)), "copy of "+vm.VMName, portlayer.Off
	h.put(vm)
	return vm.ID
}

// VMs are all VMs there are.
func (h *Host) VMs() []portlayer.VM {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]portlayer.VM, 0, len(h.vms))
	for _, vm := range h.vms {
		all = append(all, *vm)
	}
	return all
}

func (h *Host) change(op string, id portlayer.ID, change func(*portlayer.VM) error) error {
	if err := h.Before(op, id); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	vm, ok := h.vms[id]
	if !ok {
		return errs.New("inprocess."+op, errs.NotFound, "no VM %s", id)
	}
	next := *vm
	if err := change(&next); err != nil {
		return err
	}
	h.put(next)
	return h.answer(op)
}

// answer is the answer to what was done: none, if LoseAnswer said so. The caller holds mu.
func (h *Host) answer(op string) error {
	if h.unanswered != op {
		return nil
	}
	h.unanswered = ""
	return errs.New("inprocess."+op, errs.Unavailable, "the answer was lost")
}

func (h *Host) put(vm portlayer.VM) {
	h.vms[vm.ID] = &vm
	h.tell(portlayer.Update{Changed: []portlayer.VM{vm}})
}

func (h *Host) drop(id portlayer.ID) {
	if _, ok := h.vms[id]; ok {
		delete(h.vms, id)
		h.tell(portlayer.Update{Gone: []portlayer.ID{id}})
	}
}

// sync reports all there is.
func (h *Host) sync() {
	place := h.place
	all := portlayer.Update{Sync: true, Host: &place}
	for _, vm := range h.vms {
		if !h.hidden[vm.ID] {
			all.Changed = append(all.Changed, *vm)
		}
	}
	h.tell(all)
}

func (h *Host) tell(update portlayer.Update) {
	close(h.changed)
	h.changed = make(chan struct{})
	if h.watcher != nil && !h.lost {
		h.watcher(update)
	}
}
