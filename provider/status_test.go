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

func on(vm portlayer.VM) entry { return entry{vm: &vm, ran: true, since: statusTime} }

func TestStatus(t *testing.T) {
	running := portlayer.VM{State: portlayer.Running}
	runs(1, "10.0.0.9")(&running)
	booting := portlayer.VM{State: portlayer.Running}
	off := portlayer.VM{State: portlayer.Off}
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
