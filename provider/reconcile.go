// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"wolfpack/provider/portlayer"
)

// secondLook is how soon a VM is looked at again that seems to have no pod.
const secondLook = time.Second

// reconcile compares VMs with pods from time to time, for what no event tells, and soon when a VM is seen without a pod.
func (p *Provider) reconcile(ctx context.Context) {
	soon := min(secondLook, p.config.Reconcile)
	due := time.Now().Add(p.config.Reconcile)
	timer := time.NewTimer(p.config.Reconcile)
	defer timer.Stop()
	in := func(wait time.Duration) {
		due = time.Now().Add(wait)
		timer.Reset(wait)
	}
	var last map[types.UID]bool
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.suspicion:
			if time.Until(due) > soon {
				in(soon)
			}
		case <-timer.C:
			strikes := p.strike(ctx, last)
			p.remind()
			in(p.config.Reconcile)
			for uid := range strikes {
				if !last[uid] {
					in(soon)
				}
			}
			last = strikes
		}
	}
}

// suspect has VMs compared with pods soon, if the lister has the pods.
func (p *Provider) suspect() {
	if !p.announced.Load() {
		return
	}
	select {
	case p.suspicion <- struct{}{}:
	default:
	}
}

// strike removes VMs whose pods are gone from the API without Virtual Kubelet having said so: it drops deletions that it
// learns of only after a gap in its watch. A VM is removed the second time that it is found without a pod, and only after
// the API server itself was asked. It returns the pods that have a VM and are not listed now; last are those of before.
func (p *Provider) strike(ctx context.Context, last map[types.UID]bool) map[types.UID]bool {
	now := map[types.UID]bool{}
	for _, e := range p.cache.all() {
		uid := e.pod.UID
		if e.deleting() || p.listed(e.pod) {
			continue
		}
		now[uid] = true
		if !last[uid] {
			continue
		}
		if there, err := p.inAPI(ctx, e.pod); there != nil || err != nil {
			continue
		}
		if p.cache.remove(uid, deadline(e.pod, time.Now()), false) {
			klog.FromContext(p.about(ctx, e)).Info("Removing the VM of a pod that is gone")
			p.queues.add(uid)
		}
	}
	return now
}

// remind tells Virtual Kubelet again what it was told of pods that the API server shows otherwise: it gives up after a
// number of failures. And it has a look at the VMs of pods that have ended.
func (p *Provider) remind() {
	for _, e := range p.cache.all() {
		current := p.current(e.pod)
		switch {
		case ended(current.Status.Phase):
			if e.vm != nil && e.vm.State != portlayer.Off {
				p.queues.add(e.pod.UID)
			}
		case e.told != nil && !equality.Semantic.DeepEqual(*e.told, current.Status):
			p.notices.add(e.pod.UID)
		}
	}
}

// listed says whether the API server has this very pod, as far as the lister knows.
func (p *Provider) listed(pod *corev1.Pod) bool {
	current, err := p.config.Pods.Pods(pod.Namespace).Get(pod.Name)
	return err == nil && current.UID == pod.UID
}

// inAPI asks the API server for this very pod, which is nil if it is gone.
func (p *Provider) inAPI(ctx context.Context, pod *corev1.Pod) (*corev1.Pod, error) {
	current, err := p.config.Client.Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && current.UID != pod.UID {
		return nil, nil
	}
	return current, err
}
