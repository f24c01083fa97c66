// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// Fault is a rule by which requests to the vSphere API go wrong: which requests, which of those, and how.
//
// A request is offered to the rules in the order in which they were injected. Each rule that selects it counts it, and so
// knows whether it is to strike; the first that does more than to delay or to call hooks ends this, so later rules neither
// count nor strike. The rules of a stand-in are its own, and it can be asked for them while it runs: see Server.Inject,
// the flag -faults and the control endpoint.
type Fault struct {
	// Name is the rule's own. Default: "fault-N".
	Name string

	// Method, Object and Agent select requests. Each is a pattern as of path.Match; "" selects all.
	Method string // such as PowerOn*, or cis.tagging.tag.create of the REST interface for sessions and tags
	Object string // name or reference (VirtualMachine:vm-42) of the object called, or the name of what is made
	Agent  string // the client's User-Agent, such as wolfpack/*

	// Of the selected requests the first Skip are left alone, then Count are struck; with a Count of 0, all. Probability
	// thins them out: 0 and 1 strike each, and Seed makes it the same each time.
	Skip, Count int
	Probability float64
	Seed        uint64

	// Do says how a request goes wrong; the fields below are for those effects that name them.
	Do         Effect
	Fault      types.BaseMethodFault // DoFault, DoTaskFault
	Status     int                   // DoStatus; default 503
	RetryAfter time.Duration         // DoStatus: the header of that name, if it is not 0
	Delay      time.Duration         // DoDelay, DoDelayAnswer

	// Before and After are called just before the request is carried out, and when it has been, before it is answered.
	// They may block, and a test may cut the client off in them. They are no part of a file.
	Before, After func(Request)
}

// Effect says how a request goes wrong.
type Effect string

// The effects. Without one a Fault only calls its hooks.
const (
	DoFault       Effect = "fault"          // it is refused with a SOAP fault
	DoTaskFault   Effect = "task-fault"     // its task fails at once, having done nothing
	DoTaskStuck   Effect = "task-stuck"     // its task does nothing, and never ends
	DoStatus      Effect = "http-status"    // vCenter's proxy answers instead, as when vCenter is down
	DoReset       Effect = "reset"          // the connection is reset before it is carried out
	DoLoseAnswer  Effect = "lose-answer"    // the connection is reset after it was carried out
	DoDelay       Effect = "delay"          // it is carried out later
	DoDelayAnswer Effect = "delay-answer"   // it is carried out and answered later
	DoExpire      Effect = "expire-session" // its session ends, with all that lives in it: NotAuthenticated
	DoDeny        Effect = "no-permission"  // a state of the object: nobody may call it, hand it to a call, or read it
	DoFill        Effect = "full-datastore" // a state of the object, a datastore: it has no free space, and no VM can be made or powered on there
)

// effects are those that a file can name, in the order in which they are listed to users.
var effects = []Effect{
	DoFault, DoTaskFault, DoTaskStuck, DoStatus, DoReset, DoLoseAnswer, DoDelay, DoDelayAnswer, DoExpire, DoDeny, DoFill,
}

// statuses are those of DoStatus: what a proxy says when what is behind it does not answer, or is asked too much.
var statuses = []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

// bad says which field of which rule is wrong, its value, and what would be right.
func (f *Fault) bad(field string, value any, want string) error {
	return fmt.Errorf("fault %q: field %s is %v; want %s", f.Name, field, value, want)
}

// check completes the rule and says what is wrong with it.
func (f *Fault) check() error {
	if err := f.checkSelection(); err != nil {
		return err
	}
	return f.checkEffect()
}

func (f *Fault) checkSelection() error {
	for _, field := range []struct {
		name    string
		pattern *string
		example string
	}{
		{"method", &f.Method, "PowerOn*"},
		{"object", &f.Object, "web-* or VirtualMachine:vm-42"},
		{"agent", &f.Agent, "wolfpack/*"},
	} {
		if *field.pattern == "" {
			*field.pattern = "*"
		}
		if _, err := path.Match(*field.pattern, ""); err != nil {
			return f.bad(field.name, fmt.Sprintf("%q", *field.pattern), "a pattern such as "+field.example)
		}
	}
	switch {
	case !f.knowsMethod():
		return f.bad("method", fmt.Sprintf("%q", f.Method), "a method of the vSphere API such as PowerOnVM_Task, or a pattern such as PowerOn*")
	case f.Skip < 0:
		return f.bad("skip", f.Skip, "how many requests are left alone at first, at least 0")
	case f.Count < 0:
		return f.bad("count", f.Count, "how many requests are struck, or 0 for all")
	case !(f.Probability >= 0 && f.Probability <= 1):
		return f.bad("probability", f.Probability, "a number from 0 to 1")
	}
	return nil
}

// knowsMethod says whether the vSphere API has the method. A pattern may select any, and so may a name of the REST interface.
func (f *Fault) knowsMethod() bool {
	if strings.ContainsAny(f.Method, `*?[\`) || strings.HasPrefix(f.Method, cisPrefix) {
		return true
	}
	request, ok := types.TypeFunc()(f.Method)
	if !ok {
		return false
	}
	_, ok = request.FieldByName("This")
	return ok
}

func (f *Fault) checkEffect() error {
	literal := !strings.ContainsAny(f.Method, `*?[\`)
	switch {
	case f.Do == "" && f.Before == nil && f.After == nil || f.Do != "" && !slices.Contains(effects, f.Do):
		return f.bad("do", fmt.Sprintf("%q", f.Do), "one of "+list(effects))
	case (f.Do == DoFault || f.Do == DoTaskFault) != (f.Fault != nil):
		return f.bad("fault", typeName(f.Fault), "a fault such as NotAuthenticated with do: fault and do: task-fault, and none otherwise")
	case (f.Do == DoTaskFault || f.Do == DoTaskStuck) && literal && !makesTask(f.Method):
		return f.bad("method", fmt.Sprintf("%q", f.Method), "one that makes a task, such as PowerOnVM_Task")
	case (f.Do == DoDelay || f.Do == DoDelayAnswer) != (f.Delay > 0):
		return f.bad("delay", f.Delay, `a duration such as "1.5s" with do: delay and do: delay-answer, and none otherwise`)
	case f.Do != DoStatus && (f.Status != 0 || f.RetryAfter != 0):
		return f.bad("do", fmt.Sprintf("%q", f.Do), "http-status, which alone goes with status and retryAfter")
	case f.RetryAfter < 0:
		return f.bad("retryAfter", f.RetryAfter, `a duration such as "5s"`)
	case f.Do == DoDeny || f.Do == DoFill:
		return f.checkState()
	}
	if f.Do == DoStatus {
		if f.Status == 0 {
			f.Status = http.StatusServiceUnavailable
		}
		if !slices.Contains(statuses, f.Status) {
			return f.bad("status", f.Status, "one of "+list(statuses))
		}
	}
	return nil
}

// checkState checks a rule that is a state of an object, not something that happens to a request.
func (f *Fault) checkState() error {
	switch {
	case f.Object == "*":
		return f.bad("object", `"*"`, "the objects that do: "+string(f.Do)+" is for")
	case f.Skip != 0 || f.Count != 0 || f.Probability != 0:
		return f.bad("do", f.Do, "another one with skip, count or probability: this one is a state of the object")
	}
	return nil
}

// makesTask says whether a method makes a task, which its name shows.
func makesTask(method string) bool { return strings.HasSuffix(method, "_Task") }

func typeName(f types.BaseMethodFault) string {
	if f == nil {
		return "none"
	}
	_, name, _ := strings.Cut(fmt.Sprintf("%T", f), ".")
	return name
}

// list lists values for a message.
func list[T any](values []T) string {
	text := make([]string, len(values))
	for i, v := range values {
		text[i] = fmt.Sprint(v)
	}
	return strings.Join(text, ", ")
}
