// SPDX-License-Identifier: Apache-2.0

package sweep

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"wolfpack/tests/vcsim"
)

// worlds is how many worlds there are at once: their programs wait most of the time.
const worlds = 8

// crash is a point at which the program is killed: at the request of a method that is the nth of the run, before or after
// vCenter carries it out. After it, the answer is lost.
type crash struct {
	method string
	nth    int // from 1
	after  bool
}

func (c crash) String() string {
	when := "before"
	if c.after {
		when = "after"
	}
	return fmt.Sprintf("%s %s %d", when, c.method, c.nth)
}

// TestKilledAtEveryRequest kills the program with SIGKILL just before and just after each request to vCenter that an
// undisturbed run of the script makes, from the first one to connect to the logout at its end, and starts it again. Every
// run must end as the undisturbed one does.
//
// "Just before" is: vCenter has received the request, and the program is dead before vCenter does anything about it, which it
// then does not. "Just after" is: vCenter has carried it out, and the program is dead before the answer is sent.
func TestKilledAtEveryRequest(t *testing.T) {
	t.Parallel()
	points := crashes(undisturbed(t))
	t.Logf("%d crash points", len(points))
	var missed atomic.Int32
	each(t, points, func(t *testing.T, i int, c crash) {
		if !c.strike(newWorld(t, fmt.Sprintf("crash-%d", i))) {
			missed.Add(1)
			t.Logf("there was no %s %d in this run, in which answers came together", c.method, c.nth)
		}
	})
	t.Logf("%d crash points, of which %d did not come", len(points), missed.Load())
}

// undisturbed returns the requests of a run of the script in which nothing goes wrong.
func undisturbed(t *testing.T) []vcsim.Request {
	t.Helper()
	var requests []vcsim.Request
	t.Run("undisturbed", func(t *testing.T) {
		w := newWorld(t, "undisturbed")
		p := newProgram(w)
		w.script()
		w.awaitState(outcome)
		p.stop()
		w.loggedOut(0)
		requests = w.requests()
	})
	require.NotEmpty(t, requests)
	return requests
}

// crashes are the points before and after each of the requests, the last ones first: those are in worlds whose VMs are many,
// and take longest.
func crashes(requests []vcsim.Request) []crash {
	var points []crash
	ordinals := map[string]int{}
	for _, r := range requests {
		ordinals[r.Method]++
		points = append(points, crash{r.Method, ordinals[r.Method], false}, crash{r.Method, ordinals[r.Method], true})
	}
	slices.Reverse(points)
	return points
}

// strike runs the script and kills the program at the crash point. It is false if there was no such request.
func (c crash) strike(w *world) (struck bool) {
	w.Helper()
	var p *program
	started := make(chan struct{})
	kill := func(vcsim.Request) {
		<-started
		if err := p.crash(); err != nil {
			w.Error(err)
		}
	}
	fault := vcsim.Fault{Name: "crash", Agent: agent, Method: c.method, Skip: c.nth - 1, Count: 1, Do: vcsim.DoReset, Before: kill}
	if c.after {
		fault.Do, fault.Before, fault.After = vcsim.DoLoseAnswer, nil, kill
	}
	w.vcenter.Inject(fault)
	p = newProgram(w)
	close(started)
	w.script()
	w.awaitState(outcome)
	p.stop()
	w.awaitState(outcome)
	w.unharmed()
	w.loggedOut(p.crashes())
	return p.crashes() > 0
}

// loggedOut fails the test unless the last that vCenter heard of the program is that it logs out, and unless at most so many
// sessions are left: those of killed programs, which nobody can end but vCenter, when they have been idle for half an hour.
// Whatever else a program has in vCenter for itself, collectors with their filters and views, is in its session and ends with it.
func (w *world) loggedOut(killed int) {
	w.Helper()
	requests := w.requests()
	last := requests[len(requests)-1]
	require.Equal(w, "Logout", last.Method)
	require.Contains(w, []string{"ok", "fault NotAuthenticated"}, last.Outcome) // the latter if vCenter has ended the session itself
	require.LessOrEqual(w, len(w.sessions()), killed, "sessions are left")
}

// each runs a test for each of the cases, several at once.
func each[T fmt.Stringer](t *testing.T, cases []T, test func(t *testing.T, i int, c T)) {
	t.Helper()
	slots := make(chan struct{}, worlds)
	for i, c := range cases {
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			t.Run(c.String(), func(t *testing.T) { test(t, i, c) })
		}()
	}
	for range worlds {
		slots <- struct{}{}
	}
}
