// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"wolfpack/errs"
	"wolfpack/provider/portlayer"
)

const (
	dialTimeout = 10 * time.Second
	idleTimeout = 30 * time.Second // after which an unused connection is closed: there may be thousands of guests
	idlePerHost = 4                // connections that are kept for the next requests
)

// address is where a guest listens and what it proves itself with. A guest that has booted anew has another.
type address struct {
	host   string // IP and port
	sha256 string // of the server certificate
}

// route is how one guest is reached. It is never changed.
type route struct {
	address
	transport *http.Transport
}

func (r *route) url() *url.URL { return &url.URL{Scheme: "https", Host: r.host} }

// Reach says where the guest of vm is, with a transport that shows the provider's certificate and talks to nobody but the
// guest whose certificate the VM announced. It speaks HTTP/1.1, so that requests may be upgraded to SPDY or WebSocket.
// Connections are used again until Forget. errs.Unavailable: the guest does not listen.
func (g *Guests) Reach(vm *portlayer.VM) (*url.URL, http.RoundTripper, error) {
	r, err := g.reach(vm)
	if err != nil {
		return nil, nil, err
	}
	return r.url(), r.transport, nil
}

func (g *Guests) reach(vm *portlayer.VM) (*route, error) {
	at, err := addressOf(vm)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.routeTo(vm, at), nil
}

// routeTo returns the route to the guest that listens at an address. The caller holds mu.
func (g *Guests) routeTo(vm *portlayer.VM, at address) *route {
	uid := types.UID(vm.UID)
	if r := g.routes[uid]; r != nil {
		if r.address == at {
			return r
		}
		r.transport.CloseIdleConnections()
	}
	r := g.newRoute(vm, at)
	g.routes[uid] = r
	return r
}

// newRoute is a route of its own to the guest that listens at an address.
func (g *Guests) newRoute(vm *portlayer.VM, at address) *route {
	return &route{address: at, transport: newTransport(g.config.Authority, vm.VMName, at.sha256)}
}

// addressOf is where the VM's guest listens.
func addressOf(vm *portlayer.VM) (address, error) {
	const op = "guests.Reach"
	switch {
	case vm == nil:
		return address{}, errs.New(op, errs.Unavailable, "the pod has no VM yet")
	case vm.State != portlayer.Running:
		return address{}, errs.New(op, errs.Unavailable, "the guest of VM %s does not listen: the VM is %s", vm.VMName, vm.State)
	case vm.Endpoint == nil || vm.IP == "":
		return address{}, errs.New(op, errs.Unavailable, "the guest of VM %s does not listen yet", vm.VMName)
	}
	return address{host: net.JoinHostPort(vm.IP, strconv.Itoa(vm.Endpoint.Port)), sha256: vm.Endpoint.SHA256}, nil
}

// newTransport is a transport to one guest. A guest has no name that a CA could vouch for: what it announced through
// vSphere, which only the VM itself can write, is what it must show.
func newTransport(authority *Authority, vmName, pin string) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: idleTimeout}
	return &http.Transport{
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: dialTimeout,
		IdleConnTimeout:     idleTimeout,
		MaxIdleConnsPerHost: idlePerHost,
		DisableCompression:  true,
		TLSClientConfig: &tls.Config{
			MinVersion:           tls.VersionTLS13,
			InsecureSkipVerify:   true, // VerifyConnection does it
			VerifyConnection:     func(state tls.ConnectionState) error { return verify(state, vmName, pin) },
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return authority.ClientCertificate() },
		},
	}
}

// verify refuses whoever is not the guest that was announced.
func verify(state tls.ConnectionState, vmName, pin string) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the guest shows no certificate")
	}
	if got := fingerprint(state.PeerCertificates[0].Raw); got != pin {
		return fmt.Errorf("whoever answers at the address of VM %s shows a certificate with SHA-256 %s, but its guest announced %s", vmName, got, pin)
	}
	return nil
}

// fingerprint is a certificate's SHA-256 as contract.Endpoint has it.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
