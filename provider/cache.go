// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"wolfpack/provider/portlayer"
)

// entry is what is known of one pod. The cache hands out copies; what their pointers lead to is never changed.
type entry struct {
	pod      *corev1.Pod
	id       portlayer.ID      // of the VM; "" if it has none
	vm       *portlayer.VM     // as last reported; nil before the first report, and after the VM is gone
	started  bool              // the VM was started here
	ran      bool              // the VM was seen running
	gone     bool              // the VM vanished and nobody here removed it
	failure  error             // why the pod cannot have a VM: it is Failed
	troubled error             // what went wrong last, while it is tried again
	since    time.Time         // when the picture last changed
	missing  map[string]string // why a container cannot be made yet, by its name
	told     *corev1.PodStatus // as Virtual Kubelet was told last
	deadline time.Time         // when the pod must be off; zero unless it is being deleted

	removed context.Context    // ends when the pod is deleted, or its deadline comes nearer
	remove  context.CancelFunc // ends it
}

// deleting says whether the pod shall go.
func (e entry) deleting() bool { return !e.deadline.IsZero() }

// needsVM says whether a VM must be made.
func (e entry) needsVM() bool { return e.id == "" && !e.gone && e.failure == nil }

// needsStart says whether the VM was made but never ran: the provider was stopped between the two.
func (e entry) needsStart() bool {
	return e.vm != nil && e.vm.State == portlayer.Off && e.vm.Status == nil && !e.started && !e.ran && e.failure == nil
}

// booting says whether there is a VM that nothing is known of yet but that it is there.
func (e entry) booting() bool { return e.vm != nil && e.vm.Status == nil && !e.deleting() }

// overtaken says whether the pod was deleted since the copy was made.
func (e entry) overtaken() bool { return e.removed.Err() != nil }

// cache holds the pods of the node, keyed by UID: those that shall run, and those that have a VM.
type cache struct {
	mu      sync.Mutex // guards entries and what it leads to
	entries map[types.UID]*entry
	ids     map[portlayer.ID]types.UID
}

func newCache() *cache {
	return &cache{entries: map[types.UID]*entry{}, ids: map[portlayer.ID]types.UID{}}
}

func (c *cache) get(uid types.UID) (entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[uid]
	if !ok {
		return entry{}, false
	}
	return *e, true
}

func (c *cache) byName(namespace, name string) (entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		if e.pod.Namespace == namespace && e.pod.Name == name {
			return *e, true
		}
	}
	return entry{}, false
}

func (c *cache) all() []entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]entry, 0, len(c.entries))
	for _, e := range c.entries {
		all = append(all, *e)
	}
	return all
}

// want takes a pod that shall run, or a newer version of it.
func (c *cache) want(pod *corev1.Pod) { c.update(pod.UID, true, func(e *entry) { e.pod = pod }) }

// remove says that the pod must be off by deadline. It returns false if the pod is not known. A deadline only ever comes
// nearer.
func (c *cache) remove(uid types.UID, deadline time.Time) bool {
	return c.update(uid, false, func(e *entry) {
		if e.deleting() && !deadline.Before(e.deadline) {
			return
		}
		e.deadline = deadline
		e.remove()
		e.removed, e.remove = context.WithCancel(context.Background())
	})
}

// created takes the VM that was made for the pod.
func (c *cache) created(uid types.UID, id portlayer.ID) {
	c.update(uid, false, func(e *entry) {
		if !e.gone {
			e.id, e.started, e.troubled = id, true, nil
			c.ids[id] = uid
		}
	})
}

// fail says that the pod cannot have a VM.
func (c *cache) fail(uid types.UID, err error) {
	c.update(uid, false, func(e *entry) { e.failure = err })
}

// miss says why containers cannot be made yet.
func (c *cache) miss(uid types.UID, missing map[string]string) {
	c.update(uid, false, func(e *entry) { e.missing = missing })
}

// trouble says what went wrong, while it is tried again.
func (c *cache) trouble(uid types.UID, err error) {
	c.update(uid, false, func(e *entry) { e.troubled = err })
}

// tell notes what Virtual Kubelet is told. It changes nothing of the picture.
func (c *cache) tell(uid types.UID, status *corev1.PodStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[uid]; ok {
		e.told = status
	}
}

// forget drops the pod.
func (c *cache) forget(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[uid]; ok {
		delete(c.ids, e.id)
		delete(c.entries, uid)
	}
}

// update changes one entry, which it makes if asked to. It returns false if there is none.
func (c *cache) update(uid types.UID, make bool, change func(*entry)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[uid]
	if !ok && make {
		e, ok = newEntry(), true
		c.entries[uid] = e
	}
	if ok {
		change(e)
		e.since = time.Now()
	}
	return ok
}

func newEntry() *entry {
	removed, remove := context.WithCancel(context.Background())
	return &entry{removed: removed, remove: remove}
}

// observe takes what the watch says, and returns the pods whose picture changed.
func (c *cache) observe(update portlayer.Update) []types.UID {
	c.mu.Lock()
	defer c.mu.Unlock()
	var changed []types.UID
	if update.Sync {
		changed = append(changed, c.vanished(update.Changed)...)
	}
	for i := range update.Changed {
		changed = append(changed, c.observeVM(&update.Changed[i]))
	}
	for _, id := range update.Gone {
		if uid, ok := c.ids[id]; ok {
			changed = append(changed, c.loseVM(uid, id))
		}
	}
	return changed
}

// vanished loses the VMs that are not in all.
func (c *cache) vanished(all []portlayer.VM) []types.UID {
	there := make(map[portlayer.ID]bool, len(all))
	for _, vm := range all {
		there[vm.ID] = true
	}
	var lost []types.UID
	for id, uid := range c.ids {
		if !there[id] {
			lost = append(lost, c.loseVM(uid, id))
		}
	}
	return lost
}

func (c *cache) observeVM(vm *portlayer.VM) types.UID {
	uid := types.UID(vm.UID)
	e := c.entries[uid]
	if e == nil {
		e = newEntry()
		e.pod = podOf(vm)
		c.entries[uid] = e
	}
	if e.vm == nil || e.vm.State != vm.State {
		e.since = time.Now()
	}
	e.id, e.vm, e.gone = vm.ID, vm, false
	e.ran = e.ran || vm.State != portlayer.Off
	c.ids[vm.ID] = uid
	return uid
}

// loseVM takes that the VM is gone. A VM that never ran was removed by the creator, which will try again or say why not.
func (c *cache) loseVM(uid types.UID, id portlayer.ID) types.UID {
	delete(c.ids, id)
	if e := c.entries[uid]; e != nil && e.id == id {
		e.gone = e.ran && !e.deleting()
		e.id, e.vm, e.started, e.since = "", nil, false, time.Now()
	}
	return uid
}

// podOf is the pod that the VM was made for, or as much as its identity tells.
func podOf(vm *portlayer.VM) *corev1.Pod {
	if vm.Pod != nil && string(vm.Pod.UID) == vm.UID {
		return vm.Pod
	}
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: vm.Namespace, Name: vm.Name, UID: types.UID(vm.UID)}}
}
