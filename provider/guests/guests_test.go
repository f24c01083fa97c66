// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"wolfpack/errs"
	"wolfpack/guest/contract"
	"wolfpack/provider/portlayer"
)

const namespace = "system"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newAuthority(t *testing.T) *Authority {
	t.Helper()
	a, err := LoadAuthority(t.Context(), fake.NewClientset().CoreV1(), namespace, "v")
	require.NoError(t, err)
	return a
}

func TestAuthorityOutlivesTheProvider(t *testing.T) {
	client := fake.NewClientset()
	first, err := LoadAuthority(t.Context(), client.CoreV1(), namespace, "v")
	require.NoError(t, err)
	second, err := LoadAuthority(t.Context(), client.CoreV1(), namespace, "v")
	require.NoError(t, err)
	require.Equal(t, first.pem, second.pem)
	other, err := LoadAuthority(t.Context(), client.CoreV1(), namespace, "w")
	require.NoError(t, err)
	require.NotEqual(t, first.pem, other.pem, "another VCH has another CA")
	require.NotContains(t, string(first.pem), "PRIVATE")

	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(first.pem))
	shown, err := second.ClientCertificate()
	require.NoError(t, err)
	_, err = shown.Leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	require.NoError(t, err, "who comes later is trusted by guests made earlier")
}

// Two providers that both see no Secret must end with the same CA.
func TestAuthorityIsMadeOnce(t *testing.T) {
	client := fake.NewClientset()
	var gets atomic.Int32
	client.PrependReactor("get", "secrets", func(k8stesting.Action) (bool, runtime.Object, error) {
		return gets.Add(1) <= 2, nil, apierrors.NewNotFound(corev1.Resource("secrets"), "x")
	})
	first, err := LoadAuthority(t.Context(), client.CoreV1(), namespace, "v")
	require.NoError(t, err)
	second, err := LoadAuthority(t.Context(), client.CoreV1(), namespace, "v")
	require.NoError(t, err)
	require.Equal(t, first.pem, second.pem)
}

func TestAuthorityFails(t *testing.T) {
	secret := func(data map[string][]byte) runtime.Object {
		s := &corev1.Secret{Data: data}
		s.Namespace, s.Name = namespace, "wolfpack-guest-ca-v"
		return s
	}
	good, err := newSecret("x", "v")
	require.NoError(t, err)
	other, err := newSecret("x", "v")
	require.NoError(t, err)
	refuses := func(verb string, err error) func(*fake.Clientset) {
		return func(c *fake.Clientset) {
			c.PrependReactor(verb, "secrets", func(k8stesting.Action) (bool, runtime.Object, error) { return true, nil, err })
		}
	}
	cases := map[string]struct {
		there   []runtime.Object
		prepare func(*fake.Clientset)
		kind    errs.Kind
		want    string
	}{
		"no namespace": {
			nil, refuses("create", apierrors.NewNotFound(corev1.Resource("namespaces"), namespace)), errs.NotFound,
			"create namespace system, or name another with --system-namespace",
		},
		"not allowed": {
			nil, refuses("get", apierrors.NewForbidden(corev1.Resource("secrets"), "x", nil)), errs.Denied,
			"the node needs to get and create Secrets in namespace system",
		},
		"API server away": {nil, refuses("get", apierrors.NewServiceUnavailable("down")), errs.Unavailable, "down"},
		"no certificate":  {[]runtime.Object{secret(nil)}, nil, errs.Invalid, "ca.crt is no PEM of a certificate"},
		"no key":          {[]runtime.Object{secret(map[string][]byte{keyCert: good.Data[keyCert]})}, nil, errs.Invalid, "ca.key is no PEM of a private key"},
		"another's key": {
			[]runtime.Object{secret(map[string][]byte{keyCert: good.Data[keyCert], keyKey: other.Data[keyKey]})},
			nil, errs.Invalid,
			"Secret system/wolfpack-guest-ca-v: ca.key is not the ECDSA key of ca.crt; delete it",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset(tc.there...)
			if tc.prepare != nil {
				tc.prepare(client)
			}
			_, err := LoadAuthority(t.Context(), client.CoreV1(), namespace, "v")
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, tc.kind, errs.KindOf(err))
		})
	}
}

func TestSecretName(t *testing.T) {
	require.Equal(t, "wolfpack-guest-ca-web.1", secretName("web.1"))
	require.Equal(t, "wolfpack-guest-ca-93f4c8d00cea1ca11370", secretName("Web_1"))
	require.NotEqual(t, secretName("Web"), secretName("web"))
}

func TestClientCertificateIsRenewed(t *testing.T) {
	a := newAuthority(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a.now = func() time.Time { return now }
	at := func(after time.Duration) *tls.Certificate {
		a.now = func() time.Time { return now.Add(after) }
		c, err := a.ClientCertificate()
		require.NoError(t, err)
		return c
	}
	first := at(0)
	require.Same(t, first, at(clientLifetime/2-time.Second))
	second := at(clientLifetime / 2)
	require.NotSame(t, first, second)
	require.True(t, second.Leaf.NotAfter.After(first.Leaf.NotAfter))
	require.NotEqual(t, first.Leaf.SerialNumber, second.Leaf.SerialNumber)
}

// listening is a guest: a server that wants a client's certificate of the given authority.
type listening struct {
	*httptest.Server
	connections atomic.Int32 // that were made
}

func listen(t *testing.T, authority *Authority, handler ...http.Handler) *listening {
	t.Helper()
	l := &listening{}
	handler = append(handler, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto+" "+r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	l.Server = httptest.NewUnstartedServer(handler[0])
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority.pem)
	key, err := newAuthority(t).ClientCertificate() // any key of its own
	require.NoError(t, err)
	l.TLS = &tls.Config{
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, Certificates: []tls.Certificate{*key}, NextProtos: []string{"h2", "http/1.1"},
	}
	l.Config.ErrorLog = log.New(io.Discard, "", 0)
	l.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			l.connections.Add(1)
		}
	}
	l.StartTLS()
	t.Cleanup(l.Close)
	return l
}

// vm is the VM of a pod in which that guest runs.
func (l *listening) vm(t *testing.T) *portlayer.VM {
	t.Helper()
	at, err := url.Parse(l.URL)
	require.NoError(t, err)
	port, err := strconv.Atoi(at.Port())
	require.NoError(t, err)
	return &portlayer.VM{
		Identity: portlayer.Identity{UID: "u-1"}, VMName: "web-u-1", State: portlayer.Running, IP: at.Hostname(),
		Endpoint: &contract.Endpoint{Port: port, SHA256: fingerprint(l.TLS.Certificates[0].Certificate[0])},
	}
}

func get(t *testing.T, g *Guests, vm *portlayer.VM) (string, error) {
	t.Helper()
	at, transport, err := g.Reach(vm)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at.String()+"/pods", nil)
	require.NoError(t, err)
	res, err := transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(text), nil
}

// run runs guests until the test ends.
func run(t *testing.T, config Config, changed ...func(types.UID)) *Guests {
	t.Helper()
	if config.Client == nil {
		config.Client = fake.NewClientset()
	}
	config.Retry, config.Settle = time.Millisecond, time.Millisecond
	g := New(config)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.Run(ctx, func(uid types.UID) {
			for _, tell := range changed {
				tell(uid)
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return g
}

func TestReach(t *testing.T) {
	authority := newAuthority(t)
	g := run(t, Config{Authority: authority})
	guest := listen(t, authority)
	for range 3 {
		text, err := get(t, g, guest.vm(t))
		require.NoError(t, err)
		require.Equal(t, "HTTP/1.1 wolfpack-provider", text, "requests can be upgraded, and the guest knows who calls")
	}
	require.EqualValues(t, 1, guest.connections.Load(), "a connection is used again")
	g.Forget("u-1")
	_, err := get(t, g, guest.vm(t))
	require.NoError(t, err)
	require.EqualValues(t, 2, guest.connections.Load(), "what is forgotten is dropped")
	g.Forget("u-1")
	g.Forget("unknown")
}

func TestReachRefusesAnotherGuest(t *testing.T) {
	authority := newAuthority(t)
	g := run(t, Config{Authority: authority})
	announced, other := listen(t, authority), listen(t, authority)
	vm := other.vm(t)
	vm.Endpoint.SHA256 = announced.vm(t).Endpoint.SHA256
	_, err := get(t, g, vm)
	require.ErrorContains(t, err, "whoever answers at the address of VM web-u-1 shows a certificate with SHA-256 "+
		other.vm(t).Endpoint.SHA256+", but its guest announced "+vm.Endpoint.SHA256)

	_, err = get(t, g, other.vm(t))
	require.NoError(t, err, "a guest that booted anew has announced another certificate")
	g.Forget("u-1")
}

func TestGuestRefusesAnotherProvider(t *testing.T) {
	guest := listen(t, newAuthority(t))
	g := run(t, Config{Authority: newAuthority(t)})
	_, err := get(t, g, guest.vm(t))
	require.ErrorContains(t, err, "tls: unknown certificate authority")
	g.Forget("u-1")
}

func TestReachWantsAGuestThatListens(t *testing.T) {
	g := run(t, Config{Authority: newAuthority(t)})
	endpoint := &contract.Endpoint{Port: 10250}
	for name, tc := range map[string]struct {
		vm   *portlayer.VM
		want string
	}{
		"no VM":        {nil, "the pod has no VM yet"},
		"off":          {&portlayer.VM{VMName: "web", State: portlayer.Off, Endpoint: endpoint, IP: "10.0.0.1"}, "the guest of VM web does not listen: the VM is Off"},
		"inaccessible": {&portlayer.VM{VMName: "web", State: portlayer.Inaccessible, Endpoint: endpoint, IP: "10.0.0.1"}, "the guest of VM web does not listen: the VM is Inaccessible"},
		"booting":      {&portlayer.VM{VMName: "web", State: portlayer.Running, IP: "10.0.0.1"}, "the guest of VM web does not listen yet"},
		"no address":   {&portlayer.VM{VMName: "web", State: portlayer.Running, Endpoint: endpoint}, "the guest of VM web does not listen yet"},
	} {
		_, _, err := g.Reach(tc.vm)
		require.True(t, errs.Is(err, errs.Unavailable), name)
		require.Equal(t, tc.want, err.Error(), name)
	}
}

// What a pod lacks may be known before anybody runs who hears of it.
func TestWhatChangesBeforeRunIsTold(t *testing.T) {
	g := New(Config{Authority: newAuthority(t), Client: fake.NewClientset()})
	pod := secretPod("u-1", "db")
	g.Follow(pod, nil)
	require.Eventually(t, func() bool { return len(g.Check(pod).Missing) > 0 }, patience, time.Millisecond, "it is known that there is none")
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan types.UID, 1)
	done := make(chan struct{})
	go func() { g.Run(ctx, func(uid types.UID) { told <- uid }); close(done) }()
	require.Equal(t, pod.UID, <-told)
	cancel()
	<-done
}
