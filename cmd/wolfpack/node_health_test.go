// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHealthIsAnsweredUntilItStops(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, free.Close())
	stop, err := serveHealth(free.Addr().String())
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + free.Addr().String() + "/healthz")
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, "ok", string(text))

	_, err = serveHealth(free.Addr().String())
	require.ErrorContains(t, err, "address already in use; want one such as :8081")
	stop()
	_, err = client.Get("http://" + free.Addr().String() + "/healthz")
	require.ErrorContains(t, err, "refused")
}
