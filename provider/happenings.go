// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"wolfpack/provider/portlayer"
)

// happening is what befell a pod's VM behind our back, for the pod's Events.
type happening struct {
	kind    string // of Event: corev1.EventTypeNormal or corev1.EventTypeWarning
	reason  string
	message string
}

// happenings tells what befell the pod's VM between two pictures. It is a pure function. What is done here is no happening,
// nor is what a VM does whose pod has ended or is being deleted.
func happenings(before, after entry) []happening {
	if before.vm == nil || after.deleting() || after.final != nil {
		return nil
	}
	var all []happening
	add := func(kind, reason, format string, args ...any) {
		all = append(all, happening{kind, reason, fmt.Sprintf(format, args...)})
	}
	name := nameOf(before.vm)
	if after.gone {
		add(corev1.EventTypeWarning, reasonVMGone, "VM %s is gone from vSphere, and Wolfpack did not remove it", name)
	}
	if after.vm == nil {
		return all
	}
	if from, to := before.vm.State, after.vm.State; from != to {
		switch {
		case to == portlayer.Off && !endedByGuest(after.vm):
			add(corev1.EventTypeWarning, reasonVMPoweredOff, "VM %s was powered off, and Wolfpack did not do it", name)
		case to == portlayer.Suspended:
			add(corev1.EventTypeWarning, reasonSuspended, "VM %s was suspended", name)
		case to == portlayer.Inaccessible:
			add(corev1.EventTypeWarning, reasonInaccessible, "vSphere cannot reach VM %s", name)
		case to == portlayer.Running && from == portlayer.Suspended:
			add(corev1.EventTypeNormal, "VMResumed", "VM %s runs again", name)
		case to == portlayer.Running && from == portlayer.Inaccessible:
			add(corev1.EventTypeNormal, "VMAccessible", "vSphere reaches VM %s again", name)
		}
	}
	switch was, is := before.vm.Outside, after.vm.Outside; {
	case is && !was:
		add(corev1.EventTypeWarning, "VMMoved", "VM %s was moved out of its VCH's folder; it is watched and will be removed with its pod", name)
	case was && !is:
		add(corev1.EventTypeNormal, "VMReturned", "VM %s is back in its VCH's folder", name)
	}
	if rebooted(before.vm, after.vm) {
		add(corev1.EventTypeWarning, "VMReset", "VM %s was reset or rebooted: its guest began anew", name)
	}
	return all
}

// rebooted says whether the guest has begun anew: its reports are counted from 1 again, or it knows nothing of a container that
// has run.
func rebooted(before, after *portlayer.VM) bool {
	if before.Status == nil || after.Status == nil {
		return false
	}
	return after.Status.Sequence < before.Status.Sequence ||
		slices.ContainsFunc(before.Status.Pod.ContainerStatuses, func(c corev1.ContainerStatus) bool {
			return forgotten(c, after.Status.Pod.ContainerStatuses)
		})
}

// forgotten says whether a container that has run is another one now, and that is no restart.
func forgotten(before corev1.ContainerStatus, now []corev1.ContainerStatus) bool {
	return lastID(before) != "" && slices.ContainsFunc(now, func(c corev1.ContainerStatus) bool {
		return c.Name == before.Name && c.RestartCount <= before.RestartCount && lastID(c) != lastID(before)
	})
}

// endedByGuest says whether the guest has told how its pod ended.
func endedByGuest(vm *portlayer.VM) bool {
	return vm != nil && vm.Status != nil && ended(vm.Status.Pod.Phase)
}

// nameOf is how the VM is called in messages: by its name, and by its ID, which stays when somebody renames it.
func nameOf(vm *portlayer.VM) string { return fmt.Sprintf("%s (%s)", vm.VMName, vm.ID) }
