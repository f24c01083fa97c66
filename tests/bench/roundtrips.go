// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/provider/operations"
	"wolfpack/provider/portlayer"
)

// roundTrips counts the requests to vCenter of one pod's life.
func roundTrips(ctx context.Context, _ options) ([]row, error) {
	w, err := newWorld(ctx)
	if err != nil {
		return nil, err
	}
	defer w.close(ctx)

	plain, err := newPlain(ctx, w.server.URL(), w.server.CAFile(), w.vch)
	if err != nil {
		return nil, err
	}
	defer plain.close(ctx)
	w.server.ResetCalls()
	vm, err := plain.create(ctx, "plain")
	if err != nil {
		return nil, fmt.Errorf("plain create: %w", err)
	}
	plainCreate := w.allCalls()
	w.server.ResetCalls()
	if err := plain.remove(ctx, vm); err != nil {
		return nil, fmt.Errorf("plain delete: %w", err)
	}
	plainDelete := w.allCalls()

	ourCreate, ourDelete, err := w.ourRoundTrips(ctx)
	if err != nil {
		return nil, err
	}
	const against = "govmomi's create, power on, power off and destroy, each waited for"
	return []row{
		{what: "requests of a pod create to Running", unit: "requests", ours: ourCreate, baseline: plainCreate, against: against, target: "at most 3"},
		{what: "requests of a pod delete", unit: "requests", ours: ourDelete, baseline: plainDelete, against: against, target: "at most 2"},
	}, nil
}

func (w *world) ourRoundTrips(ctx context.Context) (create, remove float64, err error) {
	backend := w.portlayer()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	// After all VMs come the statistics, which are read once a minute and have nothing to do with the pod.
	reports, running := make(chan struct{}, 100), make(chan struct{}, 100)
	done := make(chan error, 1)
	go func() {
		done <- backend.Watch(ctx, func(update portlayer.Update) {
			if update.Sync || len(update.Changed) == 0 {
				reports <- struct{}{}
			}
			for _, vm := range update.Changed {
				if vm.ToolsUp && vm.Status != nil && vm.Status.Pod.Phase == corev1.PodRunning {
					running <- struct{}{}
				}
			}
		})
	}()
	defer func() { cancel(); <-done }()
	for range 2 {
		if err := await(ctx, reports); err != nil {
			return 0, 0, err
		}
	}

	w.server.ResetCalls()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "bench"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app"}}},
	}
	id, err := operations.PodCreator{Portlayer: backend, VCH: w.vch.Name}.Create(ctx, pod)
	if err != nil {
		return 0, 0, err
	}
	if err := await(ctx, running); err != nil {
		return 0, 0, err
	}
	create = w.calls()
	w.server.ResetCalls()
	err = operations.PodDeleter{Portlayer: backend}.Delete(ctx, id, 30*time.Second)
	return create, w.calls(), err
}

func await[T any](ctx context.Context, ready <-chan T) error {
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
