// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"wolfpack/errs"
	"wolfpack/provider/portlayer"
	"wolfpack/provider/portlayer/inprocess"
)

// Virtual Kubelet writes whatever it is told to the API server, because it compares resource versions too.
func TestOldNewsAreNotToldAgain(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	told := 0
	notify := func(uid types.UID) {
		w.notify(uid, func(pod *corev1.Pod) {
			told++
			stored := pod.DeepCopy()
			stored.ResourceVersion += "0"
			require.NoError(t, w.lister.Update(stored))
		})
	}
	notify(pod.UID)
	require.Equal(t, 1, told, "the API server does not have it yet")
	notify(pod.UID)
	require.Equal(t, 1, told)

	overwritten, err := w.GetPod(t.Context(), "shop", "web")
	require.NoError(t, err)
	overwritten.Status = corev1.PodStatus{Phase: corev1.PodPending}
	require.NoError(t, w.lister.Update(overwritten))
	notify(pod.UID)
	require.Equal(t, 2, told, "somebody else wrote another status")
}

// The watch may say that the VM was made after its creator has started it.
func TestAVMThatWasStartedIsNotStartedAgain(t *testing.T) {
	c := newCache()
	c.want(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u-1"}})
	c.created("u-1", "vm-1")
	vm := portlayer.VM{ID: "vm-1", Identity: portlayer.Identity{UID: "u-1"}, State: portlayer.Off}
	c.observe(portlayer.Update{Changed: []portlayer.VM{vm}})
	e, _ := c.get("u-1")
	require.False(t, e.needsStart())

	afterRestart := newCache()
	afterRestart.observe(portlayer.Update{Sync: true, Changed: []portlayer.VM{vm}})
	e, _ = afterRestart.get("u-1")
	require.True(t, e.needsStart(), "nobody knows whether it ever ran")
}

func TestOnlyFailuresWait(t *testing.T) {
	l := limiter()
	require.Zero(t, l.When("a"), "news go out at once")
	require.GreaterOrEqual(t, l.When("a"), firstRetry, "it failed")
	require.Greater(t, l.When("a"), 2*firstRetry, "and again")
	require.Zero(t, l.When("b"))
	l.Forget("a")
	require.Zero(t, l.When("a"))
}

// A controller replaces a pod that is Failed. While a right is missing it would do so without end.
func TestAMissingRightIsNotThePodsEnd(t *testing.T) {
	for _, kind := range []errs.Kind{errs.Denied, errs.Internal, errs.NotFound, errs.Unavailable} {
		t.Run(kind.String(), func(t *testing.T) {
			failures := 3
			w := newWorld(t, func(h *inprocess.Host) {
				h.Before = func(op string, _ portlayer.ID) error {
					if op == "Create" && failures > 0 {
						failures--
						return errs.New("test", kind, "no")
					}
					return nil
				}
			})
			pod := w.apply("u-1")
			w.awaitPhase(pod.UID, corev1.PodRunning)
			require.Zero(t, failures)
		})
	}
}
