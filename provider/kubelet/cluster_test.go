// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"wolfpack/tests/kube"
)

// cluster is a real API server with a node n1, whose endpoint is under test, and a pod shop/web on it, whose guest is the
// test's.
type cluster struct {
	t      *testing.T
	plane  *kube.ControlPlane
	admin  kubernetes.Interface
	config Config
	guest  *guest
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	plane, err := kube.Start(t.Context(), kube.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plane.Stop(context.Background())) })
	c := &cluster{t: t, plane: plane, guest: newGuest(t)}
	c.admin = c.client(plane.Config())

	// The endpoint may what a virtual node may, and no more.
	kubeconfig := filepath.Join(t.TempDir(), "node.kubeconfig")
	require.NoError(t, plane.UserKubeconfig(kubeconfig, kube.NodeUser("n1"), kube.NodeGroup))
	node, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	pods := &fakePods{guests: map[string]*guest{}}
	c.config = Config{
		Options:  Options{Address: "127.0.0.1", CertDir: t.TempDir()},
		NodeName: "n1", Client: c.client(node), Pods: pods,
		Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}, {Type: corev1.NodeHostName, Address: "n1"}},
	}
	pod := newPod("shop", "web")
	c.create(pod)
	pods.add(pod, c.guest)
	c.guest.summary = uses(t, pod, 3, 300)
	return c
}

func (c *cluster) client(config *rest.Config) kubernetes.Interface {
	c.t.Helper()
	client, err := rest.HTTPClientFor(config)
	require.NoError(c.t, err)
	c.t.Cleanup(client.CloseIdleConnections)
	set, err := kubernetes.NewForConfigAndClient(config, client)
	require.NoError(c.t, err)
	return set
}

// create makes the pod in the API server, with the status that it has here.
func (c *cluster) create(pod *corev1.Pod) {
	c.t.Helper()
	ctx := c.t.Context()
	_, err := c.admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: pod.Namespace}}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	_, err = c.admin.CoreV1().ServiceAccounts(pod.Namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	if err != nil {
		require.ErrorContains(c.t, err, "already exists")
	}
	wanted := pod.DeepCopy()
	wanted.UID, wanted.Spec.EphemeralContainers = "", nil
	made, err := c.admin.CoreV1().Pods(pod.Namespace).Create(ctx, wanted, metav1.CreateOptions{})
	require.NoError(c.t, err)
	made.Status.Phase = pod.Status.Phase
	made, err = c.admin.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, made, metav1.UpdateOptions{})
	require.NoError(c.t, err)
	pod.UID = made.UID
}

// register tells the API server where the endpoint is.
func (c *cluster) register(server *Server) {
	c.t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	node.Status.Addresses = c.config.Addresses
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(server.Port())
	_, err := c.admin.CoreV1().Nodes().Create(c.t.Context(), node, metav1.CreateOptions{})
	require.NoError(c.t, err)
}

// kubectl is the real one, as the administrator.
func (c *cluster) kubectl(args ...string) *exec.Cmd {
	c.t.Helper()
	binaries, err := kube.FindBinaries()
	require.NoError(c.t, err)
	cmd := exec.CommandContext(c.t.Context(), filepath.Join(binaries, "kubectl"), append([]string{"--kubeconfig", c.plane.Kubeconfig(), "-n", "shop"}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECACHEDIR="+c.t.TempDir())
	return cmd
}

func (c *cluster) output(args ...string) string {
	c.t.Helper()
	out, err := c.kubectl(args...).CombinedOutput()
	require.NoError(c.t, err, "%s", out)
	return string(out)
}

func TestWithARealCluster(t *testing.T) {
	c := newCluster(t)
	server, err := Listen(c.config)
	require.NoError(t, err)
	stop := run(t, server)
	c.register(server)

	t.Run("before its certificate is approved", func(t *testing.T) {
		out, err := c.kubectl("logs", "web", "-c", "app").CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "x509: certificate signed by unknown authority")
		status, body := ask(t, &tls.Config{InsecureSkipVerify: true}, "", http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/healthz", server.Port()))
		require.Equal(t, http.StatusOK, status, "a health check verifies nothing: "+body)
		select {
		case <-server.Ready():
			require.FailNow(t, "ready without a certificate")
		default:
		}
	})

	c.approve()
	select {
	case <-server.Ready():
	case <-time.After(patience):
		require.FailNow(t, "no certificate")
	}

	t.Run("its certificate is a kubelet's", func(t *testing.T) {
		found, err := presented(t, server)
		require.NoError(t, err)
		require.Equal(t, "system:node:n1", found.Subject.CommonName)
		require.Equal(t, []string{"system:nodes"}, found.Subject.Organization)
		require.NoError(t, found.VerifyHostname("127.0.0.1"))
		require.NoError(t, found.VerifyHostname("n1"))
	})
	t.Run("kubectl", func(t *testing.T) { testKubectl(t, c) })
	t.Run("who may", func(t *testing.T) { testServiceAccounts(t, c, server) })
	t.Run("after a restart", func(t *testing.T) {
		stop()
		again, err := Listen(c.config)
		require.NoError(t, err)
		stop = run(t, again)
		select {
		case <-again.Ready():
		default:
			require.FailNow(t, "the certificate is not remembered")
		}
		require.Equal(t, 1, c.requests(), "one request is enough")
	})
	t.Run("with another address", func(t *testing.T) {
		stop()
		c.config.Addresses = append(c.config.Addresses, corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: "192.0.2.7"})
		moved, err := Listen(c.config)
		require.NoError(t, err)
		run(t, moved)
		require.Eventually(t, func() bool {
			found, err := presented(t, moved)
			return err == nil && found.VerifyHostname("192.0.2.7") == nil
		}, patience, 20*time.Millisecond, "a certificate for it is requested, and presented without a restart")
		require.Equal(t, 2, c.requests())
	})
}

// approve has the certificates of n1 approved until the test ends.
func (c *cluster) approve() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- kube.ApproveKubeletCertificates(ctx, c.admin, func(node string) bool { return node == "n1" })
	}()
	c.t.Cleanup(func() {
		cancel()
		require.NoError(c.t, <-done)
	})
}

// requests is how many certificates were asked for.
func (c *cluster) requests() int {
	c.t.Helper()
	all, err := c.admin.CertificatesV1().CertificateSigningRequests().List(c.t.Context(), metav1.ListOptions{})
	require.NoError(c.t, err)
	return len(all.Items)
}

func testKubectl(t *testing.T, c *cluster) {
	t.Run("logs", func(t *testing.T) {
		require.Equal(t, "app tailLines=3&timestamps=true\n", c.output("logs", "web", "-c", "app", "--tail=3", "--timestamps"))
		require.Equal(t, "init previous=true\n", c.output("logs", "web", "-c", "init", "--previous"))
	})
	t.Run("followed logs", func(t *testing.T) {
		cmd := c.kubectl("logs", "web", "-c", "side", "-f")
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		require.True(t, lines.Scan())
		require.Equal(t, "side follow=true", lines.Text())
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		ended(t, c.guest, "the guest learns that kubectl has gone")
	})
	t.Run("exec", func(t *testing.T) {
		cmd := c.kubectl("exec", "web", "-c", "app", "-i", "--", "line")
		cmd.Stdin = strings.NewReader("hello\n")
		var errOut strings.Builder
		cmd.Stderr = &errOut
		out, err := cmd.Output()
		require.NoError(t, err, errOut.String())
		require.Equal(t, "hello\n", string(out))
		require.Equal(t, "HELLO\n", errOut.String())
	})
	t.Run("exit code", func(t *testing.T) {
		err := c.kubectl("exec", "web", "-c", "app", "--", "fail", "42").Run()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, 42, exit.ExitCode())
	})
	t.Run("attach", func(t *testing.T) {
		cmd := c.kubectl("attach", "web", "-c", "app", "-i", "-q")
		cmd.Stdin = strings.NewReader("typed\n")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "typed\n")
	})
	t.Run("port-forward", func(t *testing.T) {
		cmd := c.kubectl("port-forward", "pod/web", "--address", "127.0.0.1", ":8080")
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		require.True(t, lines.Scan())
		found := regexp.MustCompile(`127\.0\.0\.1:(\d+) -> 8080`).FindStringSubmatch(lines.Text())
		require.NotNil(t, found, lines.Text())
		port, err := strconv.ParseUint(found[1], 10, 16)
		require.NoError(t, err)
		require.Equal(t, "port 8080: knock", knock(t, uint16(port)))
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	})
	t.Run("unknown container", func(t *testing.T) {
		out, err := c.kubectl("exec", "web", "-c", "nobody", "--", "ls").CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "container nobody is not valid for pod web")
	})
}

// testServiceAccounts asks as a monitoring agent does, by bearer token, and as the API server does, by client certificate.
func testServiceAccounts(t *testing.T, c *cluster, server *Server) {
	ctx := t.Context()
	authority, err := os.ReadFile(c.plane.ClientCA())
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(authority))
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	address := fmt.Sprintf("https://127.0.0.1:%d", server.Port())

	token := func(name string) string {
		_, err := c.admin.CoreV1().ServiceAccounts("shop").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		require.NoError(t, err)
		request, err := c.admin.CoreV1().ServiceAccounts("shop").CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		require.NoError(t, err)
		return request.Status.Token
	}
	_, err = c.admin.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "scraper"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"nodes/metrics", "nodes/stats", "nodes/pods"}, Verbs: []string{"get"}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = c.admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "scraper"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "scraper"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "shop", Name: "scraper"}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	scraper, nobody := token("scraper"), token("nobody")

	for _, tc := range []struct {
		name, token, path string
		status            int
	}{
		{"no token", "", "/stats/summary", 401},
		{"made-up token", "made.up.token", "/stats/summary", 401},
		{"scraper: statistics", scraper, "/stats/summary", 200},
		{"scraper: metrics", scraper, "/metrics/resource", 200},
		{"scraper: pods", scraper, "/pods", 200},
		{"scraper: logs", scraper, "/containerLogs/shop/web/app", 403},
		{"nobody: statistics", nobody, "/stats/summary", 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, body := ask(t, config, tc.token, http.MethodGet, address+tc.path)
			require.Equal(t, tc.status, status, body)
		})
	}

	admin, err := tls.X509KeyPair(c.plane.Config().CertData, c.plane.Config().KeyData)
	require.NoError(t, err)
	config.Certificates = []tls.Certificate{admin}
	status, body := ask(t, config, "", http.MethodGet, address+"/containerLogs/shop/web/app")
	require.Equal(t, http.StatusOK, status, body)
}
