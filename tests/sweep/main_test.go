// SPDX-License-Identifier: Apache-2.0

// Package sweep proves that whatever happens on the way, the end is the same: no pod lost, none doubled, nothing left
// behind. It runs one script of pods' lives again and again, and each time something else goes wrong: the program is killed at
// another of its requests to vCenter (crash_test.go), or another kind of request fails in another way (fault_test.go). Then
// pods come and go at random for a while, as the provider does (churn_test.go).
//
// All tests share one real control plane. Each run of the script is a world of its own: a stand-in for vCenter with one
// virtual container host, and a node that no other world has. Worlds may run side by side.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"wolfpack/tests/kube"
)

// patience is how long a test waits for what must come. It is generous: worlds share the machine.
const patience = 2 * time.Minute

// thrift is how much garbage a process of a world leaves before it collects it, in percent of the rest: most of them are gone
// before that, and there are many.
const thrift = 400

func TestMain(m *testing.M) {
	debug.SetGCPercent(thrift)
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard) // hundreds of worlds would say more than anybody reads
	// Virtual Kubelet's tracing starts this one when it is loaded, and never ends it.
	goleak.VerifyTestMain(tests{m}, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// tests are the package's tests and the end of what they share.
type tests struct{ *testing.M }

// Run runs the tests.
func (t tests) Run() int {
	code := t.M.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// shared is made by the first test that asks for a part of it.
var shared site

// site is what all worlds share.
type site struct {
	mu  sync.Mutex // guards all below
	dir string

	program string // the file of the program wolfpack; "" before it is built

	plane *kube.ControlPlane // nil before it runs
	admin kubernetes.Interface
	pods  cache.SharedIndexInformer // all pods there are
	nodes cache.SharedIndexInformer // all nodes
	idle  func()                    // closes connections that nobody uses
	stop  context.CancelFunc        // of the informers
}

// folder is for files that outlive a test. The caller holds mu.
func (s *site) folder() (string, error) {
	if s.dir != "" {
		return s.dir, nil
	}
	var err error
	s.dir, err = os.MkdirTemp("", "sweep-")
	return s.dir, err
}

// start starts the control plane if it does not run, and watches its pods.
func (s *site) start(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plane != nil {
		return
	}
	binaries, err := kube.FindBinaries()
	require.NoError(t, err)
	dir, err := s.folder()
	require.NoError(t, err)
	plane, err := kube.Start(t.Context(), kube.Options{Dir: filepath.Join(dir, "kube"), Binaries: binaries})
	require.NoError(t, err)
	s.plane = plane
	transport, err := rest.HTTPClientFor(plane.Config())
	require.NoError(t, err)
	s.idle = transport.CloseIdleConnections
	s.admin, err = kubernetes.NewForConfigAndClient(plane.Config(), transport)
	require.NoError(t, err)
	factory := informers.NewSharedInformerFactory(s.admin, 0)
	s.pods, s.nodes = factory.Core().V1().Pods().Informer(), factory.Core().V1().Nodes().Informer()
	require.NoError(t, s.pods.AddIndexers(cache.Indexers{"node": func(object any) ([]string, error) {
		return []string{object.(*corev1.Pod).Spec.NodeName}, nil
	}}))
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = func() { cancel(); factory.Shutdown() }
	factory.Start(ctx.Done())
	require.True(t, cache.WaitForCacheSync(t.Context().Done(), s.pods.HasSynced, s.nodes.HasSynced))
}

// build builds the program if that has not been done, so that it is the one of these sources.
func (s *site) build(t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.program != "" {
		return s.program
	}
	dir, err := s.folder()
	require.NoError(t, err)
	path := filepath.Join(dir, "wolfpack")
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, "wolfpack/cmd/wolfpack")
	command.Env = append(os.Environ(), "CGO_ENABLED=0") // as the Makefile builds it
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)
	s.program = path
	return path
}

// close ends what runs and removes the files.
func (s *site) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.stop != nil {
		s.stop()
	}
	if s.plane != nil {
		s.idle()
		err = s.plane.Stop(context.Background())
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// kubeconfig is the file of a user who may do what a virtual node may.
func (s *site) kubeconfig(t *testing.T, node string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, s.plane.UserKubeconfig(path, kube.NodeUser(node), kube.NodeGroup))
	return path
}
