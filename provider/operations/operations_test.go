// SPDX-License-Identifier: Apache-2.0

package operations_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/errs"
	"wolfpack/provider/operations"
	"wolfpack/provider/portlayer"
	"wolfpack/provider/portlayer/inprocess"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func pod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "0f5e0c4a-1111-2222-3333-444455556666"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1"}}},
	}
}

// host is an inprocess.Host that notes the operations on it.
type host struct {
	*inprocess.Host
	mu  sync.Mutex // guards ops
	ops []string
}

// newHost returns a host whose operations of the given names fail, each as often as said.
func newHost(failing map[string]int) *host {
	h := &host{Host: inprocess.New()}
	h.Before = func(op string, _ portlayer.ID) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ops = append(h.ops, op)
		if failing[op] > 0 {
			failing[op]--
			return errs.New("test", errs.Unavailable, "%s fails", op)
		}
		return nil
	}
	return h
}

func (h *host) only(t *testing.T) portlayer.VM {
	t.Helper()
	require.Len(t, h.VMs(), 1)
	return h.VMs()[0]
}

func TestCreate(t *testing.T) {
	cases := map[string]struct {
		failing map[string]int
		fails   string   // what the error says; "" for none
		left    int      // VMs after it
		ops     []string // that were tried
	}{
		"works":                    {nil, "", 1, []string{"Create", "Start"}},
		"cannot create":            {map[string]int{"Create": 1}, "create the VM: Create fails", 0, []string{"Create"}},
		"cannot start":             {map[string]int{"Start": 1}, "start the VM: power on: Start fails", 0, []string{"Create", "Start", "Remove"}},
		"cannot start nor undo":    {map[string]int{"Start": 1, "Remove": 1}, `undo of "create the VM"`, 1, []string{"Create", "Start", "Remove"}},
		"undo says what was first": {map[string]int{"Start": 1, "Remove": 1}, "start the VM: power on: Start fails", 1, []string{"Create", "Start", "Remove"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHost(tc.failing)
			id, err := operations.PodCreator{Portlayer: h, VCH: "v"}.Create(t.Context(), pod())
			require.Equal(t, tc.ops, h.ops)
			require.Len(t, h.VMs(), tc.left)
			if tc.fails != "" {
				require.ErrorContains(t, err, tc.fails)
				require.True(t, errs.Is(err, errs.Unavailable), "the first error's kind counts")
				return
			}
			require.NoError(t, err)
			require.Equal(t, portlayer.Running, h.only(t).State)
			require.Equal(t, id, h.only(t).ID)
		})
	}
}

func TestCreateIsIdempotent(t *testing.T) {
	h := newHost(nil)
	creator := operations.PodCreator{Portlayer: h, VCH: "v"}
	first, err := creator.Create(t.Context(), pod())
	require.NoError(t, err)
	second, err := creator.Create(t.Context(), pod())
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Equal(t, portlayer.Running, h.only(t).State)
}

func TestCreateOfAPodDeletedMeanwhileLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := newHost(nil)
	h.Before = func(op string, _ portlayer.ID) error {
		if op == "Create" {
			cancel()
		}
		return nil
	}
	_, err := operations.PodCreator{Portlayer: h, VCH: "v"}.Create(ctx, pod())
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, h.VMs())
}

func TestCreateRefusesAnUnknownGuestOS(t *testing.T) {
	h := newHost(nil)
	bad := pod()
	bad.Annotations = map[string]string{operations.GuestOSAnnotation: "beos"}
	_, err := operations.PodCreator{Portlayer: h, VCH: "v"}.Create(t.Context(), bad)
	require.True(t, errs.Is(err, errs.Invalid))
	require.ErrorContains(t, err, `annotation wolfpack.guest-os of pod shop/web: no guest OS "beos" for a Container; there are: photon, redhat, windows`)
	require.Empty(t, h.ops)
}

func TestStop(t *testing.T) {
	obedient := func(h *host) { h.OnShutdown = func(id portlayer.ID) { h.Set(id, turnOff) } }
	stubborn := func(*host) {}
	cases := map[string]struct {
		guest   func(*host)
		tools   bool
		grace   time.Duration
		failing map[string]int
		fails   string
		ops     []string
	}{
		"the guest shuts down":                 {obedient, true, time.Minute, nil, "", []string{"Shutdown"}},
		"the guest does not shut down in time": {stubborn, true, time.Millisecond, nil, "", []string{"Shutdown", "Stop"}},
		"no grace: nobody is asked":            {obedient, true, 0, nil, "", []string{"Stop"}},
		"grace is over":                        {obedient, true, -time.Second, nil, "", []string{"Stop"}},
		"the guest cannot be asked":            {obedient, false, time.Minute, nil, "", []string{"Shutdown", "Stop"}},
		"asking fails: it is powered off":      {obedient, true, time.Minute, map[string]int{"Shutdown": 1}, "", []string{"Shutdown", "Stop"}},
		"powering off fails":                   {stubborn, false, 0, map[string]int{"Stop": 1}, "power off: Stop fails", []string{"Stop"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHost(nil)
			id, err := operations.PodCreator{Portlayer: h, VCH: "v"}.Create(t.Context(), pod())
			require.NoError(t, err)
			h.Set(id, func(vm *portlayer.VM) { vm.ToolsUp = tc.tools })
			again := newHost(tc.failing)
			again.Host, h.Before = h.Host, again.Before
			tc.guest(again)

			err = operations.PodStopper{Portlayer: again}.Stop(t.Context(), id, tc.grace)
			require.Equal(t, tc.ops, again.ops)
			if tc.fails != "" {
				require.ErrorContains(t, err, tc.fails)
				require.Equal(t, portlayer.Running, h.only(t).State)
				return
			}
			require.NoError(t, err)
			require.Equal(t, portlayer.Off, h.only(t).State)
		})
	}
}

func turnOff(vm *portlayer.VM) { vm.State, vm.ToolsUp = portlayer.Off, false }

func TestStopEndsWithItsContext(t *testing.T) {
	h := newHost(nil)
	id, err := operations.PodCreator{Portlayer: h, VCH: "v"}.Create(t.Context(), pod())
	require.NoError(t, err)
	h.Set(id, func(vm *portlayer.VM) { vm.ToolsUp = true })
	ctx, cancel := context.WithCancel(t.Context())
	h.OnShutdown = func(portlayer.ID) { cancel() }
	err = operations.PodStopper{Portlayer: h}.Stop(ctx, id, time.Hour)
	require.ErrorIs(t, err, context.Canceled, "the caller may have a nearer deadline now")
	require.Equal(t, portlayer.Running, h.only(t).State)
}

func TestDelete(t *testing.T) {
	cases := map[string]struct {
		failing map[string]int
		fails   string
		ops     []string
	}{
		"works":          {nil, "", []string{"Shutdown", "Remove"}},
		"cannot stop":    {map[string]int{"Shutdown": 1, "Stop": 1}, "stop the VM: power off: Stop fails", []string{"Shutdown", "Stop"}},
		"cannot destroy": {map[string]int{"Remove": 1}, "destroy the VM: Remove fails", []string{"Shutdown", "Remove"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHost(nil)
			id, err := operations.PodCreator{Portlayer: h, VCH: "v"}.Create(t.Context(), pod())
			require.NoError(t, err)
			h.Set(id, func(vm *portlayer.VM) { vm.ToolsUp = true })
			again := newHost(tc.failing)
			again.Host, h.Before = h.Host, again.Before
			again.OnShutdown = func(id portlayer.ID) { again.Set(id, turnOff) }
			deleter := operations.PodDeleter{Portlayer: again}

			err = deleter.Delete(t.Context(), id, time.Minute)
			require.Equal(t, tc.ops, again.ops)
			if tc.fails == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.fails)
				require.Len(t, h.VMs(), 1)
				require.NoError(t, deleter.Delete(t.Context(), id, time.Minute), "a second try completes it")
			}
			require.Empty(t, h.VMs())
			require.NoError(t, deleter.Delete(t.Context(), id, time.Minute), "deleting what is gone is no error")
		})
	}
}

func TestStartFails(t *testing.T) {
	h := newHost(map[string]int{"Start": 1})
	id, err := h.Create(t.Context(), spec(t, pod()))
	require.NoError(t, err)
	starter := operations.PodStarter{Portlayer: h}
	require.ErrorContains(t, starter.Start(t.Context(), id), "power on: Start fails")
	require.NoError(t, starter.Start(t.Context(), id))
	require.Equal(t, portlayer.Running, h.only(t).State)
}
