// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"slices"
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
	seen     *portlayer.VM     // vm, and still there when it is gone: its guest's last word
	started  bool              // the VM was started here
	ran      bool              // the VM was seen running
	gone     bool              // the VM vanished and nobody here removed it
	told     *corev1.PodStatus // what Virtual Kubelet was told last
	final    *corev1.PodStatus // how the pod ended; nothing changes that
	failure  error             // why the pod cannot have a VM: it is Failed
	troubled error             // what went wrong last, while it is tried again
	since    time.Time         // when the picture last changed
	missing  map[string]string // why a container cannot be made yet, by its name
	deadline time.Time         // when the pod must be off; zero unless it is being deleted
	doubted  bool              // the deletion is an inference: the API server must be asked before anything is removed

	removed context.Context    // ends when the pod is deleted, or its deadline comes nearer
	remove  context.CancelFunc // ends it
}

// deleting says whether the pod shall go.
func (e entry) deleting() bool { return !e.deadline.IsZero() }

// needsVM says whether the pod is without a VM.
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

// want takes a pod that shall run, or a newer version of it. The first time it returns those of its name that were there before.
func (c *cache) want(pod *corev1.Pod) (earlier []entry) {
	if _, known := c.get(pod.UID); !known {
		earlier = slices.DeleteFunc(c.all(), func(e entry) bool {
			return e.pod.Namespace != pod.Namespace || e.pod.Name != pod.Name || e.deleting()
		})
	}
	c.update(pod.UID, true, func(e *entry) { e.pod = pod })
	return earlier
}

// remove says that the pod must be off by deadline. It returns false if the pod is not known. A deadline only ever comes
// nearer.
func (c *cache) remove(uid types.UID, deadline time.Time, doubted bool) bool {
	return c.update(uid, false, func(e *entry) {
		e.doubted = doubted && (e.doubted || !e.deleting())
		if e.deleting() && !deadline.Before(e.deadline) {
			return
		}
		e.deadline = deadline
		e.remove()
		e.removed, e.remove = context.WithCancel(context.Background())
	})
}

// spare takes back that the pod must go, and sure says that there is no doubt that it must.
func (c *cache) spare(uid types.UID) {
	c.update(uid, false, func(e *entry) { e.deadline, e.doubted = time.Time{}, false })
}

func (c *cache) sure(uid types.UID) {
	c.update(uid, false, func(e *entry) { e.doubted = false })
}

// tell takes what Virtual Kubelet is told of the pod. That it has ended is said once and for all.
func (c *cache) tell(uid types.UID, status *corev1.PodStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[uid]; ok {
		e.told = status
		if e.final == nil && ended(status.Phase) {
			e.final = status
		}
	}
}

// missing says that the pod has run and has no VM any more.
func (c *cache) missing(uid types.UID) {
	c.update(uid, false, func(e *entry) { e.gone = e.id == "" && !e.deleting() })
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

// change is what news did to a pod's picture.
type change struct {
	uid           types.UID
	before, after entry
}

// observe takes what the watch says, and returns the pods whose picture changed. What is gone goes first: a VM may have
// come in its place.
func (c *cache) observe(update portlayer.Update) []change {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := update.Gone
	if update.Sync {
		gone = append(c.absent(update.Changed), gone...)
	}
	var changes []change
	for _, id := range gone {
		if uid, ok := c.ids[id]; ok {
			changes = append(changes, c.apply(uid, func(e *entry) { c.lose(e, id) }))
		}
	}
	for i := range update.Changed {
		vm := &update.Changed[i]
		if c.stranger(vm) {
			continue
		}
		changes = append(changes, c.apply(types.UID(vm.UID), func(e *entry) { c.see(e, vm) }))
	}
	return changes
}

// stranger says whether the pod has another VM already: one with the same identity is a copy, and not ours to touch.
func (c *cache) stranger(vm *portlayer.VM) bool {
	e, ok := c.entries[types.UID(vm.UID)]
	return ok && e.id != "" && e.id != vm.ID
}

// apply changes the pod's entry, which it makes if there is none.
func (c *cache) apply(uid types.UID, news func(*entry)) change {
	e := c.entries[uid]
	if e == nil {
		e = newEntry()
		c.entries[uid] = e
	}
	before := *e
	news(e)
	return change{uid: uid, before: before, after: *e}
}

// absent are the known VMs that are not in all.
func (c *cache) absent(all []portlayer.VM) []portlayer.ID {
	there := make(map[portlayer.ID]bool, len(all))
	for _, vm := range all {
		there[vm.ID] = true
	}
	var absent []portlayer.ID
	for id := range c.ids {
		if !there[id] {
			absent = append(absent, id)
		}
	}
	return absent
}

// see takes the present state of the pod's VM.
func (c *cache) see(e *entry, vm *portlayer.VM) {
	if e.pod == nil {
		e.pod = podOf(vm)
	}
	if e.vm == nil || e.vm.State != vm.State {
		e.since = time.Now()
	}
	if vm.Status == nil && e.seen != nil && e.seen.Status != nil {
		known := *vm // vSphere drops what a guest reported when its VM is off; the last word holds
		known.Status = e.seen.Status
		vm = &known
	}
	e.id, e.vm, e.seen, e.gone = vm.ID, vm, vm, false
	e.ran = e.ran || vm.State != portlayer.Off
	c.ids[vm.ID] = types.UID(vm.UID)
}

// lose takes that the VM is gone. A VM that never ran was removed by the creator, which will try again or say why not.
func (c *cache) lose(e *entry, id portlayer.ID) {
	delete(c.ids, id)
	if e.id == id {
		e.gone = e.ran && !e.deleting()
		e.id, e.vm, e.started, e.since = "", nil, false, time.Now()
	}
}

// podOf is the pod that the VM was made for, or as much as its identity tells.
func podOf(vm *portlayer.VM) *corev1.Pod {
	if pod := vm.Pod(); pod != nil && string(pod.UID) == vm.UID {
		return pod
	}
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: vm.Namespace, Name: vm.Name, UID: types.UID(vm.UID)}}
}
