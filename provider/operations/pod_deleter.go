// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"time"

	"wolfpack/errs"
	"wolfpack/provider/portlayer"
)

// PodDeleter removes a pod's VM.
type PodDeleter struct {
	Portlayer Portlayer
}

// Delete stops the VM as PodStopper does and destroys it with its files. It is no error if the VM is gone.
func (d PodDeleter) Delete(ctx context.Context, id portlayer.ID, grace time.Duration) error {
	return run(ctx, "operations.PodDeleter",
		step{name: "stop the VM", do: func(ctx context.Context) error { return PodStopper(d).Stop(ctx, id, grace) }},
		step{name: "destroy the VM", do: func(ctx context.Context) error { return d.destroy(ctx, id) }},
	)
}

func (d PodDeleter) destroy(ctx context.Context, id portlayer.ID) error {
	if err := d.Portlayer.Remove(ctx, id); err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	return nil
}
