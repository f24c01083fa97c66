// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/toolbox"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFrames(t *testing.T) {
	var buffer bytes.Buffer
	for _, message := range []string{"", "1 ", strings.Repeat("x", MaxRequest)} {
		require.NoError(t, WriteFrame(&buffer, []byte(message)))
	}
	for _, size := range []int{0, 2, MaxRequest} {
		message, err := ReadFrame(&buffer, MaxRequest)
		require.NoError(t, err)
		require.Len(t, message, size)
	}
	_, err := ReadFrame(&buffer, MaxRequest)
	require.ErrorIs(t, err, io.EOF)

	for name, bad := range map[string]struct {
		bytes string
		want  string
	}{
		"cut in its length":    {"\x00\x00", "unexpected EOF"},
		"cut in its message":   {"\x00\x00\x00\x03ab", "unexpected EOF"},
		"cut after its length": {"\x00\x00\x00\x03", "unexpected EOF"},
		"too long":             {"\x00\x01\x00\x01", "a message of 65537 bytes; at most 65536 are allowed"},
		"much too long":        {"\xff\xff\xff\xff", "a message of 4294967295 bytes; at most 65536 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadFrame(strings.NewReader(bad.bytes), MaxRequest)
			require.ErrorContains(t, err, bad.want)
		})
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05hello"))
	f.Add([]byte("\x00\x00\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		const limit = 1 << 10
		r := bytes.NewReader(stream)
		var again bytes.Buffer
		for {
			message, err := ReadFrame(r, limit)
			if err != nil {
				break
			}
			require.LessOrEqual(t, len(message), limit)
			require.NoError(t, WriteFrame(&again, message))
		}
		require.True(t, bytes.HasPrefix(stream, again.Bytes()), "what was read is what was there")
	})
}

// host is the machine's side of both ports, with variables.
type host struct {
	values   map[string]string
	asked    []string
	requests chan string // of the machine, to the guest
	outcomes chan string
}

func (h *host) serveOut(port net.Conn) {
	for {
		request, err := ReadFrame(port, MaxRequest)
		if err != nil {
			return
		}
		h.asked = append(h.asked, string(request))
		answer := "1 "
		verb, rest, _ := strings.Cut(string(request), " ")
		key, value, _ := strings.Cut(rest, " ")
		switch verb {
		case "info-set":
			h.values[key] = value
		case "info-get":
			answer += h.values[key]
			if h.values[key] == "" {
				answer = "0 " + NoValue
			}
		case "refuse":
			answer = "0 no"
		}
		if WriteFrame(port, []byte(answer)) != nil {
			return
		}
	}
}

func (h *host) serveIn(port net.Conn) {
	for request := range h.requests {
		outcome, err := ReadFrame(port, MaxRequest)
		if err != nil {
			return
		}
		h.outcomes <- string(outcome)
		if WriteFrame(port, []byte(request)) != nil {
			return
		}
	}
}

// start returns a Machine and its host, which ends with the test.
func start(t *testing.T) (*Machine, *host) {
	t.Helper()
	h := &host{values: map[string]string{}, requests: make(chan string), outcomes: make(chan string, 8)}
	guestOut, hostOut := net.Pipe()
	guestIn, hostIn := net.Pipe()
	m := New(guestOut, guestIn)
	var sides sync.WaitGroup
	sides.Go(func() { h.serveOut(hostOut) })
	sides.Go(func() { h.serveIn(hostIn) })
	t.Cleanup(func() {
		require.NoError(t, m.Close())
		close(h.requests)
		sides.Wait()
	})
	return m, h
}

func TestVariables(t *testing.T) {
	m, _ := start(t)
	value, err := m.Get("guestinfo.a")
	require.NoError(t, err)
	require.Empty(t, value, "a variable that is not set")

	text := "two words,\nand  a \x00 line"
	require.NoError(t, m.Set("guestinfo.a", text))
	value, err = m.Get("guestinfo.a")
	require.NoError(t, err)
	require.Equal(t, text, value)

	err = m.Set("guestinfo.a", strings.Repeat("x", MaxRequest))
	require.EqualError(t, err, "set guestinfo.a: 65536 bytes are too many; at most 65515 can be set")
	require.NoError(t, m.Set("guestinfo.a", strings.Repeat("x", 65515)))

	_, err = m.request("refuse me politely")
	require.ErrorContains(t, err, "refuse me: ")
	require.ErrorContains(t, err, "0 no")
}

// Requests of several users do not get one another's answers.
func TestManyUsers(t *testing.T) {
	m, _ := start(t)
	var users sync.WaitGroup
	failed := make(chan error, 8)
	for user := range cap(failed) {
		users.Go(func() {
			key := fmt.Sprintf("guestinfo.%d", user)
			failed <- func() error {
				for turn := range 50 {
					want := fmt.Sprintf("%d of %d", turn, user)
					if err := m.Set(key, want); err != nil {
						return err
					}
					out := toolbox.ChannelOut{Channel: m.Out()}
					if got, err := out.Request([]byte("info-get " + key)); err != nil || string(got) != want {
						return fmt.Errorf("got %q, want %q: %v", got, want, err)
					}
				}
				return nil
			}()
		})
	}
	users.Wait()
	for range cap(failed) {
		require.NoError(t, <-failed)
	}
}

// govmomi's toolbox runs over the channels as it does on ESXi.
func TestToolbox(t *testing.T) {
	m, h := start(t)
	service := toolbox.NewService(m.In(), m.Out())
	halted := make(chan struct{})
	service.Power.Halt.Handler = func() error { close(halted); return nil }
	require.NoError(t, service.Start())

	h.requests <- "reset"
	require.Empty(t, <-h.outcomes, "the guest speaks first")
	h.requests <- "Capabilities_Register"
	require.Equal(t, "OK ATR toolbox", <-h.outcomes)
	h.requests <- "OS_Halt"
	require.Equal(t, "OK ", <-h.outcomes)
	<-halted
	service.Stop()
	h.requests <- "" // what the guest waits for
	service.Wait()
	require.Equal(t, "OK ", <-h.outcomes)
	require.Contains(t, h.asked, "tools.capability.statechange")
	require.Contains(t, h.asked, "tools.os.statechange.status 1 1\x00")
}

func TestAMachineThatIsGone(t *testing.T) {
	guestOut, hostOut := net.Pipe()
	guestIn, _ := net.Pipe()
	m := New(guestOut, guestIn)
	require.NoError(t, hostOut.Close())
	_, err := m.Get("guestinfo.a")
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.NoError(t, m.Close())
}

// Ports are found by name, and waited for: their driver may still be on its way.
func TestOpenPorts(t *testing.T) {
	class, dev := t.TempDir(), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := openPorts(ctx, class, dev)
	require.EqualError(t, err, "find GuestRPC: this is no VMware machine, and has no virtio-serial port wolfpack.rpci: context canceled")

	opened := make(chan error)
	var m *Machine
	go func() {
		var err error
		m, err = openPorts(t.Context(), class, dev)
		opened <- err
	}()
	for node, name := range map[string]string{"vport1p1": "org.qemu.other", "vport1p2": PortIn, "vport1p3": PortOut} {
		require.NoError(t, os.Mkdir(filepath.Join(class, node), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(class, node, "name"), []byte(name+"\n"), 0o644))
		require.NoError(t, syscall.Mkfifo(filepath.Join(dev, node), 0o600))
	}
	require.NoError(t, <-opened)
	for _, channel := range []toolbox.Channel{m.Out(), m.In()} { // a FIFO answers with what it is told
		require.NoError(t, channel.Start())
		require.NoError(t, channel.Send([]byte("echo")))
		answer, err := channel.Receive()
		require.NoError(t, err)
		require.Equal(t, "echo", string(answer))
		require.NoError(t, channel.Stop())
	}
	require.NoError(t, m.Close())
}
