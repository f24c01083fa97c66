// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"wolfpack/provider/portlayer"
)

// reasonConfigError is the kubelet's reason of a container whose environment cannot be made.
const reasonConfigError = "CreateContainerConfigError"

// follow has the guests' side know the pod's VM as it is now. It never blocks.
func (p *Provider) follow(uid types.UID) {
	e, ok := p.cache.get(uid)
	switch {
	case !ok, e.vm == nil && (e.deleting() || !e.needsVM()), e.vm != nil && e.vm.State == portlayer.Off && (e.ran || e.vm.Status != nil):
		p.config.Guests.Forget(uid)
	default:
		p.config.Guests.Follow(e.pod, e.vm)
	}
}

// complete says whether there is all that the pod cannot do without. If not, the pod's containers wait and say for what,
// and the pod is looked at again when that appears. What is missing, mandatory or not, is told in an Event, once.
func (p *Provider) complete(e entry) bool {
	p.config.Guests.Follow(e.pod, e.vm)
	check := p.config.Guests.Check(e.pod)
	for _, problem := range check.News {
		p.config.Events.Event(e.pod, corev1.EventTypeWarning, problem.Reason, problem.Message)
	}
	if !maps.Equal(check.Missing, e.missing) {
		p.cache.miss(e.pod.UID, check.Missing)
		p.notices.add(e.pod.UID)
	}
	return check.Complete
}

// lacking says of containers why they cannot be made yet.
func lacking(s *corev1.PodStatus, missing map[string]string) {
	for _, list := range [][]corev1.ContainerStatus{s.InitContainerStatuses, s.ContainerStatuses} {
		for i := range list {
			if message, ok := missing[list[i].Name]; ok {
				list[i].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reasonConfigError, Message: message}}
			}
		}
	}
}
