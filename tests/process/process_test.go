// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// asParent makes the test binary a parent that starts a child, prints its process id and waits to be killed.
const asParent = "WOLFPACK_TEST_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asParent); dir != "" {
		parent(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func parent(dir string) {
	p, err := Start(Spec{Name: "child", Path: "/bin/sh", Args: []string{"-c", "sleep 600"}, Log: filepath.Join(dir, "log")})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Threads that come and go must not take the child with them.
	for range 20 {
		go func() { runtime.LockOSThread() }() // a locked goroutine's end ends its thread
	}
	fmt.Println(p.Pid())
	<-p.Done()
}

// sh starts a shell script.
func sh(t *testing.T, script string, change ...func(*Spec)) *Process {
	t.Helper()
	spec := Spec{Name: "script", Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "logs", "script.log")}
	for _, c := range change {
		c(&spec)
	}
	p, err := Start(spec)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop(context.Background())) })
	return p
}

// deadline is how long anything here may take on a slow machine.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// await waits for a channel to be closed.
func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-deadline(t).Done():
		t.Fatalf("%s: not in 30 s", what)
	}
}

func TestEndsByItself(t *testing.T) {
	for _, tt := range []struct{ script, how string }{
		{"echo out; echo err >&2; exit 3", "exit status 3"},
		{"echo out; echo err >&2", "exit status 0"},
		{"echo out; echo err >&2; kill -9 $$", "signal: killed"},
	} {
		t.Run(tt.how, func(t *testing.T) {
			p := sh(t, tt.script)
			await(t, "the script ends", p.Done())
			require.ErrorContains(t, p.Err(), "script ended by itself: "+tt.how)
			require.ErrorContains(t, p.Err(), "last lines of "+p.Log())
			require.ErrorContains(t, p.Err(), "\n  out\n  err")
			require.NoError(t, p.Stop(t.Context()), "stopping a dead process is no error")
			require.Error(t, p.Err(), "but it does not hide why it died")
		})
	}
}

func TestStop(t *testing.T) {
	t.Run("gracefully", func(t *testing.T) {
		log := filepath.Join(t.TempDir(), "log")
		p := sh(t, "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done", func(s *Spec) { s.Log = log })
		require.NoError(t, Until(deadline(t), p, "the trap is set", logHas(log, "ready")))
		require.NoError(t, p.Err())
		require.NoError(t, p.Stop(t.Context()))
		require.NoError(t, p.Err(), "it was asked to end")
		require.NoError(t, logHas(log, "bye")(t.Context()))
		require.NoError(t, p.Stop(t.Context()), "again")
	})
	// Deaf to SIGTERM, it and its children are killed: after the grace period, or when ctx is over.
	deaf := "trap '' TERM; sleep 600 & echo $!; wait"
	t.Run("after the grace period", func(t *testing.T) {
		p := sh(t, deaf, func(s *Spec) { s.Grace = 50 * time.Millisecond })
		require.NoError(t, p.Stop(t.Context()))
		await(t, "Stop has returned", p.Done())
	})
	t.Run("with its children when ctx is over", func(t *testing.T) {
		out := &strings.Builder{}
		p := sh(t, deaf, func(s *Spec) { s.Output, s.Grace = out, time.Hour })
		require.NoError(t, Until(deadline(t), p, "the child's pid is known", logHas(p.Log(), "\n")))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		require.NoError(t, p.Stop(ctx))
		await(t, "Stop has returned", p.Done())
		fields := strings.Fields(out.String())
		require.Len(t, fields, 1)
		requireGone(t, fields[0])
	})
}

// logHas fails until the log has text in it, beyond the command line that heads it.
func logHas(log, text string) func(context.Context) error {
	return func(context.Context) error {
		data, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		if _, said, _ := strings.Cut(string(data), "\n"); !strings.Contains(said, text) {
			return fmt.Errorf("no %q in %q", text, said)
		}
		return nil
	}
}

// requireGone waits until a process is no more, or a zombie that nobody has asked about.
func requireGone(t *testing.T, pid string) {
	t.Helper()
	err := Until(deadline(t), &Group{}, "process "+pid+" is gone", func(context.Context) error {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return nil
		}
		return fmt.Errorf("there it is: %s", stat)
	})
	require.NoError(t, err)
}

func TestStartFails(t *testing.T) {
	_, err := Start(Spec{Name: "ghost", Path: "/nonexistent/ghost", Log: filepath.Join(t.TempDir(), "log")})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "start ghost: ")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = Start(Spec{Name: "true", Path: "/bin/true", Log: filepath.Join(file, "log")})
	require.ErrorIs(t, err, syscall.ENOTDIR)
}

func TestRun(t *testing.T) {
	spec := Spec{Name: "script", Path: "/bin/sh", Log: filepath.Join(t.TempDir(), "log")}
	out := &strings.Builder{}
	spec.Output, spec.Args = out, []string{"-c", "echo hello"}
	require.NoError(t, Run(deadline(t), spec))
	require.Equal(t, "hello\n", out.String())
	spec.Args = []string{"-c", "echo sorry; exit 4"}
	err := Run(deadline(t), spec)
	require.ErrorContains(t, err, "script: exit status 4\nlast lines of")
	require.ErrorContains(t, err, "sorry")
	spec.Args = []string{"-c", "sleep 600"}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, Run(ctx, spec), context.DeadlineExceeded)
}

// The tail of a long log is its end, and only that.
func TestTail(t *testing.T) {
	p := sh(t, "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done")
	await(t, "the script ends", p.Done())
	require.Equal(t, 16, len(strings.Split(p.Tail(), "\n")), p.Tail())
	require.True(t, strings.HasSuffix(p.Tail(), "\n  line 2999"), p.Tail())
}

// When a parent is killed outright, its children end too.
func TestParentDies(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("parent death signals are Linux's")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asParent+"="+t.TempDir())
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pid := strings.TrimSpace(line)
	n, err := strconv.Atoi(pid)
	require.NoError(t, err, "the parent said %q", line)
	require.NoError(t, syscall.Kill(n, 0), "the child runs")
	require.NoError(t, cmd.Process.Kill())
	require.ErrorContains(t, cmd.Wait(), "signal: killed")
	requireGone(t, pid)
}

func TestGroup(t *testing.T) {
	var g Group
	log := filepath.Join(t.TempDir(), "log")
	waits := func(name string) *Process {
		p := sh(t, "trap 'echo "+name+"; exit' TERM; echo ready "+name+"; while :; do sleep 0.01; done", func(s *Spec) { s.Log = log })
		require.NoError(t, Until(deadline(t), p, name+" is ready", logHas(log, "ready "+name)))
		return p
	}
	g.Add(waits("first"))
	g.Add(waits("second"))
	require.NoError(t, g.Err())
	g.Add(sh(t, "exit 5"))
	await(t, "the group ends with its third member", g.Done())
	require.ErrorContains(t, g.Err(), "exit status 5")
	require.NoError(t, g.Stop(t.Context()))
	require.ErrorContains(t, g.Err(), "exit status 5", "the end of the others is not news")
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Regexp(t, `(?s)\nsecond\n(.*\n)?first\n`, string(text), "stopped in reverse order")
}

func TestGroupStopped(t *testing.T) {
	var g Group
	g.Add(sh(t, "sleep 600"))
	require.NoError(t, g.Stop(t.Context()))
	await(t, "Stop has returned", g.Done())
	require.NoError(t, g.Err())
	require.NoError(t, g.Stop(t.Context()), "again")
}

// A group goes on stopping past a member that cannot be stopped.
func TestGroupStopFails(t *testing.T) {
	var g Group
	one, two := &stubborn{done: make(chan struct{})}, &stubborn{done: make(chan struct{})}
	g.Add(one)
	g.Add(two)
	require.ErrorIs(t, g.Stop(t.Context()), errStubborn)
	require.True(t, one.asked)
	require.NoError(t, g.Stop(t.Context()), "it is empty now")
	close(one.done)
	close(two.done)
}

var errStubborn = errors.New("will not go")

// stubborn is a member that cannot be stopped.
type stubborn struct {
	done  chan struct{}
	asked bool
}

func (s *stubborn) Done() <-chan struct{} { return s.done }
func (s *stubborn) Err() error            { return nil }
func (s *stubborn) Stop(context.Context) error {
	s.asked = true
	return errStubborn
}

func TestUntil(t *testing.T) {
	t.Run("true at last", func(t *testing.T) {
		n := 0
		require.NoError(t, Until(deadline(t), &Group{}, "there are three", func(context.Context) error {
			if n++; n < 3 {
				return io.EOF
			}
			return nil
		}))
	})
	t.Run("ctx is over", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("enough"))
		err := Until(ctx, &Group{}, "pigs fly", func(context.Context) error { return errors.New("no wings") })
		require.EqualError(t, err, "wait until pigs fly: enough (last seen: no wings)")
	})
	t.Run("the process dies", func(t *testing.T) {
		p := sh(t, "exit 6")
		err := Until(deadline(t), p, "it answers", func(context.Context) error { return io.EOF })
		require.ErrorContains(t, err, "wait until it answers: script ended by itself: exit status 6")
	})
	t.Run("the process is stopped", func(t *testing.T) {
		p := sh(t, "sleep 600")
		require.NoError(t, p.Stop(t.Context()))
		err := Until(deadline(t), p, "it answers", func(context.Context) error { return io.EOF })
		require.ErrorContains(t, err, "wait until it answers: it was stopped")
	})
}
