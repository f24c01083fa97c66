// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package vcsim

import (
	"errors"
	"net"
)

// listenLoopback fails: only Linux can listen on all addresses of one interface.
func listenLoopback() (net.Listener, error) {
	return nil, errors.ErrUnsupported
}
