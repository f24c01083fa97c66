// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"wolfpack/tests/pki"
	"wolfpack/tests/vcsim/simkubelet"
)

// endpoint is where all guests of a stand-in are reached: one server that knows by the address a client called which guest
// it wants. Normally one socket listens for all of 127.0.0.0/8; where the kernel has no such socket, each guest has one.
type endpoint struct {
	find        func(netip.Addr) *visible // nil if there is no such guest
	certificate tls.Certificate
	sha256      string // lower-case hex, of the certificate's DER
	server      *http.Server
	serving     sync.WaitGroup // one for each listener

	shared net.Listener // nil if each guest has its own
	mu     sync.Mutex   // guards all below
	own    map[netip.Addr]net.Listener
	conns  map[netip.Addr]map[*guestConn]bool // that are open
	closed bool
}

// visible is what the network sees of a guest. It is never changed.
type visible struct {
	simkubelet.Guest
	clients *x509.CertPool // must have signed a client's certificate; nil lets everyone in
}

// newEndpoint starts to listen. shared says whether one socket for all guests is wanted, which is tried first.
func newEndpoint(shared bool, find func(netip.Addr) *visible) (*endpoint, error) {
	e := &endpoint{find: find, own: make(map[netip.Addr]net.Listener), conns: make(map[netip.Addr]map[*guestConn]bool)}
	if err := e.certify(); err != nil {
		return nil, fmt.Errorf("make the guests' certificate: %w", err)
	}
	e.server = &http.Server{
		Handler:           simkubelet.New(e.guest),
		ConnContext:       connContext,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0), // refused clients are told; nobody else wants to know
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: e.configFor},
	}
	if shared {
		if listener, err := listenLoopback(); err == nil {
			e.shared = listener
			e.serve(listener)
		}
	}
	return e, nil
}

func (e *endpoint) certify() error {
	ca, err := pki.NewCA("simulated guests")
	if err != nil {
		return err
	}
	if e.certificate, err = ca.TLS(); err != nil {
		return err
	}
	sum := sha256.Sum256(e.certificate.Certificate[0])
	e.sha256 = hex.EncodeToString(sum[:])
	return nil
}

// open makes a guest's address answer and returns the port that it answers on.
func (e *endpoint) open(ctx context.Context, ip netip.Addr) (int, error) {
	if e.shared != nil {
		return e.shared.Addr().(*net.TCPAddr).Port, nil
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp4", netip.AddrPortFrom(ip, 0).String())
	if err != nil {
		return 0, fmt.Errorf("listen for guest %s: %w", ip, err)
	}
	e.mu.Lock()
	e.own[ip] = listener
	e.mu.Unlock()
	e.serve(listener)
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// shut ends what open began, and all connections with the guest, as if its power had failed.
func (e *endpoint) shut(ip netip.Addr) {
	e.mu.Lock()
	if listener := e.own[ip]; listener != nil {
		_ = listener.Close() // nobody uses it any more
		delete(e.own, ip)
	}
	e.mu.Unlock()
	e.cut(ip)
}

// cut ends all connections with a guest.
func (e *endpoint) cut(ip netip.Addr) {
	e.mu.Lock()
	open := slices.Collect(maps.Keys(e.conns[ip]))
	e.mu.Unlock()
	for _, conn := range open {
		_ = conn.Close() // whatever state it is in
	}
}

func (e *endpoint) serve(listener net.Listener) {
	e.serving.Go(func() {
		_ = e.server.ServeTLS(picky{listener, e}, "", "") // always ends with the error that it was closed
	})
}

func (e *endpoint) close() {
	_ = e.server.Close() // closes the listeners too; nobody uses them any more
	e.mu.Lock()
	e.closed = true
	ips := slices.Collect(maps.Keys(e.conns))
	e.mu.Unlock()
	for _, ip := range ips { // the server knows no connections that were upgraded
		e.shut(ip)
	}
	e.serving.Wait()
}

// configFor is the TLS configuration of the guest that a client called.
func (e *endpoint) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	guest := e.find(addrOf(hello.Conn))
	if guest == nil {
		return nil, errors.New("no guest has this address")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{e.certificate}, NextProtos: []string{"h2", "http/1.1"}}
	if guest.clients != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, guest.clients
	}
	return config, nil
}

// guest returns the guest that a request is for, or answers that it is gone.
func (e *endpoint) guest(w http.ResponseWriter, r *http.Request) (simkubelet.Guest, bool) {
	address, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if address != nil {
		if guest := e.find(address.AddrPort().Addr().Unmap()); guest != nil {
			return guest.Guest, true
		}
	}
	w.Header().Set("Connection", "close")
	http.Error(w, "the guest is gone", http.StatusServiceUnavailable)
	return simkubelet.Guest{}, false
}

// picky is a listener that takes no connections for addresses without a guest: they are closed at once, as if nobody were
// there.
type picky struct {
	net.Listener
	endpoint *endpoint
}

func (p picky) Accept() (net.Conn, error) {
	for {
		conn, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if ip := addrOf(conn); p.endpoint.find(ip) != nil {
			return p.endpoint.track(ip, conn), nil
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // reset it; if that fails it is closed all the same
		}
		_ = conn.Close()
	}
}

// addrOf returns the local address of a connection: the one that the client called.
func addrOf(conn net.Conn) netip.Addr {
	if address, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		return address.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// guestConn is a connection with a guest that ends with the guest. Requests that it carries end with it, upgraded ones too.
type guestConn struct {
	net.Conn
	endpoint *endpoint
	ip       netip.Addr
	ended    context.Context
	end      context.CancelFunc
}

// track takes a new connection.
func (e *endpoint) track(ip netip.Addr, conn net.Conn) net.Conn {
	c := &guestConn{Conn: conn, endpoint: e, ip: ip}
	c.ended, c.end = context.WithCancel(context.Background())
	e.mu.Lock()
	closed := e.closed
	if !closed {
		if e.conns[ip] == nil {
			e.conns[ip] = make(map[*guestConn]bool)
		}
		e.conns[ip][c] = true
	}
	e.mu.Unlock()
	if closed {
		_ = c.Close() // whoever called comes too late
	}
	return c
}

// Close closes the connection. It may be called again.
func (c *guestConn) Close() error {
	e := c.endpoint
	e.mu.Lock()
	delete(e.conns[c.ip], c)
	if len(e.conns[c.ip]) == 0 {
		delete(e.conns, c.ip)
	}
	e.mu.Unlock()
	c.end()
	return c.Conn.Close()
}

// connContext is an http.Server's: requests end when their connection is closed.
func connContext(ctx context.Context, conn net.Conn) context.Context {
	tracked, ok := conn.(*tls.Conn).NetConn().(*guestConn)
	if !ok {
		return ctx
	}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(tracked.ended, cancel)
	return ctx
}
