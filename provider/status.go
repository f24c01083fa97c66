// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"cmp"
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
	reasonDeleted      = "VMDeleted"    // it was deleted before its guest had ended it
	reasonSuspended    = "VMSuspended"
	reasonInaccessible = "VMInaccessible"
	reasonInvalidImage = "InvalidImageName" // the kubelet's reason of a container whose image is no image reference

	exitUnknown = 137 // as the kubelet reports a container whose end nobody saw
)

// status is what the API server shall say of the pod: what the guest reports, and where it reports nothing, what the VM's
// state tells. It is a pure function; pod carries the status that the API server has now, whose conditions, times and counts
// are kept where nothing changed. A pod that has ended stays as it ended.
func status(pod *corev1.Pod, e entry, hostIP string) corev1.PodStatus {
	if ended(pod.Status.Phase) {
		return *pod.Status.DeepCopy()
	}
	if e.final != nil {
		return *e.final.DeepCopy()
	}
	var s corev1.PodStatus
	switch {
	case e.failure != nil:
		s = failed(pod, e, rejectReason(e.failure), e.failure.Error())
	case e.gone:
		s = failed(pod, e, reasonVMGone, goneMessage(e))
	case e.vm != nil:
		s = ofVM(pod, e)
	case hasRun(pod):
		return *pod.Status.DeepCopy() // until it is known what became of its VM
	default:
		s = waiting(pod, "ContainerCreating", trouble(e))
		lacking(&s, e.missing)
	}
	return complete(pod, s, e, hostIP)
}

// complete adds what no guest can know, and what the API server knew before.
func complete(pod *corev1.Pod, s corev1.PodStatus, e entry, hostIP string) corev1.PodStatus {
	before := &pod.Status
	s.HostIP, s.HostIPs = hostIP, []corev1.HostIP{{IP: hostIP}}
	s.QOSClass = before.QOSClass
	if s.ObservedGeneration == 0 {
		s.ObservedGeneration = pod.Generation
	}
	switch {
	case before.StartTime != nil:
		s.StartTime = before.StartTime
	case e.told != nil && e.told.StartTime != nil:
		s.StartTime = e.told.StartTime
	case s.StartTime == nil:
		since := metav1.NewTime(e.since.Truncate(time.Second))
		s.StartTime = &since
	}
	if s.PodIP == "" && (ended(s.Phase) || before.Phase == corev1.PodRunning) {
		s.PodIP, s.PodIPs = before.PodIP, before.PodIPs
	}
	if s.Phase == corev1.PodPending && before.Phase == corev1.PodRunning {
		s.Phase = corev1.PodRunning // a guest that boots again starts the pod over, but a phase does not go back
	}
	for _, told := range []*corev1.PodStatus{before, e.told} {
		if told != nil {
			s.InitContainerStatuses = continued(told.InitContainerStatuses, s.InitContainerStatuses)
			s.ContainerStatuses = continued(told.ContainerStatuses, s.ContainerStatuses)
		}
	}
	s.Conditions = mergeConditions(before.Conditions, s.Conditions, e.since)
	return s
}

// ofVM is the status of a pod that has a VM.
func ofVM(pod *corev1.Pod, e entry) corev1.PodStatus {
	off := e.vm.State == portlayer.Off
	ran := e.ran || e.vm.Status != nil || hasRun(pod)
	switch {
	case off && ran && !endedByGuest(e.vm) && !e.deleting():
		return failed(pod, e, reasonVMPoweredOff, "VM "+nameOf(e.vm)+" was powered off, and Wolfpack did not do it")
	case e.vm.Status != nil:
		return guestStatus(*e.vm.Status.Pod.DeepCopy(), *e.vm)
	case hasRun(pod):
		return guestStatus(*pod.Status.DeepCopy(), *e.vm) // the guest boots anew and has not reported yet
	default:
		return waiting(pod, "ContainerCreating", cmp.Or(trouble(e), unreachable(e.vm)))
	}
}

// unreachable says what keeps the VM of a guest that has not reported from booting.
func unreachable(vm *portlayer.VM) string {
	switch vm.State {
	case portlayer.Suspended:
		return "VM " + nameOf(vm) + " is suspended"
	case portlayer.Inaccessible:
		return "vSphere cannot reach VM " + nameOf(vm)
	default:
		return ""
	}
}

func goneMessage(e entry) string {
	if e.seen == nil {
		return "The pod's VM went from vSphere while no provider ran"
	}
	return "VM " + nameOf(e.seen) + " is gone from vSphere, and Wolfpack did not remove it"
}

// hasRun says whether the API server was told that one of the pod's containers was started: its VM has run.
func hasRun(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, ran) || slices.ContainsFunc(pod.Status.InitContainerStatuses, ran)
}

func ran(c corev1.ContainerStatus) bool {
	return c.State.Running != nil || c.State.Terminated != nil || c.LastTerminationState.Terminated != nil
}

// guestStatus is what the guest reports, with what only vSphere knows.
func guestStatus(s corev1.PodStatus, vm portlayer.VM) corev1.PodStatus {
	if s.PodIP == "" && vm.IP != "" && !ended(s.Phase) {
		s.PodIP, s.PodIPs = vm.IP, []corev1.PodIP{{IP: vm.IP}}
	}
	switch {
	case ended(s.Phase):
	case vm.State == portlayer.Suspended:
		notReady(&s, corev1.ConditionFalse, reasonSuspended, "VM "+nameOf(&vm)+" is suspended")
	case vm.State == portlayer.Inaccessible:
		notReady(&s, corev1.ConditionUnknown, reasonInaccessible, "vSphere cannot reach VM "+nameOf(&vm))
	}
	return s
}

func notReady(s *corev1.PodStatus, value corev1.ConditionStatus, reason, message string) {
	for i := range s.Conditions {
		c := &s.Conditions[i]
		if c.Type == corev1.PodReady || c.Type == corev1.ContainersReady {
			c.Status, c.Reason, c.Message, c.LastTransitionTime = value, reason, message, metav1.Time{}
		}
	}
}

// waiting is the status of a pod whose guest has not reported yet.
func waiting(pod *corev1.Pod, reason, message string) corev1.PodStatus {
	s := corev1.PodStatus{Phase: corev1.PodPending}
	s.ContainerStatuses = statuses(pod.Spec.Containers, reason, message)
	s.InitContainerStatuses = statuses(pod.Spec.InitContainers, reason, message)
	initialized := corev1.ConditionTrue
	if len(pod.Spec.InitContainers) > 0 {
		initialized = corev1.ConditionFalse
	}
	s.Conditions = conditions(pod, initialized, corev1.ConditionFalse, "ContainersNotReady")
	return s
}

// failed is the status of a pod that ended without its guest saying so. Its containers are as last heard of.
func failed(pod *corev1.Pod, e entry, reason, message string) corev1.PodStatus {
	s := corev1.PodStatus{Phase: corev1.PodFailed, Reason: reason, Message: message}
	last := pod.Status
	if e.seen != nil && e.seen.Status != nil {
		last = e.seen.Status.Pod
	}
	initialized := corev1.ConditionTrue
	if len(pod.Spec.InitContainers) > 0 && !slices.ContainsFunc(last.ContainerStatuses, ran) {
		initialized = corev1.ConditionFalse
	}
	if slices.ContainsFunc(last.InitContainerStatuses, ran) || slices.ContainsFunc(last.ContainerStatuses, ran) {
		s.ContainerStatuses = terminated(last.ContainerStatuses, reason)
		s.InitContainerStatuses = terminated(last.InitContainerStatuses, reason)
	}
	s.Conditions = conditions(pod, initialized, corev1.ConditionFalse, "PodFailed")
	return s
}

// terminated are containers whose end nobody saw, as the kubelet reports them.
func terminated(containers []corev1.ContainerStatus, message string) []corev1.ContainerStatus {
	var all []corev1.ContainerStatus
	for _, c := range containers {
		c = *c.DeepCopy()
		if c.State.Terminated == nil {
			unseen := corev1.ContainerStateTerminated{
				ExitCode: exitUnknown, Reason: "ContainerStatusUnknown", Message: message, ContainerID: c.ContainerID,
			}
			if c.State.Running != nil {
				unseen.StartedAt = c.State.Running.StartedAt
			}
			c.State = corev1.ContainerState{Terminated: &unseen}
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

// conditions are those of a pod whose containers do not run.
func conditions(pod *corev1.Pod, initialized, ready corev1.ConditionStatus, reason string) []corev1.PodCondition {
	all := []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
		{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionFalse},
		{Type: corev1.PodInitialized, Status: initialized},
		{Type: corev1.ContainersReady, Status: ready, Reason: reason},
		{Type: corev1.PodReady, Status: ready, Reason: reason},
	}
	for i := range all {
		all[i].ObservedGeneration = pod.Generation
	}
	return all
}

// continued are the containers of now as the next chapter of those before. A guest that boots again counts restarts from 0
// and has forgotten how its containers ended; the pod's counts go on, and the end of the run before is its last state.
func continued(before, now []corev1.ContainerStatus) []corev1.ContainerStatus {
	for i := range now {
		if j := slices.IndexFunc(before, func(b corev1.ContainerStatus) bool { return b.Name == now[i].Name }); j >= 0 {
			now[i] = next(before[j], now[i])
		}
	}
	return now
}

func next(before, now corev1.ContainerStatus) corev1.ContainerStatus {
	if lastID(before) == "" || now.RestartCount > before.RestartCount {
		return now // it never ran, or the guest knows better
	}
	if now.ContainerID == before.ContainerID {
		now.RestartCount = before.RestartCount
		if now.LastTerminationState.Terminated == nil {
			now.LastTerminationState = before.LastTerminationState
		}
		return now
	}
	now.RestartCount = before.RestartCount
	if now.ContainerID != "" {
		now.RestartCount++
	}
	if now.LastTerminationState.Terminated == nil {
		now.LastTerminationState = end(before)
	}
	return now
}

// lastID is the ID of the container's last run, "" if it never ran.
func lastID(c corev1.ContainerStatus) string {
	if c.ContainerID == "" && c.LastTerminationState.Terminated != nil {
		return c.LastTerminationState.Terminated.ContainerID
	}
	return c.ContainerID
}

// end is how a container ended whose next run has begun.
func end(c corev1.ContainerStatus) corev1.ContainerState {
	switch {
	case c.State.Terminated != nil:
		return c.State
	case c.State.Running != nil:
		return terminated([]corev1.ContainerStatus{c}, "The VM was reset or rebooted")[0].State
	default:
		return c.LastTerminationState
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
