// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"crypto/rand"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// retriever is a property collector that hides objects, and whose pages each cost the same. The simulator copies all that is
// left with each page, puts properties without a value into all pages but the first, and keeps for good what nobody asks for.
type retriever struct {
	*simulator.PropertyCollector
	pages *pages
	hide  func(*simulator.Context, []types.ObjectContent)
}

// pages are what reads have yet to bring, by token.
type pages struct {
	mu   sync.Mutex // guards the map
	rest map[string]rest
}

// rest is what one read has yet to bring, to the session that began it.
type rest struct {
	session string
	size    int
	objects []types.ObjectContent
}

// turn takes a page off, and returns it with the token for what is left; it is "" if nothing is.
func (p *pages) turn(r rest) types.RetrieveResult {
	if r.size <= 0 || len(r.objects) <= r.size {
		return types.RetrieveResult{Objects: r.objects}
	}
	page := types.RetrieveResult{Objects: r.objects[:r.size:r.size], Token: rand.Text()}
	r.objects = r.objects[r.size:]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rest == nil {
		p.rest = make(map[string]rest)
	}
	p.rest[page.Token] = r
	return page
}

// take returns what a token is for, which is good only once and only in its session.
func (p *pages) take(token, session string) (rest, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.rest[token]
	if !ok || r.session != session {
		return rest{}, false
	}
	delete(p.rest, token)
	return r, true
}

// forget drops what a session that is over has not asked for.
func (p *pages) forget(session string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for token, r := range p.rest {
		if r.session == session {
			delete(p.rest, token)
		}
	}
}

// RetrieveProperties reads properties, all at once.
func (r *retriever) RetrieveProperties(ctx *simulator.Context, req *types.RetrieveProperties) soap.HasFault {
	objects, fault := r.read(ctx, req.This, req.SpecSet)
	if fault != nil {
		return &methods.RetrievePropertiesBody{Fault_: fault}
	}
	return &methods.RetrievePropertiesBody{Res: &types.RetrievePropertiesResponse{Returnval: objects}}
}

// read reads of each object what its own filter says: in the simulator each of a request's filters says so for the objects of
// all.
func (r *retriever) read(ctx *simulator.Context, this types.ManagedObjectReference, filters []types.PropertyFilterSpec) ([]types.ObjectContent, *soap.Fault) {
	var objects []types.ObjectContent
	for _, filter := range filters {
		body := r.PropertyCollector.RetrieveProperties(ctx, &types.RetrieveProperties{This: this, SpecSet: []types.PropertyFilterSpec{filter}})
		if fault := body.Fault(); fault != nil {
			return nil, fault
		}
		objects = append(objects, body.(*methods.RetrievePropertiesBody).Res.Returnval...)
	}
	r.hide(ctx, objects)
	return objects, nil
}

// RetrievePropertiesEx reads properties, and returns the first page.
func (r *retriever) RetrievePropertiesEx(ctx *simulator.Context, req *types.RetrievePropertiesEx) soap.HasFault {
	objects, fault := r.read(ctx, req.This, req.SpecSet)
	if fault != nil {
		return &methods.RetrievePropertiesExBody{Fault_: fault}
	}
	page := r.pages.turn(rest{ctx.Session.Key, int(req.Options.MaxObjects), objects})
	return &methods.RetrievePropertiesExBody{Res: &types.RetrievePropertiesExResponse{Returnval: &page}}
}

// ContinueRetrievePropertiesEx returns the next page.
func (r *retriever) ContinueRetrievePropertiesEx(ctx *simulator.Context, req *types.ContinueRetrievePropertiesEx) soap.HasFault {
	left, ok := r.pages.take(req.Token, ctx.Session.Key)
	if !ok {
		return &methods.ContinueRetrievePropertiesExBody{Fault_: badToken()}
	}
	return &methods.ContinueRetrievePropertiesExBody{Res: &types.ContinueRetrievePropertiesExResponse{Returnval: r.pages.turn(left)}}
}

// CancelRetrievePropertiesEx drops the pages that are left.
func (r *retriever) CancelRetrievePropertiesEx(ctx *simulator.Context, req *types.CancelRetrievePropertiesEx) soap.HasFault {
	if _, ok := r.pages.take(req.Token, ctx.Session.Key); !ok {
		return &methods.CancelRetrievePropertiesExBody{Fault_: badToken()}
	}
	return &methods.CancelRetrievePropertiesExBody{Res: new(types.CancelRetrievePropertiesExResponse)}
}

func badToken() *soap.Fault { return simulator.Fault("", &types.InvalidProperty{Name: "token"}) }
