// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
)

// Rejection is why the node refuses a pod, in the kubelet's words: OutOfcpu or OutOfmemory.
type Rejection struct {
	Reason  string
	message string
}

// Error names the resource, what the pod asks for, and what there is.
func (r *Rejection) Error() string { return r.message }

// Admit refuses a pod that asks for more than the whole node has. The scheduler does not send such a pod, but a pod can
// name its node itself. While no host runs VMs nothing is refused: what the node will have is not known, and a pod that is
// refused has failed for good.
func (n *Node) Admit(pod *corev1.Pod) error {
	n.mu.Lock()
	none := n.host == nil || n.host.UsableHosts == 0
	n.mu.Unlock()
	if none {
		return nil
	}
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	allocatable := n.Object().Status.Allocatable
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		request, there := requests[name], allocatable[name]
		if request.Cmp(there) > 0 {
			return &Rejection{
				Reason:  "OutOf" + string(name),
				message: fmt.Sprintf("The pod asks for %s of %s, and VCH %s has %s in all", request.String(), name, n.config.VCH, there.String()),
			}
		}
	}
	return nil
}
