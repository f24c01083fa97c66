// SPDX-License-Identifier: Apache-2.0

// Package guests is the provider's side of the guest contract. It reaches the kubelet endpoint inside each pod VM over
// mutual TLS: a guest knows the provider by the CA that the VM was given when it was made, and the provider knows a guest
// by the fingerprint of the certificate that it announced. It watches the ConfigMaps, Secrets and Services that pods refer
// to, says what a pod lacks before it has a VM, and sends each guest what its pod refers to, as soon as it listens and
// whenever it changes. None of that goes any other way: see contract.Bundle.
//
// All methods are safe for concurrent use, return at once, and may be called before Run, which must run for anything to be
// sent.
package guests

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"

	"wolfpack/guest/environment"
	"wolfpack/provider/portlayer"
)

const (
	pushers  = 16               // guests that are sent something at a time
	lastWait = 30 * time.Second // longest pause between two tries
)

// Config is what Guests need.
type Config struct {
	Authority *Authority
	Client    kubernetes.Interface // watches what pods refer to
	HostIPs   []string             // of the node, for the guests
	Events    record.EventRecorder // is told when a guest cannot be sent what its pod refers to
	Retry     time.Duration        // first pause after a failure, which doubles up to 30 s; default 200 ms
	Settle    time.Duration        // how long changes of Services are gathered: each may concern all pods; default 1 s
}

// Guests are the guests of one virtual container host.
type Guests struct {
	config   Config
	objects  *objects
	services *services
	queue    workqueue.TypedRateLimitingInterface[types.UID] // of pods whose guest may have to be sent something

	root context.Context // of all watches
	stop context.CancelFunc

	mu      sync.Mutex      // guards all below
	changed func(types.UID) // nil before Run
	early   []types.UID     // that changed was to be told of before Run
	pods    map[types.UID]*pod
	routes  map[types.UID]*route
}

// pod is what is known of one pod. Guests.mu guards it; a copy is nobody's.
type pod struct {
	pod    *corev1.Pod
	keys   map[key]bool
	vm     *portlayer.VM                // as last reported; nil before it has one
	told   map[environment.Problem]bool // that were reported
	sentTo address                      // of the guest that has what sent says; zero if that is not known
	sent   string                       // digest of the bundle
	fresh  bool                         // the guest was not there before it listened, so that it has none yet

	ctx    context.Context // ends when the pod is forgotten
	forget context.CancelFunc
}

// New returns guests.
func New(config Config) *Guests {
	if config.Retry == 0 {
		config.Retry = 200 * time.Millisecond
	}
	if config.Settle == 0 {
		config.Settle = time.Second
	}
	g := &Guests{
		config: config,
		queue:  workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[types.UID](config.Retry, lastWait)),
		pods:   map[types.UID]*pod{},
		routes: map[types.UID]*route{},
	}
	g.root, g.stop = context.WithCancel(context.Background())
	g.objects = &objects{client: config.Client, changed: g.objectChanged, objects: map[key]*object{}}
	g.services = &services{changed: g.servicesChanged, all: map[types.NamespacedName]*corev1.Service{}}
	return g
}

// Run watches and sends until ctx ends. changed is told of each pod without a VM whose Check may have another answer now;
// it must not block.
func (g *Guests) Run(ctx context.Context, changed func(types.UID)) {
	g.mu.Lock()
	g.changed = changed
	early := g.early
	g.early = nil
	g.mu.Unlock()
	for _, uid := range early {
		changed(uid)
	}
	defer context.AfterFunc(ctx, func() {
		g.stop()
		g.queue.ShutDown()
	})()
	var group sync.WaitGroup
	group.Go(func() { g.services.run(g.root, g.config.Client) })
	for range pushers {
		group.Go(func() {
			for g.next(ctx) {
			}
		})
	}
	group.Wait()
	g.fence()
	g.objects.group.Wait()
}

// fence returns when no Follow is under way that began before the end, so that none begins a watch any more.
func (g *Guests) fence() {
	g.mu.Lock()
	defer g.mu.Unlock()
}

// CA is the PEM of the CA that a guest must be given to know the provider by. It is public.
func (g *Guests) CA() string { return string(g.config.Authority.pem) }

// Follow takes a pod that has a VM or shall get one, and its VM as last reported, which may be nil.
func (g *Guests) Follow(of *corev1.Pod, vm *portlayer.VM) {
	if g.follow(of, vm) {
		g.queue.Add(of.UID)
	}
}

// follow returns whether the guest may have to be sent something.
func (g *Guests) follow(of *corev1.Pod, vm *portlayer.VM) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.pods[of.UID]
	if p == nil {
		if g.root.Err() != nil {
			return false
		}
		p = &pod{told: map[environment.Problem]bool{}}
		p.ctx, p.forget = context.WithCancel(g.root)
		g.pods[of.UID] = p
	}
	if p.pod != of {
		keys := references(of)
		g.objects.use(g.root, of.UID, keys)
		for k := range keys {
			delete(p.keys, k)
		}
		g.objects.release(of.UID, p.keys)
		p.pod, p.keys = of, keys
	}
	p.vm = vm
	at, err := addressOf(vm)
	if err != nil {
		p.sentTo, p.fresh = address{}, true // if it was there, it may boot anew
		return false
	}
	return p.sentTo != at
}

// Forget drops what is kept for a pod that is gone, or whose VM is off or gone. What is being sent is cancelled.
func (g *Guests) Forget(uid types.UID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.routes[uid]; r != nil {
		r.transport.CloseIdleConnections()
		delete(g.routes, uid)
	}
	if p := g.pods[uid]; p != nil {
		p.forget()
		g.objects.release(uid, p.keys)
		g.queue.Forget(uid)
		delete(g.pods, uid)
	}
}

// objectChanged takes that something that the pod refers to changed.
func (g *Guests) objectChanged(uid types.UID) {
	g.mu.Lock()
	p, changed := g.pods[uid], g.changed
	without := p != nil && p.vm == nil
	if without && changed == nil {
		g.early = append(g.early, uid)
	}
	g.mu.Unlock()
	switch {
	case p == nil:
	case !without:
		g.queue.Add(uid)
	case changed != nil:
		changed(uid)
	}
}

// servicesChanged takes that services changed; none means that now all are known.
func (g *Guests) servicesChanged(about ...*corev1.Service) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for uid, p := range g.pods {
		if p.vm == nil {
			continue
		}
		concerned := len(about) == 0
		for _, service := range about {
			concerned = concerned || environment.Concerns(service, p.pod.Namespace, environment.Links(p.pod))
		}
		switch {
		case concerned && p.sentTo == (address{}):
			g.queue.Add(uid)
		case concerned:
			g.queue.AddAfter(uid, g.config.Settle)
		}
	}
}
