// SPDX-License-Identifier: Apache-2.0

package lifetimes_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/telemetry"
	"wolfpack/telemetry/lifetimes"
	"wolfpack/tests/vcsim"
)

// following reads the events of a bench again and again, each time going on from the state before.
type following struct {
	*bench
	source *lifetimes.Follower
	state  *lifetimes.State
}

func follow(t *testing.T) *following {
	t.Helper()
	b := newBench(t)
	f := &following{bench: b, source: &lifetimes.Follower{VCenter: lifetimes.VCenter{Client: b.client.Client}}}
	t.Cleanup(func() { f.source.Close(context.Background()) })
	return f
}

// study is one reading, with the census after it, and the requests that the reading took.
func (f *following) study() (*telemetry.Lifetime, map[string]int) {
	f.Helper()
	f.server.ResetCalls()
	study, err := lifetimes.Read(f.ctx, f.source, f.state, time.Time{})
	require.NoError(f, err)
	calls := f.server.Calls()
	for _, vm := range f.census() {
		study.See(vm)
	}
	var lifetime *telemetry.Lifetime
	lifetime, f.state = study.Finish(time.Now())
	require.Empty(f, study.Problems)
	return lifetime, calls
}

// idle fails unless a reading is one request.
func (f *following) idle() *telemetry.Lifetime {
	f.Helper()
	lifetime, calls := f.study()
	require.Equal(f, map[string]int{"ReadNextEvents": 1}, calls)
	return lifetime
}

func TestAFollowerAsksOnceWhereNothingHappens(t *testing.T) {
	f := follow(t)
	f.create("web", photonContainer)
	f.study()
	f.study() // it meets what happened while it was read the first time
	f.idle()
	require.Equal(t, 1, f.idle().Living.Count)
}

func TestAFollowerMissesNothing(t *testing.T) {
	f := follow(t)
	doomed := f.create("doomed", photonContainer)
	f.study()
	for range 3 {
		f.destroy(doomed)
		doomed = f.create("doomed", photonContainer)
		f.destroy(f.create("brief", photonContainer))
		_, calls := f.study()
		require.Zero(t, calls["CreateCollectorForEvents"], "it goes on")
		require.Equal(t, 2, calls["ReadNextEvents"], "a page and an empty one")
	}
	lifetime := f.idle()
	require.Equal(t, 6, lifetime.Completed.Count)
	require.Equal(t, 1, lifetime.Living.Count)
	require.Zero(t, lifetime.Unclassified)
	require.Zero(t, lifetime.Truncated)
}

func TestAFollowerGoesOnAfter(t *testing.T) {
	for name, interrupt := range map[string]func(f *following){
		"a session that has expired": func(f *following) {
			ours, err := session.NewManager(f.client.Client).UserSession(f.ctx)
			require.NoError(f, err)
			admin, err := f.server.Client(f.ctx)
			require.NoError(f, err)
			require.NoError(f, admin.SessionManager.TerminateSession(f.ctx, []string{ours.Key}))
			require.NoError(f, admin.Logout(f.ctx))
			admin.CloseIdleConnections()
			require.NoError(f, f.client.Login(f.ctx, f.server.URL().User))
		},
		"an answer that was lost": func(f *following) {
			require.NoError(f, f.server.AddFaults(vcsim.Fault{Method: "ReadNextEvents", Count: 1, Do: vcsim.DoLoseAnswer}))
		},
		"a collector that is gone": func(f *following) {
			require.NoError(f, f.server.AddFaults(vcsim.Fault{Method: "ReadNextEvents", Count: 1, Do: vcsim.DoFault, Fault: &types.ManagedObjectNotFound{}}))
		},
		"a time": func(f *following) { f.source.Reread = time.Nanosecond },
	} {
		t.Run(name, func(t *testing.T) {
			f := follow(t)
			doomed := f.create("doomed", photonContainer)
			f.study()
			f.destroy(doomed)
			f.destroy(f.create("brief", photonContainer))
			interrupt(f)
			lifetime, calls := f.study()
			require.Equal(t, 2, lifetime.Completed.Count)
			require.Positive(t, calls["CreateCollectorForEvents"], "it begins anew")
			f.source.Reread = 0
			f.study()
			require.Equal(t, 2, f.idle().Completed.Count, "nobody dies twice")
		})
	}
}

// Without a place for one more collector there is nothing to follow, and what can be read is read.
func TestAFollowerThatCannotFollow(t *testing.T) {
	f := follow(t)
	f.create("web", photonContainer)
	f.study()
	require.NoError(t, f.server.AddFaults(
		vcsim.Fault{Method: "ReadNextEvents", Count: 1, Do: vcsim.DoFault, Fault: &types.ManagedObjectNotFound{}},
		vcsim.Fault{Method: "CreateCollectorForEvents", Count: 1, Do: vcsim.DoFault, Fault: &types.InvalidState{}},
	))
	for range 2 {
		lifetime, calls := f.study()
		require.Equal(t, 1, lifetime.Living.Count)
		require.Positive(t, calls["CreateCollectorForEvents"])
	}
	f.study()
	f.idle()
}

func TestAFollowerThatIsClosedLeavesNoCollector(t *testing.T) {
	f := follow(t)
	f.create("web", photonContainer)
	f.study()
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	f.server.ResetCalls()
	f.source.Close(ctx)
	f.source.Close(ctx)
	require.Equal(t, map[string]int{"DestroyCollector": 1}, f.server.Calls())
}
