// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/klog/v2"

	"wolfpack/provider/portlayer"
	"wolfpack/version"
)

// Taint keeps pods away that do not ask for a virtual node, as is the custom of Virtual Kubelet's providers.
var Taint = corev1.Taint{Key: "virtual-kubelet.io/provider", Value: "wolfpack", Effect: corev1.TaintEffectNoSchedule}

// ConditionVSphereReachable is the node condition that says whether vSphere answers. The node stays Ready without it:
// its pods run on, and Kubernetes would evict them from a node that is not Ready.
const ConditionVSphereReachable corev1.NodeConditionType = "VSphereReachable"

// statusInterval is how often the capacity is read.
const statusInterval = 30 * time.Second

// Node is the virtual node: the NodeProvider of Virtual Kubelet, and the admission of pods.
type Node struct {
	name, vch, address string
	maxPods            int64
	capacity           func(context.Context) (portlayer.Capacity, error)

	mu   sync.Mutex   // guards node
	node *corev1.Node // as last computed
}

// NewNode reads the capacity of the virtual container host. It is an error if vSphere does not tell.
func NewNode(ctx context.Context, name, vch, address string, maxPods int, capacity func(context.Context) (portlayer.Capacity, error)) (*Node, error) {
	n := &Node{name: name, vch: vch, address: address, maxPods: int64(maxPods), capacity: capacity}
	found, err := capacity(ctx)
	if err != nil {
		return nil, err
	}
	n.node = n.object(found, nil, nil)
	return n, nil
}

// Object returns the node as it is registered and reported.
func (n *Node) Object() *corev1.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.node.DeepCopy()
}

// Ping says that this program is alive. vSphere's absence does not count: see ConditionVSphereReachable.
func (n *Node) Ping(ctx context.Context) error { return ctx.Err() }

// NotifyNodeStatus reports the node each time that it changes, until ctx ends.
func (n *Node) NotifyNodeStatus(ctx context.Context, report func(*corev1.Node)) {
	go func() {
		ticker := time.NewTicker(statusInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if n.refresh(ctx) && ctx.Err() == nil {
				report(n.Object())
			}
		}
	}()
}

// refresh computes the node anew and says whether it changed.
func (n *Node) refresh(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, statusInterval)
	defer cancel()
	found, err := n.capacity(ctx)
	if err != nil {
		klog.FromContext(ctx).Error(err, "vSphere does not tell the capacity", "vch", n.vch)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	before := n.node
	n.node = n.object(found, err, before)
	return !equality.Semantic.DeepEqual(before, n.node)
}

// Rejection is why the node refuses a pod, in the kubelet's words: OutOfcpu or OutOfmemory.
type Rejection struct {
	Reason  string
	message string
}

// Error names the resource, what the pod asks for, and what there is.
func (r *Rejection) Error() string { return r.message }

// Admit refuses a pod that asks for more than the whole node has. The scheduler does not send such a pod, but a pod can
// name its node itself.
func (n *Node) Admit(pod *corev1.Pod) error {
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	allocatable := n.Object().Status.Allocatable
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		request, there := requests[name], allocatable[name]
		if request.Cmp(there) > 0 {
			return &Rejection{
				Reason:  "OutOf" + string(name),
				message: fmt.Sprintf("The pod asks for %s of %s, and VCH %s has %s in all", request.String(), name, n.vch, there.String()),
			}
		}
	}
	return nil
}

// object is the node for a capacity. When vSphere did not tell it, because of trouble, the one of before stays.
func (n *Node) object(found portlayer.Capacity, trouble error, before *corev1.Node) *corev1.Node {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: n.labels()},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{Taint}},
		Status: corev1.NodeStatus{
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: n.address},
				{Type: corev1.NodeHostName, Address: n.name},
			},
			NodeInfo: corev1.NodeSystemInfo{
				KubeletVersion:          "wolfpack-" + version.Get().Version,
				OperatingSystem:         "linux",
				Architecture:            "amd64",
				OSImage:                 "VMware vSphere",
				ContainerRuntimeVersion: "wolfpack://" + version.Get().Version,
			},
		},
	}
	var old []corev1.NodeCondition
	if before != nil {
		old = before.Status.Conditions
	}
	if trouble == nil {
		node.Status.Capacity = n.resources(found)
	} else {
		node.Status.Capacity = maps.Clone(before.Status.Capacity)
	}
	node.Status.Allocatable = maps.Clone(node.Status.Capacity)
	node.Status.Conditions = nodeConditions(trouble, old, time.Now())
	return node
}

func (n *Node) labels() map[string]string {
	return map[string]string{
		"type":                 "virtual-kubelet",
		"wolfpack.vch":         n.vch,
		"kubernetes.io/role":   "agent",
		corev1.LabelHostname:   n.name,
		corev1.LabelOSStable:   "linux",
		corev1.LabelArchStable: "amd64",
	}
}

func (n *Node) resources(found portlayer.Capacity) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(int64(found.CPUs*1000), resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(found.MemoryBytes, resource.BinarySI),
		corev1.ResourcePods:   *resource.NewQuantity(n.maxPods, resource.DecimalSI),
	}
}

// nodeConditions keeps the time of a condition that did not change.
func nodeConditions(trouble error, before []corev1.NodeCondition, now time.Time) []corev1.NodeCondition {
	reachable := corev1.NodeCondition{
		Type: ConditionVSphereReachable, Status: corev1.ConditionTrue, Reason: "VSphereAnswers", Message: "vSphere answers",
	}
	if trouble != nil {
		reachable.Status, reachable.Reason, reachable.Message = corev1.ConditionFalse, "VSphereUnavailable", trouble.Error()
	}
	conditions := []corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "Wolfpack is running"},
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory"},
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure"},
		{Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientPID"},
		{Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionFalse, Reason: "RouteCreated"},
		reachable,
	}
	for i := range conditions {
		conditions[i].LastTransitionTime = metav1.NewTime(now.Truncate(time.Second))
		for _, old := range before {
			if old.Type == conditions[i].Type && old.Status == conditions[i].Status {
				conditions[i].LastTransitionTime = old.LastTransitionTime
			}
		}
	}
	return conditions
}
