// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/provider/operations"
	"wolfpack/provider/portlayer"
)

// Reasons of a pod that is Failed for its VM's sake.
const (
	reasonVMGone       = "VMGone"       // the VM vanished behind our back
	reasonVMPoweredOff = "VMPoweredOff" // the VM was switched off and the guest had not ended the pod
	reasonRejected     = "VMRejected"   // no VM can be made for the pod
	reasonSuspended    = "VMSuspended"
	reasonInaccessible = "VMInaccessible"
	reasonInvalidImage = "InvalidImageName" // the kubelet's reason of a container whose image is no image reference

	exitUnknown = 137 // as the kubelet reports a container whose end nobody saw
)

// status is what the API server shall say of the pod: what the guest reports, and where it reports nothing, what the VM's
// state tells. It is a pure function; pod carries the status that the API server has now, whose conditions and times are
// kept where nothing changed.
func status(pod *corev1.Pod, e entry, hostIP string) corev1.PodStatus {
	var s corev1.PodStatus
	switch {
	case e.failure != nil:
		s = failed(pod, rejectReason(e.failure), e.failure.Error())
	case e.gone:
		s = failed(pod, reasonVMGone, "The pod's VM is gone from vSphere, and Wolfpack did not remove it")
	case e.vm == nil:
		s = waiting(pod, "ContainerCreating", trouble(e))
		lacking(&s, e.missing)
	default:
		s = ofVM(pod, e)
	}
	s.HostIP, s.HostIPs = hostIP, []corev1.HostIP{{IP: hostIP}}
	s.ObservedGeneration = pod.Generation
	s.QOSClass = pod.Status.QOSClass
	s.Conditions = mergeConditions(pod.Status.Conditions, s.Conditions, e.since)
	return s
}

// ofVM is the status of a pod that has a VM.
func ofVM(pod *corev1.Pod, e entry) corev1.PodStatus {
	reported := e.vm.Status
	off := e.vm.State == portlayer.Off
	switch {
	case reported != nil && (!off || ended(reported.Pod.Phase)):
		return guestStatus(*reported.Pod.DeepCopy(), *e.vm)
	case off && (reported != nil || e.ran) && !e.deleting():
		s := failed(pod, reasonVMPoweredOff, "The pod's VM was powered off, and Wolfpack did not do it")
		if reported != nil {
			s.StartTime = reported.Pod.StartTime
			s.ContainerStatuses = terminated(reported.Pod.ContainerStatuses, reasonVMPoweredOff)
		}
		return s
	case reported != nil:
		return guestStatus(*reported.Pod.DeepCopy(), *e.vm)
	default:
		return waiting(pod, "ContainerCreating", trouble(e))
	}
}

// guestStatus is what the guest reports, with what only vSphere knows.
func guestStatus(s corev1.PodStatus, vm portlayer.VM) corev1.PodStatus {
	if s.PodIP == "" && vm.IP != "" && !ended(s.Phase) {
		s.PodIP, s.PodIPs = vm.IP, []corev1.PodIP{{IP: vm.IP}}
	}
	switch vm.State {
	case portlayer.Suspended:
		notReady(&s, corev1.ConditionFalse, reasonSuspended, "The pod's VM is suspended")
	case portlayer.Inaccessible:
		notReady(&s, corev1.ConditionUnknown, reasonInaccessible, "vSphere cannot reach the pod's VM")
	}
	return s
}

func notReady(s *corev1.PodStatus, value corev1.ConditionStatus, reason, message string) {
	for i := range s.Conditions {
		c := &s.Conditions[i]
		if c.Type == corev1.PodReady || c.Type == corev1.ContainersReady {
			c.Status, c.Reason, c.Message = value, reason, message
		}
	}
}

// waiting is the status of a pod whose guest has not reported yet.
func waiting(pod *corev1.Pod, reason, message string) corev1.PodStatus {
	s := corev1.PodStatus{Phase: corev1.PodPending, StartTime: pod.Status.StartTime}
	s.ContainerStatuses = statuses(pod.Spec.Containers, reason, message)
	s.InitContainerStatuses = statuses(pod.Spec.InitContainers, reason, message)
	initialized := corev1.ConditionTrue
	if len(pod.Spec.InitContainers) > 0 {
		initialized = corev1.ConditionFalse
	}
	s.Conditions = conditions(initialized, corev1.ConditionFalse, "ContainersNotReady")
	return s
}

// failed is the status of a pod that ended without its guest saying so.
func failed(pod *corev1.Pod, reason, message string) corev1.PodStatus {
	s := corev1.PodStatus{Phase: corev1.PodFailed, Reason: reason, Message: message, StartTime: pod.Status.StartTime}
	if len(pod.Status.ContainerStatuses) > 0 && slices.ContainsFunc(pod.Status.ContainerStatuses, started) {
		s.ContainerStatuses = terminated(pod.Status.ContainerStatuses, reason)
	}
	s.Conditions = conditions(corev1.ConditionTrue, corev1.ConditionFalse, "PodFailed")
	return s
}

func started(c corev1.ContainerStatus) bool { return c.State.Waiting == nil }

// terminated are containers whose end nobody saw, as the kubelet reports them.
func terminated(containers []corev1.ContainerStatus, message string) []corev1.ContainerStatus {
	var all []corev1.ContainerStatus
	for _, c := range containers {
		c = *c.DeepCopy()
		if c.State.Terminated == nil {
			c.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: exitUnknown, Reason: "ContainerStatusUnknown", Message: message, ContainerID: c.ContainerID,
			}}
		}
		c.Ready, c.Started = false, new(bool)
		all = append(all, c)
	}
	return all
}

// statuses are those of containers that have not been made.
func statuses(containers []corev1.Container, reason, message string) []corev1.ContainerStatus {
	var all []corev1.ContainerStatus
	for _, c := range containers {
		waiting := corev1.ContainerStateWaiting{Reason: reason, Message: message}
		if err := operations.CheckImage(c); err != nil {
			waiting = corev1.ContainerStateWaiting{Reason: reasonInvalidImage, Message: err.Error()}
		}
		state := corev1.ContainerState{Waiting: &waiting}
		all = append(all, corev1.ContainerStatus{Name: c.Name, Image: c.Image, State: state, Started: new(bool)})
	}
	return all
}

func conditions(initialized, ready corev1.ConditionStatus, reason string) []corev1.PodCondition {
	return []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
		{Type: corev1.PodInitialized, Status: initialized},
		{Type: corev1.ContainersReady, Status: ready, Reason: reason},
		{Type: corev1.PodReady, Status: ready, Reason: reason},
	}
}

// mergeConditions is now over before: conditions that only others set are kept, and the time of a transition is that of
// before where the value is the same. A new value without a time is since then.
func mergeConditions(before, now []corev1.PodCondition, since time.Time) []corev1.PodCondition {
	merged := slices.Clone(before)
	for _, c := range now {
		i := slices.IndexFunc(merged, func(b corev1.PodCondition) bool { return b.Type == c.Type })
		if i >= 0 && merged[i].Status == c.Status {
			c.LastTransitionTime = merged[i].LastTransitionTime
		} else if c.LastTransitionTime.IsZero() {
			c.LastTransitionTime = metav1.NewTime(since.Truncate(time.Second))
		}
		if i >= 0 {
			merged[i] = c
		} else {
			merged = append(merged, c)
		}
	}
	return merged
}

func ended(phase corev1.PodPhase) bool {
	return phase == corev1.PodSucceeded || phase == corev1.PodFailed
}

// trouble is why the pod still waits, if anything is wrong. A VM that is being made and one that boots look alike, for one
// write less to the API server for each pod.
func trouble(e entry) string {
	if e.troubled != nil {
		return e.troubled.Error()
	}
	return ""
}

// rejectReason is the reason of a pod that can have no VM.
func rejectReason(err error) string {
	var rejected *Rejection
	if errors.As(err, &rejected) {
		return rejected.Reason
	}
	return reasonRejected
}
