// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"wolfpack/errs"
	"wolfpack/provider/operations"
	"wolfpack/provider/portlayer"
	"wolfpack/provider/portlayer/inprocess"
)

// store gives the API server's pod the status that Virtual Kubelet was told last, as that would.
func (w *world) store(uid types.UID) *corev1.Pod {
	w.t.Helper()
	w.mu.Lock()
	status := w.notes[uid]
	w.mu.Unlock()
	return w.change(uid, func(p *corev1.Pod) { p.Status = status })
}

// change changes a pod in the API server.
func (w *world) change(uid types.UID, change func(*corev1.Pod)) *corev1.Pod {
	w.t.Helper()
	for _, object := range w.lister.List() {
		pod := object.(*corev1.Pod)
		if pod.UID != uid {
			continue
		}
		pod = pod.DeepCopy()
		change(pod)
		require.NoError(w.t, w.client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), pod, pod.Namespace))
		require.NoError(w.t, w.lister.Update(pod))
		return pod
	}
	require.FailNow(w.t, "no such pod in the lister", "%s", uid)
	return nil
}

// awaitEvent waits for an Event with that reason and returns its text.
func (w *world) awaitEvent(reason string) string {
	w.t.Helper()
	late := time.After(patience)
	for {
		select {
		case text := <-w.events.Events:
			if strings.Contains(text, " "+reason+" ") {
				return text
			}
		case <-late:
			require.FailNow(w.t, "no Event", "%s", reason)
		}
	}
}

func (w *world) gone(name string) func() bool {
	return func() bool {
		_, err := w.client.CoreV1().Pods("shop").Get(w.t.Context(), name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}
}

// settled waits until all that was asked of the provider so far has been done: another pod's life has passed meanwhile.
func (w *world) settled() {
	w.t.Helper()
	other := w.apply("u-settled-"+string(rune('a'+len(w.client.Actions())%26)), func(p *corev1.Pod) { p.Name = "settled" })
	w.await(other.UID, "started", func(s corev1.PodStatus) bool { return s.Phase == corev1.PodRunning || ended(s.Phase) })
	require.NoError(w.t, w.lister.Delete(other))
	require.NoError(w.t, w.DeletePod(w.t.Context(), deleted(other, 0)))
	w.awaitThat("the other pod is gone", w.gone("settled"))
}

func TestFailedIsFailed(t *testing.T) {
	for _, stored := range []bool{false, true} {
		w := newWorld(t)
		pod := w.apply("u-1")
		w.awaitPhase(pod.UID, corev1.PodRunning)
		id := w.vm().ID
		w.host.Set(id, turnOff)
		w.awaitPhase(pod.UID, corev1.PodFailed)
		if stored {
			pod = w.store(pod.UID)
			w.restart()
		}
		// Somebody powers the VM on again, and its guest reports.
		w.host.Set(id, func(vm *portlayer.VM) { vm.State = portlayer.Running; runs(1, "10.0.0.9")(vm) })
		require.NoError(t, w.CreatePod(t.Context(), pod))
		w.settled()
		found, err := w.GetPod(t.Context(), "shop", "web")
		require.NoError(t, err)
		require.Equal(t, corev1.PodFailed, found.Status.Phase)
		require.Equal(t, "VMPoweredOff", found.Status.Reason)
		w.stop()
	}
}

func TestResetIsANewBoot(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	id := w.vm().ID
	run := func(sequence uint64, container string) {
		w.host.Set(id, func(vm *portlayer.VM) {
			runs(sequence, "10.0.0.9")(vm)
			vm.Status.Pod.ContainerStatuses[0].ContainerID = container
		})
	}
	run(5, "containerd://first")
	w.await(pod.UID, "the first run", func(s corev1.PodStatus) bool {
		return len(s.ContainerStatuses) == 1 && s.ContainerStatuses[0].ContainerID == "containerd://first"
	})
	w.store(pod.UID)
	run(1, "containerd://second")
	s := w.await(pod.UID, "the run after the reset", func(s corev1.PodStatus) bool {
		return s.ContainerStatuses[0].ContainerID == "containerd://second"
	})
	require.EqualValues(t, 1, s.ContainerStatuses[0].RestartCount)
	require.Equal(t, "containerd://first", s.ContainerStatuses[0].LastTerminationState.Terminated.ContainerID)
	require.Contains(t, w.awaitEvent("VMReset"), "web-u-1 (vm-1)")
}

func TestAMovedVMRunsOn(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	id := w.vm().ID
	w.host.Set(id, func(vm *portlayer.VM) { vm.Outside = true })
	require.Contains(t, w.awaitEvent("VMMoved"), "web-u-1 (vm-1)")
	found, err := w.GetPod(t.Context(), "shop", "web")
	require.NoError(t, err)
	require.Equal(t, corev1.PodRunning, found.Status.Phase)
	require.Equal(t, corev1.ConditionTrue, condition(found.Status, corev1.PodReady).Status)
	w.host.Set(id, func(vm *portlayer.VM) { vm.Outside = false })
	w.awaitEvent("VMReturned")
	w.host.Set(id, func(vm *portlayer.VM) { vm.Outside = true })
	require.NoError(t, w.DeletePod(t.Context(), deleted(pod, time.Hour)))
	w.awaitThat("it is removed with its pod, wherever it is", func() bool { return len(w.host.VMs()) == 0 })
}

func TestAVMThatWasMovedWhileNoProviderRanIsFound(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	pod = w.store(pod.UID)
	id := w.vm().ID
	w.stop()
	w.host.Hide(id)

	w.restart()
	require.NoError(t, w.CreatePod(t.Context(), pod))
	w.awaitThat("the VM is known again", func() bool {
		e, ok := w.cache.get(pod.UID)
		return ok && e.id == id && e.vm.Outside
	})
	found, err := w.GetPod(t.Context(), "shop", "web")
	require.NoError(t, err)
	require.Equal(t, corev1.PodRunning, found.Status.Phase)
	require.Len(t, w.host.VMs(), 1, "the pod is not doubled")
}

func TestAVMThatWentWhileNoProviderRanIsNotMadeAnew(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	pod = w.store(pod.UID)
	id := w.vm().ID
	w.stop()
	w.host.Vanish(id)

	w.restart()
	require.NoError(t, w.CreatePod(t.Context(), pod))
	s := w.awaitPhase(pod.UID, corev1.PodFailed)
	require.Equal(t, "VMGone", s.Reason)
	require.EqualValues(t, 137, s.ContainerStatuses[0].State.Terminated.ExitCode)
	require.Empty(t, w.host.VMs())
	w.awaitEvent("VMGone")
}

func TestAVMThatWentOffWhileNoProviderRanIsNotStartedAgain(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	w.store(pod.UID)
	id := w.vm().ID
	w.stop()
	// vSphere forgets what a guest reported when its VM is powered off.
	w.host.Set(id, func(vm *portlayer.VM) { turnOff(vm); vm.Status = nil })

	w.restart()
	w.Announce()
	s := w.awaitPhase(pod.UID, corev1.PodFailed)
	require.Equal(t, "VMPoweredOff", s.Reason)
	w.settled()
	require.Equal(t, portlayer.Off, w.vm().State)
}

func TestACopyOfAPodsVMIsNeitherTakenNorRemoved(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	id := w.vm().ID
	clone := w.host.Copy(id)
	w.settled()
	found, err := w.GetPod(t.Context(), "shop", "web")
	require.NoError(t, err)
	require.Equal(t, corev1.PodRunning, found.Status.Phase, "the copy is off")

	require.NoError(t, w.DeletePod(t.Context(), deleted(pod, 0)))
	w.awaitThat("the pod is gone", w.gone("web"))
	require.Equal(t, clone, w.vm().ID)
}

func TestVMsOfOtherClustersAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.stop()
	theirs, err := operations.Spec(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u-other"}},
		operations.Host{VCH: "v", Cluster: "theirs"})
	require.NoError(t, err)
	id, err := w.host.Create(t.Context(), theirs)
	require.NoError(t, err)
	w.restart(func(c *Config) { c.Cluster = "ours" })
	require.Empty(t, w.cache.all())
	ours := w.apply("u-1")
	w.awaitPhase(ours.UID, corev1.PodRunning)
	require.NoError(t, w.client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), "shop", "web"))
	require.NoError(t, w.lister.Delete(ours))
	w.awaitThat("our orphan is removed", func() bool { return len(w.host.VMs()) == 1 })
	require.Equal(t, id, w.vm().ID)
}

// endsAtOnce is a host with guests whose containers end as soon as they run, and that stay up themselves.
func endsAtOnce(h *inprocess.Host) {
	h.OnStart = func(id portlayer.ID) {
		h.Set(id, func(vm *portlayer.VM) {
			runs(1, "10.0.0.9")(vm)
			ends(corev1.PodSucceeded, 0)(vm)
			vm.Status.Pod.ContainerStatuses[0].State.Terminated.FinishedAt = metav1.Now()
			vm.State, vm.ToolsUp = portlayer.Running, true
		})
	}
}

func TestAFinishedPodsVMIsPoweredOffAsSoonAsTheAPIServerKnows(t *testing.T) {
	w := newWorld(t, endsAtOnce)
	w.restart(func(c *Config) { c.Keep, c.Reconcile = 0, time.Hour })
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodSucceeded)
	w.settled()
	require.Equal(t, portlayer.Running, w.vm().State, "its guest's word may be lost when it is off")
	w.stored(pod, w.store(pod.UID))
	w.awaitThat("the VM is off", func() bool { return w.vm().State == portlayer.Off })
}

func TestAFinishedPodsVMIsPoweredOffAndItsStatusStays(t *testing.T) {
	w := newWorld(t, endsAtOnce)
	w.restart(func(c *Config) { c.Keep = time.Hour })
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodSucceeded)
	pod = w.store(pod.UID)
	w.settled()
	w.settled()
	vms := w.host.VMs()
	require.Len(t, vms, 1)
	require.Equal(t, portlayer.Running, vms[0].State, "its logs can still be read")

	w.restart(func(c *Config) { c.Keep = 0 })
	require.Contains(t, w.awaitEvent("VMStopped"), "web-u-1 (vm-1)")
	require.Equal(t, portlayer.Off, w.vm().State)
	w.restart()
	found, err := w.GetPod(t.Context(), "shop", "web")
	require.NoError(t, err)
	require.Equal(t, pod.Status, found.Status, "nothing changes the guest's last word")
	require.NoError(t, w.DeletePod(t.Context(), deleted(pod, 0)))
	w.awaitThat("it is removed with its pod", func() bool { return len(w.host.VMs()) == 0 })
}

func TestFinalizersSeeHowThePodEnded(t *testing.T) {
	cases := map[string]struct {
		guest  func(*inprocess.Host, portlayer.ID)
		phase  corev1.PodPhase
		reason string
	}{
		"the guest says": {func(h *inprocess.Host, id portlayer.ID) { h.Set(id, ends(corev1.PodSucceeded, 0)) }, corev1.PodSucceeded, ""},
		"nobody says":    {func(h *inprocess.Host, id portlayer.ID) { h.Set(id, turnOff) }, corev1.PodFailed, "VMDeleted"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(h *inprocess.Host) { h.OnShutdown = func(id portlayer.ID) { tc.guest(h, id) } })
			pod := w.apply("u-1", func(p *corev1.Pod) { p.Finalizers = []string{"example.com/keep"} })
			w.awaitPhase(pod.UID, corev1.PodRunning)
			w.store(pod.UID)
			pod = w.change(pod.UID, func(p *corev1.Pod) { p.DeletionTimestamp = deleted(p, time.Hour).DeletionTimestamp })
			require.NoError(t, w.DeletePod(t.Context(), pod))
			w.awaitThat("the provider is done with it", func() bool { _, ok := w.cache.get(pod.UID); return !ok })
			require.Empty(t, w.host.VMs())
			kept, err := w.client.CoreV1().Pods("shop").Get(t.Context(), "web", metav1.GetOptions{})
			require.NoError(t, err)
			require.Equal(t, tc.phase, kept.Status.Phase)
			require.Equal(t, tc.reason, kept.Status.Reason)
			require.Nil(t, kept.Status.ContainerStatuses[0].State.Running)

			require.NoError(t, w.lister.Update(kept))
			require.Error(t, w.DeletePod(t.Context(), kept), "Virtual Kubelet asks again, and hears that there is nothing")
			w.settled()
			require.Empty(t, w.host.VMs(), "no second VM")
		})
	}
}

func TestADeletionThatIsNoneSparesTheVM(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	require.NoError(t, w.lister.Delete(pod))
	require.NoError(t, w.DeletePod(t.Context(), pod), "Virtual Kubelet does not find it in its lister")
	require.NoError(t, w.lister.Add(pod))
	w.settled()
	require.Equal(t, portlayer.Running, w.vm().State)
	w.awaitThat("it is not being deleted", func() bool { e, _ := w.cache.get(pod.UID); return !e.deleting() })
	require.NoError(t, w.DeletePod(t.Context(), deleted(pod, 0)))
	w.awaitThat("it can be deleted", func() bool { return len(w.host.VMs()) == 0 })
}

func TestDeleteWhileWaitingForAnotherTry(t *testing.T) {
	for _, op := range []string{"Create", "Start"} {
		t.Run(op, func(t *testing.T) {
			w := newWorld(t, func(h *inprocess.Host) {
				h.Before = func(name string, _ portlayer.ID) error {
					if name == op {
						return errs.New("test", errs.Unavailable, "vCenter is away")
					}
					return nil
				}
			})
			w.restart(func(c *Config) { c.Retry = time.Hour })
			pod := w.apply("u-1")
			w.await(pod.UID, "trouble", func(s corev1.PodStatus) bool {
				return len(s.ContainerStatuses) == 1 && strings.Contains(s.ContainerStatuses[0].State.Waiting.Message, "vCenter is away")
			})
			require.NoError(t, w.DeletePod(t.Context(), deleted(pod, time.Hour)))
			w.awaitThat("the pod is gone", w.gone("web"))
			require.Empty(t, w.host.VMs())
		})
	}
}

// Virtual Kubelet takes a pod that it cannot get for one that is not there, and makes it.
func TestPodsAreKnownWithoutVSphere(t *testing.T) {
	away := errs.New("test", errs.Unavailable, "vCenter is away")
	var gone atomic.Bool
	w := newWorld(t, func(h *inprocess.Host) {
		h.Before = func(string, portlayer.ID) error {
			if gone.Load() {
				return away
			}
			return nil
		}
	})
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	gone.Store(true)
	w.host.Lose(away)
	found, err := w.GetPod(t.Context(), "shop", "web")
	require.NoError(t, err)
	require.Equal(t, corev1.PodRunning, found.Status.Phase)
	status, err := w.GetPodStatus(t.Context(), "shop", "web")
	require.NoError(t, err)
	require.Equal(t, corev1.PodRunning, status.Phase)
	all, err := w.GetPods(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
}

func TestWhatHappenedWhileTheWatchWasLost(t *testing.T) {
	w := newWorld(t)
	names := []string{"gone", "moved", "suspended", "removed", "stays"}
	pods := map[string]*corev1.Pod{}
	ids := map[string]portlayer.ID{}
	for _, name := range names {
		pods[name] = w.apply("u-"+name, func(p *corev1.Pod) { p.Name = name })
		w.awaitPhase(pods[name].UID, corev1.PodRunning)
	}
	for _, vm := range w.host.VMs() {
		ids[vm.Name] = vm.ID
	}
	w.host.Lose(errs.New("test", errs.Unavailable, "connection reset"))
	w.host.Vanish(ids["gone"])
	w.host.Set(ids["moved"], func(vm *portlayer.VM) { vm.Outside = true })
	w.host.Set(ids["suspended"], func(vm *portlayer.VM) { vm.State = portlayer.Suspended })
	require.NoError(t, w.DeletePod(t.Context(), deleted(pods["removed"], time.Hour)))
	w.awaitThat("a deletion goes on without the watch", w.gone("removed"))
	late := w.apply("u-late", func(p *corev1.Pod) { p.Name = "late" })
	w.awaitThat("a creation too", func() bool { e, _ := w.cache.get(late.UID); return e.id != "" })
	w.host.Regain()
	w.awaitPhase(pods["gone"].UID, corev1.PodFailed)
	w.awaitPhase("u-late", corev1.PodRunning)
	w.await(pods["suspended"].UID, "not ready", func(s corev1.PodStatus) bool {
		return condition(s, corev1.PodReady).Reason == "VMSuspended"
	})
	for _, name := range []string{"moved", "stays"} {
		found, err := w.GetPod(t.Context(), "shop", name)
		require.NoError(t, err)
		require.Equal(t, corev1.PodRunning, found.Status.Phase, name)
	}
	require.Len(t, w.host.VMs(), 4)
}

func TestWhatTheAPIServerDidNotGetIsToldAgain(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	w.mu.Lock()
	delete(w.notes, pod.UID) // Virtual Kubelet has given up writing it
	w.mu.Unlock()
	w.awaitPhase(pod.UID, corev1.PodRunning)
}

func TestNewsOfARecreatedVMComeInAnyOrder(t *testing.T) {
	c := newCache()
	c.want(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u-1"}})
	vm := func(id portlayer.ID, state portlayer.State) portlayer.VM {
		return portlayer.VM{ID: id, Identity: portlayer.Identity{UID: "u-1"}, State: state}
	}
	c.observe(portlayer.Update{Changed: []portlayer.VM{vm("vm-1", portlayer.Off)}})
	c.observe(portlayer.Update{Changed: []portlayer.VM{vm("vm-2", portlayer.Running)}, Gone: []portlayer.ID{"vm-1"}})
	e, _ := c.get("u-1")
	require.Equal(t, portlayer.ID("vm-2"), e.id, "in one batch")
	require.False(t, e.gone)

	c.observe(portlayer.Update{Sync: true, Changed: []portlayer.VM{vm("vm-2", portlayer.Running), vm("vm-3", portlayer.Off)}})
	e, _ = c.get("u-1")
	require.Equal(t, portlayer.ID("vm-2"), e.id, "whoever has the VM keeps it")
	c.observe(portlayer.Update{Gone: []portlayer.ID{"vm-1", "vm-3"}})
	e, _ = c.get("u-1")
	require.False(t, e.gone, "others' ends are not ours")
	c.observe(portlayer.Update{Gone: []portlayer.ID{"vm-2"}})
	c.observe(portlayer.Update{Gone: []portlayer.ID{"vm-2"}})
	e, _ = c.get("u-1")
	require.True(t, e.gone)
}

func TestVirtualKubeletsForcedDeletionsAreOrderly(t *testing.T) {
	w := newWorld(t, func(h *inprocess.Host) { h.OnShutdown = func(portlayer.ID) {} })
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	pod = w.change(pod.UID, func(p *corev1.Pod) { p.DeletionTimestamp = deleted(p, time.Hour).DeletionTimestamp })
	pods := orderly{w.client.CoreV1(), w.Provider}.Pods("shop")
	require.NoError(t, pods.Delete(t.Context(), "web", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	w.settled()
	require.False(t, w.gone("web")(), "the pod stays while its VM does")
	require.Len(t, w.host.VMs(), 1)

	require.NoError(t, w.DeletePod(t.Context(), deleted(pod, 0)))
	w.awaitThat("both are gone", func() bool { return w.gone("web")() && len(w.host.VMs()) == 0 })
	stranger := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "stranger", UID: "u-9", DeletionTimestamp: pod.DeletionTimestamp}}
	require.NoError(t, w.client.Tracker().Add(stranger))
	require.NoError(t, pods.Delete(context.Background(), "stranger", metav1.DeleteOptions{}), "of what the provider does not have, Virtual Kubelet decides")
	require.True(t, w.gone("stranger")())
}
