// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"wolfpack/errs"
	"wolfpack/provider/operations"
	"wolfpack/provider/portlayer"
)

const (
	// maxPause is the longest pause between two tries, in units of Config.Retry.
	maxPause = 32
	// restGrace is how long the guest of a pod that has ended gets to shut down.
	restGrace = 30 * time.Second
)

// observe takes what the watch says.
func (p *Provider) observe(ctx context.Context, update portlayer.Update) {
	p.config.Observe(update)
	if update.Lost != nil {
		return
	}
	update.Changed = slices.DeleteFunc(slices.Clone(update.Changed), p.foreign)
	received := cmp.Or(update.Received, time.Now())
	for _, change := range p.cache.observe(update) {
		p.follow(change.uid)
		if change.after.booting() {
			p.notices.addLater(change.uid)
		} else {
			p.notices.addSince(change.uid, received)
		}
		p.queues.add(change.uid)
		for _, h := range happenings(change.before, change.after) {
			p.tell(p.about(ctx, change.before), p.current(change.after.pod), h.kind, h.reason, h.message)
		}
	}
	if update.Sync {
		p.once.Do(func() { close(p.synced) })
	}
}

// foreign says whether the VM is of another cluster's pod, whose provider uses the same virtual container host.
func (p *Provider) foreign(vm portlayer.VM) bool {
	return vm.Cluster != "" && vm.Cluster != p.config.Cluster
}

// converge brings the pod's VM to what the pod shall be, in the pod's own queue. What fails is tried again, sooner if the pod
// is deleted meanwhile. A pod that asks for what cannot be is Failed; but never one for a fault of vSphere's or a right that
// is missing, since a controller would make and lose one pod after the other.
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
		if hopeless(err) && !e.deleting() && !p.ended(e) {
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

// hopeless says whether the pod asks for what cannot be.
func hopeless(err error) bool {
	var rejected *Rejection
	return errors.As(err, &rejected) || errs.Is(err, errs.Invalid)
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
		p.suspect()
		return nil
	case p.ended(e):
		return p.rest(ctx, e)
	case e.needsVM() && hasRun(p.current(e.pod)):
		return p.find(ctx, e)
	case e.needsVM():
		return p.create(ctx, e)
	case e.needsStart() && !hasRun(p.current(e.pod)):
		return p.start(ctx, e)
	default:
		return nil
	}
}

// ended says whether the pod has ended, for us or for the API server: it gets no VM, and its VM is not started, ever again.
func (p *Provider) ended(e entry) bool {
	return e.final != nil || ended(p.current(e.pod).Status.Phase)
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
	e.id = id
	p.tellStarted(p.about(ctx, e), e)
	return nil
}

func (p *Provider) start(ctx context.Context, e entry) error {
	if err := p.starter.Start(ctx, e.id); err != nil {
		return err
	}
	p.tellStarted(ctx, e)
	return nil
}

// find looks for the VM of a pod that has run and has none here: it is not made anew, because it may run where somebody
// moved it. If it is nowhere, the pod has ended with it.
func (p *Provider) find(ctx context.Context, e entry) error {
	err := p.config.Portlayer.Find(ctx, string(e.pod.UID))
	if !errs.Is(err, errs.NotFound) {
		return err // if it was found, the watch will tell of it
	}
	p.cache.missing(e.pod.UID)
	p.notices.add(e.pod.UID)
	p.tell(ctx, e.pod, corev1.EventTypeWarning, reasonVMGone, goneMessage(e))
	return nil
}

// rest powers the VM of a pod that has ended off when its time has come: the pod holds nothing of the pool any more, as it
// holds nothing of the node for the scheduler. The guest's last word stays. The API server must have it first: a VM that is
// off may not remember it.
func (p *Provider) rest(ctx context.Context, e entry) error {
	current := p.current(e.pod)
	if e.vm == nil || e.vm.State == portlayer.Off || !ended(current.Status.Phase) {
		return nil
	}
	end := endOf(current)
	if end.IsZero() {
		end = e.since
	}
	if wait := time.Until(end.Add(p.config.Keep)); wait > 0 {
		p.queues.addAfter(e.pod.UID, wait)
		return nil
	}
	if err := p.stopper.Stop(ctx, e.vm.ID, restGrace); err != nil {
		return err
	}
	p.tell(ctx, e.pod, corev1.EventTypeNormal, "VMStopped", fmt.Sprintf("Powered off VM %s: the pod has ended", nameOf(e.vm)))
	return nil
}

// stored is told by the informer of the node's pods how a pod changed in the lister. If it has ended there now, it is looked
// at again: rest waits for that.
func (p *Provider) stored(before, now any) {
	was, is := before.(*corev1.Pod), now.(*corev1.Pod)
	if ended(is.Status.Phase) && !ended(was.Status.Phase) {
		p.queues.add(is.UID)
	}
}

// endOf is when the last container of a pod that has ended did so, or else when the pod stopped being ready. It is zero if
// nobody says.
func endOf(pod *corev1.Pod) time.Time {
	var end time.Time
	later := func(t metav1.Time) {
		if t.After(end) {
			end = t.Time
		}
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Terminated != nil {
			later(c.State.Terminated.FinishedAt)
		}
	}
	if end.IsZero() {
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady {
				later(c.LastTransitionTime)
			}
		}
	}
	return end
}
