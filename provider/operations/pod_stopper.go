// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"time"

	"wolfpack/errs"
	"wolfpack/provider/portlayer"
)

// PodStopper stops a pod's VM.
type PodStopper struct {
	Portlayer Portlayer
}

// Stop asks the guest to stop its containers and shut down, and powers the VM off when it has not done so within grace.
// A guest that cannot be asked has no containers running yet: it is powered off at once. With a grace of 0 nobody is
// asked. It is no error if the VM is off or gone.
func (s PodStopper) Stop(ctx context.Context, id portlayer.ID, grace time.Duration) error {
	return run(ctx, "operations.PodStopper",
		step{name: "shut down the guest", do: func(ctx context.Context) error { return s.shutdown(ctx, id, grace) }},
		step{name: "power off", do: func(ctx context.Context) error { return s.powerOff(ctx, id) }},
	)
}

// shutdown waits until the VM is off, or grace is over, or there is no use in waiting.
func (s PodStopper) shutdown(ctx context.Context, id portlayer.ID, grace time.Duration) error {
	if grace <= 0 {
		return nil
	}
	if err := s.Portlayer.Shutdown(ctx, id); err != nil {
		return nil //nolint:nilerr // whatever keeps the guest from being asked, the VM is powered off next
	}
	waiting, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := s.Portlayer.AwaitOff(waiting, id); err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}

// powerOff costs no request when the VM is known to be off.
func (s PodStopper) powerOff(ctx context.Context, id portlayer.ID) error {
	if isOff(ctx, s.Portlayer, id) {
		return nil
	}
	if err := s.Portlayer.Stop(ctx, id); err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	return nil
}

// isOff says whether the VM is known to be off, or gone. It waits for nothing.
func isOff(ctx context.Context, host Portlayer, id portlayer.ID) bool {
	now, cancel := context.WithCancel(ctx)
	cancel()
	return host.AwaitOff(now, id) == nil
}
