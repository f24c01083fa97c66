// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"

	"wolfpack/guest/contract"
	"wolfpack/provider/operations"
)

// newsTake is how long it takes from a guest's new status in vCenter to the pod's in the API server, against a program that
// watches one VM and writes one pod, and does nothing else. A guest's news is here a request to vCenter, whose time is in both.
func newsTake(ctx context.Context, o options, s *setting) ([]row, error) {
	plain, err := s.plain(ctx)
	if err != nil {
		return nil, err
	}
	defer plain.close(ctx)
	pod, err := s.kube.CoreV1().Pods("default").Get(ctx, podName(0), metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	vm, err := plain.find(ctx, operations.VMName(pod.Name, string(pod.UID)))
	if err != nil {
		return nil, err
	}
	ours, err := s.measureNews(ctx, pod.Name, vm)
	if err != nil {
		return nil, fmt.Errorf("news of pod %s: %w", pod.Name, err)
	}
	simplest, err := s.measureSimplest(ctx, plain)
	if err != nil {
		return nil, fmt.Errorf("news of the baseline: %w", err)
	}
	const against = "a program that watches one VM and writes one pod"
	what := fmt.Sprintf("a guest's news to the API server, %d pods at rest, ", o.idle)
	return []row{
		{what: what + "median", unit: "ms", ours: percentile(ours, 50), baseline: percentile(simplest, 50), against: against},
		{what: what + "99th percentile", unit: "ms", ours: percentile(ours, 99), baseline: percentile(simplest, 99), against: against},
	}, nil
}

// measureSimplest measures the baseline, on a VM and a pod that are nobody else's.
func (s *setting) measureSimplest(ctx context.Context, plain *plain) ([]float64, error) {
	vm, err := plain.create(ctx, "watched")
	if err != nil {
		return nil, err
	}
	const name = "watched"
	_, err = s.kube.CoreV1().Pods("default").Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			SchedulingGates: []corev1.PodSchedulingGate{{Name: "wolfpack/bench"}},
			Containers:      []corev1.Container{{Name: "app", Image: "app"}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- property.Wait(ctx, property.DefaultCollector(plain.client.Client), vm.Reference(), []string{"config.extraConfig"}, func(changes []types.PropertyChange) bool {
			for _, change := range changes {
				options, _ := change.Val.(types.ArrayOfOptionValue)
				if text, ok := object.OptionValueList(options.OptionValue).GetString(contract.KeyStatus); ok {
					if status, err := contract.DecodeStatus(text); err == nil {
						_ = s.writeStatus(ctx, name, status.Pod) // what is not written is not seen, and the measurement fails
					}
				}
			}
			return false
		})
	}()
	defer func() { cancel(); <-done }()
	return s.measureNews(ctx, name, vm)
}

func (s *setting) writeStatus(ctx context.Context, name string, status corev1.PodStatus) error {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Status: status}
	_, err := s.kube.CoreV1().Pods("default").UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	return err
}

// measureNews has the guest of vm say something new again and again, and returns how many milliseconds each took.
func (s *setting) measureNews(ctx context.Context, pod string, vm *object.VirtualMachine) ([]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	seen, err := s.kube.CoreV1().Pods("default").Watch(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", pod).String(),
	})
	if err != nil {
		return nil, err
	}
	defer seen.Stop()
	status, err := guestStatus(ctx, vm)
	if err != nil {
		return nil, err
	}
	var took []float64
	for range samples {
		status.Sequence++
		status.Pod.ContainerStatuses[0].RestartCount++
		began := time.Now()
		if err := say(ctx, vm, status); err != nil {
			return nil, err
		}
		if err := awaitRestarts(seen, status.Pod.ContainerStatuses[0].RestartCount); err != nil {
			return nil, err
		}
		took = append(took, float64(time.Since(began).Microseconds())/1000)
	}
	slices.Sort(took)
	return took, nil
}

// guestStatus is what the guest of a VM said last, or that its container runs.
func guestStatus(ctx context.Context, vm *object.VirtualMachine) (contract.Status, error) {
	var read mo.VirtualMachine
	if err := vm.Properties(ctx, vm.Reference(), []string{"config.extraConfig"}, &read); err != nil {
		return contract.Status{}, err
	}
	if text, ok := object.OptionValueList(read.Config.ExtraConfig).GetString(contract.KeyStatus); ok {
		return contract.DecodeStatus(text)
	}
	return contract.Status{Pod: corev1.PodStatus{
		Phase:             corev1.PodRunning,
		ContainerStatuses: []corev1.ContainerStatus{{Name: "app", Image: "app"}},
	}}, nil
}

// say writes the status to guestinfo and waits for nothing.
func say(ctx context.Context, vm *object.VirtualMachine, status contract.Status) error {
	text, err := contract.EncodeStatus(status)
	if err != nil {
		return err
	}
	_, err = vm.Reconfigure(ctx, types.VirtualMachineConfigSpec{
		ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: contract.KeyStatus, Value: text}},
	})
	return err
}

func awaitRestarts(seen watch.Interface, count int32) error {
	for event := range seen.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		if ok && len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].RestartCount == count {
			return nil
		}
	}
	return fmt.Errorf("the watch ended before restart count %d was seen", count)
}

// percentile is the nearest rank of sorted values.
func percentile(sorted []float64, p int) float64 {
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(rank, 1)-1]
}
