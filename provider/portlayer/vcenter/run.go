// SPDX-License-Identifier: Apache-2.0

package vcenter

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
	"golang.org/x/sync/semaphore"
	"k8s.io/apimachinery/pkg/util/wait"

	"wolfpack/errs"
)

// limits are how long vCenter is waited for.
type limits struct {
	request time.Duration // for the answer to one request: a task is begun within a second, or not at all
	poll    time.Duration // for news, by vCenter's own clock; proxies cut silent connections after a minute or more
	silence time.Duration // beyond poll, until a vCenter that does not even say that there is no news counts as away
	task    time.Duration // for a task to end
	slot    time.Duration // for a task to end before it gives its slot to another: one that is stuck must not keep it
	abandon time.Duration // for a task to end after its caller has gone, such as that which starts a pod now deleted
	settle  time.Duration // for a task that was waited for in vain to be cancelled
	retry   wait.Backoff  // of what will pass in a moment; what takes longer is the caller's to try again
	rewatch wait.Backoff  // of a watch that was interrupted: one request then costs little, and its return is waited for
}

var defaultLimits = limits{
	request: time.Minute,
	poll:    50 * time.Second,
	silence: 20 * time.Second,
	task:    5 * time.Minute,
	slot:    30 * time.Second,
	abandon: 20 * time.Second,
	settle:  10 * time.Second,
	retry:   wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2.5, Jitter: 0.2, Steps: 4},
	rewatch: wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 8, Cap: 10 * time.Second},
}

// run has vCenter carry a task out and returns its result. Waiting for a free slot ends with ctx; a task that has begun is
// carried through for a while even then.
//
// start may be called again when its answer was lost: whatever it begins must be refused the second time, so that nothing
// is done twice.
func (v *VCenter) run(ctx context.Context, start func(context.Context) (types.ManagedObjectReference, error)) (types.AnyType, error) {
	return v.runIn(ctx, []*semaphore.Weighted{v.slots}, start)
}

// runIn is run with a slot of each of slots.
func (v *VCenter) runIn(ctx context.Context, slots []*semaphore.Weighted, start func(context.Context) (types.ManagedObjectReference, error)) (result types.AnyType, err error) {
	release, err := acquire(ctx, slots)
	if err != nil {
		return nil, err
	}
	defer release()
	defer time.AfterFunc(v.limits.slot, release).Stop()

	working, stop := context.WithTimeout(context.WithoutCancel(ctx), v.limits.task)
	defer stop()
	defer context.AfterFunc(ctx, func() {
		select {
		case <-time.After(v.limits.abandon):
			stop()
		case <-working.Done():
		}
	})()
	err = v.repeat(ctx, func() error {
		result, err = v.carryOut(working, start)
		return err
	})
	return result, err
}

// acquire waits for a slot of each, in this order. What it returns gives them back, once.
func acquire(ctx context.Context, slots []*semaphore.Weighted) (release func(), err error) {
	for i, s := range slots {
		if err := s.Acquire(ctx, 1); err != nil {
			for _, held := range slots[:i] {
				held.Release(1)
			}
			return nil, err
		}
	}
	return sync.OnceFunc(func() {
		for _, s := range slots {
			s.Release(1)
		}
	}), nil
}

// carryOut begins a task and waits for its end. When that does not come before ctx ends, the task is cancelled.
func (v *VCenter) carryOut(ctx context.Context, start func(context.Context) (types.ManagedObjectReference, error)) (types.AnyType, error) {
	requesting, cancel := context.WithTimeout(ctx, v.limits.request)
	defer cancel()
	task, err := start(requesting)
	if err != nil {
		return nil, err
	}
	result, err := v.tasks.wait(ctx, task)
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return result, err
	}
	settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.limits.settle)
	defer cancel()
	_, _ = methods.CancelTask(settling, v.client, &types.CancelTask{This: task}) // some cannot be, and some end by themselves now
	_ = v.tasks.ask(settling, task)                                              // the watch may not be there to tell
	result, err = v.tasks.wait(settling, task)
	if settling.Err() != nil && err != nil {
		return nil, errs.New("vcenter.run", errs.Unavailable, "task %s does not end, and cannot be cancelled: %w", task.Value, err)
	}
	return result, err
}

// repeat makes a call again while its failure is one that passes in a moment, for a few times, unless ctx ends.
func (v *VCenter) repeat(ctx context.Context, call func() error) error {
	backoff := v.limits.retry
	for {
		err := call()
		if err == nil || !isBrief(err) || backoff.Steps <= 1 {
			return err
		}
		pause := time.NewTimer(backoff.Step())
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}

// isBrief says whether an error is a lost connection, or somebody else at work on the VM.
func isBrief(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	for _, passing := range []types.BaseMethodFault{
		new(types.TaskInProgress), new(types.ConcurrentAccess), new(types.FileLocked), new(types.SystemError), new(types.NotAuthenticated),
	} {
		if fault.Is(err, passing) {
			return true
		}
	}
	var any types.BaseMethodFault
	_, isFault := fault.As(err, &any)
	return !isFault && errs.Is(err, errs.Unavailable)
}
