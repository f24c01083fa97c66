// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"wolfpack/provider/portlayer"
)

func TestHappenings(t *testing.T) {
	vm := func(changes ...func(*portlayer.VM)) *portlayer.VM {
		vm := &portlayer.VM{ID: "vm-1", VMName: "web-u-1", State: portlayer.Running}
		runs(7, "10.0.0.9")(vm)
		for _, change := range changes {
			change(vm)
		}
		return vm
	}
	in := func(state portlayer.State) func(*portlayer.VM) { return func(vm *portlayer.VM) { vm.State = state } }
	away := func(vm *portlayer.VM) { vm.Outside = true }
	container := func(id string, restarts int32) func(*portlayer.VM) {
		return func(vm *portlayer.VM) {
			vm.Status.Sequence++
			vm.Status.Pod.ContainerStatuses[0].ContainerID, vm.Status.Pod.ContainerStatuses[0].RestartCount = id, restarts
		}
	}
	cases := map[string]struct {
		before, after entry
		want          []string // reasons
	}{
		"nothing":                           {entry{vm: vm()}, entry{vm: vm()}, nil},
		"the first news after a restart":    {entry{}, entry{vm: vm(in(portlayer.Suspended))}, nil},
		"gone":                              {entry{vm: vm()}, entry{gone: true, seen: vm()}, []string{"VMGone"}},
		"gone because it is deleted":        {entry{vm: vm()}, entry{deadline: time.Now()}, nil},
		"powered off":                       {entry{vm: vm()}, entry{vm: vm(in(portlayer.Off))}, []string{"VMPoweredOff"}},
		"powered off by a guest that ended": {entry{vm: vm()}, entry{vm: vm(ends(corev1.PodSucceeded, 0))}, nil},
		"powered off when the pod had ended": {
			entry{vm: vm()}, entry{vm: vm(in(portlayer.Off)), final: &corev1.PodStatus{Phase: corev1.PodFailed}}, nil,
		},
		"suspended":              {entry{vm: vm()}, entry{vm: vm(in(portlayer.Suspended))}, []string{"VMSuspended"}},
		"resumed":                {entry{vm: vm(in(portlayer.Suspended))}, entry{vm: vm()}, []string{"VMResumed"}},
		"out of reach":           {entry{vm: vm()}, entry{vm: vm(in(portlayer.Inaccessible))}, []string{"VMInaccessible"}},
		"in reach again":         {entry{vm: vm(in(portlayer.Inaccessible))}, entry{vm: vm()}, []string{"VMAccessible"}},
		"moved":                  {entry{vm: vm()}, entry{vm: vm(away)}, []string{"VMMoved"}},
		"moved back":             {entry{vm: vm(away)}, entry{vm: vm()}, []string{"VMReturned"}},
		"reset":                  {entry{vm: vm()}, entry{vm: vm(runs(1, "10.0.0.9"))}, []string{"VMReset"}},
		"reset, reports go on":   {entry{vm: vm(container("a", 0))}, entry{vm: vm(container("b", 0))}, []string{"VMReset"}},
		"reset, not yet started": {entry{vm: vm(container("a", 0))}, entry{vm: vm(container("", 0))}, []string{"VMReset"}},
		"a container restarts":   {entry{vm: vm(container("a", 0))}, entry{vm: vm(container("b", 1))}, nil},
		"a container starts":     {entry{vm: vm(container("", 0))}, entry{vm: vm(container("a", 0))}, nil},
		"moved and suspended":    {entry{vm: vm()}, entry{vm: vm(away, in(portlayer.Suspended))}, []string{"VMSuspended", "VMMoved"}},
		"a further report":       {entry{vm: vm()}, entry{vm: vm(runs(8, "10.0.0.9"))}, nil},
		"powered on, by creator": {entry{vm: vm(in(portlayer.Off))}, entry{vm: vm()}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var found []string
			for _, h := range happenings(tc.before, tc.after) {
				found = append(found, h.reason)
				require.Contains(t, h.message, "web-u-1 (vm-1)", "an Event names the VM")
			}
			require.Equal(t, tc.want, found)
		})
	}
}
