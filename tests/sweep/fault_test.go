// SPDX-License-Identifier: Apache-2.0

package sweep

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/provider/portlayer/vcenter"
	"wolfpack/tests/vcsim"
)

// ways are those in which requests go wrong. Each strikes the first requests of a method, so that what is tried again fails
// again, but for the slow ones, which are all.
var ways = map[string]vcsim.Fault{
	"SOAP fault":        {Count: 2, Do: vcsim.DoFault, Fault: &types.SystemError{Reason: "vpxd is restarting"}},
	"HTTP 503":          {Count: 2, Do: vcsim.DoStatus},
	"never answered":    {Count: 2, Do: vcsim.DoDelay, Delay: time.Hour},
	"reset before":      {Count: 2, Do: vcsim.DoReset},
	"reset after":       {Count: 2, Do: vcsim.DoLoseAnswer},
	"session expired":   {Count: 2, Do: vcsim.DoExpire},
	"slow":              {Do: vcsim.DoDelay, Delay: 100 * time.Millisecond},
	"task fails":        {Count: 2, Do: vcsim.DoTaskFault, Fault: &types.TaskInProgress{}},
	"task never ends":   {Count: 2, Do: vcsim.DoTaskStuck},
	"answered too late": {Do: vcsim.DoDelayAnswer, Count: 2, Delay: 6 * time.Second},
}

// fault is one of the ways, for one method.
type fault struct{ method, way string }

func (f fault) String() string { return f.method + "/" + f.way }

// makesTask says whether the method begins a task.
func (f fault) makesTask() bool { return strings.HasSuffix(f.method, "_Task") }

// possible says whether requests of the method can go wrong in that way.
func (f fault) possible() bool {
	switch ways[f.way].Do {
	case vcsim.DoTaskFault, vcsim.DoTaskStuck:
		return f.makesTask()
	case vcsim.DoExpire:
		return f.method != "Login" && f.method != "RetrieveServiceContent" // there is no session yet
	default:
		return true
	}
}

// TestEachMethodFailsInEachWay runs the script while requests of one method go wrong in one way, for each method that the
// provider uses and for each way. Each run must end as one without faults does; the node must be Ready all along; and no pod
// may ever be Failed.
func TestEachMethodFailsInEachWay(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("more than a hundred runs of the script")
	}
	var cases []fault
	for _, method := range methods(t) {
		for _, way := range slices.Sorted(maps.Keys(ways)) {
			if f := (fault{method, way}); f.possible() {
				cases = append(cases, f)
			}
		}
	}
	t.Logf("%d pairs of a method and a way in which it fails", len(cases))
	each(t, cases, func(t *testing.T, i int, f fault) { f.strike(newWorld(t, fmt.Sprintf("fault-%d", i))) })
}

// methods are those that the provider calls in a run in which nothing goes wrong.
func methods(t *testing.T) []string {
	t.Helper()
	used := map[string]bool{}
	t.Run("none", func(t *testing.T) {
		w := newWorld(t, "faultless")
		n := newNode(w, vcenter.Limits{})
		w.script()
		w.awaitState(outcome)
		n.end()
		w.loggedOut(0)
		for _, r := range w.requests() {
			used[r.Method] = true
		}
	})
	require.NotEmpty(t, used)
	return slices.Sorted(maps.Keys(used))
}

// strike runs the script with the fault.
func (f fault) strike(w *world) {
	w.Helper()
	rule := ways[f.way]
	rule.Name, rule.Method, rule.Agent = f.String(), f.method, agent
	w.vcenter.Inject(rule)
	n := newNode(w, hurried)
	w.await("it takes pods", n.takesPods)
	w.script()
	w.awaitState(outcome)
	n.end()
	w.awaitState(outcome)
	w.unharmed()
	require.NotZero(w, w.struck(rule.Name), "no request of the method came")
	if f.method != "Logout" { // whose session vCenter ends when it has been idle for half an hour
		w.loggedOut(f.lostSessions())
	}
}

// lostSessions is how many sessions may be left: a login whose answer was lost has one that nobody knows of.
func (f fault) lostSessions() int {
	if f.method == "Login" {
		return ways[f.way].Count
	}
	return 0
}

// struck is how many requests a rule has struck.
func (w *world) struck(name string) int {
	for _, f := range w.vcenter.Faults() {
		if f.Name == name {
			return f.Struck
		}
	}
	return 0
}
