// SPDX-License-Identifier: Apache-2.0

// Package rpc is GuestRPC, by which a guest and the machine that it runs on talk: guestinfo variables, the state of
// VMware Tools, and requests such as to shut down. The guest's side is govmomi's toolbox.Service over the channels of a
// Machine. On ESXi they are VMware's own; elsewhere they are two virtio-serial ports, whose other side tests/vcsim is.
//
// On such a port a message is its length, four bytes, big-endian, and then as many bytes. The guest speaks first on both
// ports, and each of its messages gets one answer before it sends the next:
//
//	port            guest sends                              machine answers
//	wolfpack.rpci   a request, such as info-get KEY          "1 " and the result, or "0 " and why not
//	wolfpack.tclo   the outcome of the last request, or ""   a request, such as OS_Halt, or "" when it has had none for a while
package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/toolbox"
)

// The names of the virtio-serial ports.
const (
	PortOut = "wolfpack.rpci" // the guest's requests
	PortIn  = "wolfpack.tclo" // the machine's
)

// NoValue is why there is no answer to info-get for a variable that is not set.
const NoValue = "No value found"

// Machine is the machine that this program's guest runs on. Its methods may be called by several goroutines.
type Machine struct {
	newOut func() toolbox.Channel
	in     toolbox.Channel
	close  func() error

	mu sync.Mutex // serialises the requests of Get and Set
}

// Open finds the channels that this machine has. Ports appear a while after their driver was loaded: it waits for them
// until ctx ends. The caller closes the Machine.
func Open(ctx context.Context) (*Machine, error) {
	probe := toolbox.NewBackdoorChannelOut()
	err := probe.Start()
	switch {
	case err == nil:
		_ = probe.Stop() // it has served
		return &Machine{newOut: toolbox.NewBackdoorChannelOut, in: toolbox.NewBackdoorChannelIn(), close: func() error { return nil }}, nil
	case !errors.Is(err, toolbox.ErrNotVirtualWorld):
		return nil, fmt.Errorf("open GuestRPC of VMware's: %w", err)
	}
	return openPorts(ctx, "/sys/class/virtio-ports", "/dev")
}

// openPorts opens the virtio-serial ports, by what the folders of the kernel say.
func openPorts(ctx context.Context, class, dev string) (*Machine, error) {
	out, err := openPort(ctx, class, dev, PortOut)
	if err != nil {
		return nil, err
	}
	in, err := openPort(ctx, class, dev, PortIn)
	if err != nil {
		_ = out.Close() // nothing was sent
		return nil, err
	}
	return New(out, in), nil
}

func openPort(ctx context.Context, class, dev, name string) (io.ReadWriteCloser, error) {
	for {
		if node := findPort(class, name); node != "" {
			port, err := os.OpenFile(filepath.Join(dev, node), os.O_RDWR, 0)
			if err == nil || !errors.Is(err, os.ErrNotExist) { // the device follows its entry in the class
				return port, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("find GuestRPC: this is no VMware machine, and has no virtio-serial port %s: %w", name, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// findPort returns the device node of the port with a name, or "".
func findPort(class, name string) string {
	files, _ := filepath.Glob(filepath.Join(class, "*", "name"))
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(text)) == name {
			return filepath.Base(filepath.Dir(file))
		}
	}
	return ""
}

// New returns the Machine at the other ends of two ports, which belong to it from then on.
func New(out, in io.ReadWriteCloser) *Machine {
	rpci, tclo := &port{rw: out}, &port{rw: in}
	return &Machine{
		newOut: func() toolbox.Channel { return &channel{port: rpci} },
		in:     &channel{port: tclo},
		close:  func() error { return errors.Join(out.Close(), in.Close()) },
	}
}

// Out returns a channel for requests to the machine: a new one for each user.
func (m *Machine) Out() toolbox.Channel { return m.newOut() }

// In returns the channel for requests of the machine, which has one user.
func (m *Machine) In() toolbox.Channel { return m.in }

// Close ends all channels, and whoever waits for an answer.
func (m *Machine) Close() error { return m.close() }

// Get returns a guestinfo variable, or "" if it is not set.
func (m *Machine) Get(key string) (string, error) {
	value, err := m.request("info-get " + key)
	if err != nil && strings.Contains(err.Error(), NoValue) {
		return "", nil
	}
	return value, err
}

// Set sets a guestinfo variable.
func (m *Machine) Set(key, value string) error {
	request := "info-set " + key + " " + value
	if len(request) > MaxRequest {
		return fmt.Errorf("set %s: %d bytes are too many; at most %d can be set", key, len(value), MaxRequest-len(request)+len(value))
	}
	_, err := m.request(request)
	return err
}

// request has one channel for each request, since a VMware machine ends those that are idle.
func (m *Machine) request(request string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := toolbox.ChannelOut{Channel: m.newOut()}
	if err := out.Start(); err != nil {
		return "", err
	}
	defer func() { _ = out.Stop() }() // it has served
	answer, err := out.Request([]byte(request))
	if err != nil {
		verb, rest, _ := strings.Cut(request, " ")
		key, _, _ := strings.Cut(rest, " ")
		return "", fmt.Errorf("%s %s: %w", verb, key, err)
	}
	return string(answer), nil
}

// port is one side of a virtio-serial port, shared by its channels.
type port struct {
	mu sync.Mutex // serialises exchanges
	rw io.ReadWriteCloser
}

func (p *port) exchange(request []byte) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := WriteFrame(p.rw, request); err != nil {
		return nil, err
	}
	return ReadFrame(p.rw, MaxAnswer)
}

// channel is a toolbox.Channel over a port, for one goroutine. Send is the whole exchange, so that those of several
// channels do not mix; Receive returns its answer.
type channel struct {
	port   *port
	answer []byte
}

func (c *channel) Start() error { return nil }
func (c *channel) Stop() error  { return nil }

func (c *channel) Send(request []byte) (err error) {
	c.answer, err = c.port.exchange(request)
	return err
}

func (c *channel) Receive() ([]byte, error) {
	answer := c.answer
	c.answer = nil
	return answer, nil
}
