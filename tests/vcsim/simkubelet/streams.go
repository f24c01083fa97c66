// SPDX-License-Identifier: Apache-2.0

package simkubelet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	protocols "k8s.io/apimachinery/pkg/util/remotecommand"
	client "k8s.io/client-go/tools/remotecommand"
	"k8s.io/kubelet/pkg/cri/streaming/portforward"
	"k8s.io/kubelet/pkg/cri/streaming/remotecommand"
	"k8s.io/utils/exec"
)

const idleTimeout = 4 * time.Hour // the kubelet's

// exec runs a command in a container.
func (k *kubelet) exec(w http.ResponseWriter, r *http.Request, g Guest, container *corev1.Container) {
	options, ok := k.streams(w, r, g, container)
	if !ok {
		return
	}
	remotecommand.ServeExec(w, r, executor{g, container}, g.Pod.Name, g.Pod.UID, container.Name, r.URL.Query()["command"], options,
		idleTimeout, protocols.DefaultStreamCreationTimeout, protocols.SupportedStreamingProtocols)
}

// attach shows what a container logs from now on.
func (k *kubelet) attach(w http.ResponseWriter, r *http.Request, g Guest, container *corev1.Container) {
	options, ok := k.streams(w, r, g, container)
	if !ok {
		return
	}
	remotecommand.ServeAttach(w, r, attacher{k, r, g, container.Name}, g.Pod.Name, g.Pod.UID, container.Name, options,
		idleTimeout, protocols.DefaultStreamCreationTimeout, protocols.SupportedStreamingProtocols)
}

// streams says which streams are wanted. It answers the request if there can be none.
func (k *kubelet) streams(w http.ResponseWriter, r *http.Request, g Guest, container *corev1.Container) (*remotecommand.Options, bool) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil, false
	}
	if g.status(container.Name).State.Running == nil {
		http.Error(w, fmt.Sprintf("container not found (%q)", container.Name), http.StatusInternalServerError)
		return nil, false
	}
	return options, true
}

// executor runs commands in one container.
type executor struct {
	guest     Guest
	container *corev1.Container
}

// ExecInContainer implements remotecommand.Executor.
func (e executor) ExecInContainer(
	ctx context.Context, _ string, _ types.UID, _ string, cmd []string, in io.Reader, out, err io.WriteCloser, tty bool,
	resize <-chan client.TerminalSize, _ time.Duration,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &session{guest: e.guest, container: e.container, in: in, out: out, err: err, tty: tty, terminal: newTerminal(ctx, resize)}
	if in == nil {
		s.in = strings.NewReader("")
	}
	if out == nil {
		s.out = io.Discard
	}
	if err == nil {
		s.err = io.Discard
		if tty {
			s.err = s.out // a terminal has one output
		}
	}
	if code, _ := s.run(ctx, cmd); code != 0 {
		return exec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d", code), Code: code}
	}
	return nil
}

// attacher shows the log of one container.
type attacher struct {
	kubelet   *kubelet
	request   *http.Request
	guest     Guest
	container string
}

// AttachContainer implements remotecommand.Attacher. What the client types goes nowhere: nobody reads it.
func (a attacher) AttachContainer(
	_ context.Context, _ string, _ types.UID, _ string, in io.Reader, out, err io.WriteCloser, _ bool, _ <-chan client.TerminalSize,
) error {
	if in != nil {
		go func() { _, _ = io.Copy(io.Discard, in) }() // ends with the connection
	}
	var to io.Writer = io.Discard
	if out != nil {
		to = out
	} else if err != nil {
		to = err
	}
	j, wrong := journalOf(a.guest, a.container, false)
	if wrong != nil {
		return wrong
	}
	return a.kubelet.follow(a.request, to, j, a.container, j.len(time.Now()), false)
}

// portForward connects a client with ports of the pod.
func (k *kubelet) portForward(w http.ResponseWriter, r *http.Request, g Guest) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, forwarder{r.Context(), g.Pod}, g.Pod.Name, g.Pod.UID, options,
		idleTimeout, protocols.DefaultStreamCreationTimeout, portforward.SupportedProtocols)
}

// forwarder connects with ports of one pod.
type forwarder struct {
	ctx context.Context // of the request; the one that PortForward gets never ends
	pod *corev1.Pod
}

// PortForward implements portforward.PortForwarder.
func (f forwarder) PortForward(_ context.Context, _ string, _ types.UID, port int32, stream io.ReadWriteCloser) error {
	script, err := ParseScript(f.pod.Annotations)
	if err != nil {
		return err
	}
	if address := script.Forward[port]; address != "" {
		return f.connect(address, stream)
	}
	declared := declaredPort(f.pod, port)
	switch {
	case declared == nil:
		return fmt.Errorf("failed to connect to localhost:%d inside pod %s/%s: connection refused", port, f.pod.Namespace, f.pod.Name)
	case declared.Name == "echo":
		_, err = io.Copy(stream, stream)
		return err
	default:
		return f.answer(port, stream)
	}
}

// connect copies both ways until both have ended, or the client's connection has.
func (f forwarder) connect(address string, stream io.ReadWriteCloser) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(f.ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(f.ctx, func() { _ = conn.Close() })()
	go func() {
		_, _ = io.Copy(conn, stream)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, conn)
	return err
}

// answer answers HTTP requests.
func (f forwarder) answer(port int32, stream io.ReadWriteCloser) error {
	reader := bufio.NewReader(stream)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return nil //nolint:nilerr // the client has said all, or something that is not HTTP, which a server would not answer either
		}
		_, _ = io.Copy(io.Discard, request.Body)
		body := fmt.Sprintf("pod %s/%s, port %d: %s %s\n", f.pod.Namespace, f.pod.Name, port, request.Method, request.URL.Path)
		response := &http.Response{
			ProtoMajor: 1, ProtoMinor: 1, StatusCode: http.StatusOK, Request: request, Close: request.Close,
			ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
		}
		if err := response.Write(stream); err != nil || request.Close {
			return err
		}
	}
}

// declaredPort is the TCP port that a container declares, or nil.
func declaredPort(pod *corev1.Pod, number int32) *corev1.ContainerPort {
	for i := range pod.Spec.Containers {
		for j := range pod.Spec.Containers[i].Ports {
			port := &pod.Spec.Containers[i].Ports[j]
			if port.ContainerPort == number && (port.Protocol == "" || port.Protocol == corev1.ProtocolTCP) {
				return port
			}
		}
	}
	return nil
}
