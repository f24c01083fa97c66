// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"context"
	"net"
	"syscall"
)

// listenLoopback listens on a free port of every address of the loopback interface, and on no other interface. Linux lets
// everyone bind a socket to an interface since 5.7.
func listenLoopback() (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var bind error
		if err := raw.Control(func(fd uintptr) { bind = syscall.BindToDevice(int(fd), "lo") }); err != nil {
			return err
		}
		return bind
	}}
	return config.Listen(context.Background(), "tcp4", "0.0.0.0:0")
}
