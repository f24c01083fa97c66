// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"cmp"
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"wolfpack/errs"
	"wolfpack/provider/operations"
	"wolfpack/provider/portlayer"
)

// maxPause is the longest pause between two tries, in units of Config.Retry.
const maxPause = 32

// observe takes what the watch says.
func (p *Provider) observe(update portlayer.Update) {
	p.config.Observe(update)
	if update.Lost != nil {
		return
	}
	received := cmp.Or(update.Received, time.Now())
	for _, uid := range p.cache.observe(update) {
		p.follow(uid)
		if e, ok := p.cache.get(uid); ok && e.booting() {
			p.notices.addLater(uid)
		} else {
			p.notices.addSince(uid, received)
		}
		p.queues.add(uid)
	}
	if update.Sync {
		p.once.Do(func() { close(p.synced) })
	}
}

// converge brings the pod's VM to what the pod shall be, in the pod's own queue. A failure that may pass is tried again,
// sooner if the pod is deleted meanwhile; any other is the pod's end.
func (p *Provider) converge(ctx context.Context, uid types.UID) {
	for pause := p.config.Retry; ; pause = min(2*pause, maxPause*p.config.Retry) {
		e, ok := p.cache.get(uid)
		if !ok || ctx.Err() != nil {
			return
		}
		ctx := p.about(ctx, e)
		err := p.act(ctx, e)
		if err == nil || ctx.Err() != nil {
			return
		}
		if e.overtaken() {
			continue
		}
		p.report(ctx, e, err)
		if badImage(err) {
			p.cache.trouble(uid, err) // until the pod is updated
			p.notices.add(uid)
			return
		}
		if !errs.Is(err, errs.Unavailable) && !e.deleting() {
			p.cache.fail(uid, err)
			p.notices.add(uid)
			return
		}
		p.cache.trouble(uid, err)
		p.notices.add(uid)
		select {
		case <-time.After(pause):
		case <-e.removed.Done():
		case <-ctx.Done():
		}
	}
}

// badImage says whether the pod waits for its image to be corrected, as it would with a kubelet.
func badImage(err error) bool {
	var invalid *operations.InvalidImage
	return errors.As(err, &invalid)
}

// act does what the pod needs now, if anything.
func (p *Provider) act(ctx context.Context, e entry) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.removed, cancel)()
	switch {
	case e.deleting():
		return p.delete(ctx, e)
	case !p.listed(e.pod):
		return nil // an orphan, for removeOrphans
	case e.needsVM():
		return p.create(ctx, e)
	case e.needsStart():
		return p.starter.Start(ctx, e.vm.ID)
	default:
		return nil
	}
}

func (p *Provider) create(ctx context.Context, e entry) error {
	if err := p.config.Admit(e.pod); err != nil {
		return err
	}
	if !p.complete(e) {
		return nil // until what is missing appears
	}
	id, err := p.creator.Create(ctx, e.pod)
	if err != nil {
		return err
	}
	p.cache.created(e.pod.UID, id)
	klog.FromContext(ctx).Info("Started the pod's VM", "vmID", id)
	p.config.Events.Eventf(e.pod, corev1.EventTypeNormal, "VMStarted", "Started VM %s (%s) in VCH %s", e.vmName(), id, p.config.VCH)
	return nil
}

// delete removes the VM, then the pod from the API: Virtual Kubelet would leave it there until its grace period is over,
// however soon the VM is gone (virtual-kubelet pull request 983).
func (p *Provider) delete(ctx context.Context, e entry) error {
	if e.id != "" {
		if err := p.deleter.Delete(ctx, e.id, time.Until(e.deadline)); err != nil {
			return err
		}
	}
	options := metav1.NewPreconditionDeleteOptions(string(e.pod.UID))
	options.GracePeriodSeconds = new(int64)
	err := p.config.Client.Pods(e.pod.Namespace).Delete(ctx, e.pod.Name, *options)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return errs.New("provider.DeletePod", errs.Unavailable, "delete pod %s/%s from the API: %w", e.pod.Namespace, e.pod.Name, err)
	}
	p.cache.forget(e.pod.UID)
	p.config.Guests.Forget(e.pod.UID)
	return nil
}

// report tells the log and the pod's user what went wrong.
func (p *Provider) report(ctx context.Context, e entry, err error) {
	klog.FromContext(ctx).Error(err, "Operation failed", "pod", klog.KObj(e.pod), "uid", e.pod.UID, "op", errs.Op(err), "kind", errs.KindOf(err).String())
	reason := "FailedCreateVM"
	switch {
	case e.deleting():
		reason = "FailedDeleteVM"
	case badImage(err):
		reason = reasonInvalidImage
	}
	p.config.Events.Event(e.pod, corev1.EventTypeWarning, reason, err.Error())
}

// listed says whether the API server has this very pod, as far as the lister knows.
func (p *Provider) listed(pod *corev1.Pod) bool {
	current, err := p.config.Pods.Pods(pod.Namespace).Get(pod.Name)
	return err == nil && current.UID == pod.UID
}

// removeOrphans removes VMs whose pods are gone from the API without Virtual Kubelet having said so: it drops deletions
// that it learns of only after a gap in its watch. A VM is removed the second time that it is found without a pod, and
// only after the API server itself was asked.
func (p *Provider) removeOrphans(ctx context.Context) {
	strikes := map[types.UID]bool{}
	ticker := time.NewTicker(p.config.Reconcile)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			strikes = p.strike(ctx, strikes)
		}
	}
}

// strike returns the pods that have a VM and are not listed, and removes those that were among the last ones too.
func (p *Provider) strike(ctx context.Context, last map[types.UID]bool) map[types.UID]bool {
	now := map[types.UID]bool{}
	for _, e := range p.cache.all() {
		uid := e.pod.UID
		if e.deleting() || p.listed(e.pod) {
			continue
		}
		now[uid] = true
		if last[uid] && p.absent(ctx, e.pod) && p.cache.remove(uid, deadline(e.pod, time.Now())) {
			klog.FromContext(ctx).Info("Removing the VM of a pod that is gone", "pod", klog.KObj(e.pod), "uid", uid, "vm", e.id)
			p.queues.add(uid)
		}
	}
	return now
}

// absent asks the API server.
func (p *Provider) absent(ctx context.Context, pod *corev1.Pod) bool {
	current, err := p.config.Client.Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	return apierrors.IsNotFound(err) || err == nil && current.UID != pod.UID
}
