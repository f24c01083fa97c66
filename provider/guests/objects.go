// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// objects are the ConfigMaps and Secrets that pods refer to. Each is watched by itself, as a kubelet does, from the first
// pod that refers to it to the last: neither the provider's memory nor what it may read needs to be all Secrets there are.
type objects struct {
	client  kubernetes.Interface
	changed func(uid types.UID) // told of each pod that refers to what changed, without locks held

	mu      sync.Mutex // guards all below and each object
	objects map[key]*object
	group   sync.WaitGroup // of the watches
}

// object is one object that is watched.
type object struct {
	objects *objects
	key     key
	users   map[types.UID]bool
	stop    context.CancelFunc

	synced bool           // value is what the API server had
	value  runtime.Object // nil if there is none
	failed error          // why it could not be read last
}

// use begins to watch what the pod refers to.
func (o *objects) use(ctx context.Context, uid types.UID, keys map[key]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for k := range keys {
		if o.objects[k] == nil {
			o.objects[k] = o.watch(ctx, k)
		}
		o.objects[k].users[uid] = true
	}
}

// release ends the watches that nobody but the pod needs.
func (o *objects) release(uid types.UID, keys map[key]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for k := range keys {
		one := o.objects[k]
		if one == nil {
			continue
		}
		delete(one.users, uid)
		if len(one.users) == 0 {
			one.stop()
			delete(o.objects, k)
		}
	}
}

// get returns an object, nil if there is none. known says whether that is so, and failed why it is not known.
func (o *objects) get(k key) (value runtime.Object, known bool, failed error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	one := o.objects[k]
	if one == nil {
		return nil, false, nil
	}
	return one.value, one.synced, one.failed
}

// watch watches one object. The caller holds mu.
func (o *objects) watch(ctx context.Context, k key) *object {
	ctx, stop := context.WithCancel(ctx)
	one := &object{objects: o, key: k, users: map[types.UID]bool{}, stop: stop}
	var example runtime.Object = &corev1.ConfigMap{}
	if k.kind == secrets {
		example = &corev1.Secret{}
	}
	reflector := cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(one.listWatch(), o.client), example, one,
		cache.ReflectorOptions{Name: fmt.Sprintf("%s %s/%s", k.kind, k.namespace, k.name)})
	o.group.Go(func() { reflector.RunWithContext(ctx) })
	return one
}

func (one *object) listWatch() *cache.ListWatch {
	k, api := one.key, one.objects.client.CoreV1()
	only := fields.OneTermEqualSelector(metav1.ObjectNameField, k.name).String()
	list := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		options.FieldSelector = only
		if k.kind == secrets {
			return api.Secrets(k.namespace).List(ctx, options)
		}
		return api.ConfigMaps(k.namespace).List(ctx, options)
	}
	begin := func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
		options.FieldSelector = only
		if k.kind == secrets {
			return api.Secrets(k.namespace).Watch(ctx, options)
		}
		return api.ConfigMaps(k.namespace).Watch(ctx, options)
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			all, err := list(ctx, options)
			one.note(ctx, err)
			return all, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			w, err := begin(ctx, options)
			one.note(ctx, err)
			return w, err
		},
	}
}

// note keeps why an object cannot be read, as long as it was never read.
func (one *object) note(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	one.set(func() bool {
		first := !one.synced && one.failed == nil
		one.failed = err
		return first
	})
}

// set changes the object, and tells its users if change says so.
func (one *object) set(change func() bool) {
	o := one.objects
	o.mu.Lock()
	var users []types.UID
	if change() {
		for uid := range one.users {
			users = append(users, uid)
		}
	}
	o.mu.Unlock()
	for _, uid := range users {
		o.changed(uid)
	}
}

func (one *object) take(value runtime.Object) {
	one.set(func() bool {
		same := one.synced && equal(one.value, value)
		one.value, one.synced, one.failed = value, true, nil
		return !same
	})
}

// own says whether the object is the one that was asked for.
func (one *object) own(value any) bool {
	meta, ok := value.(metav1.Object)
	return ok && meta.GetName() == one.key.name && meta.GetNamespace() == one.key.namespace
}

// Add implements cache.ReflectorStore, as the methods below do.
func (one *object) Add(value any) error {
	if one.own(value) {
		one.take(lean(value))
	}
	return nil
}

// Update takes a new version.
func (one *object) Update(value any) error { return one.Add(value) }

// Delete takes that there is none any more.
func (one *object) Delete(value any) error {
	if one.own(value) {
		one.take(nil)
	}
	return nil
}

// Replace takes what there is.
func (one *object) Replace(values []any, _ string) error {
	var found runtime.Object
	for _, value := range values {
		if one.own(value) {
			found = lean(value)
		}
	}
	one.take(found)
	return nil
}

// Resync does nothing.
func (one *object) Resync() error { return nil }

// lean is what a guest needs of an object.
func lean(value any) runtime.Object {
	meta := func(from *metav1.ObjectMeta) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: from.Namespace, Name: from.Name, UID: from.UID}
	}
	switch o := value.(type) {
	case *corev1.ConfigMap:
		return &corev1.ConfigMap{ObjectMeta: meta(&o.ObjectMeta), Data: o.Data, BinaryData: o.BinaryData}
	case *corev1.Secret:
		return &corev1.Secret{ObjectMeta: meta(&o.ObjectMeta), Type: o.Type, Data: o.Data}
	default:
		return nil
	}
}
