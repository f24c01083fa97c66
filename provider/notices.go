// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/workqueue"
)

const (
	// settling is how long the news that a pod waits for its VM may wait for better news: a VM has often started by then, and
	// the API server is spared half of its work.
	settling = 250 * time.Millisecond
	// trickle is how many such news are told a second. Of very many pods at once most have run by the time of their turn.
	trickle = 20
)

// notices hands changed pods to Virtual Kubelet, whose callback may block for seconds, off everybody else's path. Several
// changes of one pod become one notice.
type notices struct {
	queue workqueue.TypedInterface[types.UID]
	later workqueue.TypedDelayingInterface[types.UID] // of those that wait for better news

	mu       sync.Mutex // guards all below
	callback func(*corev1.Pod)
	since    map[types.UID]time.Time // when the first of the changes came that a waiting notice is of
}

func newNotices() *notices {
	return &notices{
		queue: workqueue.NewTyped[types.UID](),
		later: workqueue.NewTypedDelayingQueue[types.UID](),
		since: map[types.UID]time.Time{},
	}
}

// to sets who is told.
func (n *notices) to(callback func(*corev1.Pod)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.callback = callback
}

// add has a pod handed over that changed just now.
func (n *notices) add(uid types.UID) { n.addSince(uid, time.Now()) }

// addLater is add for what is not urgent, and not measured.
func (n *notices) addLater(uid types.UID) { n.later.AddAfter(uid, settling) }

// addSince is add for a change that was learnt of before.
func (n *notices) addSince(uid types.UID, since time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, waits := n.since[uid]; !waits {
		n.since[uid] = since
	}
	n.queue.Add(uid)
}

// waiting is how many notices have not been delivered.
func (n *notices) waiting() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.since)
}

// ripen adds what may wait when it has waited, if it is still news by then, until ctx ends.
func (n *notices) ripen(ctx context.Context, news func(types.UID) bool) {
	defer context.AfterFunc(ctx, n.later.ShutDown)()
	limit := flowcontrol.NewTokenBucketRateLimiter(trickle, trickle)
	for {
		uid, closed := n.later.Get()
		if closed {
			return
		}
		n.later.Done(uid)
		if !news(uid) {
			continue
		}
		if limit.Wait(ctx) != nil {
			return
		}
		n.queue.Add(uid)
	}
}

// run calls deliver for each notice, with whoever is told, and then delivered with the time of the change, until ctx ends.
// What comes before there is anybody to tell is dropped: see Provider.Announce.
func (n *notices) run(ctx context.Context, deliver func(types.UID, func(*corev1.Pod)), delivered func(time.Time)) {
	defer context.AfterFunc(ctx, n.queue.ShutDown)()
	for {
		uid, closed := n.queue.Get()
		if closed {
			return
		}
		n.mu.Lock()
		callback := n.callback
		since, first := n.since[uid]
		delete(n.since, uid)
		n.mu.Unlock()
		if callback != nil && ctx.Err() == nil {
			deliver(uid, callback)
			if first { // a change while this one was delivered, or one that had time
				delivered(since)
			}
		}
		n.queue.Done(uid)
	}
}
