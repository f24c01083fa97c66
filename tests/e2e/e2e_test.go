// SPDX-License-Identifier: Apache-2.0

// Package e2e runs the end-to-end suite that Virtual Kubelet has for its providers against this one, with a real control
// plane and the stand-in for vCenter. The suite is unchanged and whole: nothing is skipped.
package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	vke2e "github.com/virtual-kubelet/virtual-kubelet/test/e2e"
	"github.com/vmware/govmomi/simulator"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/cert"

	"wolfpack/provider"
	"wolfpack/provider/kubelet"
	"wolfpack/provider/portlayer/vcenter"
	"wolfpack/tests/kube"
	"wolfpack/tests/vcsim"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

// The addresses are of the range for documentation: they are nobody's, so that whoever answers is of this test.
const (
	nodeName    = "virtual"
	nodeAddress = "192.0.2.10"
	gatewayIP   = "192.0.2.11"
	patience    = time.Minute
)

func TestVirtualKubeletsOwnSuite(t *testing.T) {
	network := newNetwork(t)
	plane, err := kube.Start(t.Context(), kube.Options{Dir: t.TempDir(), Egress: network.socket()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plane.Stop(context.Background())) })
	admin := client(t, plane.Config())

	approveCertificates(t, admin)
	startNode(t, plane)
	port := awaitEndpoint(t, admin, plane)
	endpoint := fmt.Sprintf("127.0.0.1:%d", port)
	network.at(fmt.Sprintf("%s:%d", nodeAddress, port), endpoint)
	network.at(gatewayIP+":10250", startGateway(t, admin, plane, endpoint))

	vke2e.NewEndToEndTestSuite(vke2e.EndToEndTestSuiteConfig{
		Kubeconfig: plane.Kubeconfig(), Namespace: corev1.NamespaceDefault, NodeName: nodeName,
	}).Run(t)
}

func client(t *testing.T, config *rest.Config) kubernetes.Interface {
	t.Helper()
	http, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	t.Cleanup(http.CloseIdleConnections)
	set, err := kubernetes.NewForConfigAndClient(config, http)
	require.NoError(t, err)
	return set
}

// approveCertificates approves the node's certificate, as an admin does.
func approveCertificates(t *testing.T, admin kubernetes.Interface) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- kube.ApproveKubeletCertificates(ctx, admin, func(node string) bool { return node == nodeName })
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

// startNode runs a virtual node, with the rights of one, for the length of the test.
func startNode(t *testing.T, plane *kube.ControlPlane) {
	t.Helper()
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

	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, plane.UserKubeconfig(path, kube.NodeUser(nodeName), kube.NodeGroup))
	config, err := clientcmd.BuildConfigFromFlags("", path)
	require.NoError(t, err)
	config.QPS = -1
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- provider.Run(ctx, provider.Options{
			NodeName: nodeName, VCH: host.Name, Address: nodeAddress, MaxPods: 10, Client: client(t, config),
			Portlayer: vcenter.New(session.Client, vcenter.TargetOf(host)),
			Kubelet:   &kubelet.Options{Address: "127.0.0.1"},
			Ready:     func() { close(ready) },
		})
	}()
	select {
	case <-ready:
	case err := <-done:
		require.FailNow(t, "the node ended before it was ready", "%v", err)
	case <-time.After(patience):
		require.FailNow(t, "the node is not ready")
	}
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

// awaitEndpoint waits until the kubelet endpoint has its certificate, and returns its port.
func awaitEndpoint(t *testing.T, admin kubernetes.Interface, plane *kube.ControlPlane) int32 {
	t.Helper()
	node, err := admin.CoreV1().Nodes().Get(t.Context(), nodeName, metav1.GetOptions{})
	require.NoError(t, err)
	port := node.Status.DaemonEndpoints.KubeletEndpoint.Port
	require.NotZero(t, port)
	require.Eventually(t, func() bool {
		connection, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), verified(t, plane))
		if err != nil {
			return false
		}
		return connection.Close() == nil
	}, patience, 20*time.Millisecond, "the endpoint's certificate")
	return port
}

// verified is the TLS configuration of a client that verifies the node.
func verified(t *testing.T, plane *kube.ControlPlane) *tls.Config {
	t.Helper()
	authorities, err := cert.NewPool(plane.ClientCA())
	require.NoError(t, err)
	return &tls.Config{RootCAs: authorities, ServerName: nodeAddress, MinVersion: tls.VersionTLS12}
}

// startGateway makes the pod that the suite reads statistics through, which has the node's name, and its program: it passes
// requests to the kubelet endpoint with the rights of its service account, as a monitoring agent has them. The API server
// itself gives its clients' requests to a pod no credentials, and without them the endpoint answers nobody.
func startGateway(t *testing.T, admin kubernetes.Interface, plane *kube.ControlPlane, endpoint string) (address string) {
	t.Helper()
	token := serviceAccount(t, admin)
	transport := &http.Transport{TLSClientConfig: verified(t, plane)}
	t.Cleanup(transport.CloseIdleConnections)
	gateway := httptest.NewTLSServer(&httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "https", Host: endpoint})
			r.Out.Header.Set("Authorization", "Bearer "+token)
		},
	})
	t.Cleanup(gateway.Close)

	pods := admin.CoreV1().Pods(corev1.NamespaceDefault)
	pod, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: nodeName},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "gateway", Image: "gateway:1"}},
			// Nobody shall run it: it runs here.
			NodeSelector: map[string]string{"runs": "in-the-test"},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	patch := fmt.Sprintf(`{"status":{"podIP":%q,"podIPs":[{"ip":%q}]}}`, gatewayIP, gatewayIP)
	_, err = pods.Patch(t.Context(), pod.Name, "application/merge-patch+json", []byte(patch), metav1.PatchOptions{}, "status")
	require.NoError(t, err)
	return gateway.Listener.Addr().String()
}

// serviceAccount makes a service account that may read the node's statistics, and returns a token of it.
func serviceAccount(t *testing.T, admin kubernetes.Interface) string {
	t.Helper()
	const name = "gateway"
	ctx := t.Context()
	accounts := admin.CoreV1().ServiceAccounts(corev1.NamespaceDefault)
	_, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = admin.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"nodes/metrics", "nodes/stats"}, Verbs: []string{"get"}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: corev1.NamespaceDefault, Name: name}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	request, err := accounts.CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	return request.Status.Token
}
