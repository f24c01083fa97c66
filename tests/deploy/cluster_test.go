// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"context"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/simulator"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"wolfpack/provider"
	"wolfpack/provider/kubelet"
	"wolfpack/provider/portlayer/vcenter"
	"wolfpack/tests/kube"
	"wolfpack/tests/vcsim"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

const patience = time.Minute

// cluster is a real API server.
type cluster struct {
	*kube.ControlPlane
	admin *kubernetes.Clientset
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	plane, err := kube.Start(t.Context(), kube.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plane.Stop(context.Background())) })
	c := &cluster{plane, client(t, plane.Config())}
	_, err = c.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	require.True(t, err == nil || apierrors.IsAlreadyExists(err), "%v", err)
	return c
}

// client returns a clientset whose connections end with the test.
func client(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	connections, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	t.Cleanup(connections.CloseIdleConnections)
	client, err := kubernetes.NewForConfigAndClient(config, connections)
	require.NoError(t, err)
	return client
}

// apply has kubectl apply a manifest as the administrator, with every field checked.
func (c *cluster) apply(t *testing.T, manifest string, args ...string) {
	t.Helper()
	args = append([]string{"--kubeconfig", c.Kubeconfig(), "--cache-dir", t.TempDir(), "apply", "--server-side", "--validate=strict", "-f", "-"}, args...)
	cmd := exec.CommandContext(t.Context(), program(t, "kubectl"), args...)
	cmd.Stdin = strings.NewReader(manifest)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.NotContains(t, string(out), "Warning", "the API server has something to say: %s", out)
}

func TestWithARealAPIServer(t *testing.T) {
	c := newCluster(t)
	for _, file := range values {
		t.Run("it takes "+filepath.Base(file), func(t *testing.T) {
			c.apply(t, render(t, file), "--dry-run=server")
		})
	}
	c.restrict(t)
	c.apply(t, manifestHead+"---\n"+render(t, values[0]))
	t.Run("the pod satisfies the restricted standard", func(t *testing.T) { testPodIsMade(t, c) })
	t.Run("a pod's whole life needs no more than the rules", func(t *testing.T) { testLeastPrivilege(t, c) })
	t.Run("the rules do not let it do more", func(t *testing.T) { testForbidden(t, c) })
}

// restrict has the API server refuse every pod in the namespace that is not of the strictest pod security standard.
func (c *cluster) restrict(t *testing.T) {
	t.Helper()
	_, err := c.admin.CoreV1().Namespaces().Patch(t.Context(), namespace, "application/merge-patch+json",
		[]byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
}

func testPodIsMade(t *testing.T, c *cluster) {
	require.Eventually(t, func() bool {
		pods, err := c.admin.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=wolfpack"})
		return err == nil && len(pods.Items) == 1
	}, patience, 50*time.Millisecond, "the Deployment's pod was refused")
}

// journal remembers what a client asks of the API server, and what was refused.
type journal struct {
	next http.RoundTripper

	mu      sync.Mutex // guards both
	used    rights
	refused []string
}

func (j *journal) RoundTrip(r *http.Request) (*http.Response, error) {
	factory := request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	info, err := factory.NewRequestInfo(r)
	if err != nil {
		return nil, err
	}
	resource := info.Resource
	if info.Subresource != "" {
		resource += "/" + info.Subresource
	}
	asked := right(info.Verb, info.APIGroup, resource, "", info.Namespace)
	response, err := j.next.RoundTrip(r)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.used[asked] = true
	j.used[right(info.Verb, info.APIGroup, resource, info.Name, info.Namespace)] = true // what is granted by name
	if err == nil && response.StatusCode == http.StatusForbidden {
		j.refused = append(j.refused, asked)
	}
	return response, err
}

// serviceAccount is a client with a token of the chart's service account.
func (c *cluster) serviceAccount(t *testing.T) (*kubernetes.Clientset, *journal) {
	t.Helper()
	token, err := c.admin.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), "wolfpack", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	config := rest.AnonymousClientConfig(c.Config())
	config.BearerToken, config.QPS = token.Status.Token, -1
	j := &journal{used: rights{}}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		j.next = next
		return j
	})
	return client(t, config), j
}

func testLeastPrivilege(t *testing.T, c *cluster) {
	account, journal := c.serviceAccount(t)
	stop := runNode(t, account)
	pods := c.admin.CoreV1().Pods("default")
	_, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.PodSpec{
			NodeName: "web", Containers: []corev1.Container{{Name: "app", Image: "app:1"}},
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		pod, err := pods.Get(t.Context(), "web", metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodRunning
	}, patience, 20*time.Millisecond, "Running")
	require.Eventually(t, func() bool {
		events, err := c.admin.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "reason=VMStarted"})
		return err == nil && len(events.Items) == 1
	}, patience, 20*time.Millisecond, "an event")
	require.NoError(t, pods.Delete(t.Context(), "web", metav1.DeleteOptions{}))
	require.Eventually(t, func() bool {
		_, err := pods.Get(t.Context(), "web", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}, patience, 20*time.Millisecond, "gone")
	stop()
	require.Empty(t, journal.refused, "what the node asked for and may not do")
	for right := range rightsIn(t, render(t, values[0])) {
		if !journal.used.cover(right) {
			require.Contains(t, elsewhere, right, "nobody needs this right: take it out of the chart, or say here who does")
		}
	}
}

// elsewhere are the rights that the life of one pod does not need, and what does.
var elsewhere = map[string]string{
	"get leases.coordination.k8s.io in wolfpack-system":    "standbys: provider/election",
	"create leases.coordination.k8s.io in wolfpack-system": "standbys: provider/election",
	"update leases.coordination.k8s.io in wolfpack-system": "standbys: provider/election",
	"list pods":    "an informer, of an API server that does not stream lists",
	"list nodes":   "an informer, likewise",
	"get pods":     "before a VM without a pod is removed, the API server itself is asked",
	"patch events": "an event that happens again",
	"create tokenreviews.authentication.k8s.io":        "the kubelet endpoint: who is calling",
	"create subjectaccessreviews.authorization.k8s.io": "the kubelet endpoint: whether they may",
	"get configmaps":   "what pods refer to",
	"list configmaps":  "what pods refer to",
	"watch configmaps": "what pods refer to",
	"get secrets":      "what pods refer to",
	"list secrets":     "what pods refer to",
	"watch secrets":    "what pods refer to",
	"get services":     "what pods refer to",
	"list services":    "what pods refer to",
	"watch services":   "what pods refer to",
}

// runNode runs a virtual node for a stand-in of vCenter until stop is called.
func runNode(t *testing.T, client kubernetes.Interface) (stop func()) {
	t.Helper()
	model := simulator.VPX()
	model.Host, model.Machine = 0, 0
	server, err := vcsim.Start(t.Context(), vcsim.Config{Model: model, Username: "u", Password: "p", Guests: vcsim.GuestsSim})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	session, err := vsphere.Connect(t.Context(), vsphere.Config{URL: server.URL().String(), Username: "u", Password: "p", CACerts: server.CAFile()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, session.Logout(context.Background())) })
	host, err := vch.Create(t.Context(), session, vch.Spec{Name: "web"})
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- provider.Run(ctx, provider.Options{
			NodeName: "web", VCH: host.Name, Address: "127.0.0.1", MaxPods: 10, Client: client, SystemNamespace: namespace,
			Portlayer: vcenter.New(session.Client, vcenter.TargetOf(host)), Ready: func() { close(ready) },
			Kubelet: &kubelet.Options{Address: "127.0.0.1"},
		})
	}()
	select {
	case <-ready:
	case err := <-done:
		require.FailNow(t, "the node ended before it was ready", "%v", err)
	case <-time.After(patience):
		require.FailNow(t, "the node is not ready")
	}
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

// testForbidden asks the API server, as the service account, about what would let whoever has its token take over.
func testForbidden(t *testing.T, c *cluster) {
	account, _ := c.serviceAccount(t)
	for _, forbidden := range []authorizationv1.ResourceAttributes{
		{Verb: "create", Resource: "pods"},
		{Verb: "create", Resource: "pods", Subresource: "exec"},
		{Verb: "create", Resource: "pods", Subresource: "eviction"},
		{Verb: "get", Resource: "nodes", Subresource: "proxy"},
		{Verb: "create", Resource: "secrets", Namespace: "default"},
		{Verb: "update", Resource: "secrets", Namespace: namespace},
		{Verb: "delete", Resource: "secrets"},
		{Verb: "update", Resource: "configmaps", Namespace: "kube-system"},
		{Verb: "create", Resource: "serviceaccounts"},
		{Verb: "create", Resource: "serviceaccounts", Subresource: "token"},
		{Verb: "impersonate", Resource: "users"},
		{Verb: "impersonate", Resource: "groups"},
		{Verb: "impersonate", Resource: "serviceaccounts"},
		{Verb: "create", Group: "apps", Resource: "deployments"},
		{Verb: "create", Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"},
		{Verb: "escalate", Group: "rbac.authorization.k8s.io", Resource: "clusterroles"},
		{Verb: "bind", Group: "rbac.authorization.k8s.io", Resource: "clusterroles"},
		{Verb: "update", Group: "certificates.k8s.io", Resource: "certificatesigningrequests", Subresource: "approval"},
		{Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: "kube-system"},
		{Verb: "create", Group: "admissionregistration.k8s.io", Resource: "mutatingwebhookconfigurations"},
	} {
		review, err := account.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &forbidden},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		require.False(t, review.Status.Allowed, "it may %s %s/%s", forbidden.Verb, forbidden.Resource, forbidden.Subresource)
	}
}
