// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"wolfpack/guest/contract"
	"wolfpack/tests/vcsim"
)

// TestConcurrentLifecycles makes, runs, changes, stops and destroys VMs at the same time, watched by two clients, while a
// datastore is filled and the filters of a collector come and go. It is there for the race detector: whoever uses a stand-in in a
// test does these things at once.
func TestConcurrentLifecycles(t *testing.T) {
	t.Parallel()
	model := simulator.VPX()
	model.Machine, model.Cluster, model.Datastore = 0, 0, 2
	b := &guestBench{bench: newBench(t, vcsim.Config{Model: model, Guests: vcsim.GuestsSim, RestartBackOff: time.Millisecond})}
	b.watch("name", "config.guestFullName", "config.hardware.memoryMB", "config.hardware.device", "guest.net", "summary.runtime.powerState")
	over, stop := context.WithCancel(b.ctx)
	defer stop()
	var around, group errgroup.Group
	for _, disturb := range []func() error{b.fill, b.filters()} {
		around.Go(func() error {
			for over.Err() == nil {
				if err := disturb(); err != nil {
					return err
				}
			}
			return nil
		})
	}
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
	stop()
	require.NoError(t, around.Wait())
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

// fill has the second datastore full for a moment, on which no VM is.
func (b *guestBench) fill() error {
	b.server.Inject(vcsim.Fault{Object: "LocalDS_1", Do: vcsim.DoFill})()
	return nil
}

// filters returns what makes a filter and removes it, of a collector that is read all the time.
func (b *guestBench) filters() func() error {
	w := newWaiter(b.bench)
	return func() error {
		var both errgroup.Group
		both.Go(func() error {
			res, err := methods.CreateFilter(b.ctx, b.client, &types.CreateFilter{This: w.collector.Reference(), Spec: folderSpec(b.folder, "name")})
			if err == nil {
				_, err = methods.DestroyPropertyFilter(b.ctx, b.client, &types.DestroyPropertyFilter{This: res.Returnval})
			}
			return err
		})
		both.Go(func() error {
			_, err := methods.WaitForUpdatesEx(b.ctx, b.client, &types.WaitForUpdatesEx{
				This: w.collector.Reference(), Options: &types.WaitOptions{MaxWaitSeconds: types.NewInt32(0)},
			})
			return err
		})
		return both.Wait()
	}
}
