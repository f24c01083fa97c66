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

// parts are what the provider does in vCenter, each with the methods that it calls for that.
var parts = map[string][]string{
	"connect": {"RetrieveServiceContent", "Login"},
	"look":    {"CreateContainerView", "RetrievePropertiesEx", "DestroyView"},
	"watch":   {"CreatePropertyCollector", "CreateFilter", "WaitForUpdatesEx"},
	"start":   {"CreateVM_Task", "PowerOnVM_Task"},
	"stop":    {"ShutdownGuest", "PowerOffVM_Task", "Destroy_Task"},
	"leave":   {"DestroyPropertyCollector", "Logout"},

	// The VCH is found by vCenter's tags, once. After one of these has failed the others do not come, for it is found without.
	"tags login":   {"cis.session.create"},
	"tags list":    {"cis.tagging.tag.list-tags-for-category"},
	"tags objects": {"cis.tagging.tag-association.list-attached-objects-on-tags"},
	"tags logout":  {"cis.session.delete"},
}

// fault is one of the ways, for the methods of one part.
type fault struct{ part, way string }

func (f fault) String() string { return f.part + "/" + f.way }

// methods are those of the part that can go wrong in the way.
func (f fault) methods() []string {
	return slices.DeleteFunc(slices.Clone(parts[f.part]), func(method string) bool {
		switch ways[f.way].Do {
		case vcsim.DoTaskFault, vcsim.DoTaskStuck:
			return !strings.HasSuffix(method, "_Task")
		case vcsim.DoExpire:
			return f.part == "connect" || f.part == "tags login" // there is no session yet
		default:
			return false
		}
	})
}

// TestEachMethodFailsInEachWay runs the script while requests of each method go wrong in each way, those of the methods of one
// part in one run. Each run must end as one without faults does; the node must be Ready all along; and no pod may be Failed.
func TestEachMethodFailsInEachWay(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("dozens of runs of the script")
	}
	var cases []fault
	pairs := 0
	for _, part := range slices.Sorted(maps.Keys(parts)) {
		for _, way := range slices.Sorted(maps.Keys(ways)) {
			if f := (fault{part, way}); len(f.methods()) > 0 {
				cases = append(cases, f)
				pairs += len(f.methods())
			}
		}
	}
	allIn(t)
	t.Logf("%d pairs of a method and a way in which it fails, in %d runs", pairs, len(cases))
	each(t, cases, func(t *testing.T, i int, f fault) { f.strike(newWorld(t, fmt.Sprintf("fault-%d", i))) })
}

// allIn fails the test unless the parts have each method that the provider calls in a run in which nothing goes wrong.
func allIn(t *testing.T) {
	t.Helper()
	t.Run("none", func(t *testing.T) {
		w := newWorld(t, "faultless")
		n := newNode(w, vcenter.Limits{})
		w.script()
		w.awaitState(outcome)
		n.end()
		w.loggedOut(0)
		all := slices.Concat(slices.Collect(maps.Values(parts))...)
		for _, r := range w.requests() {
			require.Contains(t, all, r.Method)
		}
	})
}

// strike runs the script with the fault.
func (f fault) strike(w *world) {
	w.Helper()
	for _, method := range f.methods() {
		rule := ways[f.way]
		rule.Name, rule.Method, rule.Agent = method, method, agent
		w.vcenter.Inject(rule)
	}
	n := newNode(w, hurried)
	w.await("it takes pods", n.takesPods)
	w.script()
	w.awaitState(outcome)
	n.end()
	w.awaitState(outcome)
	w.unharmed()
	for _, method := range f.methods() {
		require.NotZero(w, w.struck(method), "no request of the method came: %s", method)
	}
	if f.part != "leave" { // whose session vCenter ends when it has been idle for half an hour
		w.loggedOut(f.lostSessions())
	}
}

// lostSessions is how many sessions may be left: a login whose answer was lost has one that nobody knows of.
func (f fault) lostSessions() int {
	if f.part == "connect" {
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
