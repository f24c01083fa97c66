// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
)

// settling is how long the news that a pod waits for its VM may wait for better news: most VMs of many that are made at
// once have started by then, and the API server is spared half of its work.
const settling = 250 * time.Millisecond

// notices hands changed pods to Virtual Kubelet, whose callback may block for seconds, off everybody else's path. Several
// changes of one pod become one notice.
type notices struct {
	queue workqueue.TypedDelayingInterface[types.UID]

	mu       sync.Mutex // guards callback
	callback func(*corev1.Pod)
}

func newNotices() *notices { return &notices{queue: workqueue.NewTypedDelayingQueue[types.UID]()} }

// to sets who is told.
func (n *notices) to(callback func(*corev1.Pod)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.callback = callback
}

func (n *notices) add(uid types.UID) { n.queue.Add(uid) }

// addLater is add for what is not urgent.
func (n *notices) addLater(uid types.UID) { n.queue.AddAfter(uid, settling) }

// run calls deliver for each notice, with whoever is told, until ctx ends. What comes before there is anybody to tell is
// dropped: see Provider.Announce.
func (n *notices) run(ctx context.Context, deliver func(types.UID, func(*corev1.Pod))) {
	defer context.AfterFunc(ctx, n.queue.ShutDown)()
	for {
		uid, closed := n.queue.Get()
		if closed {
			return
		}
		n.mu.Lock()
		callback := n.callback
		n.mu.Unlock()
		if callback != nil && ctx.Err() == nil {
			deliver(uid, callback)
		}
		n.queue.Done(uid)
	}
}
