// SPDX-License-Identifier: Apache-2.0

// Package guests is the provider's side of the guest contract: it reaches the kubelet endpoint inside each pod VM, over
// mutual TLS. A guest knows the provider by the CA that the VM was given when it was made; the provider knows a guest by
// the fingerprint of the certificate that it announced.
//
// All methods are safe for concurrent use.
package guests

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// Guests are the guests of one virtual container host.
type Guests struct {
	authority *Authority

	mu     sync.Mutex           // guards all below
	routes map[types.UID]*route // by pod
}

// New returns guests that know the provider by authority.
func New(authority *Authority) *Guests {
	return &Guests{authority: authority, routes: map[types.UID]*route{}}
}

// CA is the PEM of the CA that a guest must be given to know the provider by. It is public.
func (g *Guests) CA() string { return string(g.authority.pem) }

// Forget drops what is kept for a pod whose VM is gone.
func (g *Guests) Forget(uid types.UID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.routes[uid]; r != nil {
		r.transport.CloseIdleConnections()
		delete(g.routes, uid)
	}
}
