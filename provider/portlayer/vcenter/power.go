// SPDX-License-Identifier: Apache-2.0

package vcenter

import (
	"context"
	"sync"

	"wolfpack/provider/portlayer"
)

// power knows which VMs are on, and tells who waits when one is not.
type power struct {
	mu sync.Mutex                     // guards on
	on map[portlayer.ID]chan struct{} // closed when the VM is off or gone
}

func newPower() *power { return &power{on: map[portlayer.ID]chan struct{}{}} }

// saw takes news of VMs from the watch.
func (p *power) saw(update portlayer.Update) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if update.Sync {
		p.keep(update.Changed)
	}
	for _, vm := range update.Changed {
		if vm.State == portlayer.Off {
			p.off(vm.ID)
		} else if p.on[vm.ID] == nil {
			p.on[vm.ID] = make(chan struct{})
		}
	}
	for _, id := range update.Gone {
		p.off(id)
	}
}

// keep drops the VMs that are not in all.
func (p *power) keep(all []portlayer.VM) {
	there := make(map[portlayer.ID]bool, len(all))
	for _, vm := range all {
		there[vm.ID] = true
	}
	for id := range p.on {
		if !there[id] {
			p.off(id)
		}
	}
}

// started takes that the VM was powered on, which the watch may tell later, or much later if it is interrupted.
func (p *power) started(id portlayer.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on[id] == nil {
		p.on[id] = make(chan struct{})
	}
}

func (p *power) off(id portlayer.ID) {
	if on, ok := p.on[id]; ok {
		close(on)
		delete(p.on, id)
	}
}

func (p *power) awaitOff(ctx context.Context, id portlayer.ID) error {
	p.mu.Lock()
	on := p.on[id]
	p.mu.Unlock()
	if on == nil {
		return nil
	}
	select {
	case <-on:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
