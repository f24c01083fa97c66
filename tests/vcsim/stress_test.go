// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"wolfpack/guest/contract"
	"wolfpack/tests/vcsim"
)

// TestConcurrentLifecycles makes, runs, changes, stops and destroys VMs at the same time, watched by two clients. It is
// there for the race detector: whoever uses a stand-in in a test does these things at once.
func TestConcurrentLifecycles(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	b.watch("name", "config.guestFullName", "config.hardware.memoryMB", "config.hardware.device", "guest.net", "summary.runtime.powerState")
	var group errgroup.Group
	for worker := range 6 {
		group.Go(func() error {
			for round := range 5 {
				if err := b.lifecycle(fmt.Sprintf("w%d-r%d", worker, round)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Empty(t, b.server.Service().Context.Map.All("VirtualMachine"))
}

// lifecycle is all that happens to a VM.
func (b *guestBench) lifecycle(name string) error {
	pod := newPod(corev1.RestartPolicyAlways, map[string]string{vcsim.AnnotationExitAfter: "1ms"})
	text, err := contract.EncodePod(pod)
	if err != nil {
		return err
	}
	var vm *object.VirtualMachine
	for _, step := range []func() (*object.Task, error){
		func() (*object.Task, error) {
			return b.folder.CreateVM(b.ctx, spec(name, other64, wolfpack, map[string]string{contract.KeyPod: text}), b.pool, nil)
		},
		func() (*object.Task, error) { return vm.PowerOn(b.ctx) },
		func() (*object.Task, error) {
			return vm.Reconfigure(b.ctx, types.VirtualMachineConfigSpec{AlternateGuestName: name})
		},
		func() (*object.Task, error) {
			return vm.Reconfigure(b.ctx, types.VirtualMachineConfigSpec{
				ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "wolfpack.spec-hash", Value: name}},
			})
		},
		func() (*object.Task, error) { return vm.PowerOff(b.ctx) },
		func() (*object.Task, error) { return vm.Destroy(b.ctx) },
	} {
		task, err := step()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		info, err := task.WaitForResult(b.ctx)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", name, info.DescriptionId, err)
		}
		if ref, ok := info.Result.(types.ManagedObjectReference); ok {
			vm = object.NewVirtualMachine(b.client.Client, ref)
		}
	}
	return nil
}
