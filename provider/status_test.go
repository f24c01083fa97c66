// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/provider/portlayer"
)

var statusTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func statusPod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u-1", Generation: 4},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "init", Image: "init:1"}},
			Containers:     []corev1.Container{{Name: "app", Image: "app:1"}},
		},
		Status: corev1.PodStatus{QOSClass: corev1.PodQOSBurstable, Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(statusTime.Add(-time.Hour))},
			{Type: "example.com/gate", Status: corev1.ConditionFalse},
		}},
	}
}

func on(vm portlayer.VM) entry { return entry{vm: &vm, seen: &vm, ran: true, since: statusTime} }

func TestStatus(t *testing.T) {
	running := portlayer.VM{State: portlayer.Running}
	runs(1, "10.0.0.9")(&running)
	booting := portlayer.VM{ID: "vm-1", VMName: "web-u-1", State: portlayer.Running}
	off := portlayer.VM{ID: "vm-1", VMName: "web-u-1", State: portlayer.Off}
	done := portlayer.VM{}
	ends(corev1.PodSucceeded, 0)(&done)
	cases := map[string]struct {
		entry   entry
		phase   corev1.PodPhase
		reason  string
		waiting string // message of the waiting container
	}{
		"no VM yet":              {entry{since: statusTime}, corev1.PodPending, "", ""},
		"no VM yet, and trouble": {entry{troubled: errors.New("busy"), since: statusTime}, corev1.PodPending, "", "busy"},
		"the VM boots":           {on(booting), corev1.PodPending, "", ""},
		"made, not started":      {entry{vm: &off, since: statusTime}, corev1.PodPending, "", ""},
		"running":                {on(running), corev1.PodRunning, "", ""},
		"done and off":           {on(done), corev1.PodSucceeded, "", ""},
		"off without a report":   {on(off), corev1.PodFailed, "VMPoweredOff", ""},
		"gone":                   {entry{gone: true, since: statusTime}, corev1.PodFailed, "VMGone", ""},
		"refused":                {entry{failure: errors.New("no"), since: statusTime}, corev1.PodFailed, "VMRejected", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pod := statusPod()
			s := status(pod, tc.entry, "192.0.2.1")
			require.Equal(t, tc.phase, s.Phase)
			require.Equal(t, tc.reason, s.Reason)
			require.Equal(t, "192.0.2.1", s.HostIP)
			require.Equal(t, corev1.PodQOSBurstable, s.QOSClass)
			require.EqualValues(t, 4, s.ObservedGeneration)
			require.Equal(t, pod.Status.Conditions[0].LastTransitionTime, condition(s, corev1.PodScheduled).LastTransitionTime, "it did not change")
			require.Equal(t, corev1.ConditionFalse, condition(s, "example.com/gate").Status, "others' conditions stay")
			if s.Phase == corev1.PodPending {
				require.Equal(t, "ContainerCreating", s.ContainerStatuses[0].State.Waiting.Reason)
				require.Equal(t, tc.waiting, s.ContainerStatuses[0].State.Waiting.Message)
				require.Equal(t, corev1.ConditionFalse, condition(s, corev1.PodInitialized).Status)
			}
			if s.Phase != corev1.PodRunning && s.Phase != corev1.PodSucceeded {
				require.Equal(t, metav1.NewTime(statusTime), condition(s, corev1.PodReady).LastTransitionTime)
			}
			require.Equal(t, s, status(pod, tc.entry, "192.0.2.1"), "it is a pure function")
		})
	}
}

func TestStatusOfContainersWhoseEndNobodySaw(t *testing.T) {
	vm := portlayer.VM{State: portlayer.Running}
	runs(1, "10.0.0.9")(&vm)
	vm.State = portlayer.Off
	s := status(statusPod(), on(vm), "192.0.2.1")
	ended := s.ContainerStatuses[0].State.Terminated
	require.NotNil(t, ended)
	require.EqualValues(t, 137, ended.ExitCode)
	require.Equal(t, "ContainerStatusUnknown", ended.Reason)
	require.False(t, s.ContainerStatuses[0].Ready)
}

func TestStatusTakesTheAddressFromVSphereUntilTheGuestSaysIt(t *testing.T) {
	vm := portlayer.VM{State: portlayer.Running}
	runs(1, "10.0.0.9")(&vm)
	require.Equal(t, "10.0.0.9", status(statusPod(), on(vm), "").PodIP)
	vm.Status.Pod.PodIP = "10.0.0.10"
	require.Equal(t, "10.0.0.10", status(statusPod(), on(vm), "").PodIP)
}

func TestStatusOfAPodThatHasEndedStays(t *testing.T) {
	running := portlayer.VM{State: portlayer.Running}
	runs(1, "10.0.0.9")(&running)
	for _, phase := range []corev1.PodPhase{corev1.PodFailed, corev1.PodSucceeded} {
		pod := statusPod()
		pod.Status.Phase, pod.Status.Reason = phase, "as it was"
		for name, e := range map[string]entry{
			"a late report": on(running), "no VM": {}, "the VM is gone": {gone: true}, "refused": {failure: errors.New("no")},
		} {
			require.Equal(t, pod.Status, status(pod, e, "192.0.2.1"), "%s, %s", phase, name)
		}
		e := on(running)
		e.final = &pod.Status
		require.Equal(t, pod.Status, status(statusPod(), e, "192.0.2.1"), "the API server does not have it yet")
	}
}

// container is a container's status in short.
func container(id string, restarts int32, change ...func(*corev1.ContainerStatus)) corev1.ContainerStatus {
	c := corev1.ContainerStatus{Name: "app", ContainerID: id, RestartCount: restarts}
	for _, f := range change {
		f(&c)
	}
	return c
}

func TestContainersGoOnAcrossBoots(t *testing.T) {
	runningNow := func(c *corev1.ContainerStatus) {
		c.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(statusTime)}
	}
	waitingNow := func(c *corev1.ContainerStatus) {
		c.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
	}
	exited := func(code int32) func(*corev1.ContainerStatus) {
		return func(c *corev1.ContainerStatus) {
			c.State.Terminated = &corev1.ContainerStateTerminated{ExitCode: code, ContainerID: c.ContainerID}
		}
	}
	lastly := func(id string, code int32) func(*corev1.ContainerStatus) {
		return func(c *corev1.ContainerStatus) {
			c.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: code, ContainerID: id}
		}
	}
	cases := map[string]struct {
		before, now corev1.ContainerStatus
		restarts    int32
		last        string // ContainerID of the last state
		code        int32
	}{
		"the first run":                          {container("", 0, waitingNow), container("a", 0, runningNow), 0, "", 0},
		"the same run":                           {container("a", 2, runningNow, lastly("z", 3)), container("a", 0, runningNow), 2, "z", 3},
		"the guest restarts it":                  {container("a", 0, runningNow), container("b", 1, runningNow, lastly("a", 3)), 1, "a", 3},
		"the VM boots again, nothing runs yet":   {container("a", 4, runningNow), container("", 0, waitingNow), 4, "a", 137},
		"the VM boots again, and it runs":        {container("a", 4, runningNow), container("b", 0, runningNow), 5, "a", 137},
		"it ran again after having waited":       {container("", 4, waitingNow, lastly("a", 137)), container("b", 0, runningNow), 5, "a", 137},
		"the VM boots again after it had exited": {container("a", 1, exited(3)), container("b", 0, runningNow), 2, "a", 3},
		"a restart after the VM booted again":    {container("b", 5, runningNow), container("c", 1, runningNow, lastly("b", 9)), 6, "b", 9},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := continued([]corev1.ContainerStatus{tc.before}, []corev1.ContainerStatus{tc.now})[0]
			require.Equal(t, tc.restarts, c.RestartCount)
			require.GreaterOrEqual(t, c.RestartCount, tc.before.RestartCount, "a count never goes down")
			require.Equal(t, tc.now.State, c.State)
			if tc.last == "" {
				require.Nil(t, c.LastTerminationState.Terminated)
			} else {
				require.Equal(t, tc.last, c.LastTerminationState.Terminated.ContainerID)
				require.Equal(t, tc.code, c.LastTerminationState.Terminated.ExitCode)
			}
			again := continued([]corev1.ContainerStatus{c}, []corev1.ContainerStatus{tc.now})[0]
			require.Equal(t, c, again, "told twice, it is counted once")
		})
	}
	unknown := continued(nil, []corev1.ContainerStatus{container("a", 0, runningNow)})
	require.Len(t, unknown, 1)
}

func TestTransitionTimesChangeWithTheirValueOnly(t *testing.T) {
	vm := portlayer.VM{ID: "vm-1", VMName: "web-u-1", State: portlayer.Running}
	runs(1, "10.0.0.9")(&vm)
	pod := statusPod()
	pod.Status = status(pod, on(vm), "192.0.2.1")
	ready := condition(pod.Status, corev1.PodReady)
	require.False(t, ready.LastTransitionTime.IsZero())

	later := on(vm)
	later.since = statusTime.Add(time.Hour)
	require.Equal(t, ready, condition(status(pod, later, "192.0.2.1"), corev1.PodReady), "the value is the same")

	suspended := vm
	suspended.State = portlayer.Suspended
	e := on(suspended)
	e.since = statusTime.Add(2 * time.Hour)
	pod.Status = status(pod, e, "192.0.2.1")
	ready = condition(pod.Status, corev1.PodReady)
	require.Equal(t, corev1.ConditionFalse, ready.Status)
	require.Equal(t, "VMSuspended", ready.Reason)
	require.Contains(t, ready.Message, "web-u-1 (vm-1)")
	require.Equal(t, metav1.NewTime(e.since), ready.LastTransitionTime)
}

func TestStartTimeAndAddressStay(t *testing.T) {
	vm := portlayer.VM{State: portlayer.Running}
	runs(1, "10.0.0.9")(&vm)
	pod := statusPod()
	pod.Status = status(pod, on(vm), "192.0.2.1")
	began := pod.Status.StartTime
	require.NotNil(t, began)

	booting := vm
	runs(1, "")(&booting)
	booting.Status.Pod.Phase = corev1.PodPending
	again := status(pod, on(booting), "192.0.2.1")
	require.Equal(t, began, again.StartTime)
	require.Equal(t, "10.0.0.9", again.PodIP, "its last address, until it has another")
	require.Equal(t, corev1.PodRunning, again.Phase, "a phase does not go back")

	gone := entry{gone: true, seen: &vm, since: statusTime}
	s := status(pod, gone, "192.0.2.1")
	require.Equal(t, corev1.PodFailed, s.Phase)
	require.Equal(t, "10.0.0.9", s.PodIP)
	require.Equal(t, vm.Status.Pod.ContainerStatuses[0].State.Running.StartedAt, s.ContainerStatuses[0].State.Terminated.StartedAt)
}
