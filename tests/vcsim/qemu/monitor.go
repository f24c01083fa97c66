// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"encoding/json"
	"fmt"
	"net"
	"sync"
)

// monitor is QEMU's machine protocol (QMP) over a connection: commands, and events that the process has.
type monitor struct {
	conn    net.Conn
	replies chan reply    // one for each command
	ended   chan struct{} // the connection has

	turn sync.Mutex // serialises commands
	mu   sync.Mutex // guards the field below
	// shutdown is why QEMU says that it shuts down, such as guest-reset; "" if it does not.
	shutdown string
}

// reply is a line of QEMU's.
type reply struct {
	Greeting json.RawMessage `json:"QMP"`
	Return   json.RawMessage `json:"return"`
	Error    *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	Event string `json:"event"`
	Data  struct {
		Reason string `json:"reason"`
	} `json:"data"`
}

func newMonitor(conn net.Conn) *monitor {
	m := &monitor{conn: conn, replies: make(chan reply, 1), ended: make(chan struct{})}
	go m.read()
	return m
}

// read takes what QEMU says, until it says no more.
func (m *monitor) read() {
	defer close(m.ended)
	lines := json.NewDecoder(m.conn)
	for {
		var line reply
		if lines.Decode(&line) != nil {
			return
		}
		switch line.Event {
		case "":
			select {
			case m.replies <- line:
			default: // that nobody asked for
			}
		case "SHUTDOWN":
			m.mu.Lock()
			m.shutdown = line.Data.Reason
			m.mu.Unlock()
		}
	}
}

// greet waits for QEMU to be there.
func (m *monitor) greet() error {
	if _, err := m.next(); err != nil {
		return err
	}
	return m.run("qmp_capabilities")
}

// run carries out a command without arguments.
func (m *monitor) run(command string) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	if _, err := fmt.Fprintf(m.conn, "{\"execute\":%q}\n", command); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	answer, err := m.next()
	if err == nil && answer.Error != nil {
		err = fmt.Errorf("%s: %s", answer.Error.Class, answer.Error.Desc)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

func (m *monitor) next() (reply, error) {
	select {
	case answer := <-m.replies:
		return answer, nil
	case <-m.ended:
		return reply{}, net.ErrClosed
	}
}

func (m *monitor) reason() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shutdown
}
