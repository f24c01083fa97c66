// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"

	"wolfpack/provider/portlayer"
)

// PodStarter starts a pod's VM.
type PodStarter struct {
	Portlayer Portlayer
}

// Start powers the VM on. It is no error if it is on.
func (s PodStarter) Start(ctx context.Context, id portlayer.ID) error {
	return run(ctx, "operations.PodStarter", step{
		name: "power on",
		do:   func(ctx context.Context) error { return s.Portlayer.Start(ctx, id) },
	})
}
