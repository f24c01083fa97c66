// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// queues gives each pod a queue of its own. A pod is worked on by one goroutine at a time, which lives only while there
// is work; a pod that is added while it is worked on is looked at once more.
type queues struct {
	mu    sync.Mutex         // guards all below
	work  func(types.UID)    // nil while closed
	again map[types.UID]bool // has the pods that are worked on; true if one was added meanwhile
	later map[types.UID]*time.Timer
	group sync.WaitGroup // of the workers
}

func newQueues() *queues {
	return &queues{again: map[types.UID]bool{}, later: map[types.UID]*time.Timer{}}
}

// open begins to call work for pods that are added. The returned function ends that and waits for the calls under way,
// but no longer than it is told.
func (q *queues) open(work func(types.UID)) (closeAndWait func(time.Duration)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.work = work
	return func(limit time.Duration) {
		q.mu.Lock()
		q.work = nil
		for _, timer := range q.later {
			timer.Stop()
		}
		clear(q.later)
		q.mu.Unlock()
		done := make(chan struct{})
		go func() {
			q.group.Wait()
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(limit):
		}
	}
}

// busy is how many pods are worked on.
func (q *queues) busy() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.again)
}

// add has the pod looked at. It never blocks.
func (q *queues) add(uid types.UID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.work == nil {
		return
	}
	if _, busy := q.again[uid]; busy {
		q.again[uid] = true
		return
	}
	q.again[uid] = false
	work := q.work
	q.group.Go(func() {
		for more := true; more; more = q.more(uid) {
			work(uid)
		}
	})
}

// addAfter adds the pod after a while, instead of when it was to be added.
func (q *queues) addAfter(uid types.UID, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.work == nil {
		return
	}
	if timer, ok := q.later[uid]; ok {
		timer.Stop()
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		q.mu.Lock()
		if q.later[uid] == timer {
			delete(q.later, uid)
		}
		q.mu.Unlock()
		q.add(uid)
	})
	q.later[uid] = timer
}

// more says whether the pod was added meanwhile; if not, nobody works on it from now on.
func (q *queues) more(uid types.UID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.again[uid] && q.work != nil {
		q.again[uid] = false
		return true
	}
	delete(q.again, uid)
	return false
}
