// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/node"
	"github.com/virtual-kubelet/virtual-kubelet/node/nodeutil"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"wolfpack/errs"
)

// statusInterval is how often the node's status is reported although it did not change. That the node is alive, its lease
// says, which is renewed every ten seconds and ends after forty, as a kubelet's.
const statusInterval = time.Minute

// keeper keeps the node's object in the API server as it shall be, where Virtual Kubelet does not: it writes taints only
// when it creates the node, and notices at the next status only that somebody deleted it. It watches the one object.
//
// It also sees to it that one process alone runs the node. Each writes its instance into the object when it starts; one that
// finds another's there has been replaced, and ends.
type keeper struct {
	node     *Node
	client   kubernetes.Interface
	instance string
}

func newKeeper(n *Node, client kubernetes.Interface) *keeper {
	return &keeper{node: n, client: client, instance: string(uuid.NewUUID())}
}

// run registers the node and keeps it, with its status and lease, until ctx ends. ready is called once when it is there.
func (k *keeper) run(ctx context.Context, ready func()) error {
	if err := k.adopt(ctx); err != nil {
		return err
	}
	controller, err := node.NewNodeController(k.node, k.node.Object(), k.client.CoreV1().Nodes(),
		node.WithNodeEnableLeaseV1(nodeutil.NodeLeaseV1Client(k.client), node.DefaultLeaseDuration),
		node.WithNodeStatusUpdateInterval(statusInterval),
		node.WithNodeStatusUpdateErrorHandler(k.handle))
	if err != nil {
		return errs.New("provider.keeper", errs.Internal, "node controller: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return stopped(ctx, "node controller", controller.Run(ctx)) })
	group.Go(func() error {
		if !await(ctx, controller.Ready()) {
			return nil
		}
		ready()
		return k.keep(ctx)
	})
	return group.Wait()
}

// adopt makes a node that is there already ours: from before a restart, or from another process.
func (k *keeper) adopt(ctx context.Context) error {
	err := k.update(ctx, func(found *corev1.Node) error {
		k.correct(found)
		found.Annotations[annotationInstance] = k.instance
		k.node.remember(found.Status.Conditions)
		return nil
	})
	if apierrors.IsNotFound(err) {
		return nil // it will be created
	}
	return err
}

// handle is for when the node's status cannot be written.
func (k *keeper) handle(ctx context.Context, err error) error {
	if !apierrors.IsNotFound(err) {
		return err
	}
	return k.create(ctx)
}

// keep corrects the node each time that its object changes, until ctx ends.
func (k *keeper) keep(ctx context.Context) error {
	name := k.node.config.Name
	factory := informers.NewSharedInformerFactoryWithOptions(k.client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	}))
	defer factory.Shutdown()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := workqueue.NewTypedRateLimitingQueue(limiter())
	defer context.AfterFunc(ctx, queue.ShutDown)()
	nodes := factory.Core().V1().Nodes()
	look := func(any) { queue.Add(name) }
	if _, err := nodes.Informer().AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: look, UpdateFunc: func(_, now any) { look(now) }, DeleteFunc: look,
	}); err != nil {
		return errs.New("provider.keeper", errs.Internal, "watch node %s: %w", name, err)
	}
	factory.Start(ctx.Done())
	if !toolscache.WaitForCacheSync(ctx.Done(), nodes.Informer().HasSynced) {
		return nil
	}
	queue.Add(name)
	for {
		_, closed := queue.Get()
		if closed {
			return nil
		}
		err := k.reconcile(ctx, func() (*corev1.Node, error) { return nodes.Lister().Get(name) })
		queue.Done(name)
		switch {
		case errs.Is(err, errs.Exists):
			return err
		case err != nil && ctx.Err() == nil:
			klog.FromContext(ctx).Error(err, "The node is not as it shall be", "node", name)
			queue.AddRateLimited(name)
		default:
			queue.Forget(name)
		}
	}
}

// reconcile makes the node as it shall be.
func (k *keeper) reconcile(ctx context.Context, get func() (*corev1.Node, error)) error {
	seen, err := get()
	if apierrors.IsNotFound(err) {
		return k.create(ctx)
	}
	if err != nil || !k.correct(seen.DeepCopy()) {
		return err
	}
	err = k.update(ctx, func(found *corev1.Node) error {
		if other := found.Annotations[annotationInstance]; other != "" && other != k.instance {
			return errs.New("provider.keeper", errs.Exists, "another process has begun to run node %s (its instance is %s, this one's %s): "+
				"let one alone run it, or start both with --leader-elect", found.Name, other, k.instance)
		}
		k.correct(found)
		return nil
	})
	if apierrors.IsNotFound(err) {
		return nil // it was deleted meanwhile, which will be seen
	}
	return err
}

// correct gives the object the taints and annotations that it shall have, and says whether it did not have them. It does not
// touch the annotation of another instance.
func (k *keeper) correct(found *corev1.Node) bool {
	before := found.DeepCopy()
	found.Spec.Taints = keepTaints(found.Spec.Taints, found.Annotations[annotationTaints], k.node.config.Taints)
	if found.Annotations == nil {
		found.Annotations = map[string]string{}
	}
	found.Annotations[annotationTaints] = formatTaints(k.node.config.Taints)
	if found.Annotations[annotationInstance] == "" {
		found.Annotations[annotationInstance] = k.instance
	}
	return found.Annotations[annotationInstance] != k.instance || !equality.Semantic.DeepEqual(before, found)
}

// create registers the node again, and has its status reported so that Virtual Kubelet knows the new object.
func (k *keeper) create(ctx context.Context) error {
	object := k.node.Object()
	object.Annotations[annotationInstance] = k.instance
	_, err := k.client.CoreV1().Nodes().Create(ctx, object, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	klog.FromContext(ctx).Info("The node was deleted by somebody and is registered again", "node", object.Name)
	k.node.report()
	return nil
}

// update changes the object that the API server has now, unless that is as it shall be.
func (k *keeper) update(ctx context.Context, change func(*corev1.Node) error) error {
	nodes := k.client.CoreV1().Nodes()
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		found, err := nodes.Get(ctx, k.node.config.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		before := found.DeepCopy()
		if err := change(found); err != nil {
			return err
		}
		if equality.Semantic.DeepEqual(before, found) {
			return nil
		}
		_, err = nodes.Update(ctx, found, metav1.UpdateOptions{})
		return err
	})
}
