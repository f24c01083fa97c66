// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"slices"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// The tasks that make VMs, by their description id.
const (
	taskCreate = "Folder.createVm"
	taskClone  = "VirtualMachine.cloneVm"
)

// creations keeps a VM locked from before it can be found until the task that makes it has ended. The simulator registers
// a VM first and fills it in afterwards without its lock: a watcher would race with that, and could see a VM without a
// name, memory or guest id for good, since filling in sends no updates.
//
// The first sign of a new VM is an update of its change version while the registry does not know it yet. The update
// carries the context of the request, which locks are held on behalf of, so the making of the VM itself is not blocked.
type creations struct {
	listener
	mu       sync.Mutex // guards the field below and what it holds
	requests map[*simulator.Context]*creation
}

// creation is a request that makes VMs.
type creation struct {
	outermost string   // description id of the task whose end ends it
	unlock    []func() // of the VMs made so far
}

func newCreations() *creations {
	return &creations{listener: newListener("Creations"), requests: make(map[*simulator.Context]*creation)}
}

// UpdateObject implements simulator.RegisterObject.
func (c *creations) UpdateObject(ctx *simulator.Context, obj mo.Reference, changes []types.PropertyChange) {
	switch o := obj.(type) {
	case *mo.VirtualMachine:
		if changed(changes, "config.changeVersion") && ctx.Map.Get(o.Self) == nil {
			c.hold(ctx, o)
		}
		if changed(changes, "config.extraConfig") {
			// The update shares its array with the VM, which changes it in place while the update may still be on its way.
			o.Config.ExtraConfig = slices.Clone(o.Config.ExtraConfig)
		}
	case *mo.Task:
		if id := o.Info.DescriptionId; (id == taskCreate || id == taskClone) && changed(changes, "info.state") {
			c.follow(ctx, &o.Info)
		}
	}
}

// hold locks vm until the request ctx has made it. A VM that is unknown because it was destroyed is none of its business.
func (c *creations) hold(ctx *simulator.Context, vm *mo.VirtualMachine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if request := c.requests[ctx]; request != nil {
		request.unlock = append(request.unlock, ctx.Map.AcquireLock(ctx, vm))
	}
}

// follow notes that a task which makes a VM has begun or ended. A clone runs a create inside, for the same request.
func (c *creations) follow(ctx *simulator.Context, info *types.TaskInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	request := c.requests[ctx]
	ended := info.State == types.TaskInfoStateSuccess || info.State == types.TaskInfoStateError
	if request == nil && !ended {
		c.requests[ctx] = &creation{outermost: info.DescriptionId}
	}
	if request == nil || !ended || request.outermost != info.DescriptionId {
		return
	}
	for _, unlock := range request.unlock {
		unlock()
	}
	delete(c.requests, ctx)
}
