// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// run is how far a simulated guest has come with its pod. A time is zero until it has come.
type run struct {
	booted       time.Time                        // the guest took the pod
	firstStarted time.Time                        // the containers started for the first time
	started      time.Time                        // they started for the last time
	exited       time.Time                        // they exited after that
	done         bool                             // they will not be started again
	exitCode     int32                            // of the last exit
	restarts     int32                            // how often they were started again
	last         *corev1.ContainerStateTerminated // how the run before the last start ended; without container id
	backOff      time.Duration                    // how long they wait until they are started again
	failure      string                           // why the guest failed; "" if it did not
}

// running reports whether the containers run.
func (r *run) running() bool { return !r.started.IsZero() && r.exited.IsZero() }

// terminated is how the last run of the containers ended.
func (r *run) terminated() *corev1.ContainerStateTerminated {
	if r.started.IsZero() { // stopped before they ran; the kubelet says it like this
		return &corev1.ContainerStateTerminated{
			ExitCode: 137,
			Reason:   "ContainerStatusUnknown",
			Message:  "The container could not be located when the pod was terminated",
		}
	}
	state := &corev1.ContainerStateTerminated{
		ExitCode:   r.exitCode,
		Reason:     "Completed",
		StartedAt:  metav1.NewTime(r.started),
		FinishedAt: metav1.NewTime(r.exited),
	}
	if r.exitCode != 0 {
		state.Reason = "Error"
	}
	return state
}

// podStatus is what a kubelet would report of pod. The host's address is left to the provider, who knows the host.
func podStatus(pod *corev1.Pod, ip string, r *run) corev1.PodStatus {
	booted := metav1.NewTime(r.booted)
	status := corev1.PodStatus{
		ObservedGeneration: pod.Generation,
		Phase:              phase(r),
		StartTime:          &booted,
		PodIP:              ip,
		QOSClass:           pod.Status.QOSClass, // set by the API server when the pod was made
	}
	if ip != "" {
		status.PodIPs = []corev1.PodIP{{IP: ip}}
	}
	if r.failure != "" {
		status.Reason, status.Message = "GuestFailed", r.failure
		return status
	}
	for i := range pod.Spec.InitContainers {
		status.InitContainerStatuses = append(status.InitContainerStatuses, initStatus(pod, i, r))
	}
	for i := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, containerStatus(pod, &pod.Spec.Containers[i], r))
	}
	status.Conditions = conditions(pod, r)
	return status
}

func phase(r *run) corev1.PodPhase {
	switch {
	case r.failure != "":
		return corev1.PodFailed
	case r.done && !r.started.IsZero() && r.exitCode == 0:
		return corev1.PodSucceeded
	case r.done:
		return corev1.PodFailed
	case r.started.IsZero():
		return corev1.PodPending
	default:
		return corev1.PodRunning
	}
}

// conditions are those that the kubelet sets, in its order.
func conditions(pod *corev1.Pod, r *run) []corev1.PodCondition {
	since := r.booted // the containers are as ready as they are
	switch {
	case r.running():
		since = r.started
	case !r.exited.IsZero():
		since = r.exited
	}
	ready := corev1.PodCondition{Status: corev1.ConditionTrue}
	if !r.running() {
		ready = notReady(pod, phase(r))
	}
	sandbox := corev1.PodCondition{Status: corev1.ConditionTrue}
	if r.done {
		sandbox.Status = corev1.ConditionFalse
	}
	list := []corev1.PodCondition{
		condition(sandbox, corev1.PodReadyToStartContainers, later(r.booted, r.done, since)),
		condition(initialized(pod, r), corev1.PodInitialized, later(r.booted, len(pod.Spec.InitContainers) > 0, r.firstStarted)),
		condition(ready, corev1.PodReady, since),
		condition(ready, corev1.ContainersReady, since),
		condition(corev1.PodCondition{Status: corev1.ConditionTrue}, corev1.PodScheduled, r.booted),
	}
	for i := range list {
		list[i].ObservedGeneration = pod.Generation
	}
	return list
}

func condition(c corev1.PodCondition, kind corev1.PodConditionType, since time.Time) corev1.PodCondition {
	c.Type = kind
	c.LastTransitionTime = metav1.NewTime(since)
	return c
}

// later returns changed if a condition has changed and that time has come, else from.
func later(from time.Time, has bool, changed time.Time) time.Time {
	if has && changed.After(from) {
		return changed
	}
	return from
}

func initialized(pod *corev1.Pod, r *run) corev1.PodCondition {
	if len(pod.Spec.InitContainers) == 0 || !r.firstStarted.IsZero() {
		return corev1.PodCondition{Status: corev1.ConditionTrue}
	}
	return corev1.PodCondition{
		Status:  corev1.ConditionFalse,
		Reason:  "ContainersNotInitialized",
		Message: "containers with incomplete status: " + containerNames(pod.Spec.InitContainers),
	}
}

func notReady(pod *corev1.Pod, phase corev1.PodPhase) corev1.PodCondition {
	c := corev1.PodCondition{Status: corev1.ConditionFalse}
	switch phase {
	case corev1.PodSucceeded:
		c.Reason = "PodCompleted"
	case corev1.PodFailed:
		c.Reason = "PodFailed"
	default:
		c.Reason = "ContainersNotReady"
		c.Message = "containers with unready status: " + containerNames(pod.Spec.Containers)
	}
	return c
}

func containerNames(containers []corev1.Container) string {
	names := make([]string, len(containers))
	for i := range containers {
		names[i] = containers[i].Name
	}
	return "[" + strings.Join(names, " ") + "]"
}

// initStatus is the status of an init container. They have run one after the other when the containers start; before, the
// first one does. Sidecars run as long as the containers do.
func initStatus(pod *corev1.Pod, index int, r *run) corev1.ContainerStatus {
	container := &pod.Spec.InitContainers[index]
	if policy := container.RestartPolicy; policy != nil && *policy == corev1.ContainerRestartPolicyAlways {
		return sidecarStatus(pod, container, r)
	}
	status := newStatus(pod, container, r, 0)
	no := false
	status.Started = &no
	switch {
	case !r.firstStarted.IsZero():
		status.Ready = true
		status.State.Terminated = &corev1.ContainerStateTerminated{
			Reason:      "Completed",
			StartedAt:   metav1.NewTime(r.booted),
			FinishedAt:  metav1.NewTime(r.firstStarted),
			ContainerID: status.ContainerID,
		}
	case r.done:
		status.State.Terminated = r.terminated()
	case index == 0:
		yes := true
		status.Started = &yes
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(r.booted)}
	default:
		setWaiting(&status, "PodInitializing", "")
	}
	return status
}

// sidecarStatus is the status of an init container that is restarted always: it is not part of what exits.
func sidecarStatus(pod *corev1.Pod, container *corev1.Container, r *run) corev1.ContainerStatus {
	own := *r
	own.exitCode, own.restarts, own.last = 0, 0, nil
	own.started = r.firstStarted
	if !r.done {
		own.exited = time.Time{}
	}
	return containerStatus(pod, container, &own)
}

// containerStatus is the status of a container that runs when r says so.
func containerStatus(pod *corev1.Pod, container *corev1.Container, r *run) corev1.ContainerStatus {
	status := newStatus(pod, container, r, r.restarts)
	status.RestartCount = r.restarts
	running := r.running()
	status.Ready, status.Started = running, &running
	if r.last != nil {
		status.LastTerminationState.Terminated = r.last.DeepCopy()
		status.LastTerminationState.Terminated.ContainerID = containerID(pod, container, r, r.restarts-1)
	}
	switch {
	case running:
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(r.started)}
	case r.done:
		status.State.Terminated = r.terminated()
		if !r.started.IsZero() {
			status.State.Terminated.ContainerID = status.ContainerID
		}
	case r.started.IsZero() && len(pod.Spec.InitContainers) > 0:
		setWaiting(&status, "PodInitializing", "")
	case r.started.IsZero():
		setWaiting(&status, "ContainerCreating", "")
	default:
		status.LastTerminationState.Terminated = r.terminated()
		status.LastTerminationState.Terminated.ContainerID = status.ContainerID
		status.State.Waiting = &corev1.ContainerStateWaiting{
			Reason: "CrashLoopBackOff",
			Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
				r.backOff, container.Name, pod.Name, pod.Namespace, pod.UID),
		}
	}
	return status
}

// newStatus is the status of a container that has been made.
func newStatus(pod *corev1.Pod, container *corev1.Container, r *run, restart int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name:        container.Name,
		Image:       container.Image,
		ImageID:     imageID(container.Image),
		ContainerID: containerID(pod, container, r, restart),
	}
}

// setWaiting makes status that of a container that has not been made.
func setWaiting(status *corev1.ContainerStatus, reason, message string) {
	status.ImageID, status.ContainerID = "", ""
	status.State.Waiting = &corev1.ContainerStateWaiting{Reason: reason, Message: message}
}

// imageID is the repository of an image and a digest: its own if it has one, else one that depends on nothing but the name.
func imageID(image string) string {
	if strings.Contains(image, "@") {
		return image
	}
	repository := image
	if i := strings.LastIndex(image, ":"); i > strings.LastIndex(image, "/") {
		repository = image[:i]
	}
	return repository + "@sha256:" + digest(image)
}

// containerID is another for each container of each pod, and each start of it, in each run of the guest.
func containerID(pod *corev1.Pod, container *corev1.Container, r *run, restart int32) string {
	return "containerd://" + digest(fmt.Sprintf("%s/%s/%d/%d", pod.UID, container.Name, r.booted.UnixNano(), restart))
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
