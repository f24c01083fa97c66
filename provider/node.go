// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"wolfpack/provider/portlayer"
)

// Taint keeps pods away that do not ask for a virtual node, as is the custom of Virtual Kubelet's providers.
var Taint = corev1.Taint{Key: "virtual-kubelet.io/provider", Value: "wolfpack", Effect: corev1.TaintEffectNoSchedule}

// NodeConfig is what a virtual node is, apart from what vSphere says.
type NodeConfig struct {
	Name    string // in Kubernetes
	VCH     string // name of the virtual container host
	VCHID   string // its UUID, by which the node's machine is known; "" if it has none
	Address string // its InternalIP
	MaxPods int
	Labels  map[string]string // beside and before the node's own
	Taints  []corev1.Taint    // that pods must tolerate

	KubeletPort int // of its kubelet endpoint; 0 if it has none
}

// Node is the virtual node: the NodeProvider of Virtual Kubelet, and the admission of pods. What it says of capacity and
// conditions comes from the portlayer's watch, by Observe.
type Node struct {
	config  NodeConfig
	now     func() time.Time
	changed chan struct{} // gets a value when there is something to report

	mu   sync.Mutex      // guards all below
	host *portlayer.Host // as last reported; nil before the first report
	lost error           // why the watch is interrupted; nil while it is not
	node *corev1.Node    // as last computed
}

// NewNode returns a node of which nothing is known yet.
func NewNode(config NodeConfig) *Node {
	n := &Node{config: config, now: time.Now, changed: make(chan struct{}, 1)}
	n.node = nodeObject(config, nil, nil, nil, n.now())
	return n
}

// Observe takes what the watch says.
func (n *Node) Observe(update portlayer.Update) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case update.Lost != nil:
		n.lost = update.Lost
	case update.Sync:
		n.lost = nil
	}
	if update.Host != nil {
		n.host = update.Host
	}
	if update.Lost == nil && update.Host == nil && !update.Sync {
		return
	}
	before := n.node
	n.node = nodeObject(n.config, n.host, n.lost, before.Status.Conditions, n.now())
	if !equality.Semantic.DeepEqual(before, n.node) {
		n.report()
	}
}

// remember takes over since when conditions are as they are, from before a restart.
func (n *Node) remember(before []corev1.NodeCondition) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.node = nodeObject(n.config, n.host, n.lost, before, n.now())
}

// serves says on which port the kubelet endpoint is. It is for before the node is registered.
func (n *Node) serves(port int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.config.KubeletPort = port
	n.node = nodeObject(n.config, n.host, n.lost, n.node.Status.Conditions, n.now())
}

// report has the node reported, once for any number of calls before that.
func (n *Node) report() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
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
		for {
			select {
			case <-ctx.Done():
				return
			case <-n.changed:
			}
			if ctx.Err() == nil {
				report(n.Object())
			}
		}
	}()
}

// resources is what the node has and, of that, what pods may have: all but what VMs that are no pods' have.
func resources(host *portlayer.Host, maxPods int) (capacity, allocatable corev1.ResourceList) {
	if host == nil {
		host = &portlayer.Host{}
	}
	capacity = resourceList(host.All, maxPods)
	return capacity, resourceList(portlayer.Resources{
		CPUs:        max(host.All.CPUs-host.Others.CPUs, 0),
		MemoryBytes: max(host.All.MemoryBytes-host.Others.MemoryBytes, 0),
	}, maxPods)
}
