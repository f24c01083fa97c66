// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/node"
	"github.com/virtual-kubelet/virtual-kubelet/node/nodeutil"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"wolfpack/errs"
	"wolfpack/provider/guests"
	"wolfpack/provider/kubelet"
	"wolfpack/provider/metrics"
	"wolfpack/provider/portlayer"
	"wolfpack/provider/tracing"
)

const (
	// workers of Virtual Kubelet: CreatePod and DeletePod return at once, so that few are enough.
	workers = 50
	// Pauses of Virtual Kubelet's queues. Its default also lets through only 10 pods a second.
	firstRetry = 100 * time.Millisecond
	lastRetry  = time.Minute
)

// DefaultSystemNamespace is the default of Options.SystemNamespace.
const DefaultSystemNamespace = "wolfpack-system"

// Options of a virtual node.
type Options struct {
	NodeName  string
	VCH       string // name of the virtual container host
	Address   string // of the node: its InternalIP and its pods' hostIP
	MaxPods   int
	VCHID     string            // UUID of the virtual container host, the node's system UUID
	Labels    map[string]string // of the node, beside its own
	Taints    []corev1.Taint    // of the node; nil is Taint alone
	Portlayer portlayer.Portlayer
	Client    kubernetes.Interface
	Keep      time.Duration // how long the VM of a pod that has ended stays on; 0 is not at all
	// SystemNamespace is where Kubernetes keeps what is the node's own, such as the CA of its guests; default
	// DefaultSystemNamespace.
	SystemNamespace string
	Kubelet         *kubelet.Options // of the kubelet endpoint; nil is no endpoint
	Metrics         *metrics.Metrics // of the process; nil is none
	Traces          *tracing.Tracing // likewise
	Ready           func()           // called once when pods are taken; may be nil
}

// Run registers the virtual node and runs its pods until ctx ends. It returns nil when ctx ended. The steps: learn which
// cluster this is; get the CA of the guests; open the kubelet endpoint; watch vSphere until all VMs and what they run on are
// known; watch the node's pods; announce what is known of them; register the node.
func Run(ctx context.Context, o Options) error {
	if o.Taints == nil {
		o.Taints = []corev1.Taint{Taint}
	}
	cluster, err := identify(ctx, o.Client)
	if err != nil {
		return err
	}
	authority, err := guests.LoadAuthority(ctx, o.Client.CoreV1(), cmp.Or(o.SystemNamespace, DefaultSystemNamespace), o.VCH)
	if err != nil {
		return err
	}
	virtual := NewNode(NodeConfig{
		Name: o.NodeName, VCH: o.VCH, VCHID: o.VCHID, Address: o.Address, MaxPods: o.MaxPods, Labels: o.Labels, Taints: o.Taints,
	})
	events := record.NewBroadcaster(record.WithContext(ctx))
	defer events.Shutdown()
	events.StartRecordingToSink(&corev1client.EventSinkImpl{Interface: o.Client.CoreV1().Events("")})
	recorder := events.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "wolfpack", Host: o.NodeName})

	pods := informers.NewSharedInformerFactoryWithOptions(o.Client, 0, nodeutil.PodInformerFilter(o.NodeName),
		informers.WithTransform(withoutManagedFields))
	provider := New(Config{
		Node: o.NodeName, VCH: o.VCH, Portlayer: o.Portlayer, Pods: pods.Core().V1().Pods().Lister(), Client: o.Client.CoreV1(),
		Events: recorder, HostIP: o.Address, Admit: virtual.Admit, Observe: virtual.Observe, Cluster: cluster, Keep: o.Keep,
		Guests:  guests.New(guests.Config{Authority: authority, Client: o.Client, HostIPs: []string{o.Address}, Events: recorder}),
		Metrics: o.Metrics.Node(o.NodeName), Traces: o.Traces,
	})
	podController, err := newPodController(o.Client, provider, pods, recorder)
	if err != nil {
		return errs.New("provider.Run", errs.Internal, "pod controller: %w", err)
	}
	changes := toolscache.ResourceEventHandlerFuncs{UpdateFunc: provider.stored}
	if _, err := pods.Core().V1().Pods().Informer().AddEventHandler(changes); err != nil {
		return errs.New("provider.Run", errs.Internal, "watch the node's pods: %w", err)
	}
	endpoint, err := listen(o, virtual, provider)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if endpoint != nil {
		group.Go(func() error { return endpoint.Run(ctx) })
	}
	group.Go(func() error { return provider.Run(ctx) })
	group.Go(func() error {
		if !await(ctx, provider.Synced()) {
			return nil
		}
		pods.Start(ctx.Done())
		defer pods.Shutdown()
		return stopped(ctx, "pod controller", podController.Run(ctx, workers))
	})
	group.Go(func() error {
		if !await(ctx, podController.Ready()) {
			return nil
		}
		provider.Announce()
		return newKeeper(virtual, o.Client).run(ctx, func() {
			klog.FromContext(ctx).Info("The virtual node takes pods", "node", o.NodeName, "vch", o.VCH)
			if o.Ready != nil {
				o.Ready()
			}
		})
	})
	return group.Wait()
}

// listen opens the kubelet endpoint, if there is to be one, and says so in the node.
func listen(o Options, virtual *Node, provider *Provider) (*kubelet.Server, error) {
	if o.Kubelet == nil {
		return nil, nil
	}
	endpoint, err := kubelet.Listen(kubelet.Config{
		Options: *o.Kubelet, NodeName: o.NodeName, Addresses: virtual.Object().Status.Addresses, Client: o.Client, Pods: provider,
	})
	if err != nil {
		return nil, err
	}
	virtual.serves(endpoint.Port())
	return endpoint, nil
}

// identify returns the identity of the cluster: the UID of its namespace kube-system, as is the custom.
func identify(ctx context.Context, client kubernetes.Interface) (string, error) {
	system, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", errs.New("provider.Run", errs.Unavailable, "get namespace %s, whose UID tells this cluster's VMs from others': %w", metav1.NamespaceSystem, err)
	}
	return string(system.UID), nil
}

// newPodController builds Virtual Kubelet's pod controller. Its informers of ConfigMaps, Secrets and Services are never
// started: they serve the resolution of environment variables, which is the guest's, so that no secret gets into a VM.
func newPodController(client kubernetes.Interface, provider *Provider, pods informers.SharedInformerFactory, recorder record.EventRecorder) (*node.PodController, error) {
	unused := informers.NewSharedInformerFactory(client, 0).Core().V1()
	return node.NewPodController(node.PodControllerConfig{
		PodClient:                            orderly{client.CoreV1(), provider},
		PodInformer:                          pods.Core().V1().Pods(),
		EventRecorder:                        warnings{recorder},
		Provider:                             provider,
		ConfigMapInformer:                    unused.ConfigMaps(),
		SecretInformer:                       unused.Secrets(),
		ServiceInformer:                      unused.Services(),
		SyncPodsFromKubernetesRateLimiter:    limiter(),
		DeletePodsFromKubernetesRateLimiter:  limiter(),
		SyncPodStatusFromProviderRateLimiter: limiter(),
		SkipDownwardAPIResolution:            true,
	})
}

// withoutManagedFields drops what nobody here reads: Virtual Kubelet compares whole pods at each status, and managed fields
// are most of a pod. An update without them leaves those of the API server alone.
func withoutManagedFields(object any) (any, error) {
	if o, ok := object.(metav1.Object); ok {
		o.SetManagedFields(nil)
	}
	return object, nil
}

// warnings passes on what went wrong. Virtual Kubelet reports success when a pod was handed over to its queue, and again
// for each pod after a restart; what really happened to the pod's VM, this package reports.
type warnings struct{ record.EventRecorder }

// Event implements record.EventRecorder.
func (w warnings) Event(object runtime.Object, kind, reason, message string) {
	if kind == corev1.EventTypeWarning {
		w.EventRecorder.Event(object, kind, reason, message)
	}
}

func limiter() workqueue.TypedRateLimiter[any] {
	return prompt{workqueue.NewTypedItemExponentialFailureRateLimiter[any](firstRetry, lastRetry)}
}

// prompt lets the first try through at once. Virtual Kubelet asks its limiters before that one too, so that each news would
// wait as long as a failure.
type prompt struct {
	workqueue.TypedRateLimiter[any]
}

// When implements workqueue.TypedRateLimiter.
func (p prompt) When(item any) time.Duration {
	failed := p.NumRequeues(item) > 0
	if pause := p.TypedRateLimiter.When(item); failed {
		return pause
	}
	return 0
}

// await returns whether ready was closed before ctx ended.
func await(ctx context.Context, ready <-chan struct{}) bool {
	select {
	case <-ready:
		return true
	case <-ctx.Done():
		return false
	}
}

// stopped is the error of a controller that ended while ctx had not.
func stopped(ctx context.Context, name string, err error) error {
	switch {
	case ctx.Err() != nil:
		return nil
	case err == nil:
		err = errors.New("it ended by itself")
	}
	return errs.New("provider.Run", errs.KindOf(err), "%s: %w", name, err)
}
