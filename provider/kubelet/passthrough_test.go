// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
)

// protocols are the ways in which a client can open a stream.
var protocols = map[string]func(*rest.Config, string, *url.URL) (remotecommand.Executor, error){
	"SPDY": remotecommand.NewSPDYExecutor,
	"WebSocket": func(config *rest.Config, _ string, address *url.URL) (remotecommand.Executor, error) {
		return remotecommand.NewWebSocketExecutorForProtocols(config, http.MethodGet, address.String(), "v4.channel.k8s.io")
	},
}

// stream opens a stream at a path, in one of the protocols.
func (w *world) stream(ctx context.Context, protocol, path string, options remotecommand.StreamOptions) error {
	w.t.Helper()
	config := w.config("admin-token")
	address, err := url.Parse(w.url(path))
	require.NoError(w.t, err)
	executor, err := protocols[protocol](config, http.MethodPost, address)
	require.NoError(w.t, err)
	return executor.StreamWithContext(ctx, options)
}

func command(container string, words ...string) string {
	return "/exec/shop/web/" + container + "?" + url.Values{"command": words}.Encode()
}

func TestExec(t *testing.T) {
	w := newWorld(t)
	w.pods.add(newPod("shop", "web"), newGuest(t))
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Run("standard streams", func(t *testing.T) {
				var out, errOut bytes.Buffer
				require.NoError(t, w.stream(t.Context(), protocol, command("app", "line")+"&input=1&output=1&error=1",
					remotecommand.StreamOptions{Stdin: strings.NewReader("hello\n"), Stdout: &out, Stderr: &errOut}))
				require.Equal(t, "hello\n", out.String())
				require.Equal(t, "HELLO\n", errOut.String())
			})
			t.Run("arguments stay apart", func(t *testing.T) {
				var out bytes.Buffer
				require.NoError(t, w.stream(t.Context(), protocol, command("app", "echo", "a b", "ü/&=", "")+"&output=1", remotecommand.StreamOptions{Stdout: &out}))
				require.Equal(t, "a b ü/&= \n", out.String())
			})
			t.Run("exit code", func(t *testing.T) {
				var out, errOut bytes.Buffer
				err := w.stream(t.Context(), protocol, command("side", "fail", "42")+"&output=1&error=1", remotecommand.StreamOptions{Stdout: &out, Stderr: &errOut})
				var exit exec.CodeExitError
				require.ErrorAs(t, err, &exit)
				require.Equal(t, 42, exit.Code)
				require.Equal(t, "failed\n", errOut.String())
			})
			t.Run("terminal sizes", func(t *testing.T) {
				var out bytes.Buffer
				sizes := queue{{Width: 80, Height: 24}, {Width: 200, Height: 50}}
				require.NoError(t, w.stream(t.Context(), protocol, command("app", "sizes")+"&output=1&tty=1",
					remotecommand.StreamOptions{Stdout: &out, Tty: true, TerminalSizeQueue: &sizes}))
				require.Equal(t, "80x24\n200x50\n", out.String())
			})
			t.Run("UID in the path", func(t *testing.T) {
				var out bytes.Buffer
				require.NoError(t, w.stream(t.Context(), protocol, "/exec/shop/web/uid-of-web/app?command=echo&command=hi&output=1", remotecommand.StreamOptions{Stdout: &out}))
				require.Equal(t, "hi\n", out.String())
			})
		})
	}
}

// A protocol that nobody here knows passes all the same, byte by byte: the next version of the kubelet's, say.
func TestAnyProtocolPasses(t *testing.T) {
	w := newWorld(t)
	g := newGuest(t)
	w.pods.add(newPod("shop", "web"), g)
	connection, err := tls.Dial("tcp", w.server.listener.Addr().String(), w.tls())
	require.NoError(t, err)
	defer connection.Close()
	fmt.Fprint(connection, "GET /attach/shop/web/uid-of-web/app?input=1 HTTP/1.1\r\nHost: n1\r\nAuthorization: Bearer admin-token\r\n"+
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-Websocket-Protocol: v9.channel.k8s.io\r\n\r\n")
	reader := bufio.NewReader(connection)
	response, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	require.Equal(t, "v9.channel.k8s.io", response.Header.Get("Sec-Websocket-Protocol"))
	for _, sent := range []string{"\x00\xff\x01", "frame"} {
		_, err := connection.Write([]byte(sent))
		require.NoError(t, err)
		got := make([]byte, len(sent))
		_, err = io.ReadFull(reader, got)
		require.NoError(t, err)
		require.Equal(t, sent, string(got))
	}
	require.NoError(t, connection.CloseWrite())
	ended(t, g, "the guest learns that the client says no more")
}

// queue is a terminal that changes its size as listed.
type queue []remotecommand.TerminalSize

func (q *queue) Next() *remotecommand.TerminalSize {
	if len(*q) == 0 {
		return nil
	}
	size := (*q)[0]
	*q = (*q)[1:]
	return &size
}

func TestAttach(t *testing.T) {
	w := newWorld(t)
	w.pods.add(newPod("shop", "web"), newGuest(t))
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			var out bytes.Buffer
			require.NoError(t, w.stream(t.Context(), protocol, "/attach/shop/web/app?input=1&output=1",
				remotecommand.StreamOptions{Stdin: strings.NewReader("typed\n"), Stdout: &out}))
			require.Equal(t, "typed\n", out.String())
		})
	}
}

func TestPortForward(t *testing.T) {
	w := newWorld(t)
	w.pods.add(newPod("shop", "web"), newGuest(t))
	transport, upgrader, err := spdy.RoundTripperFor(w.config("admin-token"))
	require.NoError(t, err)
	address, err := url.Parse(w.url("/portForward/shop/web"))
	require.NoError(t, err)
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, address)
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{"0:80", "0:8080"}, stop, ready, io.Discard, io.Discard)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-done:
		require.FailNow(t, "no forwarding", "%v", err)
	}
	ports, err := forwarder.GetPorts()
	require.NoError(t, err)
	for _, port := range ports {
		require.Equal(t, fmt.Sprintf("port %d: knock", port.Remote), knock(t, port.Local))
	}
	close(stop)
	require.NoError(t, <-done)
}

// knock sends a word to a local port and returns the answer.
func knock(t *testing.T, port uint16) string {
	t.Helper()
	connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	require.NoError(t, err)
	defer connection.Close()
	_, err = connection.Write([]byte("knock"))
	require.NoError(t, err)
	answer, err := io.ReadAll(connection)
	require.NoError(t, err)
	return string(answer)
}

func TestLogs(t *testing.T) {
	w := newWorld(t)
	w.pods.add(newPod("shop", "web"), newGuest(t))
	for _, container := range []string{"app", "init", "debug"} {
		status, body := w.ask("admin-token", http.MethodGet, "/containerLogs/shop/web/"+container+"?tailLines=3&previous=true")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, container+" tailLines=3&previous=true", body)
	}
}

func TestFollowedLogsAppearAtOnceAndEndWithTheClient(t *testing.T) {
	w := newWorld(t)
	g := newGuest(t)
	w.pods.add(newPod("shop", "web"), g)
	ctx, hangUp := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url("/containerLogs/shop/web/app?follow=true"), nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer admin-token")
	transport := &http.Transport{TLSClientConfig: w.tls()}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "app follow=true\n", line, "it arrives while the guest still holds the connection open")
	hangUp()
	ended(t, g, "the guest learns that the client has gone")
}

func ended(t *testing.T, g *guest, what string) {
	t.Helper()
	select {
	case <-g.ended:
	case <-time.After(patience):
		require.FailNow(t, "not seen: "+what)
	}
}

// An idle stream has no clock of its own anywhere: what could cut it is set to never, and a stream that is idle for longer
// than every shorter limit of this server is still there afterwards.
func TestIdleStreamIsNotCut(t *testing.T) {
	w := newWorld(t)
	g := newGuest(t)
	w.pods.add(newPod("shop", "web"), g)
	server := w.server.server(t.Context())
	require.Zero(t, server.ReadTimeout)
	require.Zero(t, server.WriteTimeout)
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			in, typed := io.Pipe()
			out, said := io.Pipe()
			done := make(chan error, 1)
			go func() {
				done <- w.stream(t.Context(), protocol, command("app", "wait")+"&input=1&output=1", remotecommand.StreamOptions{Stdin: in, Stdout: said})
				said.Close()
			}()
			lines := bufio.NewScanner(out)
			require.True(t, lines.Scan())
			require.Equal(t, "waiting", lines.Text())
			<-time.After(3 * time.Second) // idle, which is what this is about
			g.released <- struct{}{}
			require.True(t, lines.Scan(), "the stream still works")
			require.Equal(t, "released", lines.Text())
			require.NoError(t, typed.Close())
			require.NoError(t, <-done)
			ended(t, g, "the command ends")
		})
	}
}

func TestStreamEndsWithTheClientAndWithTheServer(t *testing.T) {
	for protocol := range protocols {
		for _, who := range []string{"client", "server"} {
			t.Run(protocol+" "+who, func(t *testing.T) {
				w := newWorld(t)
				g := newGuest(t)
				w.pods.add(newPod("shop", "web"), g)
				ctx, hangUp := context.WithCancel(t.Context())
				defer hangUp()
				in, typed := io.Pipe()
				defer typed.Close()
				out, said := io.Pipe()
				done := make(chan error, 1)
				go func() {
					done <- w.stream(ctx, protocol, command("app", "wait")+"&input=1&output=1", remotecommand.StreamOptions{Stdin: in, Stdout: said})
				}()
				require.True(t, bufio.NewScanner(out).Scan(), "the command runs")
				if who == "client" {
					hangUp()
				} else {
					w.stop()
				}
				ended(t, g, "the guest's end of the stream ends")
				out.Close()
				<-done
			})
		}
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.pods.add(newPod("shop", "web"), newGuest(t))
	w.pods.add(newPod("shop", "booting"), nil)
	refusing := newGuest(t)
	refusing.status = http.StatusUnauthorized
	w.pods.add(newPod("shop", "refusing"), refusing)
	dead := newGuest(t)
	dead.url = &url.URL{Scheme: "https", Host: "127.0.0.1:1"}
	w.pods.add(newPod("shop", "dead"), dead)
	failing := newGuest(t)
	failing.status = http.StatusTeapot
	w.pods.add(newPod("shop", "failing"), failing)
	cases := map[string]struct {
		method, path string
		status       int
		want         string
	}{
		"unknown pod":            {"GET", "/containerLogs/shop/nobody/app", 404, "no pod shop/nobody"},
		"pod of another's name":  {"GET", "/containerLogs/bank/web/app", 404, "no pod bank/web"},
		"unknown container":      {"GET", "/containerLogs/shop/web/nobody", 404, `container "nobody" not found in pod "web"`},
		"another pod's UID":      {"POST", "/exec/shop/web/uid-of-old/app?command=ls&output=1", 404, "pod not found"},
		"another UID, forwarded": {"POST", "/portForward/shop/web/uid-of-old", 404, "pod not found"},
		"guest not there yet":    {"GET", "/containerLogs/shop/booting/app", 503, "guest of pod shop/booting does not listen yet"},
		"guest refuses us":       {"GET", "/containerLogs/shop/refusing/app", 502, "the guest of pod shop/refusing does not answer: it refuses the provider: 401 Unauthorized"},
		"guest is gone":          {"GET", "/containerLogs/shop/dead/app", 502, "the guest of pod shop/dead does not answer: dial tcp 127.0.0.1:1"},
		"guest's own error":      {"GET", "/containerLogs/shop/failing/app", 418, ""},
		"no container":           {"GET", "/containerLogs/shop/web", 404, "not found"},
		"empty container":        {"GET", "/containerLogs/shop/web/", 404, "not found"},
		"too much":               {"GET", "/containerLogs/shop/web/app/more", 404, "not found"},
		"slash in a name":        {"GET", "/containerLogs/shop/web%2fapp/app", 404, "no pod shop/web/app"},
		"no streams":             {"POST", "/exec/shop/web/app?command=ls", 400, "you must specify at least 1 of stdin, stdout, stderr"},
		"no upgrade":             {"POST", "/exec/shop/web/app?command=ls&output=1", 400, "unable to upgrade"},
		"wrong method":           {"POST", "/containerLogs/shop/web/app", 405, "Method Not Allowed"},
		"no such path":           {"GET", "/logs/", 404, "not found"},
	}
	w.api.set(func() { w.api.may["admin"] = append(w.api.may["admin"], "get log") })
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			status, body := w.ask("admin-token", tc.method, tc.path)
			require.Equal(t, tc.status, status, body)
			require.Contains(t, body, tc.want)
		})
	}
}

func TestGuestGetsNoCredentials(t *testing.T) {
	w := newWorld(t)
	g := newGuest(t)
	w.pods.add(newPod("shop", "web"), g)
	status, body := w.ask("admin-token", http.MethodPost, "/run/shop/web/app?cmd=ls",
		"Cookie", "session=1", "Impersonate-User", "root", "X-Remote-User", "root", "X-Forwarded-For", "1.2.3.4",
		"Connection", "X-Secret", "X-Secret", "s", "Keep-Alive", "1", "Accept", "text/plain")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "ran ls", body)
	require.Len(t, g.requests(), 1)
	asked := g.requests()[0]
	require.Equal(t, "/run/shop/web/app?cmd=ls", asked.RequestURI, "the path is the client's")
	require.Equal(t, "text/plain", asked.Header.Get("Accept"), "what is no credential passes")
	for _, name := range []string{"Authorization", "Cookie", "Impersonate-User", "X-Remote-User", "X-Forwarded-For", "X-Secret", "Keep-Alive"} {
		require.Empty(t, asked.Header.Get(name), name)
	}
}

func TestHeaderHasALimit(t *testing.T) {
	w := newWorld(t)
	status, _ := w.ask("admin-token", http.MethodGet, "/pods", "X-Long", strings.Repeat("x", 2*maxHeader))
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, status)
}
