// SPDX-License-Identifier: Apache-2.0

package vch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
)

const (
	submitTimeout = time.Minute     // for a call that only starts something, or does it at once
	settleTimeout = time.Minute     // for a task that goes on when nobody wants it any more
	undoTimeout   = 2 * time.Minute // for all that a failed create takes back
)

// detach returns a context that outlives ctx, but not by more than timeout.
func detach(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), timeout)
}

// submit makes a call that changes something. It is not cut off when ctx ends, because then nobody would know whether
// the change was made; it is not made at all when ctx has ended before.
func submit[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	if err := ctx.Err(); err != nil {
		var none T
		return none, err
	}
	ctx, cancel := detach(ctx, submitTimeout)
	defer cancel()
	return call(ctx)
}

// wait returns the result of a task. When ctx ends it returns ctx's error, but not before the task has ended too, within
// a bound, so that what is taken back next is not still changing. govmomi's own wait returns no error when ctx is
// cancelled, so a task counts as done only if it says so.
func wait(ctx context.Context, task *object.Task) (types.AnyType, error) {
	info, err := task.WaitForResult(ctx)
	switch {
	case ctx.Err() != nil:
		settle, cancel := detach(ctx, settleTimeout)
		defer cancel()
		_, _ = task.WaitForResult(settle)
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case info.State != types.TaskInfoStateSuccess:
		return nil, fmt.Errorf("task %s ended in state %q", info.DescriptionId, info.State)
	}
	return info.Result, nil
}

// do starts a task and waits for it.
func do(ctx context.Context, start func(context.Context) (*object.Task, error)) error {
	task, err := submit(ctx, start)
	if err != nil {
		return err
	}
	_, err = wait(ctx, task)
	return err
}

// destroyVM powers a VM off and deletes it. One that is gone already is no error.
func destroyVM(ctx context.Context, client *vim25.Client, ref reference) error {
	vm := object.NewVirtualMachine(client, ref)
	err := do(ctx, vm.PowerOff)
	if err == nil || fault.Is(err, new(types.InvalidPowerState)) { // was off
		err = do(ctx, vm.Destroy)
	}
	return unlessGone(err)
}

// removeFolder deletes a VM folder that is empty. vSphere would delete everything that is in it.
func removeFolder(ctx context.Context, client *vim25.Client, folder Object) error {
	var found mo.Folder
	err := property.DefaultCollector(client).RetrieveOne(ctx, folder.Ref, []string{"childEntity"}, &found)
	if err == nil && len(found.ChildEntity) > 0 {
		return errs.New("vch.removeFolder", errs.Exists, "it is not empty: %d things are in it", len(found.ChildEntity))
	}
	if err == nil {
		err = do(ctx, object.NewFolder(client, folder.Ref).Destroy)
	}
	return unlessGone(err)
}

// removePool deletes a resource pool that is empty. vSphere would move everything that is in it out of its limits.
func removePool(ctx context.Context, client *vim25.Client, pool Object) error {
	var found mo.ResourcePool
	err := property.DefaultCollector(client).RetrieveOne(ctx, pool.Ref, []string{"vm", "resourcePool"}, &found)
	if inside := len(found.Vm) + len(found.ResourcePool); err == nil && inside > 0 {
		return errs.New("vch.removePool", errs.Exists, "it is not empty: %d things are in it", inside)
	}
	if err == nil {
		err = do(ctx, object.NewResourcePool(client, pool.Ref).Destroy)
	}
	return unlessGone(err)
}

func unlessGone(err error) error {
	if fault.Is(err, new(types.ManagedObjectNotFound)) {
		return nil
	}
	return err
}

// answered says whether err is vSphere's own answer, so that the call has changed nothing for certain.
func answered(err error) bool {
	var reply interface {
		Fault() types.BaseMethodFault
	}
	return errors.As(err, &reply)
}
