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
	Images    ImageStore // nil is GuestsPull
	VCH       string     // name of the virtual container host
	Cluster   string     // identity of the cluster that the pods are of
	CA        string     // PEM of the CA by which the guest knows the provider
}

// Create returns the VM that runs the pod. If the pod has a VM already, made by a create whose answer was lost, that one
// is started. A VM that was made here and cannot be started is removed again, unless it runs all the same. An image that is no image reference is an
// InvalidImage.
func (c PodCreator) Create(ctx context.Context, pod *corev1.Pod) (portlayer.ID, error) {
	var spec portlayer.Spec
	var id portlayer.ID
	var made bool
	err := run(ctx, "operations.PodCreator",
		step{
			name: "check the images' names",
			do:   func(context.Context) error { return checkImages(pod) },
		},
		step{
			name: "plan the VM",
			do: func(context.Context) (err error) {
				spec, err = Spec(pod, Host{VCH: c.VCH, Cluster: c.Cluster, CA: c.CA})
				return err
			},
		},
		step{
			name: "prepare the images",
			do:   func(ctx context.Context) error { return c.images().Prepare(ctx, pod) },
			undo: func(ctx context.Context) error { return c.images().Release(ctx, pod) },
		},
		step{
			name: "create the VM",
			do:   func(ctx context.Context) (err error) { id, made, err = c.create(ctx, spec); return err },
			undo: func(ctx context.Context) error { return c.remove(ctx, id, made) },
		},
		step{
			name: "start the VM",
			do:   func(ctx context.Context) error { return PodStarter{Portlayer: c.Portlayer}.Start(ctx, id) },
		},
	)
	return id, err
}

func (c PodCreator) images() ImageStore {
	if c.Images == nil {
		return GuestsPull{}
	}
	return c.Images
}

// create says whether it made the VM or found it.
func (c PodCreator) create(ctx context.Context, spec portlayer.Spec) (id portlayer.ID, made bool, err error) {
	id, err = c.Portlayer.Create(ctx, spec)
	if errs.Is(err, errs.Exists) && id != "" {
		return id, false, nil
	}
	return id, err == nil, err
}

// remove leaves a VM that was found: who made it may have seen it run. It leaves one that runs, too: vCenter has started it
// although its answer was lost, so the pod runs in it, and the next try finds it.
func (c PodCreator) remove(ctx context.Context, id portlayer.ID, made bool) error {
	if !made || !isOff(ctx, c.Portlayer, id) {
		return nil
	}
	return PodDeleter{Portlayer: c.Portlayer}.destroy(ctx, id)
}
