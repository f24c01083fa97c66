// SPDX-License-Identifier: Apache-2.0

package vsphere_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
)

func TestGuardedClientSendsNothingThatIsRefused(t *testing.T) {
	server, config := start(t, simulator.VPX())
	client := connect(t, config)
	var refuse error
	guarded := client.Guarded(func() error { return refuse })
	_, err := methods.GetCurrentTime(t.Context(), guarded)
	require.NoError(t, err)

	refuse = errors.New("not now")
	_, err = methods.GetCurrentTime(t.Context(), guarded)
	require.ErrorIs(t, err, refuse)
	require.Equal(t, 1, server.Calls()["CurrentTime"])
	_, err = methods.GetCurrentTime(t.Context(), client)
	require.NoError(t, err, "the client itself is not guarded")
}
