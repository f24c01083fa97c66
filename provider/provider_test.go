// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/virtual-kubelet/virtual-kubelet/errdefs"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	corev1listers "k8s.io/client-go/listers/core/v1"
	k8stesting "k8s.io/client-go/testing"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"wolfpack/errs"
	"wolfpack/guest/contract"
	"wolfpack/provider/guests"
	"wolfpack/provider/operations"
	"wolfpack/provider/portlayer"
	"wolfpack/provider/portlayer/inprocess"
)

// opencensus, which Virtual Kubelet imports, starts its worker at import and never ends it.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// world is a provider on an in-process host, with an API server's pods.
type world struct {
	*Provider
	t      *testing.T
	host   *inprocess.Host
	client *fake.Clientset
	lister toolscache.Indexer
	events *record.FakeRecorder
	stop   func()          // stops the present provider
	ctx    context.Context // of the providers to come

	mu      sync.Mutex // guards notes
	notes   map[types.UID]corev1.PodStatus
	changed chan struct{} // gets a value at each note
}

// newWorld starts a provider. before may prepare the host.
func newWorld(t *testing.T, before ...func(*inprocess.Host)) *world {
	t.Helper()
	w := &world{
		t: t, host: inprocess.New(), client: fake.NewClientset(), events: record.NewFakeRecorder(1000),
		lister:  toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc}),
		notes:   map[types.UID]corev1.PodStatus{},
		changed: make(chan struct{}, 1000),
		stop:    func() {},
		ctx:     context.Background(),
	}
	w.client.PrependReactor("delete", "pods", w.keepFinalized)
	w.client.PrependReactor("delete", "pods", w.checkUID)
	w.host.OnStart = func(id portlayer.ID) { w.host.Set(id, runs(1, "10.0.0.9")) }
	w.host.OnShutdown = func(id portlayer.ID) { w.host.Set(id, ends(corev1.PodSucceeded, 0)) }
	for _, prepare := range before {
		prepare(w.host)
	}
	w.restart()
	return w
}

// checkUID refuses to delete another pod than the one meant, as an API server does and the fake does not.
func (w *world) checkUID(action k8stesting.Action) (bool, runtime.Object, error) {
	request := action.(k8stesting.DeleteActionImpl)
	found, err := w.client.Tracker().Get(corev1.SchemeGroupVersion.WithResource("pods"), request.Namespace, request.Name)
	want := request.DeleteOptions.Preconditions
	if err != nil || want == nil || found.(*corev1.Pod).UID == *want.UID {
		return false, nil, nil
	}
	return true, nil, apierrors.NewConflict(corev1.Resource("pods"), request.Name, errors.New("the UID in the precondition differs"))
}

// keepFinalized keeps a pod that has finalizers, as an API server does and the fake does not.
func (w *world) keepFinalized(action k8stesting.Action) (bool, runtime.Object, error) {
	request := action.(k8stesting.DeleteActionImpl)
	found, err := w.client.Tracker().Get(corev1.SchemeGroupVersion.WithResource("pods"), request.Namespace, request.Name)
	return err == nil && len(found.(*corev1.Pod).Finalizers) > 0, found, nil
}

// restart replaces the provider by a new one that knows nothing, until the test ends.
func (w *world) restart(change ...func(*Config)) {
	w.stop()
	authority, err := guests.LoadAuthority(w.t.Context(), w.client.CoreV1(), DefaultSystemNamespace, "v")
	require.NoError(w.t, err)
	config := Config{
		VCH: "v", Portlayer: w.host, Pods: corev1listers.NewPodLister(w.lister), Client: w.client.CoreV1(),
		Events: w.events, HostIP: "192.0.2.1", Retry: time.Millisecond, Guests: guests.New(guests.Config{Authority: authority, Client: w.client, Events: w.events, HostIPs: []string{"192.0.2.1"}}), Reconcile: 5 * time.Millisecond,
	}
	for _, c := range change {
		c(&config)
	}
	w.Provider = New(config)
	w.NotifyPods(w.t.Context(), w.note)
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan error, 1)
	provider := w.Provider
	go func() { done <- provider.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(w.t, <-done)
	})
	w.t.Cleanup(w.stop)
	<-provider.Synced()
}

func (w *world) note(pod *corev1.Pod) {
	w.mu.Lock()
	w.notes[pod.UID] = pod.Status
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default: // whoever waits has enough to look at; a test that fails may wait for long, and the provider must not
	}
}

// apply makes a pod in the API server and hands it to the provider, as Virtual Kubelet does.
func (w *world) apply(uid string, change ...func(*corev1.Pod)) *corev1.Pod {
	w.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: types.UID(uid), CreationTimestamp: metav1.Now()},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1"}}},
	}
	for _, c := range change {
		c(pod)
	}
	require.NoError(w.t, w.client.Tracker().Add(pod))
	require.NoError(w.t, w.lister.Add(pod))
	require.NoError(w.t, w.CreatePod(w.t.Context(), pod))
	return pod
}

// await waits until Virtual Kubelet was told a status as wanted.
func (w *world) await(uid types.UID, what string, wanted func(corev1.PodStatus) bool) corev1.PodStatus {
	w.t.Helper()
	late := time.After(patience)
	for {
		w.mu.Lock()
		status := w.notes[uid]
		w.mu.Unlock()
		if wanted(status) {
			return status
		}
		select {
		case <-w.changed:
		case <-late:
			require.FailNowf(w.t, "not seen: "+what, "last status: %+v\nVMs: %+v", status, w.host.VMs())
		}
	}
}

func (w *world) awaitPhase(uid types.UID, phase corev1.PodPhase) corev1.PodStatus {
	w.t.Helper()
	return w.await(uid, string(phase), func(s corev1.PodStatus) bool { return s.Phase == phase })
}

// awaitThat waits for anything.
func (w *world) awaitThat(what string, ok func() bool) {
	w.t.Helper()
	require.Eventually(w.t, ok, patience, time.Millisecond, what)
}

func (w *world) vm() portlayer.VM {
	w.t.Helper()
	require.Len(w.t, w.host.VMs(), 1)
	return w.host.VMs()[0]
}

// runs is a guest that reports its container running.
func runs(sequence uint64, ip string) func(*portlayer.VM) {
	return func(vm *portlayer.VM) {
		now := metav1.Now()
		vm.ToolsUp, vm.IP = true, ip
		vm.Status = &contract.Status{Sequence: sequence, Pod: corev1.PodStatus{
			Phase: corev1.PodRunning, StartTime: &now,
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: now},
				{Type: corev1.ContainersReady, Status: corev1.ConditionTrue, LastTransitionTime: now},
			},
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: "app", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
			}},
		}}
	}
}

// ends is a guest whose container ended, and that powers itself off.
func ends(phase corev1.PodPhase, code int32) func(*portlayer.VM) {
	return func(vm *portlayer.VM) {
		vm.State, vm.ToolsUp, vm.IP = portlayer.Off, false, ""
		vm.Status = &contract.Status{Sequence: 9, Pod: corev1.PodStatus{
			Phase: phase,
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: "app", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Completed"}},
			}},
		}}
	}
}

func condition(s corev1.PodStatus, kind corev1.PodConditionType) corev1.PodCondition {
	for _, c := range s.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return corev1.PodCondition{}
}

func TestPodBecomesRunningVM(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	s := w.awaitPhase(pod.UID, corev1.PodRunning)
	require.Equal(t, "10.0.0.9", s.PodIP)
	require.Equal(t, "192.0.2.1", s.HostIP)
	require.True(t, s.ContainerStatuses[0].Ready)
	require.Equal(t, corev1.ConditionTrue, condition(s, corev1.PodReady).Status)
	require.Equal(t, "web-u-1", w.vm().VMName)

	again, err := w.GetPod(t.Context(), "shop", "web")
	require.NoError(t, err)
	require.Equal(t, corev1.PodRunning, again.Status.Phase)
	all, err := w.GetPods(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
}

func TestCreateAndUpdateAreIdempotent(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	require.NoError(t, w.CreatePod(t.Context(), pod))
	w.awaitPhase(pod.UID, corev1.PodRunning)
	before := w.vm()
	require.NoError(t, w.CreatePod(t.Context(), pod))
	labelled := pod.DeepCopy()
	labelled.Labels = map[string]string{"new": "label"}
	require.NoError(t, w.lister.Update(labelled))
	found, err := w.GetPod(t.Context(), "shop", "web")
	require.NoError(t, err)
	require.Equal(t, labelled.Labels, found.Labels, "metadata is the API server's")
	require.NoError(t, w.UpdatePod(t.Context(), labelled))
	w.settled()
	require.Equal(t, before.ID, w.vm().ID)
	require.Equal(t, portlayer.Running, w.vm().State)
}

func TestPodsOfOneNameInTwoNamespaces(t *testing.T) {
	w := newWorld(t)
	first := w.apply("u-1")
	second := w.apply("u-2", func(p *corev1.Pod) { p.Namespace = "bank" })
	w.awaitPhase(first.UID, corev1.PodRunning)
	w.awaitPhase(second.UID, corev1.PodRunning)
	require.Len(t, w.host.VMs(), 2)
}

func TestDeleteRemovesVMAndPodAtOnce(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	require.NoError(t, w.DeletePod(t.Context(), deleted(pod, time.Hour)))
	w.awaitThat("the pod is gone from the API long before its grace period is over", func() bool {
		_, err := w.client.CoreV1().Pods("shop").Get(t.Context(), "web", metav1.GetOptions{})
		return err != nil
	})
	require.Empty(t, w.host.VMs())
	w.awaitThat("the provider has forgotten the pod", func() bool {
		return errdefs.IsNotFound(w.DeletePod(t.Context(), pod))
	})
}

// deleted is the pod as the API server shows it after its deletion was asked for.
func deleted(pod *corev1.Pod, grace time.Duration) *corev1.Pod {
	pod = pod.DeepCopy()
	end, seconds := metav1.NewTime(time.Now().Add(grace)), int64(grace.Seconds())
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &end, &seconds
	return pod
}

func TestDeleteOfAStubbornPodEndsWithItsGracePeriod(t *testing.T) {
	w := newWorld(t, func(h *inprocess.Host) { h.OnShutdown = func(portlayer.ID) {} })
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	require.NoError(t, w.DeletePod(t.Context(), deleted(pod, 20*time.Millisecond)))
	w.awaitThat("the VM is gone", func() bool { return len(w.host.VMs()) == 0 })
}

func TestShorterGracePeriodOvertakesALongerOne(t *testing.T) {
	asked := make(chan struct{}, 10)
	w := newWorld(t, func(h *inprocess.Host) { h.OnShutdown = func(portlayer.ID) { asked <- struct{}{} } })
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	require.NoError(t, w.DeletePod(t.Context(), deleted(pod, time.Hour)))
	<-asked
	require.NoError(t, w.DeletePod(t.Context(), deleted(pod, 0)))
	w.awaitThat("the VM is gone", func() bool { return len(w.host.VMs()) == 0 })
}

// holding prepares a host whose create says that it has begun, and goes on when it may.
func holding(creating, proceed chan struct{}) func(*inprocess.Host) {
	return func(h *inprocess.Host) {
		h.Before = func(op string, _ portlayer.ID) error {
			if op == "Create" {
				close(creating)
				<-proceed
			}
			return nil
		}
	}
}

func TestDeleteWhileCreating(t *testing.T) {
	creating, proceed := make(chan struct{}), make(chan struct{})
	w := newWorld(t, holding(creating, proceed))
	pod := w.apply("u-1")
	<-creating
	require.NoError(t, w.DeletePod(t.Context(), deleted(pod, time.Minute)))
	close(proceed)
	w.awaitThat("nothing is left", func() bool {
		_, err := w.client.CoreV1().Pods("shop").Get(t.Context(), "web", metav1.GetOptions{})
		return err != nil && len(w.host.VMs()) == 0
	})
}

// failing prepares a host on which an operation fails three times.
func failing(op string, err error) func(*inprocess.Host) {
	var tries atomic.Int32
	return func(h *inprocess.Host) {
		h.Before = func(name string, _ portlayer.ID) error {
			if name == op && tries.Add(1) <= 3 {
				return err
			}
			return nil
		}
	}
}

func TestFailureThatPassesIsTriedAgain(t *testing.T) {
	for _, op := range []string{"Create", "Start"} {
		t.Run(op, func(t *testing.T) {
			w := newWorld(t, failing(op, errs.New("test", errs.Unavailable, "vCenter is busy")))
			pod := w.apply("u-1")
			w.awaitPhase(pod.UID, corev1.PodRunning)
			require.Len(t, w.host.VMs(), 1)
			require.Contains(t, <-w.events.Events, "vCenter is busy")
		})
	}
}

func TestDeleteIsTriedUntilItWorks(t *testing.T) {
	for _, op := range []string{"Stop", "Remove"} {
		t.Run(op, func(t *testing.T) {
			w := newWorld(t, failing(op, errs.New("test", errs.Internal, "no luck")))
			pod := w.apply("u-1")
			w.awaitPhase(pod.UID, corev1.PodRunning)
			require.NoError(t, w.DeletePod(t.Context(), deleted(pod, 0)))
			w.awaitThat("the VM is gone", func() bool { return len(w.host.VMs()) == 0 })
		})
	}
}

func TestPodThatCanHaveNoVMFails(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1", func(p *corev1.Pod) { p.Annotations = map[string]string{operations.GuestOSAnnotation: "beos"} })
	s := w.awaitPhase(pod.UID, corev1.PodFailed)
	require.Equal(t, "VMRejected", s.Reason)
	require.Contains(t, s.Message, `no guest OS "beos"`)
	require.Empty(t, w.host.VMs())
	require.NoError(t, w.DeletePod(t.Context(), deleted(pod, 0)))
	w.awaitThat("the pod is gone", func() bool {
		_, err := w.client.CoreV1().Pods("shop").Get(t.Context(), "web", metav1.GetOptions{})
		return err != nil
	})
}

func TestPodWithABadImageWaitsForAnother(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1", func(p *corev1.Pod) {
		p.Spec.Containers[0].Image = "App:1"
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "good", Image: "good:1"})
	})
	s := w.await(pod.UID, "the reason", func(s corev1.PodStatus) bool {
		return len(s.ContainerStatuses) == 2 && s.ContainerStatuses[0].State.Waiting.Reason == "InvalidImageName"
	})
	require.Equal(t, corev1.PodPending, s.Phase)
	require.Contains(t, s.ContainerStatuses[0].State.Waiting.Message, `image "App:1" of container "app"`)
	require.Equal(t, "ContainerCreating", s.ContainerStatuses[1].State.Waiting.Reason)
	require.Contains(t, <-w.events.Events, "InvalidImageName")
	require.Empty(t, w.host.VMs(), "no VM is made before the image is a name")

	corrected := pod.DeepCopy()
	corrected.Spec.Containers[0].Image = "app:1"
	require.NoError(t, w.lister.Update(corrected))
	require.NoError(t, w.UpdatePod(t.Context(), corrected))
	w.awaitPhase(pod.UID, corev1.PodRunning)
}

func TestWhatHappensBehindOurBack(t *testing.T) {
	cases := map[string]struct {
		happens func(*inprocess.Host, portlayer.ID)
		phase   corev1.PodPhase
		reason  string
		ready   corev1.ConditionStatus
	}{
		"the VM vanishes":        {(*inprocess.Host).Vanish, corev1.PodFailed, "VMGone", corev1.ConditionFalse},
		"the VM is switched off": {func(h *inprocess.Host, id portlayer.ID) { h.Set(id, turnOff) }, corev1.PodFailed, "VMPoweredOff", corev1.ConditionFalse},
		"the VM is suspended": {func(h *inprocess.Host, id portlayer.ID) {
			h.Set(id, func(vm *portlayer.VM) { vm.State = portlayer.Suspended })
		}, corev1.PodRunning, "VMSuspended", corev1.ConditionFalse},
		"the VM's host is lost": {func(h *inprocess.Host, id portlayer.ID) {
			h.Set(id, func(vm *portlayer.VM) { vm.State = portlayer.Inaccessible })
		}, corev1.PodRunning, "VMInaccessible", corev1.ConditionUnknown},
		"the containers end":  {func(h *inprocess.Host, id portlayer.ID) { h.Set(id, ends(corev1.PodSucceeded, 0)) }, corev1.PodSucceeded, "", ""},
		"the containers fail": {func(h *inprocess.Host, id portlayer.ID) { h.Set(id, ends(corev1.PodFailed, 3)) }, corev1.PodFailed, "", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			pod := w.apply("u-1")
			w.awaitPhase(pod.UID, corev1.PodRunning)
			tc.happens(w.host, w.vm().ID)
			s := w.await(pod.UID, name, func(s corev1.PodStatus) bool {
				return s.Phase == tc.phase && condition(s, corev1.PodReady).Status == tc.ready || tc.ready == "" && s.Phase == tc.phase
			})
			if tc.phase == corev1.PodRunning {
				require.Equal(t, tc.reason, condition(s, corev1.PodReady).Reason)
			} else {
				require.Equal(t, tc.reason, s.Reason)
			}
		})
	}
}

func turnOff(vm *portlayer.VM) { vm.State, vm.ToolsUp, vm.IP = portlayer.Off, false, "" }

func TestRestartFindsItsPods(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	before := w.vm()
	w.stop()

	w.restart()
	found, err := w.GetPod(t.Context(), "shop", "web")
	require.NoError(t, err)
	require.Equal(t, corev1.PodRunning, found.Status.Phase)
	require.NoError(t, w.CreatePod(t.Context(), pod), "Virtual Kubelet may ask for it again")
	require.Equal(t, before.ID, w.vm().ID, "no VM is doubled")
}

func TestRestartBetweenCreateAndStart(t *testing.T) {
	w := newWorld(t)
	w.stop()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u-1"}}
	spec, err := operations.Spec(pod, operations.Host{VCH: "v"})
	require.NoError(t, err)
	_, err = w.host.Create(t.Context(), spec)
	require.NoError(t, err)
	require.NoError(t, w.lister.Add(pod))

	w.restart()
	w.awaitPhase(pod.UID, corev1.PodRunning)
	require.Equal(t, portlayer.Running, w.vm().State)
}

func TestAnEarlierPodOfTheSameNameIsNotThisOne(t *testing.T) {
	w := newWorld(t)
	old := w.apply("u-1")
	w.awaitPhase(old.UID, corev1.PodRunning)
	w.stop()
	current := old.DeepCopy()
	current.UID = "u-2"
	require.NoError(t, w.client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), current, "shop"))
	require.NoError(t, w.lister.Update(current))

	w.restart()
	_, err := w.GetPod(t.Context(), "shop", "web")
	require.True(t, errdefs.IsNotFound(err), "%v", err)
	require.NoError(t, w.CreatePod(t.Context(), current))
	w.awaitPhase(current.UID, corev1.PodRunning)
	w.awaitThat("the VM of the earlier pod is removed", func() bool {
		vms := w.host.VMs()
		return len(vms) == 1 && vms[0].UID == "u-2"
	})
	_, err = w.client.CoreV1().Pods("shop").Get(t.Context(), "web", metav1.GetOptions{})
	require.NoError(t, err, "the pod of the same name stays")
}

// Virtual Kubelet looks only at the name of a pod that was deleted, and finds the new one.
func TestTheVMOfAPodThatWasReplacedIsRemoved(t *testing.T) {
	w := newWorld(t)
	w.restart(func(c *Config) { c.Reconcile = time.Hour })
	old := w.apply("u-1")
	w.awaitPhase(old.UID, corev1.PodRunning)
	require.NoError(t, w.client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), "shop", "web"))
	require.NoError(t, w.lister.Delete(old))
	current := w.apply("u-2")
	w.awaitPhase(current.UID, corev1.PodRunning)
	w.awaitThat("the VM of the earlier pod is removed", func() bool {
		vms := w.host.VMs()
		return len(vms) == 1 && vms[0].UID == "u-2"
	})
	w.settled()
	_, err := w.client.CoreV1().Pods("shop").Get(t.Context(), "web", metav1.GetOptions{})
	require.NoError(t, err, "the pod of the same name stays")
}

func TestAVMWithoutAPodIsSoonRemovedAfterAStart(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	w.stop()
	require.NoError(t, w.client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), "shop", "web"))
	require.NoError(t, w.lister.Delete(pod))
	w.restart(func(c *Config) { c.Reconcile = time.Hour })
	w.Announce()
	w.awaitThat("the VM is removed", func() bool { return len(w.host.VMs()) == 0 })
}

func TestAVMWithoutAPodIsRemoved(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	require.NoError(t, w.client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), "shop", "web"))
	require.NoError(t, w.lister.Delete(pod))
	w.awaitThat("the VM is removed", func() bool { return len(w.host.VMs()) == 0 })
}

func TestAStaleListerRemovesNoVM(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	require.NoError(t, w.lister.Delete(pod))
	asked := func() int {
		n := 0
		for _, action := range w.client.Actions() {
			if action.Matches("get", "pods") {
				n++
			}
		}
		return n
	}
	w.awaitThat("the API server was asked more than once", func() bool { return asked() > 2 })
	require.Equal(t, portlayer.Running, w.vm().State)
}

func TestOnePodNeverWaitsForAnother(t *testing.T) {
	hangs, hang := make(chan struct{}, 10), make(chan struct{})
	w := newWorld(t, func(h *inprocess.Host) {
		h.OnShutdown = func(portlayer.ID) {
			hangs <- struct{}{}
			<-hang
		}
	})
	slow := w.apply("u-1")
	w.awaitPhase(slow.UID, corev1.PodRunning)
	require.NoError(t, w.DeletePod(t.Context(), deleted(slow, time.Hour)))
	<-hangs
	quick := w.apply("u-2", func(p *corev1.Pod) { p.Name = "other" })
	w.awaitPhase(quick.UID, corev1.PodRunning)
	close(hang)
	require.NoError(t, w.DeletePod(t.Context(), deleted(slow, 0)))
	w.awaitThat("the slow one is gone", func() bool { return len(w.host.VMs()) == 1 })
}

func TestWhatHappenedWhileNoProviderRan(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	w.stop()
	w.host.Set(w.vm().ID, ends(corev1.PodSucceeded, 0))
	w.restart()
	w.Announce()
	w.awaitPhase(pod.UID, corev1.PodSucceeded)
}

// A provider was killed between making a VM and starting it. The next one hears of the VM before it hears of the pod.
func TestAVMThatWasNeverStarted(t *testing.T) {
	w := newWorld(t)
	w.stop()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u-1"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1"}}},
	}
	spec, err := operations.Spec(pod, operations.Host{VCH: "v"})
	require.NoError(t, err)
	_, err = w.host.Create(t.Context(), spec)
	require.NoError(t, err)
	w.restart(func(c *Config) { c.Reconcile = time.Hour })
	w.awaitThat("the VM was looked at without the pod", func() bool {
		w.queues.mu.Lock()
		defer w.queues.mu.Unlock()
		return len(w.queues.again) == 0
	})
	require.Equal(t, portlayer.Off, w.vm().State, "it might be an orphan")
	require.NoError(t, w.client.Tracker().Add(pod))
	require.NoError(t, w.lister.Add(pod))
	w.Announce()
	w.awaitPhase(pod.UID, corev1.PodRunning)
}

func TestStopWaitsForWhatHasBegun(t *testing.T) {
	creating, proceed := make(chan struct{}), make(chan struct{})
	w := newWorld(t, holding(creating, proceed))
	w.apply("u-1")
	<-creating
	time.AfterFunc(10*time.Millisecond, func() { close(proceed) })
	w.stop()
	require.Empty(t, w.host.VMs(), "what was made and not started is removed again")
}
