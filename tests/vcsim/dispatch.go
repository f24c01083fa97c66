// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// handle is the simulator's hook before each call: it may refuse the call, or choose who answers it.
func (s *Server) handle(ctx *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if s.ctx.Err() != nil {
		return nil, new(types.RequestCanceled)
	}
	if ctx.Session != nil && ctx.Session.UserName == "" {
		return nil, nil // the simulator's own session: it is calling itself
	}
	client := s.client(ctx)
	ctx.Context = context.WithValue(ctx.Context, turnKey{}, client.Value(turnKey{}))
	switch method.Name {
	case "LoginByToken", "LoginExtensionByCertificate":
		// The simulator takes any token and any certificate, which would make a password pointless.
		if s.checked {
			return nil, new(types.InvalidLogin)
		}
	}
	if ctx.Session == nil {
		return nil, nil // the simulator answers the few calls that need no session
	}
	if x, ok := client.Value(exchangeKey{}).(*exchange); ok && x.strike(ctx, method) {
		return nil, new(types.RequestCanceled) // which the client does not get to see
	}
	if with := s.substitute(ctx, client, method); with != nil {
		// The simulator prefers the object of the registry to ours, if there is one: make it find none.
		method.This.Value += " of the stand-in"
		return with, nil
	}
	return nil, nil
}

// substitute returns who answers a call instead of the object it is for, or nil.
func (s *Server) substitute(ctx *simulator.Context, client context.Context, method *simulator.Method) mo.Reference {
	switch method.Name {
	case "ReconfigVM_Task", "CloneVM_Task", "InstantClone_Task":
		if vm, ok := ctx.Map.Get(method.This).(*simulator.VirtualMachine); ok {
			return &vmMethods{vm}
		}
	case "EnterMaintenanceMode_Task", "ExitMaintenanceMode_Task", "DisconnectHost_Task", "ReconnectHost_Task":
		if host, ok := ctx.Map.Get(method.This).(*simulator.HostSystem); ok {
			return &hostMethods{host}
		}
	case "CreateResourcePool", "UpdateConfig":
		if pool, ok := ctx.Map.Get(method.This).(*simulator.ResourcePool); ok {
			return &poolMethods{pool}
		}
	case "RevertToSnapshot_Task":
		return snapshotOf(ctx, method.This)
	case "CreateVM_Task":
		if folder, ok := ctx.Map.Get(method.This).(*simulator.Folder); ok {
			return &folderMethods{folder}
		}
	case "ShutdownGuest", "RebootGuest", "ResetVM_Task", "PowerOnVM_Task":
		if vm, ok := ctx.Map.Get(method.This).(*simulator.VirtualMachine); ok && s.guests != nil {
			return &guestMethods{vm, s.guests}
		}
	case "CreateFilter", "WaitForUpdates", "WaitForUpdatesEx", "CancelWaitForUpdates", "DestroyPropertyCollector":
		if pc, ok := ctx.Session.Get(method.This).(*simulator.PropertyCollector); ok {
			return &collector{pc, s.feeds, client}
		}
	case "DestroyPropertyFilter":
		if f, ok := ctx.Session.Get(method.This).(*simulator.PropertyFilter); ok {
			return &filterMethods{f, s.feeds}
		}
	case "RetrieveProperties", "RetrievePropertiesEx", "ContinueRetrievePropertiesEx", "CancelRetrievePropertiesEx":
		if pc, ok := ctx.Session.Get(method.This).(*simulator.PropertyCollector); ok {
			return &retriever{pc, &s.pages, s.hide}
		}
	case "HasPrivilegeOnEntities":
		if manager, ok := ctx.Map.Get(method.This).(*simulator.AuthorizationManager); ok {
			return &privileges{manager}
		}
	case "Logout":
		s.endSession(ctx.Session.Key)
	}
	return nil
}

// endSession forgets what lives in a session that is over.
func (s *Server) endSession(key string) {
	s.feeds.remove(func(f *feed) bool { return f.session == key })
	s.pages.forget(key)
}

// requests are the contexts of the HTTP requests being served. The simulator hands out no more of a request than its
// session cookie, so a number for the request travels there, in front of the session's key and a dot.
type requests struct {
	mu      sync.Mutex // guards the fields below
	last    uint64
	context map[uint64]context.Context
}

func (r *requests) add(ctx context.Context) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.context == nil {
		r.context = make(map[uint64]context.Context)
	}
	r.last++
	r.context[r.last] = ctx
	return r.last
}

func (r *requests) remove(number uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.context, number)
}

func (r *requests) get(number uint64) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.context[number]
}

// serveSDK serves the vSphere API.
func (s *Server) serveSDK(w http.ResponseWriter, r *http.Request) {
	number := s.requests.add(r.Context())
	defer s.requests.remove(number)
	var key string
	if cookie, err := r.Cookie(soap.SessionCookieName); err == nil {
		key = cookie.Value
	}
	tagged := http.Cookie{Name: soap.SessionCookieName, Value: strconv.FormatUint(number, 10) + "." + key}
	r.Header.Set("Cookie", tagged.String()+"; "+r.Header.Get("Cookie"))
	s.model.Service.ServeSDK(w, r)
}

// route makes the mux serve what the server serves itself; the simulator serves the rest.
func (s *Server) route(mux *http.ServeMux) {
	serve := s.serveSDK
	if raceDetector {
		one := newExclusive()
		s.model.Map().AddHandler(one)
		serve = func(w http.ResponseWriter, r *http.Request) {
			if needsTurn(r) {
				one.serve(w, r, s.serveSDK)
			} else {
				s.serveSDK(w, r)
			}
		}
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost} {
			mux.HandleFunc(method+" /folder/", func(w http.ResponseWriter, r *http.Request) {
				one.serve(w, r, s.model.Service.ServeDatastore)
			})
		}
	}
	for _, path := range []string{vim25.Path, vim25.Path + "/vimService"} { // some clients use the longer one
		mux.HandleFunc("POST "+path, s.observe(serve))
	}
}

// sessionKey returns the session's key from the cookie of a request, for the simulator.
func sessionKey(ctx *simulator.Context) string {
	cookie := simulator.HTTPCookie(ctx)
	if _, key, ok := strings.Cut(cookie, "."); ok {
		return key
	}
	return cookie
}

// client returns a context that ends when the client of a request is gone, or the server closes.
func (s *Server) client(ctx *simulator.Context) context.Context {
	tag, _, _ := strings.Cut(simulator.HTTPCookie(ctx), ".")
	if number, err := strconv.ParseUint(tag, 10, 64); err == nil {
		if client := s.requests.get(number); client != nil {
			return client
		}
	}
	return s.ctx
}
