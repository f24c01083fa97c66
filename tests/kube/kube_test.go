// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"wolfpack/tests/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a control plane for the length of a test.
func start(t *testing.T) *ControlPlane {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c, err := Start(ctx, Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop(context.Background())) })
	return c
}

// clientFor returns a clientset for the user of a kubeconfig file.
func clientFor(t *testing.T, kubeconfig string) *kubernetes.Clientset {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	http, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	t.Cleanup(http.CloseIdleConnections)
	client, err := kubernetes.NewForConfigAndClient(config, http)
	require.NoError(t, err)
	return client
}

// eventually waits for cond, as long as the control plane lives.
func eventually(t *testing.T, c *ControlPlane, what string, cond func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, process.Until(ctx, c, what, cond))
}

func TestControlPlane(t *testing.T) {
	c := start(t)
	admin := clientFor(t, c.Kubeconfig())

	t.Run("version", func(t *testing.T) {
		v, err := admin.Discovery().ServerVersion()
		require.NoError(t, err)
		require.Regexp(t, `^v1\.35\.\d+$`, v.GitVersion)
	})
	t.Run("a user without a role may nothing", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "kubeconfig")
		require.NoError(t, c.UserKubeconfig(path, "eve", "nobodies"))
		_, err := clientFor(t, path).CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
		require.True(t, apierrors.IsForbidden(err), "got: %v", err)
		require.ErrorContains(t, err, `User "eve"`)
	})
	t.Run("a virtual node may what its role says and no more", func(t *testing.T) { testNodeAccess(t, c) })
	t.Run("workloads", func(t *testing.T) { testWorkloads(t, c, admin) })
}

func testNodeAccess(t *testing.T, c *ControlPlane) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, c.UserKubeconfig(path, NodeUser("n1"), NodeGroup))
	node := clientFor(t, path).CoreV1()
	_, err := node.Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "mine"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	err = node.Nodes().Delete(t.Context(), "mine", metav1.DeleteOptions{})
	require.True(t, apierrors.IsForbidden(err), "deleting a node: %v", err)
	_, err = node.Secrets("default").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: podSpec()}
	_, err = node.Pods("default").Create(t.Context(), pod, metav1.CreateOptions{})
	require.True(t, apierrors.IsForbidden(err), "creating a pod: %v", err)
	_, err = node.Secrets("default").Create(t.Context(), &corev1.Secret{}, metav1.CreateOptions{})
	require.True(t, apierrors.IsForbidden(err), "creating a secret: %v", err)
}

// testWorkloads shows that the controllers and the scheduler work: a Deployment and a Job get pods, the pods get a node and
// service account tokens, and deleting the Deployment collects them all.
func testWorkloads(t *testing.T, c *ControlPlane, admin *kubernetes.Clientset) {
	ctx := t.Context()
	addReadyNode(t, admin, "hand-made")
	labels := map[string]string{"app": "web"}
	replicas := int32(3)
	_, err := admin.AppsV1().Deployments("default").Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: podSpec()},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	job := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "job"}}, Spec: podSpec()}
	job.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, err = admin.BatchV1().Jobs("default").Create(ctx, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "once"}, Spec: batchv1.JobSpec{Template: job},
	}, metav1.CreateOptions{})
	require.NoError(t, err)

	eventually(t, c, "three web pods and a job's pod are on the node", func(ctx context.Context) error {
		web, err := scheduled(ctx, admin, "app=web")
		once, err2 := scheduled(ctx, admin, "app=job")
		if err := errors.Join(err, err2); err != nil || web == 3 && once == 1 {
			return err
		}
		return fmt.Errorf("%d of 3 and %d of 1", web, once)
	})
	sets, err := admin.AppsV1().ReplicaSets("default").List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
	require.NoError(t, err)
	require.Len(t, sets.Items, 1)

	require.NoError(t, admin.AppsV1().Deployments("default").Delete(ctx, "web", metav1.DeleteOptions{}))
	eventually(t, c, "the Deployment's ReplicaSet is collected", func(ctx context.Context) error {
		sets, err := admin.AppsV1().ReplicaSets("default").List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
		if err == nil && len(sets.Items) > 0 {
			err = errors.New("it is still there")
		}
		return err
	})
}

// scheduled counts the pods with a label that have a node and a service account's token to mount.
func scheduled(ctx context.Context, client *kubernetes.Clientset, selector string) (n int, err error) {
	pods, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return 0, err
	}
	for _, p := range pods.Items {
		if p.Spec.NodeName == "hand-made" && p.Spec.ServiceAccountName == "default" && len(p.Spec.Volumes) == 1 {
			n++
		}
	}
	return n, nil
}

// podSpec returns the spec of a pod of one container.
func podSpec() corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "example.com/web"}}}
}

// addReadyNode makes a node that says it is ready, with a loopback address.
func addReadyNode(t *testing.T, client *kubernetes.Clientset, name string) {
	t.Helper()
	nodes := client.CoreV1().Nodes()
	node, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(t, err)
	node.Status = corev1.NodeStatus{
		Capacity: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("50"),
		},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now()}},
		Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
	}
	node.ResourceVersion = "" // whatever the controllers wrote meanwhile
	_, err = nodes.UpdateStatus(t.Context(), node, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// Two control planes side by side know nothing of each other, and one's end is not the other's.
func TestTwo(t *testing.T) {
	one, two := start(t), start(t)
	client := clientFor(t, two.Kubeconfig())
	addReadyNode(t, clientFor(t, one.Kubeconfig()), "one")
	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, nodes.Items)

	for name, pid := range one.Pids() {
		require.NoError(t, syscall.Kill(pid, 0), "%s is running", name)
	}
	require.NoError(t, syscall.Kill(one.Pids()["kube-scheduler"], syscall.SIGKILL))
	select {
	case <-one.Done():
		require.ErrorContains(t, one.Err(), "kube-scheduler ended by itself: signal: killed")
	case <-time.After(30 * time.Second):
		t.Fatal("a scheduler was killed, and its control plane did not notice in 30 s")
	}
	require.NoError(t, one.Stop(context.Background()))
	for name, pid := range one.Pids() {
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "%s is still running", name)
	}
	require.NoError(t, two.Err())
	_, err = client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
}

func TestStartFails(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts Options
		want string
	}{
		{"no binaries", Options{Binaries: "/nonexistent"}, "no etcd in /nonexistent: run `make kube` first"},
		{"bad service range", Options{ServiceCIDR: "10.96.0.0/99"}, "invalid CIDR address: 10.96.0.0/99"},
		{"address of another machine", Options{Address: "192.0.2.1"}, "find a free port"},
		// Too small a range is seen by the apiserver only, when etcd is running already.
		{"bad flag of a program", Options{ServiceCIDR: "10.96.0.0/31"}, "kube-apiserver ended by itself"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.opts.Dir = t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := Start(ctx, tt.opts)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestStartCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
	defer cancel()
	_, err := Start(ctx, Options{Dir: t.TempDir()})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		c, err := Start(b.Context(), Options{Dir: b.TempDir()})
		require.NoError(b, err)
		b.StopTimer()
		require.NoError(b, c.Stop(context.Background()))
		b.StartTimer()
	}
}
