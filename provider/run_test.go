// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/simulator"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"wolfpack/provider"
	"wolfpack/provider/portlayer/vcenter"
	"wolfpack/tests/kube"
	"wolfpack/tests/vcsim"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

const (
	nodeName = "virtual"
	patience = time.Minute
)

// cluster is a real API server and a stand-in for vCenter with a virtual container host.
type cluster struct {
	t       *testing.T
	server  *vcsim.Server
	vsphere *vsphere.Client
	host    *vch.VCH
	client  kubernetes.Interface
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	binaries, err := kube.FindBinaries()
	require.NoError(t, err)
	plane, err := kube.Start(t.Context(), kube.Options{Dir: t.TempDir(), Binaries: binaries})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plane.Stop(context.Background())) })
	client, err := kubernetes.NewForConfig(plane.Config())
	require.NoError(t, err)

	model := simulator.VPX()
	model.Host, model.Machine = 0, 0
	server, err := vcsim.Start(t.Context(), vcsim.Config{Model: model, Username: "u", Password: "p", Guests: vcsim.GuestsSim})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	session, err := vsphere.Connect(t.Context(), vsphere.Config{URL: server.URL().String(), Username: "u", Password: "p", CACerts: server.CAFile()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, session.Logout(context.Background())) })
	host, err := vch.Create(t.Context(), session, vch.Spec{Name: "v"})
	require.NoError(t, err)
	return &cluster{t: t, server: server, vsphere: session, host: host, client: client}
}

// run runs the virtual node until the returned function is called.
func (c *cluster) run() (stop func()) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- provider.Run(ctx, provider.Options{
			NodeName: nodeName, VCH: c.host.Name, Address: "127.0.0.1", MaxPods: 10, Client: c.client,
			Portlayer: vcenter.New(c.vsphere.Client, vcenter.TargetOf(c.host)),
			Ready:     func() { close(ready) },
		})
	}()
	select {
	case <-ready:
	case err := <-done:
		require.FailNow(c.t, "the node ended before it was ready", "%v", err)
	case <-time.After(patience):
		require.FailNow(c.t, "the node is not ready")
	}
	return func() {
		cancel()
		require.NoError(c.t, <-done)
	}
}

func (c *cluster) create(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	c.t.Helper()
	planned := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			NodeName:    nodeName,
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers:  []corev1.Container{{Name: "app", Image: "app:1"}},
		},
	}
	for _, c := range change {
		c(planned)
	}
	pod, err := c.client.CoreV1().Pods("default").Create(c.t.Context(), planned, metav1.CreateOptions{})
	require.NoError(c.t, err)
	return pod
}

// await waits until the pod, or the error of getting it, is as wanted.
func (c *cluster) await(name, what string, wanted func(*corev1.Pod, error) bool) *corev1.Pod {
	c.t.Helper()
	var pod *corev1.Pod
	var err error
	require.Eventually(c.t, func() bool {
		pod, err = c.client.CoreV1().Pods("default").Get(c.t.Context(), name, metav1.GetOptions{})
		return wanted(pod, err)
	}, patience, 20*time.Millisecond, what)
	return pod
}

func running(pod *corev1.Pod, err error) bool {
	return err == nil && pod.Status.Phase == corev1.PodRunning
}

func (c *cluster) podVMs() int {
	c.t.Helper()
	found, err := vch.Find(c.t.Context(), c.vsphere, c.host.Name)
	require.NoError(c.t, err)
	return found.PodVMs
}

func TestAPodsLifeWithARealAPIServer(t *testing.T) {
	c := newCluster(t)
	stop := c.run()

	created := c.create("web")
	pod := c.await("web", "Running", running)
	require.Equal(t, created.UID, pod.UID)
	require.NotEmpty(t, pod.Status.PodIP)
	require.Equal(t, "127.0.0.1", pod.Status.HostIP)
	require.Equal(t, 1, c.podVMs())

	stop()
	stop = c.run()
	defer func() { stop() }()
	require.Equal(t, 1, c.podVMs(), "a restart doubles nothing")

	hour := int64(3600)
	deletion := metav1.DeleteOptions{GracePeriodSeconds: &hour}
	require.NoError(t, c.client.CoreV1().Pods("default").Delete(t.Context(), "web", deletion))
	c.await("web", "gone long before its grace period is over", func(_ *corev1.Pod, err error) bool { return apierrors.IsNotFound(err) })
	require.Zero(t, c.podVMs())
}
