// SPDX-License-Identifier: Apache-2.0

package simkubelet_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"wolfpack/guest/contract"
	"wolfpack/tests/vcsim/simkubelet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// world is a server with one guest.
type world struct {
	*testing.T
	url string

	mu    sync.Mutex // guards guest
	guest simkubelet.Guest
}

// newWorld starts a guest whose containers app and side run since a minute.
func newWorld(t *testing.T, annotations map[string]string) *world {
	t.Helper()
	booted := time.Now().Add(-time.Minute)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u-1", Annotations: annotations}}
	pod.Spec.NodeName = "virtual"
	pod.Spec.Containers = []corev1.Container{
		{
			Name: "app", Ports: []corev1.ContainerPort{{ContainerPort: 80}, {ContainerPort: 7, Name: "echo"}},
			Env:           []corev1.EnvVar{{Name: "COLOR", Value: "blue"}, {Name: "IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}}},
			LivenessProbe: &corev1.Probe{PeriodSeconds: 5},
		},
		{Name: "side"},
		{Name: "late"},
	}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(booted)}}
	w := &world{T: t, guest: simkubelet.Guest{
		Pod: pod, Booted: booted, CPUs: 2, MemoryMB: 512, Memory: new(simkubelet.Memory),
		Status: &corev1.PodStatus{
			PodIPs:            []corev1.PodIP{{IP: "10.0.0.7"}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "app", State: running}, {Name: "side", State: running}},
		},
	}}
	server := httptest.NewServer(simkubelet.New(func(http.ResponseWriter, *http.Request) (simkubelet.Guest, bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.guest, true
	}))
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	w.url = server.URL
	return w
}

// set replaces the state of a container.
func (w *world) set(name string, state, last corev1.ContainerState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	status := w.guest.Status.DeepCopy()
	for i := range status.ContainerStatuses {
		if c := &status.ContainerStatuses[i]; c.Name == name {
			c.State, c.LastTerminationState = state, last
		}
	}
	w.guest.Status = status
}

func (w *world) get(path string) (int, string) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, w.url+path, nil)
	require.NoError(w, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(w, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(w, err)
	return res.StatusCode, string(body)
}

func ended(from, to time.Time, code int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: metav1.NewTime(from), FinishedAt: metav1.NewTime(to), ExitCode: code}}
}

func TestLogs(t *testing.T) {
	w := newWorld(t, map[string]string{simkubelet.AnnotationLog: "one\ntwo\n", simkubelet.AnnotationLogEvery: "10s"})
	start := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	w.set("app", ended(start, start.Add(25*time.Second), 3), ended(start.Add(-time.Hour), start.Add(-time.Hour), 1))
	w.set("side", corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}, corev1.ContainerState{})
	all := "container app of pod shop/web started\none\ntwo\nline 1\nline 2\ncontainer app exited with code 3\n"
	for path, tc := range map[string]struct {
		code int
		want string
	}{
		"app":                 {200, all},
		"app?follow=true":     {200, all},
		"app?tailLines=2":     {200, "line 2\ncontainer app exited with code 3\n"},
		"app?tailLines=0":     {200, ""},
		"app?tailLines=99":    {200, all},
		"app?limitBytes=9":    {200, all[:9]},
		"app?limitBytes=9999": {200, all},
		"app?sinceSeconds=1":  {200, ""},
		"app?timestamps=true&sinceTime=2026-01-02T03:04:25Z": {200, "2026-01-02T03:04:25.000000006Z line 2\n2026-01-02T03:04:30.000000006Z container app exited with code 3\n"},
		"app?previous=true":              {200, "container app of pod shop/web started\none\ntwo\ncontainer app exited with code 1\n"},
		"side":                           {400, "container \"side\" in pod \"web\" is waiting to start: ImagePullBackOff\n"},
		"side?previous=true":             {400, "previous terminated container \"side\" in pod \"web\" not found\n"},
		"late":                           {400, "container \"late\" in pod \"web\" is waiting to start: ContainerCreating\n"},
		"none":                           {404, "container \"none\" not found in pod \"web\"\n"},
		"app?tailLines=-1":               {422, "tailLines is \"-1\", want a number of at least 0\n"},
		"app?limitBytes=much":            {422, "limitBytes is \"much\", want a number of at least 1\n"},
		"app?sinceTime=noon":             {422, "parsing time \"noon\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"noon\" as \"2006\"\n"},
		"app?sinceTime=x&sinceSeconds=1": {422, "at most one of sinceTime and sinceSeconds may be given\n"},
	} {
		code, body := w.get("/containerLogs/shop/web/" + path)
		require.Equal(t, tc.code, code, path)
		require.Equal(t, tc.want, body, path)
	}
	code, body := w.get("/containerLogs/shop/other/app")
	require.Equal(t, http.StatusNotFound, code)
	require.Equal(t, "pod \"other\" not found\n", body)
}

// A log that is followed goes on while the container runs, and ends with it, even if it runs again by then.
func TestFollow(t *testing.T) {
	w := newWorld(t, map[string]string{simkubelet.AnnotationLogEvery: "10ms"})
	start := time.Now()
	w.set("app", corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(start)}}, corev1.ContainerState{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/containerLogs/shop/web/app?follow=true", nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	seen := make([]byte, len("container app of pod shop/web started\nline 1\nline 2\nline 3\n"))
	_, err = io.ReadFull(res.Body, seen)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(seen), "line 3\n"))

	now := time.Now()
	w.set("app", corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(now)}}, ended(start, now, 9))
	rest, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(rest), "container app exited with code 9\n"), "%s", rest)
}

// protocol makes an executor of one of the two protocols.
type protocol func(config *rest.Config, at *url.URL) (remotecommand.Executor, error)

var protocols = map[string]protocol{
	"SPDY": func(config *rest.Config, at *url.URL) (remotecommand.Executor, error) {
		return remotecommand.NewSPDYExecutor(config, http.MethodPost, at)
	},
	"WebSocket": func(config *rest.Config, at *url.URL) (remotecommand.Executor, error) {
		return remotecommand.NewWebSocketExecutorForProtocols(config, http.MethodGet, at.String(), "v4.channel.k8s.io")
	},
}

// run runs a command and returns what it printed and its exit code.
func (w *world) run(ctx context.Context, with protocol, path string, options remotecommand.StreamOptions, argv ...string) (out, errs string, code int) {
	w.Helper()
	query := url.Values{"command": argv, "output": {"1"}}
	flags := map[string]bool{"input": options.Stdin != nil, "error": !options.Tty, "tty": options.Tty}
	for name, on := range flags {
		if on {
			query.Set(name, "1")
		}
	}
	at, err := url.Parse(w.url + path + "?" + query.Encode())
	require.NoError(w, err)
	executor, err := with(&rest.Config{}, at)
	require.NoError(w, err)
	var stdout, stderr bytes.Buffer
	if options.Stdout == nil {
		options.Stdout = &stdout
	}
	if !options.Tty {
		options.Stderr = &stderr
	}
	err = executor.StreamWithContext(ctx, options)
	var exit exec.CodeExitError
	if errors.As(err, &exit) {
		code = exit.Code
	} else if ctx.Err() != nil {
		return "", "", 0 // the streams may still be in use
	} else {
		require.NoError(w, err)
	}
	return stdout.String(), stderr.String(), code
}

func TestExec(t *testing.T) {
	w := newWorld(t, nil)
	for name, with := range protocols {
		for _, tc := range []struct {
			argv      []string
			out, errs string
			code      int
		}{
			{[]string{"echo", "a  b", "c"}, "a  b c\n", "", 0},
			{[]string{"env"}, "COLOR=blue\nIP=10.0.0.7\n", "", 0},
			{[]string{"exit", "7"}, "", "", 7},
			{[]string{"sh", "-c", "exit 42"}, "", "", 42},
			{[]string{"sh", "-c", "echo $COLOR$NOTHING; echo oops >&2; exit 3; echo never"}, "blue\n", "oops\n", 3},
			{[]string{"sleep", "0"}, "", "", 0},
			{[]string{"sleep", "long"}, "", "sleep: \"long\" is no number of seconds or duration, want one such as 1.5 or 2m\n", 1},
			{[]string{"stty", "size"}, "", "stty: standard input is not a terminal\n", 1},
			{[]string{"exit", "many"}, "", "exit: \"many\" is no exit code, want 0 to 255\n", 2},
			{[]string{"sh", "-x"}, "", "sh: want sh, or sh -c TEXT\n", 2},
			{[]string{"rm", "-rf"}, "", "rm: not found; a simulated container has env, echo, cat, stty size, sleep, exit and sh\n", 127},
		} {
			for _, path := range []string{"/exec/shop/web/app", "/exec/shop/web/u-1/app"} {
				out, errs, code := w.run(t.Context(), with, path, remotecommand.StreamOptions{}, tc.argv...)
				require.Equal(t, tc.out, out, "%s %q", name, tc.argv)
				require.Equal(t, tc.errs, errs, "%s %q", name, tc.argv)
				require.Equal(t, tc.code, code, "%s %q", name, tc.argv)
			}
		}
	}
	large := strings.Repeat("0123456789abcdef", 1<<16)
	out, _, _ := w.run(t.Context(), protocols["SPDY"], "/exec/shop/web/side", remotecommand.StreamOptions{Stdin: strings.NewReader(large)}, "cat")
	require.Equal(t, large, out)
	out, _, code := w.run(t.Context(), protocols["SPDY"], "/exec/shop/web/app", remotecommand.StreamOptions{Stdin: strings.NewReader("echo hi\nexit 5\n")}, "sh")
	require.Equal(t, "hi\n", out)
	require.Equal(t, 5, code)

	for path, want := range map[string]int{
		"/exec/shop/web/late?output=1": 500, "/exec/shop/web/none?output=1": 404, "/exec/shop/web/u-2/app?output=1": 404, "/exec/shop/web/app": 400,
	} {
		code, body := w.get(path)
		require.Equal(t, want, code, "%s: %s", path, body)
	}
}

// sizes is a terminal that is resized.
type sizes chan remotecommand.TerminalSize

func (s sizes) Next() *remotecommand.TerminalSize {
	size, ok := <-s
	if !ok {
		return nil
	}
	return &size
}

func TestTerminal(t *testing.T) {
	w := newWorld(t, nil)
	for name, with := range protocols {
		terminal := make(sizes, 1)
		terminal <- remotecommand.TerminalSize{Width: 132, Height: 43}
		out, _, code := w.run(t.Context(), with, "/exec/shop/web/app", remotecommand.StreamOptions{Tty: true, TerminalSizeQueue: terminal}, "stty", "size")
		close(terminal)
		require.Equal(t, "43 132\n", out, name)
		require.Zero(t, code, name)
	}
}

// A command ends when the one who asked for it is gone.
func TestExecEndsWithItsClient(t *testing.T) {
	w := newWorld(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	defer writer.Close()
	go func() {
		_, _ = io.WriteString(writer, "x")
		cancel()
	}()
	w.run(ctx, protocols["SPDY"], "/exec/shop/web/app", remotecommand.StreamOptions{Stdin: reader}, "cat")
	require.Error(t, ctx.Err())
}

func TestAttach(t *testing.T) {
	w := newWorld(t, map[string]string{simkubelet.AnnotationLogEvery: "10ms"})
	start := time.Now()
	w.set("app", corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(start)}}, corev1.ContainerState{})
	reader, writer := io.Pipe()
	go func() {
		w.run(t.Context(), protocols["SPDY"], "/attach/shop/web/app", remotecommand.StreamOptions{Stdout: writer})
		_ = writer.Close()
	}()
	lines := bufio.NewReader(reader)
	first, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(first, "line "), "attach shows what comes from now on: %s", first)
	w.set("app", ended(start, time.Now(), 0), corev1.ContainerState{})
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(rest), "container app exited with code 0\n"), "%s", rest)
}

// forward forwards ports until the test ends, and returns the local one of each and how it ended.
func (w *world) forward(ports ...string) (local map[uint16]uint16, done chan error) {
	w.Helper()
	at, err := url.Parse(w.url + "/portForward/shop/web")
	require.NoError(w, err)
	transport, upgrader, err := spdy.RoundTripperFor(&rest.Config{})
	require.NoError(w, err)
	stop, ready := make(chan struct{}), make(chan struct{})
	done = make(chan error, 1)
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, at)
	forwarder, err := portforward.New(dialer, ports, stop, ready, io.Discard, io.Discard)
	require.NoError(w, err)
	go func() {
		done <- forwarder.ForwardPorts()
		close(done)
	}()
	w.Cleanup(func() {
		close(stop)
		<-done
	})
	select {
	case <-ready:
	case err := <-done:
		require.FailNow(w, "no forwarding", "%v", err)
	}
	forwarded, err := forwarder.GetPorts()
	require.NoError(w, err)
	local = map[uint16]uint16{}
	for _, p := range forwarded {
		local[p.Remote] = p.Local
	}
	return local, done
}

func TestPortForward(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "backend "+r.URL.Path) }))
	defer backend.Close()
	w := newWorld(t, map[string]string{simkubelet.AnnotationForward: "8080=" + strings.TrimPrefix(backend.URL, "http://")})
	ports, _ := w.forward("0:80", "0:7", "0:8080")
	for remote, want := range map[uint16]string{80: "pod shop/web, port 80: GET /x\n", 8080: "backend /x"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/x", ports[remote]), nil)
		require.NoError(t, err)
		req.Close = true
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, want, string(body))
	}
	dial := func(port uint16) net.Conn {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		require.NoError(t, err)
		return conn
	}
	echo := dial(ports[7])
	defer echo.Close()
	_, err := io.WriteString(echo, "hello")
	require.NoError(t, err)
	back := make([]byte, 5)
	_, err = io.ReadFull(echo, back)
	require.NoError(t, err)
	require.Equal(t, "hello", string(back))

	ports, done := w.forward("0:9")
	refused := dial(ports[9])
	defer refused.Close()
	_, err = refused.Read(back)
	require.Error(t, err, "nobody listens there")
	require.ErrorContains(t, <-done, "lost connection to pod", "a client of today gives up when a port refuses")
}

func TestStats(t *testing.T) {
	w := newWorld(t, nil)
	read := func() stats.Summary {
		code, body := w.get("/stats/summary")
		require.Equal(t, http.StatusOK, code)
		var s stats.Summary
		require.NoError(t, json.Unmarshal([]byte(body), &s))
		return s
	}
	first := read()
	require.Len(t, first.Pods, 1)
	require.Equal(t, stats.PodReference{Namespace: "shop", Name: "web", UID: "u-1"}, first.Pods[0].PodRef)
	require.Len(t, first.Pods[0].Containers, 2, "those that run")
	require.Equal(t, "virtual", first.Node.NodeName)
	require.InDelta(t, 20e6, float64(*first.Pods[0].Containers[0].CPU.UsageNanoCores), 1)
	require.Less(t, *first.Pods[0].Memory.WorkingSetBytes, uint64(512<<20))
	require.Eventually(t, func() bool {
		second := read()
		return *second.Pods[0].CPU.UsageCoreNanoSeconds > *first.Pods[0].CPU.UsageCoreNanoSeconds &&
			*second.Pods[0].Containers[0].CPU.UsageCoreNanoSeconds > *first.Pods[0].Containers[0].CPU.UsageCoreNanoSeconds &&
			*second.Pods[0].Network.RxBytes > *first.Pods[0].Network.RxBytes
	}, patience, 10*time.Millisecond, "counters grow")

	_, body := w.get("/metrics/resource")
	for _, want := range []string{
		`container_cpu_usage_seconds_total{container="app",namespace="shop",pod="web"}`, `pod_memory_working_set_bytes{namespace="shop",pod="web"}`,
		"node_cpu_usage_seconds_total ", "resource_scrape_error 0", `container_start_time_seconds{container="side",namespace="shop",pod="web"}`,
	} {
		require.Contains(t, body, want)
	}
	_, body = w.get("/metrics/probes")
	require.Contains(t, body, `prober_probe_total{container="app",namespace="shop",pod="web",pod_uid="u-1",probe_type="Liveness",result="successful"} 12`)
}

func TestABundleIsTakenFromTheProviderOnly(t *testing.T) {
	w := newWorld(t, nil)
	text, _, err := contract.EncodeBundle(contract.Bundle{UID: "u-1"})
	require.NoError(t, err)
	for _, method := range []string{http.MethodPut, http.MethodHead} {
		req, err := http.NewRequestWithContext(t.Context(), method, w.url+contract.BundlePath, bytes.NewReader(text))
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusForbidden, res.StatusCode)
	}
	_, pushes := w.guest.Memory.Bundle()
	require.Zero(t, pushes)
}

func FuzzParseScript(f *testing.F) {
	f.Add("text\n", "1s", "80=127.0.0.1:1")
	f.Add("", "-1s", "x")
	f.Fuzz(func(t *testing.T, log, every, forward string) {
		s, err := simkubelet.ParseScript(map[string]string{
			simkubelet.AnnotationLog: log, simkubelet.AnnotationLogEvery: every, simkubelet.AnnotationForward: forward,
		})
		if err != nil {
			require.ErrorContains(t, err, "annotation sim.wolfpack/")
			return
		}
		require.GreaterOrEqual(t, s.LogEvery, 10*time.Millisecond)
	})
}
