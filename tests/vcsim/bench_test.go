// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"wolfpack/guest/contract"
)

// BenchmarkWatchedGuests makes pod VMs, eight at a time, until a watcher has seen each of them run. The number in the name
// is how many VMs the stand-in has in the end, which is what a watcher's updates cost more with.
func BenchmarkWatchedGuests(b *testing.B) {
	for _, vms := range []int{100, 400} {
		b.Run(fmt.Sprint(vms), func(b *testing.B) {
			for b.Loop() {
				runWatchedGuests(b, vms)
			}
			b.ReportMetric(float64(vms*b.N)/b.Elapsed().Seconds(), "VMs/s")
		})
	}
}

func runWatchedGuests(tb testing.TB, vms int) {
	b := newGuestBench(tb)
	text, err := contract.EncodePod(newPod(corev1.RestartPolicyAlways, nil))
	require.NoError(b, err)
	var group errgroup.Group
	group.SetLimit(8)
	for i := range vms {
		group.Go(func() error {
			s := spec(fmt.Sprintf("vm-%d", i), other64, wolfpack, map[string]string{contract.KeyPod: text})
			task, err := b.folder.CreateVM(b.ctx, s, b.pool, nil)
			if err != nil {
				return err
			}
			info, err := task.WaitForResult(b.ctx)
			if err != nil {
				return err
			}
			vm := object.NewVirtualMachine(b.client.Client, info.Result.(types.ManagedObjectReference))
			_, err = vm.PowerOn(b.ctx)
			return err
		})
	}
	running := make(map[mo.Reference]bool)
	for len(running) < vms {
		u := <-b.updates
		for _, c := range u.ChangeSet {
			if c.Name == toolsPath && c.Val == "guestToolsRunning" {
				running[u.Obj] = true
			}
		}
	}
	require.NoError(b, group.Wait())
}
