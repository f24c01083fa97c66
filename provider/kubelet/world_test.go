// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/virtual-kubelet/virtual-kubelet/errdefs"
	"go.uber.org/goleak"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	consts "k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	cri "k8s.io/kubelet/pkg/cri/streaming/portforward"
	criexec "k8s.io/kubelet/pkg/cri/streaming/remotecommand"
	"k8s.io/utils/exec"

	"wolfpack/errs"
	"wolfpack/tests/pki"
)

// The one goroutine that may stay is of the WebSocket client: whose connection is cut, it notices at its next ping.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("k8s.io/client-go/tools/remotecommand.(*heartbeat).start"))
}

// patience is how long a test waits for what must happen.
const patience = time.Minute

// world is an endpoint with an API server, pods and a guest of each, all of the test's making.
type world struct {
	t      *testing.T
	ca     *pki.CA // signs what the endpoint and its clients present
	dir    string
	api    *fakeAPI
	pods   *fakePods
	server *Server
	stop   func()
}

func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	ca, err := pki.NewCA("cluster")
	require.NoError(t, err)
	w := &world{t: t, ca: ca, dir: t.TempDir(), api: newFakeAPI(t), pods: &fakePods{guests: map[string]*guest{}}}
	w.writeServingCertificate()
	require.NoError(t, ca.WriteFiles(w.file("ca.crt"), ""))
	config := Config{
		Options: Options{
			Address: "127.0.0.1", CertFile: w.file("tls.crt"), KeyFile: w.file("tls.key"), ClientCAFile: w.file("ca.crt"),
			Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "up 1") }),
		},
		NodeName: "n1", Client: w.api.client(), Pods: w.pods,
		Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}, {Type: corev1.NodeHostName, Address: "n1"}},
	}
	for _, c := range change {
		c(&config)
	}
	w.server, err = Listen(config)
	require.NoError(t, err)
	w.stop = run(t, w.server)
	return w
}

// run runs a server until the returned function is called, or the test ends.
func run(t *testing.T, server *Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(patience):
			require.FailNow(t, "the endpoint does not end")
		}
	})
	t.Cleanup(stop)
	return stop
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

func (w *world) writeServingCertificate() pki.Pair {
	w.t.Helper()
	pair, err := w.ca.Server("127.0.0.1", "n1")
	require.NoError(w.t, err)
	require.NoError(w.t, pair.WriteFiles(w.file("tls.crt"), w.file("tls.key")))
	return pair
}

func (w *world) url(path string) string {
	return fmt.Sprintf("https://127.0.0.1:%d%s", w.server.Port(), path)
}

// config is a client's with a bearer token; none if it is empty.
func (w *world) config(token string) *rest.Config {
	return &rest.Config{Host: w.url(""), BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: w.ca.Cert}}
}

// ask sends a request with a bearer token and returns the answer's status and body.
func (w *world) ask(token, method, path string, headers ...string) (int, string) {
	w.t.Helper()
	return ask(w.t, w.tls(), token, method, w.url(path), headers...)
}

// tls is a client's TLS configuration, with certificates if it has any.
func (w *world) tls(certificates ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: w.ca.Pool(), Certificates: certificates, MinVersion: tls.VersionTLS12}
}

func ask(t *testing.T, config *tls.Config, token, method, address string, headers ...string) (int, string) {
	t.Helper()
	client := http.Client{
		Transport:     &http.Transport{TLSClientConfig: config, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	require.NoError(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, strings.TrimSpace(string(body))
}

// fakeAPI is an API server that knows whose a token is and what a user may, and counts how often it is asked.
type fakeAPI struct {
	server *httptest.Server

	mu      sync.Mutex // guards what follows
	users   map[string]string
	may     map[string][]string // "verb subresource" by user
	broken  bool
	reviews map[string]int
}

func newFakeAPI(t *testing.T) *fakeAPI {
	f := &fakeAPI{
		users:   map[string]string{"admin-token": "admin", "eve-token": "eve", "scraper-token": "scraper"},
		may:     map[string][]string{"admin": {"get proxy", "create proxy", "get metrics", "get stats"}, "scraper": {"get metrics", "get stats", "get pods"}},
		reviews: map[string]int{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", review(f, func(r *authenticationv1.TokenReview) {
		user, ok := f.users[r.Spec.Token]
		r.Status = authenticationv1.TokenReviewStatus{Authenticated: ok, User: authenticationv1.UserInfo{Username: user}}
	}))
	mux.HandleFunc("POST /apis/authorization.k8s.io/v1/subjectaccessreviews", review(f, func(r *authorizationv1.SubjectAccessReview) {
		a := r.Spec.ResourceAttributes
		known := a.Resource == "nodes" && a.Name == "n1" && a.Version == "v1" && a.Group == "" && a.Namespace == ""
		r.Status.Allowed = known && slices.Contains(f.may[r.Spec.User], a.Verb+" "+a.Subresource)
	}))
	f.server = httptest.NewServer(mux)
	t.Cleanup(f.server.Close)
	return f
}

// review answers with what decide makes of the request.
func review[T any](f *fakeAPI, decide func(*T)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var object T
		f.mu.Lock()
		defer f.mu.Unlock()
		f.reviews[fmt.Sprintf("%T", object)]++
		if f.broken || json.NewDecoder(r.Body).Decode(&object) != nil {
			http.Error(w, "broken", http.StatusBadRequest)
			return
		}
		decide(&object)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(object)
	}
}

func (f *fakeAPI) client() kubernetes.Interface {
	return kubernetes.NewForConfigOrDie(&rest.Config{
		Host:          f.server.URL,
		ContentConfig: rest.ContentConfig{ContentType: "application/json"},
		Transport:     &http.Transport{DisableKeepAlives: true},
	})
}

func (f *fakeAPI) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeAPI) asked(kind string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reviews[kind]
}

// fakePods is the provider, as far as the endpoint sees it.
type fakePods struct {
	mu     sync.Mutex // guards what follows
	pods   []*corev1.Pod
	guests map[string]*guest // by namespace and name; none does not listen yet
}

// newPod is a running pod with the containers app and side.
func newPod(namespace, name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-of-" + name)},
		Spec: corev1.PodSpec{
			NodeName:       "n1",
			Containers:     []corev1.Container{{Name: "app", Image: "app:1"}, {Name: "side", Image: "side:1"}},
			InitContainers: []corev1.Container{{Name: "init", Image: "init:1"}},
			EphemeralContainers: []corev1.EphemeralContainer{
				{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "debug:1"}},
			},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
}

// add adds a pod, with a guest if it is not nil.
func (f *fakePods) add(pod *corev1.Pod, g *guest) *corev1.Pod {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pods = append(f.pods, pod)
	if g != nil {
		f.guests[pod.Namespace+"/"+pod.Name] = g
	}
	return pod
}

func (f *fakePods) GetPods(context.Context) ([]*corev1.Pod, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.pods), nil
}

func (f *fakePods) GetPod(_ context.Context, namespace, name string) (*corev1.Pod, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, pod := range f.pods {
		if pod.Namespace == namespace && pod.Name == name {
			return pod, nil
		}
	}
	return nil, errdefs.NotFoundf("no pod %s/%s", namespace, name)
}

func (f *fakePods) Guest(_ context.Context, namespace, name string) (*url.URL, http.RoundTripper, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.guests[namespace+"/"+name]
	if g == nil {
		return nil, nil, errs.New("test", errs.Unavailable, "guest of pod %s/%s does not listen yet", namespace, name)
	}
	return g.url, g.transport, nil
}

// guest is the kubelet of one pod's VM. Its streams are served by the kubelet's own code.
type guest struct {
	url       *url.URL
	transport http.RoundTripper

	mu       sync.Mutex // guards what follows
	asked    []*http.Request
	summary  string
	probes   string
	status   int           // of all answers, if not 0
	ended    chan struct{} // gets a value when a stream or followed log has ended
	released chan struct{} // closed to let `wait` end
}

func newGuest(t *testing.T) *guest {
	g := &guest{ended: make(chan struct{}, 10), released: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/containerLogs/{namespace}/{pod}/{container}", g.logs)
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", g.exec)
	mux.HandleFunc("/exec/{namespace}/{pod}/{uid}/{container}", g.exec)
	mux.HandleFunc("/attach/{namespace}/{pod}/{container}", g.attach)
	mux.HandleFunc("/portForward/{namespace}/{pod}", g.portForward)
	mux.HandleFunc("/attach/{namespace}/{pod}/{uid}/{container}", g.echoBytes)
	mux.HandleFunc("/run/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ran ", r.FormValue("cmd")) })
	mux.HandleFunc("/stats/summary", func(w http.ResponseWriter, _ *http.Request) { g.say(w, &g.summary) })
	mux.HandleFunc("/metrics/probes", func(w http.ResponseWriter, _ *http.Request) { g.say(w, &g.probes) })
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.asked = append(g.asked, r.Clone(context.Background()))
		status := g.status
		g.mu.Unlock()
		if status != 0 {
			w.WriteHeader(status)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	g.url, _ = url.Parse(server.URL)
	transport := server.Client().Transport.(*http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	g.transport = transport
	return g
}

// echoBytes accepts whatever protocol is asked for, and echoes.
func (g *guest) echoBytes(w http.ResponseWriter, r *http.Request) {
	connection, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	fmt.Fprintf(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-Websocket-Protocol: %s\r\n\r\n",
		r.Header.Get("Upgrade"), r.Header.Get("Sec-Websocket-Protocol"))
	_, _ = io.Copy(connection, buffered)
	g.ended <- struct{}{}
}

func (g *guest) say(w io.Writer, text *string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, _ = io.WriteString(w, *text)
}

func (g *guest) requests() []*http.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.asked)
}

// logs writes the request's query and, if the logs are followed, stays until the client goes.
func (g *guest) logs(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s\n", r.PathValue("container"), r.URL.RawQuery)
	if r.FormValue("follow") == "true" {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		g.ended <- struct{}{}
	}
}

// How long the guest lets a stream be idle, and waits for its parts: the kubelet's.
const (
	guestIdle     = 4 * time.Hour
	guestCreation = consts.DefaultStreamCreationTimeout
)

func (g *guest) exec(w http.ResponseWriter, r *http.Request) {
	options, err := criexec.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	criexec.ServeExec(w, r, g, r.PathValue("pod"), types.UID(r.PathValue("uid")), r.PathValue("container"),
		r.URL.Query()["command"], options, guestIdle, guestCreation, consts.SupportedStreamingProtocols)
}

func (g *guest) attach(w http.ResponseWriter, r *http.Request) {
	options, err := criexec.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	criexec.ServeAttach(w, r, g, r.PathValue("pod"), "", r.PathValue("container"), options, guestIdle, guestCreation, consts.SupportedStreamingProtocols)
}

func (g *guest) portForward(w http.ResponseWriter, r *http.Request) {
	options, err := cri.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	cri.ServePortForward(w, r, g, r.PathValue("pod"), "", options, guestIdle, guestCreation, cri.SupportedProtocols)
}

// ExecInContainer runs one of a few commands: echo WORD..., fail CODE, line (one line from standard input to standard
// output, and in capitals to standard error), sizes (tells those of the terminal until it is 200 wide), wait (until it is
// released or its client goes).
func (g *guest) ExecInContainer(ctx context.Context, _ string, _ types.UID, _ string, command []string, in io.Reader, out, errOut io.WriteCloser, _ bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	switch command[0] {
	case "echo":
		fmt.Fprintln(out, strings.Join(command[1:], " "))
	case "fail":
		var code int
		_, _ = fmt.Sscan(command[1], &code)
		fmt.Fprintln(errOut, "failed")
		return exec.CodeExitError{Code: code, Err: fmt.Errorf("exit %d", code)}
	case "line":
		line, _ := bufio.NewReader(in).ReadString('\n')
		fmt.Fprint(out, line)
		fmt.Fprint(errOut, strings.ToUpper(line))
	case "sizes":
		for size := range resize {
			fmt.Fprintf(out, "%dx%d\n", size.Width, size.Height)
			if size.Width == 200 {
				return nil
			}
		}
	case "wait":
		fmt.Fprintln(out, "waiting")
		gone := make(chan struct{})
		if in != nil {
			go func() { _, _ = io.Copy(io.Discard, in); close(gone) }()
		}
		select {
		case <-g.released:
			fmt.Fprintln(out, "released")
		case <-gone:
		case <-ctx.Done():
		}
		g.ended <- struct{}{}
	}
	return nil
}

// AttachContainer echoes one line.
func (g *guest) AttachContainer(_ context.Context, _ string, _ types.UID, _ string, in io.Reader, out, _ io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize) error {
	line, err := bufio.NewReader(in).ReadString('\n')
	fmt.Fprint(out, line)
	return err
}

// PortForward answers each connection with its port and what was sent.
func (g *guest) PortForward(_ context.Context, _ string, _ types.UID, port int32, stream io.ReadWriteCloser) error {
	line := make([]byte, 64)
	n, err := stream.Read(line)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stream, "port %d: %s", port, line[:n])
	return err
}
