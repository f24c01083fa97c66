// SPDX-License-Identifier: Apache-2.0

package vsphere_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
)

func TestEachRequestOnTheWireIsCounted(t *testing.T) {
	server, config := start(t, simulator.VPX())
	admin := connect(t, config)
	client := connect(t, config)
	require.Equal(t, 2, client.Requests(), "RetrieveServiceContent and Login")
	ours, err := session.NewManager(client.Client).UserSession(t.Context())
	require.NoError(t, err)
	require.NoError(t, session.NewManager(admin.Client).TerminateSession(t.Context(), []string{ours.Key}))
	server.ResetCalls()
	before := client.Requests()
	_, err = methods.GetCurrentTime(t.Context(), client)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"CurrentTime": 2, "Login": 1}, server.Calls())
	require.Equal(t, 3, client.Requests()-before, "the refused call, the login, and the call again")
}

func TestTheServersClockIsKnownWithoutAsking(t *testing.T) {
	_, config := start(t, simulator.VPX())
	client := connect(t, config)
	before := client.Requests()
	now, ok := client.Now()
	require.True(t, ok)
	require.Equal(t, before, client.Requests())
	require.WithinDuration(t, time.Now(), now, time.Minute)
	require.Equal(t, now, now.Truncate(time.Second).UTC())
	told, err := methods.GetCurrentTime(t.Context(), client)
	require.NoError(t, err)
	later, _ := client.Now()
	require.WithinDuration(t, *told, later, time.Minute)
}
