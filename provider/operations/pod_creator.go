// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"wolfpack/errs"
	"wolfpack/provider/portlayer"
)

// PodCreator makes a pod's VM and starts it.
type PodCreator struct {
	Portlayer Portlayer
	VCH       string // name of the virtual container host
}

// Create returns the VM that runs the pod. If the pod has a VM already, made by a create whose answer was lost, that one
// is started. When the VM cannot be started, it is removed again.
func (c PodCreator) Create(ctx context.Context, pod *corev1.Pod) (portlayer.ID, error) {
	var spec portlayer.Spec
	var id portlayer.ID
	err := run(ctx, "operations.PodCreator",
		step{
			name: "plan the VM",
			do:   func(context.Context) (err error) { spec, err = Spec(pod, c.VCH); return err },
		},
		step{
			name: "create the VM",
			do:   func(ctx context.Context) (err error) { id, err = c.create(ctx, spec); return err },
			undo: func(ctx context.Context) error { return PodDeleter{Portlayer: c.Portlayer}.remove(ctx, id) },
		},
		step{
			name: "start the VM",
			do:   func(ctx context.Context) error { return PodStarter{Portlayer: c.Portlayer}.Start(ctx, id) },
		},
	)
	return id, err
}

func (c PodCreator) create(ctx context.Context, spec portlayer.Spec) (portlayer.ID, error) {
	id, err := c.Portlayer.Create(ctx, spec)
	if errs.Is(err, errs.Exists) && id != "" {
		return id, nil
	}
	return id, err
}
