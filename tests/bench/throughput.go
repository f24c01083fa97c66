// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"

	"wolfpack/provider"
	"wolfpack/tests/kube"
)

const node = "bench"

// throughput is how many pods a second become Running, from `create` in a real API server to the status there, against
// VMs a second of a plain loop.
func throughput(ctx context.Context, pods, concurrency int) ([]row, error) {
	plain, err := plainThroughput(ctx, pods, concurrency)
	if err != nil {
		return nil, fmt.Errorf("plain loop: %w", err)
	}
	ours, err := ourThroughput(ctx, pods, concurrency)
	if err != nil {
		return nil, fmt.Errorf("pods: %w", err)
	}
	what := fmt.Sprintf("%d pods to Running", pods)
	return []row{{what, "pods/s", ours, plain, fmt.Sprintf("govmomi's create and power on of %d VMs, %d at once, no Kubernetes", pods, concurrency)}}, nil
}

func plainThroughput(ctx context.Context, vms, concurrency int) (float64, error) {
	w, err := newWorld(ctx)
	if err != nil {
		return 0, err
	}
	defer w.close(ctx)
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrency)
	for i := range vms {
		group.Go(func() error {
			_, err := w.plainCreate(ctx, fmt.Sprintf("plain-%d", i))
			return err
		})
	}
	err = group.Wait()
	return float64(vms) / time.Since(began).Seconds(), err
}

func ourThroughput(ctx context.Context, pods, concurrency int) (rate float64, err error) {
	w, err := newWorld(ctx)
	if err != nil {
		return 0, err
	}
	defer w.close(ctx)
	client, stop, err := controlPlane(ctx)
	if err != nil {
		return 0, err
	}
	defer stop()

	ctx, cancel := context.WithCancel(ctx)
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- provider.Run(ctx, provider.Options{
			NodeName: node, VCH: w.vch.Name, Address: "127.0.0.1", MaxPods: pods,
			Portlayer: w.portlayer(), Client: client, Ready: func() { close(ready) },
		})
	}()
	defer func() { cancel(); <-done }()
	if err := await(ctx, ready); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := createPods(ctx, client, pods, concurrency); err != nil {
		return 0, err
	}
	if err := awaitRunning(ctx, client, pods); err != nil {
		return 0, err
	}
	return float64(pods) / time.Since(began).Seconds(), nil
}

func controlPlane(ctx context.Context) (kubernetes.Interface, func(), error) {
	dir, err := os.MkdirTemp("", "wolfpack-bench-")
	if err != nil {
		return nil, nil, err
	}
	binaries, err := kube.FindBinaries()
	if err != nil {
		return nil, nil, err
	}
	plane, err := kube.Start(ctx, kube.Options{Dir: dir, Binaries: binaries})
	if err != nil {
		return nil, nil, err
	}
	config := plane.Config()
	config.QPS, config.Burst = 500, 1000
	client, err := kubernetes.NewForConfig(config)
	stop := func() {
		_ = plane.Stop(context.WithoutCancel(ctx))
		_ = os.RemoveAll(dir)
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return client, stop, nil
}

func createPods(ctx context.Context, client kubernetes.Interface, pods, concurrency int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrency)
	for i := range pods {
		group.Go(func() error {
			_, err := client.CoreV1().Pods("default").Create(ctx, &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pod-%d", i)},
				Spec: corev1.PodSpec{
					NodeName:    node,
					Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
					Containers:  []corev1.Container{{Name: "app", Image: "app"}},
				},
			}, metav1.CreateOptions{})
			return err
		})
	}
	return group.Wait()
}

// awaitRunning watches until that many pods are Running.
func awaitRunning(ctx context.Context, client kubernetes.Interface, pods int) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	selector := fields.OneTermEqualSelector("status.phase", string(corev1.PodRunning)).String()
	watch, err := client.CoreV1().Pods("default").Watch(ctx, metav1.ListOptions{FieldSelector: selector})
	if err != nil {
		return err
	}
	defer watch.Stop()
	running := map[string]bool{}
	for len(running) < pods {
		select {
		case event, ok := <-watch.ResultChan():
			if !ok {
				return fmt.Errorf("the watch ended with %d of %d pods Running", len(running), pods)
			}
			if pod, ok := event.Object.(*corev1.Pod); ok && pod.Status.Phase == corev1.PodRunning {
				running[pod.Name] = true
			}
		case <-ctx.Done():
			return fmt.Errorf("%d of %d pods Running: %w", len(running), pods, ctx.Err())
		}
	}
	return nil
}
