// SPDX-License-Identifier: Apache-2.0

// Package operations is what happens to one pod's VM: PodCreator, PodStarter, PodStopper and PodDeleter, each a visible
// list of steps over a portlayer. An operation is idempotent: after a failure it is run again from the start. What a
// failed operation made, it removes, on a context of its own.
//
// The operations on one pod must not overlap; those on different pods may.
package operations

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"wolfpack/errs"
	"wolfpack/provider/portlayer"
)

// undoTimeout bounds the removal of what a failed operation made.
const undoTimeout = time.Minute

// Portlayer is what the operations need of a portlayer.
type Portlayer interface {
	Create(ctx context.Context, spec portlayer.Spec) (portlayer.ID, error)
	Start(ctx context.Context, id portlayer.ID) error
	Shutdown(ctx context.Context, id portlayer.ID) error
	Stop(ctx context.Context, id portlayer.ID) error
	AwaitOff(ctx context.Context, id portlayer.ID) error
	Remove(ctx context.Context, id portlayer.ID) error
}

// ImageStore is what the operations need of a store of images. Both methods are idempotent.
type ImageStore interface {
	// Prepare has the images of the pod's containers where its VM will find them, and keeps them there for the pod.
	Prepare(ctx context.Context, pod *corev1.Pod) error
	// Release says that no VM was made for the pod, so that nothing is kept for it. It is no error if nothing was.
	Release(ctx context.Context, pod *corev1.Pod) error
}

// GuestsPull is the ImageStore of guests that pull their images themselves: there is nothing to prepare.
type GuestsPull struct{}

// Prepare does nothing.
func (GuestsPull) Prepare(context.Context, *corev1.Pod) error { return nil }

// Release does nothing.
func (GuestsPull) Release(context.Context, *corev1.Pod) error { return nil }

// step is one part of an operation, with how to undo it, if it needs that.
type step struct {
	name string
	do   func(ctx context.Context) error
	undo func(ctx context.Context) error
}

// run takes the steps in order. When one fails, or ctx ends between two, the earlier ones are undone in reverse order.
// The error is the first one; what could not be undone is added to it.
func run(ctx context.Context, op string, steps ...step) (err error) {
	ctx, ended := observe(ctx, op, "")
	defer func() { ended(err) }()
	for i, s := range steps {
		err := ctx.Err()
		if err == nil {
			err = observed(ctx, op, s.name, s.do)
		}
		if err == nil {
			continue
		}
		err = errs.New(op, errs.KindOf(err), "%s: %w", s.name, err)
		return errors.Join(err, undo(ctx, op, steps[:i]))
	}
	return nil
}

func undo(ctx context.Context, op string, steps []step) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	var left error
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i].undo == nil {
			continue
		}
		if err := observed(ctx, op, "undo of "+steps[i].name, steps[i].undo); err != nil {
			left = errors.Join(left, fmt.Errorf("undo of %q: %w", steps[i].name, err))
		}
	}
	return left
}

// observed does one thing, and has the observers told of it.
func observed(ctx context.Context, op, step string, do func(context.Context) error) error {
	ctx, ended := observe(ctx, op, step)
	err := do(ctx)
	ended(err)
	return err
}
