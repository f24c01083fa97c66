// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"reflect"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"wolfpack/guest/environment"
)

// services are all Services of the cluster, as much of each as pods' environments have.
type services struct {
	changed func(...*corev1.Service) // told of what a change was about, without locks held

	mu     sync.Mutex // guards all below
	synced bool
	all    map[types.NamespacedName]*corev1.Service
}

// run watches until ctx ends.
func (s *services) run(ctx context.Context, client kubernetes.Interface) {
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return client.CoreV1().Services(metav1.NamespaceAll).List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return client.CoreV1().Services(metav1.NamespaceAll).Watch(ctx, options)
		},
	}
	cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(lw, client), &corev1.Service{}, s,
		cache.ReflectorOptions{Name: "Services"}).RunWithContext(ctx)
}

// of returns the services that the pod's environment is about. It is not ok before they are known.
func (s *services) of(pod *corev1.Pod) (_ []*corev1.Service, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*corev1.Service
	for _, service := range s.all {
		if environment.Concerns(service, pod.Namespace, environment.Links(pod)) {
			found = append(found, service)
		}
	}
	return found, s.synced
}

// Add implements cache.ReflectorStore, as the methods below do.
func (s *services) Add(value any) error {
	service := environment.ServiceOf(value.(*corev1.Service))
	name := types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
	s.mu.Lock()
	old := s.all[name]
	s.all[name] = service
	s.mu.Unlock()
	switch {
	case old == nil:
		s.changed(service)
	case !reflect.DeepEqual(old, service):
		s.changed(old, service)
	}
	return nil
}

// Update takes a new version.
func (s *services) Update(value any) error { return s.Add(value) }

// Delete takes that one is gone.
func (s *services) Delete(value any) error {
	service := value.(*corev1.Service)
	s.mu.Lock()
	delete(s.all, types.NamespacedName{Namespace: service.Namespace, Name: service.Name})
	s.mu.Unlock()
	s.changed(service)
	return nil
}

// Replace takes all there are.
func (s *services) Replace(values []any, _ string) error {
	all := make(map[types.NamespacedName]*corev1.Service, len(values))
	var about []*corev1.Service
	for _, value := range values {
		service := environment.ServiceOf(value.(*corev1.Service))
		all[types.NamespacedName{Namespace: service.Namespace, Name: service.Name}] = service
	}
	s.mu.Lock()
	first := !s.synced
	for name, service := range all {
		if old := s.all[name]; !reflect.DeepEqual(old, service) {
			about = append(about, service)
		}
	}
	for name, old := range s.all {
		if !reflect.DeepEqual(old, all[name]) {
			about = append(about, old)
		}
	}
	s.all, s.synced = all, true
	s.mu.Unlock()
	if first || len(about) > 0 {
		s.changed(about...)
	}
	return nil
}

// Resync does nothing.
func (s *services) Resync() error { return nil }

// equal says whether two versions of an object are the same to a guest.
func equal(a, b runtime.Object) bool { return equality.Semantic.DeepEqual(a, b) }
