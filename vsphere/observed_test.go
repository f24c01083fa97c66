// SPDX-License-Identifier: Apache-2.0

package vsphere_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"

	"wolfpack/errs"
	"wolfpack/vsphere"
)

// journal is an Observer that counts requests by method, and their failures.
type journal struct {
	mu            sync.Mutex // guards the maps
	calls, failed map[string]int
}

func newJournal() *journal { return &journal{calls: map[string]int{}, failed: map[string]int{}} }

func (j *journal) observe(ctx context.Context, method string) (context.Context, func(error)) {
	return ctx, func(err error) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.calls[method]++
		if err != nil {
			j.failed[method]++
		}
	}
}

func TestEachRequestOnTheWireIsObserved(t *testing.T) {
	server, config := start(t, simulator.VPX())
	admin := connect(t, config)
	first, second := newJournal(), newJournal()
	config.Observe = vsphere.Observers(first.observe, second.observe)
	server.ResetCalls()
	client := connect(t, config)
	ours, err := session.NewManager(client.Client).UserSession(t.Context())
	require.NoError(t, err)
	_, err = methods.GetCurrentTime(t.Context(), client)
	require.NoError(t, err)
	require.Equal(t, server.Calls(), first.calls)

	require.NoError(t, session.NewManager(admin.Client).TerminateSession(t.Context(), []string{ours.Key}))
	server.ResetCalls()
	before := first.calls["CurrentTime"]
	_, err = methods.GetCurrentTime(t.Context(), client)
	require.NoError(t, err)
	require.Equal(t, server.Calls()["CurrentTime"], first.calls["CurrentTime"]-before, "the refused call and its repeat are two")
	require.Equal(t, map[string]int{"CurrentTime": 1}, first.failed)
	require.Equal(t, 2, first.calls["Login"])
	require.Equal(t, first.calls, second.calls, "each observer is told")
}

func TestARequestIsMadeWithItsObserversContext(t *testing.T) {
	_, config := start(t, simulator.VPX())
	armed := false
	config.Observe = func(ctx context.Context, _ string) (context.Context, func(error)) {
		ctx, cancel := context.WithCancel(ctx)
		if armed {
			cancel()
		}
		return ctx, func(error) { cancel() }
	}
	client := connect(t, config)
	armed = true
	_, err := methods.GetCurrentTime(t.Context(), client)
	require.ErrorIs(t, err, context.Canceled)
	armed = false
}

func TestAServerThatDoesNotAnswerIsObserved(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	config := vsphere.Config{URL: "https://" + closed.Addr().String() + "/sdk", Username: "u"}
	seen := newJournal()
	config.Observe = seen.observe
	_, err = vsphere.Connect(t.Context(), config)
	require.True(t, errs.Is(err, errs.Unavailable))
	require.Equal(t, map[string]int{"RetrieveServiceContent": 1}, seen.failed)
}
