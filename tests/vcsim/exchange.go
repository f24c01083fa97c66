// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// exchange is a request on its way to the simulator and back. It is used by one goroutine at a time.
type exchange struct {
	server *Server
	call   *call
	struck []*rule
	answer *answer
	rest   bool // it is for the REST interface
}

// exchangeKey is the key of an *exchange in the context of a request.
type exchangeKey struct{}

// answer holds what the simulator answers until the request's faults have had their turn.
type answer struct {
	http.ResponseWriter
	status int
	body   []byte
	ours   bool // it is the stand-in's, and what the simulator says no longer counts
	reset  bool // it is a reset connection
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if !a.ours {
		a.status = status
	}
}

// Write implements http.ResponseWriter. The simulator writes once.
func (a *answer) Write(body []byte) (int, error) {
	if !a.ours {
		a.body = append(a.body, body...)
	}
	return len(body), nil
}

// give makes the answer the stand-in's own.
func (a *answer) give(status int, body []byte) {
	a.status, a.body, a.ours = status, body, true
}

// observe returns a handler of the vSphere API that enters requests in the journal, and lets faults strike them.
func (s *Server) observe(next http.HandlerFunc) http.HandlerFunc {
	return s.exchanged(newExchange, next)
}

func newExchange(r *http.Request, body []byte) *exchange {
	return &exchange{call: newCall(r, body), answer: &answer{status: http.StatusOK}}
}

// exchanged returns a handler that makes an exchange of each request; what carries it out finds that in the context.
func (s *Server) exchanged(of func(r *http.Request, body []byte) *exchange, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		_ = r.Body.Close() // it has been read
		if err != nil {
			return // the client is gone
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(s.ctx, cancel)()
		x := of(r, body)
		x.server, x.answer.ResponseWriter = s, w
		x.begin(body)
		r = r.WithContext(context.WithValue(ctx, exchangeKey{}, x))
		r.Body = io.NopCloser(bytes.NewReader(body))
		x.serve(r, next)
		x.end()
	}
}

// begin enters the request in the journal and finds out which rules strike it.
func (x *exchange) begin(body []byte) {
	s, c := x.server, x.call
	s.journal.begin(&c.Request)
	name := s.named(c.ref).name
	s.journal.change(&c.Request, func(r *Request) { r.Name = name })
	var with involved
	if s.faults.haveStates() && !x.rest {
		with = s.involved(c, body)
	}
	x.struck = s.faults.strike(c, with)
	if len(x.struck) > 0 {
		s.journal.change(&c.Request, func(r *Request) {
			for _, rule := range x.struck {
				r.Faults = append(r.Faults, rule.Name)
			}
		})
	}
}

// serve carries the request out, or what its faults make of it, and answers it.
func (x *exchange) serve(r *http.Request, next http.HandlerFunc) {
	if !x.each(r.Context(), DoDelay, func(rule *rule) func(Request) { return rule.Before }) {
		return
	}
	if !x.refuse() {
		next(x.answer, r)
	}
	if !x.each(r.Context(), DoDelayAnswer, func(rule *rule) func(Request) { return rule.After }) {
		return
	}
	if x.effect().Do == DoLoseAnswer {
		x.answer.reset = true
	}
}

// each calls the hooks of the rules that struck, and waits as those with an effect say. It is false if the client went
// away meanwhile.
func (x *exchange) each(ctx context.Context, delay Effect, hook func(*rule) func(Request)) bool {
	for _, rule := range x.struck {
		if call := hook(rule); call != nil {
			call(x.snapshot())
		}
		if rule.Do == delay && !pause(ctx, rule.Delay) {
			return false
		}
	}
	return ctx.Err() == nil
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// snapshot is the entry in the journal as it is now.
func (x *exchange) snapshot() (now Request) {
	x.server.journal.change(&x.call.Request, func(r *Request) {
		now = *r
		now.Outcome = x.answer.outcome(now.Outcome)
	})
	return now
}

// effect returns the fault that strikes the request as a whole, or an empty one.
func (x *exchange) effect() *Fault {
	if len(x.struck) > 0 {
		if last := x.struck[len(x.struck)-1]; last.ends() {
			return &last.Fault
		}
	}
	return new(Fault)
}

// refuse answers the request instead of the simulator, if its fault is one that needs nothing of the simulator.
func (x *exchange) refuse() bool {
	f := x.effect()
	switch f.Do {
	case DoFault:
		if x.rest {
			x.answer.giveError(f.Fault)
		} else {
			x.answer.giveFault(f.Name, f.Fault)
		}
	case DoDeny:
		x.answer.giveFault(f.Name, &types.NoPermission{Object: &x.call.ref, PrivilegeId: "System.Read"})
	case DoStatus:
		if f.RetryAfter > 0 {
			seconds := (f.RetryAfter + time.Second - 1) / time.Second
			x.answer.Header().Set("Retry-After", fmt.Sprint(int64(seconds)))
		}
		x.answer.Header().Set("Content-Type", "text/plain")
		x.answer.give(f.Status, fmt.Appendf(nil, proxyBody, f.Status, http.StatusText(f.Status)))
	case DoReset:
		x.answer.reset, x.answer.ours = true, true
	default:
		return false
	}
	return true
}

// proxyBody is what vCenter's reverse proxy says when the service behind it does not answer.
const proxyBody = "%d %s (Failed to connect to endpoint: [N7Vmacore4Http20NamedPipeServiceSpecE:0x00007f2a3c0b8a10] " +
	"_serverNamespace = / action = Allow _pipeName =/var/run/vmware/vpxd-webserver-pipe)"

// strike is the part of a fault that the simulator has to do with. It reports whether the request is answered thereby.
func (x *exchange) strike(ctx *simulator.Context, method *simulator.Method) bool {
	f := x.effect()
	switch f.Do {
	case DoExpire:
		x.server.endSession(ctx.Session.Key)
		ctx.Map.SessionManager().Logout(ctx, nil)
		x.answer.giveFault(f.Name, &types.NotAuthenticated{NoPermission: types.NoPermission{Object: &method.This, PrivilegeId: "System.View"}})
	case DoTaskFault, DoTaskStuck, DoFill:
		object := ctx.Map.Get(method.This)
		if object == nil {
			return false // which the simulator says
		}
		x.answer.giveTask(method.Name, x.server.failTask(ctx, object, method.Name, f))
	default:
		return false
	}
	return true
}

// failTask makes a task that fails, or that never ends.
func (s *Server) failTask(ctx *simulator.Context, object mo.Reference, method string, f *Fault) types.ManagedObjectReference {
	name := strings.ToLower(method[:1]) + strings.Replace(method[1:], "VM_Task", "Vm_Task", 1)
	name = strings.TrimSuffix(name, "_Task")
	fault := f.Fault
	if f.Do == DoFill {
		fault = &types.NoDiskSpace{FileFault: types.FileFault{File: "[" + f.Object + "]"}, Datastore: f.Object}
	}
	task := simulator.CreateTask(object, name, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) { return nil, fault })
	if f.Do != DoTaskStuck {
		return task.Run(ctx)
	}
	// A task that runs would hold its object's lock, and nobody could look at the object any more.
	task.Self = types.ManagedObjectReference{Type: "Task", Value: fmt.Sprintf("task-stuck-%d", s.stuck.Add(1))}
	task.Info.Key, task.Info.Task = task.Self.Value, task.Self
	task.Info.State = types.TaskInfoStateRunning
	started := time.Now()
	task.Info.StartTime = &started
	s.model.Map().Put(task)
	return task.Self
}

// end answers the client and completes the journal.
func (x *exchange) end() {
	a := x.answer
	x.server.journal.change(&x.call.Request, func(r *Request) {
		r.Outcome = a.outcome("gone")
		if a.reset && !a.ours {
			r.Outcome = "answer lost"
		}
		r.Duration = time.Since(r.Time)
		if key := a.newSession(); key != "" {
			r.Session = sessionID(key)
		}
	})
	if a.reset {
		reset(a.ResponseWriter)
		return
	}
	a.ResponseWriter.WriteHeader(a.status)
	_, _ = a.ResponseWriter.Write(a.body) // the client may be gone
}

// outcome says what the client is told, or otherwise if that is nothing yet.
func (a *answer) outcome(otherwise string) string {
	switch {
	case a.reset:
		return "reset"
	case a.body == nil:
		return otherwise
	case a.status == http.StatusOK:
		return "ok"
	case a.status != http.StatusInternalServerError:
		return fmt.Sprintf("HTTP %d", a.status)
	}
	if found := faultDetail.FindSubmatch(a.body); found != nil {
		return "fault " + string(found[1])
	}
	return "fault"
}

// faultDetail finds the type of the fault in an answer.
var faultDetail = regexp.MustCompile(`<detail><\w+Fault [^>]*type="(\w+)"`)

// newSession returns the key of the session that a login began, or "".
func (a *answer) newSession() string {
	res := http.Response{Header: a.Header()}
	for _, cookie := range res.Cookies() {
		if cookie.Name == soap.SessionCookieName {
			return cookie.Value
		}
	}
	return ""
}

// reset closes the connection so that the client gets a reset, with no answer and no word of farewell.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the server closes it then, which is as near as one can come
	}
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if plain, ok := conn.(*net.TCPConn); ok {
		_ = plain.SetLinger(0) // without it there would be no reset
	}
	_ = conn.Close() // that the client minds is the point
}
