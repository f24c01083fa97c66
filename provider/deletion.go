// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/klog/v2"

	"wolfpack/errs"
)

// delete removes the VM, then the pod from the API: Virtual Kubelet would leave it there until its grace period is over,
// however soon the VM is gone (virtual-kubelet pull request 983).
func (p *Provider) delete(ctx context.Context, e entry) error {
	if e.doubted {
		there, err := p.inAPI(ctx, e.pod)
		switch {
		case err != nil:
			return errs.New("provider.DeletePod", errs.Unavailable, "ask whether pod %s/%s is gone: %w", e.pod.Namespace, e.pod.Name, err)
		case there != nil && there.DeletionTimestamp == nil:
			klog.FromContext(ctx).Info("Sparing the VM of a pod that is not gone")
			p.cache.spare(e.pod.UID)
			return nil
		}
		p.cache.sure(e.pod.UID)
	}
	if e.id != "" {
		p.tellStopping(ctx, e)
		if err := p.deleter.Delete(ctx, e.id, time.Until(e.deadline)); err != nil {
			return err
		}
		p.tell(ctx, e.pod, corev1.EventTypeNormal, "VMRemoved", "Removed VM "+e.vmText())
	}
	if err := p.removeFromAPI(ctx, e); err != nil {
		return errs.New("provider.DeletePod", errs.Unavailable, "delete pod %s/%s from the API: %w", e.pod.Namespace, e.pod.Name, err)
	}
	p.cache.forget(e.pod.UID)
	p.config.Guests.Forget(e.pod.UID)
	return nil
}

// removeFromAPI deletes the pod, whose VM is gone. A pod with finalizers stays for whoever set them, who shall see how it
// ended.
func (p *Provider) removeFromAPI(ctx context.Context, e entry) error {
	current := p.current(e.pod)
	if len(current.Finalizers) > 0 && !ended(current.Status.Phase) {
		if err := p.sayEnded(ctx, e); err != nil {
			return err
		}
	}
	options := metav1.NewPreconditionDeleteOptions(string(e.pod.UID))
	options.GracePeriodSeconds = new(int64)
	err := p.config.Client.Pods(e.pod.Namespace).Delete(ctx, e.pod.Name, *options)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// sayEnded gives the pod in the API the status of one that has ended.
func (p *Provider) sayEnded(ctx context.Context, e entry) error {
	pod, err := p.inAPI(ctx, e.pod)
	if err != nil || pod == nil || ended(pod.Status.Phase) {
		return err
	}
	if latest, ok := p.cache.get(e.pod.UID); ok {
		e = latest // with what the guest said at the end
	}
	pod.Status = complete(pod, endedStatus(pod, e), e, p.config.HostIP)
	_, err = p.config.Client.Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// endedStatus is how the pod ended: as its guest says, or else without anybody seeing it.
func endedStatus(pod *corev1.Pod, e entry) corev1.PodStatus {
	switch {
	case e.final != nil:
		return *e.final.DeepCopy()
	case endedByGuest(e.seen):
		return *e.seen.Status.Pod.DeepCopy()
	default:
		return failed(pod, e, reasonDeleted, "The pod was deleted, and its VM powered off before its containers had ended")
	}
}

// orderly is the API server as Virtual Kubelet sees it, whose own idea of a deletion is to remove the pod from the API when
// none of its containers is known to run, or when its grace period is over, and never mind its VM. Here such a removal
// becomes a deletion by the provider, which removes the pod when the VM is gone: two pods of one name, as of a StatefulSet,
// never run at once.
type orderly struct {
	corev1client.PodsGetter
	provider *Provider
}

// Pods returns the pods of a namespace.
func (o orderly) Pods(namespace string) corev1client.PodInterface {
	return orderlyPods{PodInterface: o.PodsGetter.Pods(namespace), provider: o.provider, namespace: namespace}
}

type orderlyPods struct {
	corev1client.PodInterface
	provider  *Provider
	namespace string
}

// Delete leaves the pod to the provider, if that has it.
func (o orderlyPods) Delete(ctx context.Context, name string, options metav1.DeleteOptions) error {
	pod, err := o.provider.config.Pods.Pods(o.namespace).Get(name)
	if err == nil && pod.DeletionTimestamp != nil && o.provider.DeletePod(ctx, pod) == nil {
		return nil
	}
	return o.PodInterface.Delete(ctx, name, options)
}
