// SPDX-License-Identifier: Apache-2.0

package sweep

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"wolfpack/provider"
	"wolfpack/provider/portlayer/vcenter"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

// hurried is how long the provider waits for a vCenter that does not answer, where a test has to wait for that.
var hurried = vcenter.Limits{Request: 4 * time.Second, Task: 6 * time.Second, Abandon: time.Second, Settle: time.Second, AskAfter: time.Second}

// node is the world's node in this process, where the race detector and the search for leaked goroutines see it. Like the
// program it is started again when it ends by itself, as it does when it cannot connect.
type node struct {
	w      *world
	stop   context.CancelFunc
	done   chan struct{}
	takes  chan struct{} // closed when it takes pods
	limits vcenter.Limits

	mu    sync.Mutex // guards ended
	ended []error    // why it ended by itself, each time
}

// newNode starts the node. It is stopped with the test.
func newNode(w *world, limits vcenter.Limits) *node {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	n := &node{w: w, stop: cancel, done: make(chan struct{}), takes: make(chan struct{}), limits: limits}
	config, err := clientcmd.BuildConfigFromFlags("", shared.kubeconfig(w.T, w.node))
	require.NoError(w, err)
	config.QPS = -1
	go func() {
		defer close(n.done)
		for ctx.Err() == nil {
			if err := n.run(ctx, config); err != nil && ctx.Err() == nil {
				n.mu.Lock()
				n.ended = append(n.ended, err)
				n.mu.Unlock()
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond): // as whoever starts it again takes its time
			}
		}
	}()
	w.Cleanup(n.end)
	w.Cleanup(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if w.Failed() {
			w.Logf("the node ended by itself %d times: %v", len(n.ended), errors.Join(n.ended...))
		}
	})
	return n
}

// run is what the program does: connect, find the VCH, run the node, log out.
func (n *node) run(ctx context.Context, config *rest.Config) error {
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	client, err := kubernetes.NewForConfigAndClient(config, transport)
	if err != nil {
		return err
	}
	connection := n.w.connection()
	connection.Limit = n.limits.Request
	session, err := vsphere.Connect(ctx, connection)
	if err != nil {
		return err
	}
	defer func() { _ = session.Logout(ctx) }()
	host, err := vch.Find(ctx, session, n.w.host.Name)
	if err != nil {
		return err
	}
	backend := vcenter.New(session.Client, vcenter.TargetOf(host))
	if n.limits != (vcenter.Limits{}) {
		backend.Hurry(n.limits)
	}
	return provider.Run(ctx, provider.Options{
		NodeName: n.w.node, VCH: host.Name, VCHID: host.ID, Address: "127.0.0.1", MaxPods: 1000, Client: client, Portlayer: backend,
		Keep:  time.Hour,
		Ready: sync.OnceFunc(func() { n.ready() }),
	})
}

func (n *node) ready() {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.takes:
	default:
		close(n.takes)
	}
}

// takesPods says whether it has come so far.
func (n *node) takesPods() bool {
	select {
	case <-n.takes:
		return true
	default:
		return false
	}
}

// end stops the node and waits for it.
func (n *node) end() {
	n.stop()
	<-n.done
}
