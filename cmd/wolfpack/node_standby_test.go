// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/simulator"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"wolfpack/provider"
	"wolfpack/tests/kube"
	"wolfpack/tests/process"
	"wolfpack/tests/vcsim"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

// asWolfpack is the environment variable that makes this test binary the program itself.
const asWolfpack = "WOLFPACK_TEST_IS_WOLFPACK"

const patience = time.Minute

// site is a real control plane and a stand-in for vCenter, with processes of wolfpack.
type site struct {
	t       *testing.T
	server  *vcsim.Server
	vsphere *vsphere.Client
	plane   *kube.ControlPlane
	client  kubernetes.Interface
	dir     string
}

func newSite(t *testing.T) *site {
	t.Helper()
	binaries, err := kube.FindBinaries()
	require.NoError(t, err)
	s := &site{t: t, dir: t.TempDir()}
	s.plane, err = kube.Start(t.Context(), kube.Options{Dir: t.TempDir(), Binaries: binaries})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.plane.Stop(context.Background())) })
	s.client, err = kubernetes.NewForConfig(s.plane.Config())
	require.NoError(t, err)

	model := simulator.VPX()
	model.Host, model.Machine = 0, 0
	s.server, err = vcsim.Start(t.Context(), vcsim.Config{Model: model, Username: "u", Password: "p", Guests: vcsim.GuestsSim})
	require.NoError(t, err)
	t.Cleanup(s.server.Close)
	s.vsphere, err = vsphere.Connect(t.Context(), vsphere.Config{URL: s.server.URL().String(), Username: "u", Password: "p", CACerts: s.server.CAFile()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.vsphere.Logout(context.Background())) })
	return s
}

// host makes a virtual container host.
func (s *site) host(name string) {
	s.t.Helper()
	_, err := vch.Create(s.t.Context(), s.vsphere, vch.Spec{Name: name, Network: "VM Network"})
	require.NoError(s.t, err)
}

// start starts wolfpack node, as a user with no more rights than a node has.
func (s *site) start(name string, args ...string) *process.Process {
	s.t.Helper()
	kubeconfig := filepath.Join(s.dir, name+".kubeconfig")
	require.NoError(s.t, s.plane.UserKubeconfig(kubeconfig, kube.NodeUser(name), kube.NodeGroup))
	self, err := os.Executable()
	require.NoError(s.t, err)
	address := *s.server.URL()
	address.User = nil
	p, err := process.Start(process.Spec{
		Name: name, Path: self, Args: append([]string{"node", "--kubeconfig", kubeconfig, "--address", "127.0.0.1", "--kubelet-port", "0"}, args...),
		Log: filepath.Join(s.dir, name+".log"),
		Env: append(os.Environ(), asWolfpack+"=1", "GOVC_URL="+address.String(), "GOVC_USERNAME=u", "GOVC_PASSWORD=p", "GOVC_TLS_CA_CERTS="+s.server.CAFile()),
	})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = p.Stop(context.Background()) })
	return p
}

// await waits until what is true, and shows the processes' logs if it never is.
func (s *site) await(what string, true func(context.Context) bool, processes ...*process.Process) {
	s.t.Helper()
	if !assertEventually(s.t, true) {
		for _, p := range processes {
			s.t.Logf("%s:\n%s", p.Name(), p.Tail())
		}
		require.FailNow(s.t, "not seen: "+what)
	}
}

func assertEventually(t *testing.T, true func(context.Context) bool) bool {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		if true(ctx) {
			return !t.Failed()
		}
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
}

func (s *site) awaitReady(node string, processes ...*process.Process) {
	s.t.Helper()
	s.await("node "+node+" is ready", func(ctx context.Context) bool {
		found, err := s.client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		return err == nil && len(found.Status.Conditions) > 0 && found.Status.Conditions[0].Status == corev1.ConditionTrue
	}, processes...)
}

func (s *site) pod(name, node string) types.UID {
	s.t.Helper()
	pod, err := s.client.CoreV1().Pods("default").Create(s.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			NodeName: node, Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers: []corev1.Container{{Name: "app", Image: "app:1"}},
		},
	}, metav1.CreateOptions{})
	require.NoError(s.t, err)
	return pod.UID
}

func (s *site) awaitRunning(name string, processes ...*process.Process) {
	s.t.Helper()
	s.await("pod "+name+" runs", func(ctx context.Context) bool {
		pod, err := s.client.CoreV1().Pods("default").Get(ctx, name, metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodRunning
	}, processes...)
}

func (s *site) podVMs(host string) int {
	s.t.Helper()
	found, err := vch.Find(s.t.Context(), s.vsphere, host)
	require.NoError(s.t, err)
	return found.PodVMs
}

// elect are the flags of an election that does not take long.
var elect = []string{"--leader-elect", "--leader-elect-lease-duration", "3s", "--leader-elect-renew-deadline", "2s", "--leader-elect-retry-period", "200ms"}

// A leader is killed, or frozen and woken up again, while it makes a pod: the standby goes on, and nothing is doubled or undone.
func TestStandbyTakesOver(t *testing.T) {
	s := newSite(t)
	cases := []struct {
		name   string
		signal syscall.Signal
		fault  vcsim.Fault
	}{
		{"killed-created", syscall.SIGKILL, vcsim.Fault{Method: "CreateVM_Task", Count: 1}},
		{"killed-starting", syscall.SIGKILL, vcsim.Fault{Method: "PowerOnVM_Task", Count: 1}},
		{"frozen-created", syscall.SIGSTOP, vcsim.Fault{Method: "CreateVM_Task", Count: 1}},
		{"frozen-starting", syscall.SIGSTOP, vcsim.Fault{Method: "PowerOnVM_Task", Count: 1}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s.t = t
			host, node := tc.name, "wolfpack-"+tc.name
			s.host(host)
			args := append([]string{"--vch", host}, elect...)
			leader := s.start(node+".1", args...)
			s.awaitReady(node, leader)
			standby := s.start(node+".2", args...)

			struck := make(chan struct{})
			hit := sync.OnceFunc(func() {
				require.NoError(t, syscall.Kill(leader.Pid(), tc.signal))
				close(struck)
			})
			if tc.fault.Method == "CreateVM_Task" {
				tc.fault.After = func(vcsim.Request) { hit() }
			} else {
				tc.fault.Before = func(vcsim.Request) { hit() }
			}
			remove := s.server.Inject(tc.fault)
			defer remove()
			uid := s.pod(host, node)
			select {
			case <-struck:
			case <-time.After(patience):
				require.FailNow(t, "the leader made no VM", leader.Tail())
			}
			s.awaitRunning(host, leader, standby)
			require.Equal(t, 1, s.podVMs(host))

			if tc.signal == syscall.SIGSTOP {
				require.NoError(t, syscall.Kill(leader.Pid(), syscall.SIGCONT))
			}
			select {
			case <-leader.Done():
			case <-time.After(patience):
				require.FailNow(t, "the old leader goes on", leader.Tail())
			}
			if tc.signal == syscall.SIGSTOP {
				require.Contains(t, leader.Tail(), "wolfpack: node "+node)
			}
			s.awaitRunning(host, standby)
			require.Equal(t, 1, s.podVMs(host))
			for _, request := range s.server.Journal() {
				if request.Name == host+"-"+string(uid[:8]) {
					require.NotContains(t, []string{"Destroy_Task", "PowerOffVM_Task", "ShutdownGuest"}, request.Method, "nothing is undone")
				}
			}
			require.NoError(t, s.client.CoreV1().Pods("default").Delete(t.Context(), host, metav1.DeleteOptions{}))
			s.await("the pod's VM is gone", func(context.Context) bool { return s.podVMs(host) == 0 }, standby)
		})
	}
}

// A leader that is asked to end gives its Lease back, so a standby need not wait for it to be over.
func TestStandbyGoesOnAtOnce(t *testing.T) {
	s := newSite(t)
	s.host("web")
	args := []string{"--vch", "web", "--leader-elect", "--leader-elect-lease-duration", "1h", "--leader-elect-renew-deadline", "59m", "--leader-elect-retry-period", "100ms"}
	leader := s.start("first", args...)
	s.awaitReady("wolfpack-web", leader)
	standby := s.start("second", args...)
	s.await("the standby has a session", func(context.Context) bool { return len(s.logins()) == 3 }, standby)
	require.NoError(t, leader.Stop(t.Context()))
	s.pod("web", "wolfpack-web")
	s.awaitRunning("web", standby)
	require.Equal(t, 1, s.podVMs("web"))
}

// logins are the sessions that there have been.
func (s *site) logins() []string {
	var sessions []string
	for _, request := range s.server.Journal() {
		if request.Method == "Login" {
			sessions = append(sessions, request.Session)
		}
	}
	return sessions
}

// Without an election, the process that was started last runs the node.
func TestSecondProcessReplacesTheFirst(t *testing.T) {
	s := newSite(t)
	s.host("web")
	first := s.start("first", "--vch", "web")
	s.awaitReady("wolfpack-web", first)
	second := s.start("second", "--vch", "web")
	select {
	case <-first.Done():
	case <-time.After(patience):
		require.FailNow(t, "two processes run one node", first.Tail())
	}
	require.Contains(t, first.Tail(), "another process has begun to run node wolfpack-web")
	require.Contains(t, first.Tail(), "--leader-elect")
	s.pod("web", "wolfpack-web")
	s.awaitRunning("web", second)
}

func TestSeveralNodesInOneProcess(t *testing.T) {
	s := newSite(t)
	s.host("a")
	s.host("b")
	both := s.start("both", "--vch", "a", "--vch", "b", "--node-labels", "tier=gold", "--node-taints", "dedicated=db:NoSchedule")
	for _, name := range []string{"a", "b"} {
		node := "wolfpack-" + name
		s.awaitReady(node, both)
		found, err := s.client.CoreV1().Nodes().Get(t.Context(), node, metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, name, found.Labels["wolfpack.vch"])
		require.Equal(t, "gold", found.Labels["tier"])
		require.Contains(t, fmt.Sprint(found.Spec.Taints), "dedicated")
		s.pod(name, node)
		s.awaitRunning(name, both)
		require.Equal(t, 1, s.podVMs(name))
	}
	require.Len(t, s.logins(), 2, "the test's session and one for both nodes")
}

// Somebody takes the node's taint away, and deletes the node: both are put back, and what others say of the node stays.
func TestNodeIsKept(t *testing.T) {
	s := newSite(t)
	s.host("web")
	p := s.start("web", "--vch", "web")
	s.awaitReady("wolfpack-web", p)
	nodes := s.client.CoreV1().Nodes()

	_, err := nodes.Patch(t.Context(), "wolfpack-web", types.MergePatchType, []byte(`{"spec":{"taints":[],"unschedulable":true}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	s.await("the taint is back, and the node still cordoned", func(ctx context.Context) bool {
		found, err := nodes.Get(ctx, "wolfpack-web", metav1.GetOptions{})
		return err == nil && found.Spec.Unschedulable && slices.Contains(found.Spec.Taints, provider.Taint)
	}, p)

	before, err := nodes.Get(t.Context(), "wolfpack-web", metav1.GetOptions{})
	require.NoError(t, err)
	require.NoError(t, nodes.Delete(t.Context(), "wolfpack-web", metav1.DeleteOptions{}))
	s.await("the node is back", func(ctx context.Context) bool {
		found, err := nodes.Get(ctx, "wolfpack-web", metav1.GetOptions{})
		return err == nil && found.UID != before.UID && slices.Contains(found.Spec.Taints, provider.Taint)
	}, p)
	s.pod("web", "wolfpack-web")
	s.awaitRunning("web", p)
}
