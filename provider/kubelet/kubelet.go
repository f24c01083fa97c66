// SPDX-License-Identifier: Apache-2.0

// Package kubelet is the kubelet endpoint of a virtual node: the HTTPS server that the API server asks for `kubectl logs`,
// `exec`, `attach` and `port-forward`, and metrics-server and Prometheus for numbers.
//
// What is the node's it answers itself: the lists of pods, the sum of the statistics, its configuration. What is a pod's it
// passes on to the kubelet inside the pod's VM, path and stream unchanged, so that everything which that kubelet can do,
// and whatever protocol its client speaks, works without being understood here.
//
// Everybody but a health check must say who they are, by a client certificate or a bearer token, and may do what the
// cluster's authorizer lets them, exactly as with a node's kubelet.
//
// Any number of servers may run in one process. All methods are safe for concurrent use.
package kubelet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"wolfpack/errs"
)

// DefaultPort is where clients expect a kubelet that says nothing else in its node's status.
const DefaultPort = 10250

const (
	// headerTimeout bounds how long a client may take to ask, not how long the answer may take: a stream that is quiet for
	// hours is still a stream. TCP's keep-alive, which Go switches on, finds the peers that have vanished.
	headerTimeout = 30 * time.Second
	// idleTimeout is for connections between two requests; clients keep theirs for as long.
	idleTimeout = 90 * time.Second
	// maxHeader is the kubelet's. A command to execute is part of it.
	maxHeader = 1 << 20
	// shutdownTimeout is how long requests under way get at the end to notice that they were ended.
	shutdownTimeout = 5 * time.Second
)

// Pods is what the endpoint asks of the provider.
type Pods interface {
	// GetPods returns all pods of the node.
	GetPods(ctx context.Context) ([]*corev1.Pod, error)
	// GetPod returns one of them, or Virtual Kubelet's NotFound.
	GetPod(ctx context.Context, namespace, name string) (*corev1.Pod, error)
	// Guest returns where the kubelet inside the pod's VM is, and a transport that proves to each side who the other is.
	// The error is of the kind NotFound if there is no such pod, Unavailable if its guest does not listen (yet).
	Guest(ctx context.Context, namespace, name string) (*url.URL, http.RoundTripper, error)
}

// Options are what an admin chooses.
type Options struct {
	// Address is the IP address to listen on; empty for all of the machine's (--kubelet-address).
	Address string
	// Port is 0 for a free one (--kubelet-port).
	Port int
	// CertFile and KeyFile are the serving certificate, read again when they change (--tls-cert-file,
	// --tls-private-key-file). Without them the cluster signs one.
	CertFile, KeyFile string
	// SelfSigned makes the endpoint sign its own certificate instead, which no client can verify (--tls-self-signed).
	SelfSigned bool
	// CertDir is the folder that keeps the certificate which the cluster signed; empty for memory only, so that each start
	// asks for a new one (--cert-dir).
	CertDir string
	// ClientCAFile has the authorities that client certificates are verified with, read again when it changes; empty for
	// those that the API server publishes for this purpose (--client-ca-file).
	ClientCAFile string
	// Metrics answers /metrics; nil for nothing.
	Metrics http.Handler
	// Profiling answers /debug/pprof (--profiling).
	Profiling bool
}

// Flags adds the flags of the options, whose values so far are the defaults. They have the kubelet's names where it has them.
func (o *Options) Flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Address, "kubelet-address", o.Address, "IP address that the node's kubelet endpoint listens on (default all)")
	flags.IntVar(&o.Port, "kubelet-port", o.Port, "port of the node's kubelet endpoint, 0 for a free one")
	flags.StringVar(&o.CertFile, "tls-cert-file", o.CertFile, "certificate of the kubelet endpoint, read again when it changes (default one that the cluster signs, whose CertificateSigningRequest must be approved)")
	flags.StringVar(&o.KeyFile, "tls-private-key-file", o.KeyFile, "private key of --tls-cert-file")
	flags.BoolVar(&o.SelfSigned, "tls-self-signed", o.SelfSigned, "let the kubelet endpoint sign its own certificate, for clusters that do not verify it")
	flags.StringVar(&o.CertDir, "cert-dir", o.CertDir, "folder that keeps the certificate which the cluster signed (default none: each start asks for a new one)")
	flags.StringVar(&o.ClientCAFile, "client-ca-file", o.ClientCAFile, "authorities for client certificates of the kubelet endpoint, read again when they change (default the cluster's)")
	flags.BoolVar(&o.Profiling, "profiling", o.Profiling, "serve /debug/pprof on the kubelet endpoint, to those who may get nodes/proxy")
}

// Config is what a Server needs.
type Config struct {
	Options
	NodeName string
	// Addresses are the node's, which its certificate is for.
	Addresses []corev1.NodeAddress
	Client    kubernetes.Interface
	Pods      Pods
}

// Server is the endpoint of one node.
type Server struct {
	config   Config
	listener net.Listener
	clients  clientCA
	serving  servingCertificate
	handler  http.Handler
	requests sync.WaitGroup // those that are being answered, streams among them
}

// Listen opens the endpoint's port and reads the files that the configuration names, so that what is wrong with them is
// known before the node registers. Run answers; without it, Close.
func Listen(config Config) (*Server, error) {
	const op = "kubelet.Listen"
	if err := config.Validate(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(config.Address, strconv.Itoa(config.Port)))
	if err != nil {
		return nil, errs.New(op, errs.Invalid, "kubelet endpoint: %w; choose others with --kubelet-address and --kubelet-port", err)
	}
	s := &Server{config: config, listener: listener}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(errs.New(op, errs.Invalid, "kubelet endpoint: %w", err), s.Close())
	}
	return s, nil
}

// prepare makes all that needs no connection: whom to believe, what to present, what to answer.
func (s *Server) prepare() error {
	var err error
	if s.serving, err = newCertificate(s.config); err != nil {
		return err
	}
	if s.clients, err = newClientCA(s.config); err != nil {
		return err
	}
	auth, err := newAuth(s.config.Client, s.config.NodeName, s.clients)
	if err != nil {
		return fmt.Errorf("authentication: %w", err)
	}
	s.handler = auth.protect(s.routes(time.Now()))
	return nil
}

// Validate says what is wrong with the options as such. It opens nothing.
func (o Options) Validate() error {
	const op = "kubelet.Options"
	switch {
	case o.Port < 0 || o.Port > 65535:
		return errs.New(op, errs.Invalid, "kubelet-port is %d, want a TCP port, or 0 for a free one", o.Port)
	case o.Address != "" && net.ParseIP(o.Address) == nil:
		return errs.New(op, errs.Invalid, "kubelet-address %q is no IP address, want one of this machine's, or none for all", o.Address)
	case (o.CertFile == "") != (o.KeyFile == ""):
		return errs.New(op, errs.Invalid, "tls-cert-file is %q and tls-private-key-file is %q, want both or neither", o.CertFile, o.KeyFile)
	case o.SelfSigned && o.CertFile != "":
		return errs.New(op, errs.Invalid, "tls-self-signed and tls-cert-file %s are both given, want one of them", o.CertFile)
	case o.CertDir != "" && (o.SelfSigned || o.CertFile != ""):
		return errs.New(op, errs.Invalid, "cert-dir is %q, but it keeps only a certificate that the cluster signs: leave it out, or tls-cert-file and tls-self-signed", o.CertDir)
	default:
		return nil
	}
}

// Port is the port that the endpoint listens on.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// Ready is closed when there is the certificate that was asked for, which may need an admin's approval first.
func (s *Server) Ready() <-chan struct{} { return s.serving.Ready() }

// Close gives up a server that never ran.
func (s *Server) Close() error {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if s.clients != nil { // nothing but Run ends the queues that these begin with
		s.clients.Run(ended, 1)
	}
	if s.serving != nil {
		s.serving.Run(ended)
	}
	return s.listener.Close()
}

// Run answers requests until ctx ends, which also ends the streams that are open. It returns nil when ctx ended.
func (s *Server) Run(ctx context.Context) error {
	logger := klog.FromContext(ctx).WithValues("node", s.config.NodeName)
	ctx, cancel := context.WithCancel(klog.NewContext(ctx, logger))
	defer cancel()
	var background sync.WaitGroup
	background.Go(func() { s.clients.Run(ctx, 1) })
	background.Go(func() { s.serving.Run(ctx) })
	server := s.server(ctx)
	failed := make(chan error, 1)
	background.Go(func() { failed <- server.ServeTLS(s.listener, "", "") })
	logger.Info("The kubelet endpoint listens", "address", s.listener.Addr().String())

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	stopping := ctx.Err() != nil
	cancel()
	s.shutdown(ctx, server)
	background.Wait()
	if stopping || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return errs.New("kubelet.Run", errs.Internal, "kubelet endpoint: %w", err)
}

// server is the HTTP server. It speaks HTTP/1.1 only: HTTP/2 has no upgrade to SPDY or WebSocket.
func (s *Server) server(ctx context.Context) *http.Server {
	return &http.Server{
		Handler:           s.counted(s.handler),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		// What goes wrong with one connection, a port scan's broken handshake for instance, is nobody's business by default.
		ErrorLog: slog.NewLogLogger(logr.ToSlogHandler(klog.FromContext(ctx).V(4)), slog.LevelInfo),
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			NextProtos: []string{"http/1.1"},
			// Asked for, not required: who has none may have a bearer token. The authenticator verifies it.
			ClientAuth:     tls.RequestClientCert,
			GetCertificate: s.serving.Get,
		},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
}

// counted counts the requests that are being answered: http.Server forgets those that became a stream.
func (s *Server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		defer s.requests.Done()
		next.ServeHTTP(w, r)
	})
}

// shutdown ends all connections and waits for their requests, whose context has ended.
func (s *Server) shutdown(ctx context.Context, server *http.Server) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close() // whoever has not noticed yet
	}
	s.requests.Wait()
}
