// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// UpdateStatus writes the pod's present status into the pod as the lister has it now. Virtual Kubelet would write the pod
// that it was told of some time ago, with the resource version of now: what others have made of labels, annotations and
// finalizers in between would be undone, and no conflict would tell.
func (o orderlyPods) UpdateStatus(ctx context.Context, pod *corev1.Pod, options metav1.UpdateOptions) (*corev1.Pod, error) {
	e, ok := o.provider.cache.get(pod.UID)
	if !ok {
		return nil, apierrors.NewNotFound(corev1.Resource("pods"), pod.Name) // it is gone from here, and so from the API
	}
	return o.PodInterface.UpdateStatus(ctx, o.provider.view(e), options)
}
