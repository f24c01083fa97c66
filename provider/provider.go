// SPDX-License-Identifier: Apache-2.0

// Package provider is the Virtual Kubelet provider: it runs each pod of one virtual node as a VM of its own in one virtual
// container host.
//
// Virtual Kubelet says what shall be (CreatePod, UpdatePod, DeletePod); the portlayer's watch says what is. Both end in
// the pod cache, keyed by the pod's UID. What must be done for a pod is done by its own queue, one operation at a time,
// so that no pod ever waits for another. Whenever a pod's picture changes, its status is computed anew from the cache (a
// pure function) and handed to Virtual Kubelet.
package provider

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/record"

	"wolfpack/errs"
	"wolfpack/provider/guests"
	"wolfpack/provider/metrics"
	"wolfpack/provider/operations"
	"wolfpack/provider/portlayer"
	"wolfpack/provider/tracing"
)

// shutdownTimeout is how long operations under way get at the end. What they leave, the next start finds in vSphere.
const shutdownTimeout = 20 * time.Second

// Config is what a Provider needs.
type Config struct {
	Node      string // name of the virtual node
	VCH       string // name of the virtual container host
	Portlayer portlayer.Portlayer
	Pods      corev1listers.PodLister // of this node's pods: the source of metadata
	Client    corev1client.PodsGetter // removes a pod from the API once its VM is gone
	Events    record.EventRecorder    // for what a user of the pod should know
	HostIP    string                  // address of the node, each pod's hostIP
	Guests    *guests.Guests          // how the guests are reached
	Cluster   string                  // identity of the cluster; VMs of other clusters' pods are left alone
	Admit     func(*corev1.Pod) error // refuses pods that cannot fit, with a Rejection; nil admits all
	Observe   func(portlayer.Update)  // is told first of what the watch says; nil for nobody
	Retry     time.Duration           // first pause after a failure that may pass; it doubles up to 64 times that; default 1 s
	Reconcile time.Duration           // how often VMs are compared with pods; default 30 s
	Keep      time.Duration           // how long the VM of a pod that has ended stays on, so that its logs can be read
	Metrics   *metrics.Node           // nil is none
	Traces    *tracing.Tracing        // nil is none
}

// Provider implements Virtual Kubelet's PodLifecycleHandler and PodNotifier. Run must be running for it to do anything.
type Provider struct {
	config  Config
	creator operations.PodCreator
	starter operations.PodStarter
	stopper operations.PodStopper
	deleter operations.PodDeleter
	cache   *cache
	queues  *queues
	notices *notices
	synced  chan struct{} // closed when the first batch of the watch is in the cache
	once    sync.Once     // closes synced

	announced atomic.Bool   // the lister has the pods
	suspicion chan struct{} // holds a value when a VM was seen without a pod
}

// New returns a provider that does nothing until Run.
func New(config Config) *Provider {
	if config.Admit == nil {
		config.Admit = func(*corev1.Pod) error { return nil }
	}
	if config.Observe == nil {
		config.Observe = func(portlayer.Update) {}
	}
	if config.Retry == 0 {
		config.Retry = time.Second
	}
	if config.Reconcile == 0 {
		config.Reconcile = 30 * time.Second
	}
	return &Provider{
		config:  config,
		creator: operations.PodCreator{Portlayer: config.Portlayer, VCH: config.VCH, Cluster: config.Cluster, CA: config.Guests.CA()},
		starter: operations.PodStarter{Portlayer: config.Portlayer},
		stopper: operations.PodStopper{Portlayer: config.Portlayer},
		deleter: operations.PodDeleter{Portlayer: config.Portlayer},
		cache:   newCache(),
		queues:  newQueues(),
		notices: newNotices(),
		synced:  make(chan struct{}),

		suspicion: make(chan struct{}, 1),
	}
}

// Run watches vSphere and carries out operations until ctx ends. Then operations stop between two steps; what they have
// begun is carried through, for a limited time. It returns nil when ctx ended.
func (p *Provider) Run(ctx context.Context) error {
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	ctx, cancel := context.WithCancel(ctx)
	closeQueues := p.queues.open(func(uid types.UID) { p.converge(ctx, uid) })
	var group sync.WaitGroup
	defer p.config.Metrics.Collect(p.snapshot)()
	group.Go(func() { p.notices.run(ctx, p.notify, p.config.Metrics.StatusDelivered) })
	group.Go(func() { p.notices.ripen(ctx, func(uid types.UID) bool { return p.news(uid) != nil }) })
	group.Go(func() { p.reconcile(ctx) })
	group.Go(func() { p.config.Guests.Run(ctx, p.queues.add) })
	watch := make(chan error, 1)
	group.Go(func() { watch <- p.config.Portlayer.Watch(watching, p.listen(ctx)) })

	var err error
	select {
	case err = <-watch:
	case <-ctx.Done():
	}
	cancel()
	closeQueues(shutdownTimeout) // before the watch ends, whose news the operations under way wait for
	stopWatching()
	group.Wait()
	return err
}

// Synced is closed when the cache holds all VMs. Before that nothing may be asked: an empty cache would make Virtual
// Kubelet create every pod again.
func (p *Provider) Synced() <-chan struct{} { return p.synced }

// CreatePod gives the pod a VM. It hands over to the pod's queue and is idempotent. An earlier pod of the same name is gone:
// Virtual Kubelet does not say so if it learns of both at once.
func (p *Provider) CreatePod(_ context.Context, pod *corev1.Pod) error {
	for _, earlier := range p.cache.want(pod) {
		p.cache.remove(earlier.pod.UID, deadline(earlier.pod, time.Now()), true)
		p.queues.add(earlier.pod.UID)
	}
	p.notices.addLater(pod.UID)
	p.queues.add(pod.UID)
	return nil
}

// UpdatePod takes the pod's new labels, annotations and so on. A running VM is not disturbed by them. It never fails:
// Virtual Kubelet would set a running pod to Pending or Failed.
func (p *Provider) UpdatePod(ctx context.Context, pod *corev1.Pod) error {
	return p.CreatePod(ctx, pod)
}

// DeletePod stops the pod within its grace period and removes its VM, and then the pod from the API. It hands over to
// the pod's queue and is idempotent. A pod without a deletion timestamp is one that Virtual Kubelet misses in its lister:
// the API server is asked whether it is gone indeed.
func (p *Provider) DeletePod(_ context.Context, pod *corev1.Pod) error {
	if !p.cache.remove(pod.UID, deadline(pod, time.Now()), pod.DeletionTimestamp == nil) {
		return edge(errs.New("provider.DeletePod", errs.NotFound, "pod %s/%s (UID %s) has no VM here", pod.Namespace, pod.Name, pod.UID))
	}
	p.queues.add(pod.UID)
	return nil
}

// deadline is when the pod must be off: the end of its grace period, which runs since the deletion was asked for.
func deadline(pod *corev1.Pod, now time.Time) time.Time {
	if pod.DeletionTimestamp != nil {
		return pod.DeletionTimestamp.Time
	}
	grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if pod.Spec.TerminationGracePeriodSeconds != nil {
		grace = *pod.Spec.TerminationGracePeriodSeconds
	}
	return now.Add(time.Duration(grace) * time.Second)
}

// GetPod returns the pod with its present status. A VM that belongs to an earlier pod of the same name is not that pod.
func (p *Provider) GetPod(_ context.Context, namespace, name string) (*corev1.Pod, error) {
	entry, ok := p.lookup(namespace, name)
	if !ok {
		return nil, edge(errs.New("provider.GetPod", errs.NotFound, "no pod %s/%s", namespace, name))
	}
	return p.render(entry), nil
}

// GetPodStatus returns the pod's present status.
func (p *Provider) GetPodStatus(ctx context.Context, namespace, name string) (*corev1.PodStatus, error) {
	pod, err := p.GetPod(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	return &pod.Status, nil
}

// GetPods returns all pods that have a VM or shall have one.
func (p *Provider) GetPods(context.Context) ([]*corev1.Pod, error) {
	var pods []*corev1.Pod
	for _, entry := range p.cache.all() {
		pods = append(pods, p.render(entry))
	}
	return pods, nil
}

// NotifyPods sets who is told of changed pods. It is called once; see Announce.
func (p *Provider) NotifyPods(_ context.Context, notify func(*corev1.Pod)) { p.notices.to(notify) }

// Announce tells Virtual Kubelet of every pod there is, and looks at each again. It is for when Virtual Kubelet has begun to
// listen, and the lister has the pods: what changed while no provider ran, Virtual Kubelet would learn of at the next change
// only; and a VM that a killed provider made and did not start looked like an orphan until now. Those that still do are soon
// removed.
func (p *Provider) Announce() {
	p.announced.Store(true)
	for _, e := range p.cache.all() {
		p.notices.add(e.pod.UID)
		p.queues.add(e.pod.UID)
	}
}

// Guest says where the kubelet endpoint in the pod's VM is, with a transport that authenticates the provider and talks to
// nobody but that guest. errs.NotFound: there is no such pod. errs.Unavailable: its guest does not listen, or not yet.
func (p *Provider) Guest(_ context.Context, namespace, name string) (*url.URL, http.RoundTripper, error) {
	e, ok := p.lookup(namespace, name)
	if !ok {
		return nil, nil, errs.New("provider.Guest", errs.NotFound, "no pod %s/%s", namespace, name)
	}
	at, transport, err := p.config.Guests.Reach(e.vm)
	if err != nil {
		return nil, nil, errs.New("provider.Guest", errs.KindOf(err), "pod %s/%s: %w", namespace, name, err)
	}
	return at, transport, nil
}

// lookup finds a pod by name: the one that the API server has, or, if it has none, whichever has a VM.
func (p *Provider) lookup(namespace, name string) (entry, bool) {
	if current, err := p.config.Pods.Pods(namespace).Get(name); err == nil {
		return p.cache.get(current.UID)
	}
	return p.cache.byName(namespace, name)
}

// render is the pod as Virtual Kubelet shall see it: the API server's metadata and spec, our status.
func (p *Provider) render(e entry) *corev1.Pod { return p.view(e).DeepCopy() }

// view is render for who changes nothing of what the pod leads to, which is the lister's.
func (p *Provider) view(e entry) *corev1.Pod {
	pod := *p.current(e.pod)
	pod.Status = status(&pod, e, p.config.HostIP)
	return &pod
}

// current is the pod as the API server has it now, as far as the lister knows, or else as it was last seen.
func (p *Provider) current(pod *corev1.Pod) *corev1.Pod {
	if current, err := p.config.Pods.Pods(pod.Namespace).Get(pod.Name); err == nil && current.UID == pod.UID {
		return current
	}
	return pod
}

// notify tells Virtual Kubelet of one pod, if there is news of it.
func (p *Provider) notify(uid types.UID, callback func(*corev1.Pod)) {
	if pod := p.news(uid); pod != nil {
		told := pod.Status // Virtual Kubelet makes a copy of its own
		p.cache.tell(uid, &told)
		callback(pod)
	}
}

// news is what Virtual Kubelet shall hear of a pod, or nil if it was told that last and the API server has it. It would write
// that once more, since it compares resource versions too. The spec, which it has, is left out: it would keep it for as long
// as there is the pod, and compare it each time.
func (p *Provider) news(uid types.UID) *corev1.Pod {
	entry, ok := p.cache.get(uid)
	if !ok {
		return nil
	}
	pod := p.view(entry)
	pod.Spec = corev1.PodSpec{}
	stored, err := p.config.Pods.Pods(pod.Namespace).Get(pod.Name)
	if err == nil && entry.told != nil && equality.Semantic.DeepEqual(*entry.told, pod.Status) && equality.Semantic.DeepEqual(stored.Status, pod.Status) {
		return nil
	}
	return pod
}
