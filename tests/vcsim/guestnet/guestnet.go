// SPDX-License-Identifier: Apache-2.0

// Package guestnet is the network of QEMU guests, in this process and without privileges: one Ethernet for each port
// group, each with a gateway that is their DHCP and DNS server and their way out, over gvisor-tap-vsock. Guests reach this
// machine's loopback as HostName. Who is on this machine reaches the guests through a SOCKS5 proxy.
//
// All methods may be called by several goroutines.
package guestnet

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"

	"github.com/sirupsen/logrus"
	"github.com/things-go/go-socks5"
)

// HostName is what guests call this machine.
const HostName = "host.wolfpack.internal"

// quiet keeps gvisor-tap-vsock from writing to standard error that a guest has gone, which is no news here.
var quiet = sync.OnceFunc(func() { logrus.SetLevel(logrus.FatalLevel) })

// Networks are the networks of a stand-in's port groups, each made when the first card joins it.
type Networks struct {
	proxy   net.Listener
	clients clients
	ended   chan struct{} // the proxy has

	mu     sync.Mutex // guards the fields below
	byKey  map[string]*network
	all    []*network
	closed bool
}

// New returns no networks yet, and listens for the proxy's clients. The caller closes it.
func New(ctx context.Context) (*Networks, error) {
	quiet()
	var listen net.ListenConfig
	proxy, err := listen.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for clients of guests: %w", err)
	}
	n := &Networks{proxy: proxy, ended: make(chan struct{}), byKey: make(map[string]*network)}
	server := socks5.NewServer(socks5.WithDial(n.dial), socks5.WithResolver(addressesOnly{}), socks5.WithRule(&socks5.PermitCommand{EnableConnect: true}))
	go func() {
		defer close(n.ended)
		n.clients.serve(proxy, server.ServeConn)
	}()
	return n, nil
}

// Proxy returns the URL of the proxy.
func (n *Networks) Proxy() *url.URL { return &url.URL{Scheme: "socks5", Host: n.proxy.Addr().String()} }

// dial is the proxy's way to a guest.
func (n *Networks) dial(ctx context.Context, _, address string) (net.Conn, error) {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	at := slices.IndexFunc(n.all, func(at *network) bool { return at.subnet.Contains(target.Addr()) })
	var to *network
	if at >= 0 {
		to = n.all[at]
	}
	n.mu.Unlock()
	if to != nil {
		return to.dial(ctx, target)
	}
	return nil, fmt.Errorf("no guest network has the address %s", target.Addr())
}

// Join plugs a card into the network of a port group. The cable carries its frames, framed as QEMU's streams are, and
// belongs to the port, unless there is an error. The card's address is its own until the port is closed.
func (n *Networks) Join(key, mac string, cable net.Conn) (*Port, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, errors.New("the guest networks are closed")
	}
	at := n.byKey[key]
	if at == nil {
		var err error
		if at, err = newNetwork(len(n.all)); err != nil {
			return nil, fmt.Errorf("make the guest network of %s: %w", key, err)
		}
		n.byKey[key], n.all = at, append(n.all, at)
	}
	return at.join(mac, cable)
}

// Close ends the proxy and the networks, and returns when their connections have ended.
func (n *Networks) Close() {
	_ = n.proxy.Close()
	n.mu.Lock()
	n.closed = true
	all := n.all
	n.mu.Unlock()
	n.clients.close()
	for _, at := range all {
		at.close()
	}
	<-n.ended
}

// addressesOnly resolves no names: what guests call each other is not known here.
type addressesOnly struct{}

func (addressesOnly) Resolve(ctx context.Context, name string) (context.Context, net.IP, error) {
	return ctx, nil, fmt.Errorf("%q is a name; guests are reached by address", name)
}

// clients are the connections of the proxy's clients.
type clients struct {
	mu     sync.Mutex // guards the fields below
	conns  map[net.Conn]bool
	closed bool
	group  sync.WaitGroup
}

func (c *clients) serve(listener net.Listener, serve func(net.Conn) error) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			break
		}
		if !c.add(conn) {
			break
		}
		c.group.Go(func() {
			defer c.remove(conn)
			_ = serve(conn) // the client has heard of it
		})
	}
	c.group.Wait()
}

func (c *clients) add(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = conn.Close()
		return false
	}
	if c.conns == nil {
		c.conns = make(map[net.Conn]bool)
	}
	c.conns[conn] = true
	return true
}

func (c *clients) remove(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, conn)
	_ = conn.Close()
}

func (c *clients) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for conn := range c.conns {
		_ = conn.Close()
	}
}

// preferred is where to begin to look for the address of a card: its own, as far as there are enough.
func preferred(mac string, among uint32) uint32 {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(mac)) // never fails
	return sum.Sum32() % among
}
