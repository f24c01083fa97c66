// SPDX-License-Identifier: Apache-2.0

package guestnet

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"

	"wolfpack/guest/rpc"
)

const (
	minFrame = 14      // an Ethernet header
	maxFrame = 1 << 17 // what the switch can take
	backlog  = 1024    // frames on their way to a card
)

// Port is where a card is plugged into a network. To the switch it is a connection that carries a frame with each Read
// and Write. Frames that the card does not take in time are lost, as on any Ethernet: a guest that stands still must not
// hold up the others.
type Port struct {
	net.Conn
	Address netip.Addr // what DHCP gives the card

	in     *bufio.Reader
	out    chan []byte
	pulled chan struct{}
	pull   sync.Once
	unplug func()
}

func newPort(conn net.Conn) *Port {
	return &Port{Conn: conn, in: bufio.NewReader(conn), out: make(chan []byte, backlog), pulled: make(chan struct{}), unplug: func() {}}
}

// Read reads a frame of the card's. QEMU sends its length first, as GuestRPC does.
func (p *Port) Read(into []byte) (int, error) {
	for {
		frame, err := rpc.ReadFrame(p.in, min(len(into), maxFrame))
		if err != nil {
			return 0, err
		}
		if len(frame) >= minFrame {
			return copy(into, frame), nil
		}
	}
}

// Write sends a frame to the card. It never fails: the end of a port is what Read says.
func (p *Port) Write(frame []byte) (int, error) {
	select {
	case p.out <- append([]byte(nil), frame...):
	default:
	}
	return len(frame), nil
}

// send passes frames on to the card, until the port is closed.
func (p *Port) send() {
	for {
		select {
		case frame := <-p.out:
			if rpc.WriteFrame(p.Conn, frame) != nil {
				return
			}
		case <-p.pulled:
			return
		}
	}
}

// Close pulls the card out of the network. Its address is free for others.
func (p *Port) Close() error {
	err := io.ErrClosedPipe
	p.pull.Do(func() {
		close(p.pulled)
		err = p.Conn.Close()
		p.unplug()
	})
	if errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}
