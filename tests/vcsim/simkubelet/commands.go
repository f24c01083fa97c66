// SPDX-License-Identifier: Apache-2.0

package simkubelet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/tools/remotecommand"

	"wolfpack/guest/environment"
)

// notFound is the code of a command that does not exist, as of a shell.
const notFound = 127

// firstResize is how long stty waits for the client to say how large its terminal is.
const firstResize = 5 * time.Second

// session is where a command runs.
type session struct {
	guest     Guest
	container *corev1.Container
	in        io.Reader // never nil
	out, err  io.Writer // never nil
	tty       bool
	terminal  *terminal
}

// run runs a command and returns its exit code. done says that the shell around it is to end too.
func (s *session) run(ctx context.Context, argv []string) (code int, done bool) {
	if len(argv) == 0 {
		return 0, false
	}
	switch name, args := argv[0], argv[1:]; name {
	case "env":
		return s.env(), false
	case "echo":
		_, _ = fmt.Fprintln(s.out, strings.Join(args, " "))
		return 0, false
	case "cat":
		_, _ = io.Copy(s.out, s.in)
		return 0, false
	case "stty":
		return s.stty(ctx, args), false
	case "sleep":
		return s.sleep(ctx, args), false
	case "exit":
		return s.exit(args), true
	case "sh":
		return s.shell(ctx, args), false
	default:
		return s.fail(notFound, "%s: not found; a simulated container has env, echo, cat, stty size, sleep, exit and sh", name), false
	}
}

func (s *session) fail(code int, format string, args ...any) int {
	_, _ = fmt.Fprintf(s.err, format+"\n", args...)
	return code
}

// variables is the container's environment.
func (s *session) variables() ([]environment.Variable, []environment.Problem) {
	source := environment.Source{Pod: s.guest.Pod, Allocatable: corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewQuantity(int64(s.guest.CPUs), resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(int64(s.guest.MemoryMB)<<20, resource.BinarySI),
	}}
	if s.guest.Status != nil {
		for _, ip := range s.guest.Status.PodIPs {
			source.PodIPs = append(source.PodIPs, ip.IP)
		}
	}
	if bundle, _ := s.guest.Memory.Bundle(); bundle != nil {
		source.HostIPs = bundle.HostIPs
		source.ConfigMaps, source.Secrets = map[string]*corev1.ConfigMap{}, map[string]*corev1.Secret{}
		for i := range bundle.ConfigMaps {
			source.ConfigMaps[bundle.ConfigMaps[i].Name] = &bundle.ConfigMaps[i]
		}
		for i := range bundle.Secrets {
			source.Secrets[bundle.Secrets[i].Name] = &bundle.Secrets[i]
		}
		for i := range bundle.Services {
			source.Services = append(source.Services, &bundle.Services[i])
		}
	}
	return environment.Resolve(s.container, source)
}

func (s *session) env() int {
	variables, problems := s.variables()
	code := 0
	for _, p := range problems {
		if p.Mandatory {
			code = s.fail(1, "env: %s", p.Message)
		}
	}
	for _, v := range variables {
		_, _ = fmt.Fprintf(s.out, "%s=%s\n", v.Name, v.Value)
	}
	return code
}

func (s *session) stty(ctx context.Context, args []string) int {
	switch {
	case len(args) != 1 || args[0] != "size":
		return s.fail(1, "stty: a simulated container knows stty size only")
	case !s.tty:
		return s.fail(1, "stty: standard input is not a terminal")
	}
	size := s.terminal.size(ctx)
	_, _ = fmt.Fprintf(s.out, "%d %d\n", size.Height, size.Width)
	return 0
}

func (s *session) sleep(ctx context.Context, args []string) int {
	if len(args) != 1 {
		return s.fail(1, "sleep: want one number of seconds or duration, such as 1.5 or 2m")
	}
	d, err := time.ParseDuration(args[0])
	if seconds, number := strconv.ParseFloat(args[0], 64); number == nil {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d < 0 {
		return s.fail(1, "sleep: %q is no number of seconds or duration, want one such as 1.5 or 2m", args[0])
	}
	if pause(ctx, d) != nil {
		return 137
	}
	return 0
}

func (s *session) exit(args []string) int {
	if len(args) == 0 {
		return 0
	}
	code, err := strconv.ParseUint(args[0], 10, 8)
	if err != nil {
		return s.fail(2, "exit: %q is no exit code, want 0 to 255", args[0])
	}
	return int(code)
}

// shell runs the commands of its argument, or those that it reads.
func (s *session) shell(ctx context.Context, args []string) int {
	switch {
	case len(args) == 2 && args[0] == "-c":
		code, _ := s.script(ctx, args[1])
		return code
	case len(args) > 0:
		return s.fail(2, "sh: want sh, or sh -c TEXT")
	}
	code, done := 0, false
	lines := bufio.NewScanner(s.in)
	lines.Split(splitLines)
	for !done && ctx.Err() == nil && lines.Scan() {
		code, done = s.script(ctx, lines.Text())
	}
	return code
}

// splitLines is a bufio.SplitFunc for lines that end in a new line, or, from a terminal, in a carriage return.
func splitLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := strings.IndexAny(string(data), "\r\n"); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// script runs commands one after another.
func (s *session) script(ctx context.Context, text string) (code int, done bool) {
	values := map[string]string{}
	if strings.Contains(text, "$") {
		variables, _ := s.variables()
		for _, v := range variables {
			values[v.Name] = v.Value
		}
	}
	for command := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ';' || r == '\n' }) {
		argv := strings.Fields(os.Expand(command, func(name string) string { return values[name] }))
		at := *s
		if n := len(argv); n > 0 && argv[n-1] == ">&2" {
			argv, at.out = argv[:n-1], s.err
		}
		if code, done = at.run(ctx, argv); done || ctx.Err() != nil {
			break
		}
	}
	return code, done
}

// terminal knows how large the client's terminal is.
type terminal struct {
	known chan struct{} // closed when it first says so
	mu    sync.Mutex    // guards last
	last  remotecommand.TerminalSize
}

// newTerminal listens until sizes is closed or ctx ends.
func newTerminal(ctx context.Context, sizes <-chan remotecommand.TerminalSize) *terminal {
	t := &terminal{known: make(chan struct{})}
	go func() {
		first := sync.OnceFunc(func() { close(t.known) })
		for {
			select {
			case size, ok := <-sizes:
				if !ok {
					return
				}
				t.mu.Lock()
				t.last = size
				t.mu.Unlock()
				first()
			case <-ctx.Done():
				return
			}
		}
	}()
	return t
}

// size waits for the first size, but not for ever.
func (t *terminal) size(ctx context.Context) remotecommand.TerminalSize {
	ctx, cancel := context.WithTimeout(ctx, firstResize)
	defer cancel()
	select {
	case <-t.known:
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}
