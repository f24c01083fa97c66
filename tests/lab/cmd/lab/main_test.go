// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wolfpack/tests/kube"
	"wolfpack/tests/lab"
	"wolfpack/tests/process"
)

// asLab makes the test binary the lab command.
const asLab = "WOLFPACK_TEST_AS_LAB"

func TestMain(m *testing.M) {
	if os.Getenv(asLab) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// command prepares a lab command of the checkout's programs, and where its output goes.
func command(t *testing.T, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	kubeDir, err := kube.FindBinaries()
	require.NoError(t, err)
	b := lab.BinariesIn(filepath.Dir(kubeDir))
	if args[0] == "up" {
		args = append(args, "--wolfpack", b.Wolfpack, "--vcsim", b.VCSim, "--govc", b.Govc, "--kube", b.Kube)
	}
	cmd = exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asLab+"=1", "TMPDIR="+t.TempDir())
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// ended is a command that has been waited for.
type ended struct {
	done chan struct{}
	err  error
}

func (e *ended) Done() <-chan struct{} { return e.done }
func (e *ended) Err() error            { return e.err }

// start runs `lab up` without a node and waits until it is ready.
func start(t *testing.T, args ...string) (*exec.Cmd, *ended, lab.Info, *bytes.Buffer) {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready.json")
	cmd, _, stderr := command(t, append([]string{"up", "--no-vch", "--ready-file", ready}, args...)...)
	require.NoError(t, cmd.Start())
	e := &ended{done: make(chan struct{})}
	go func() {
		e.err = cmd.Wait()
		close(e.done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // a test that went well has ended it
		<-e.done
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var info lab.Info
	err := process.Until(ctx, e, "the lab is ready", func(context.Context) (err error) {
		info, err = lab.ReadInfo(ready)
		return err
	})
	require.NoError(t, err)
	return cmd, e, info, stderr
}

// await waits until a lab has ended.
func await(t *testing.T, e *ended) {
	t.Helper()
	select {
	case <-e.done:
	case <-time.After(time.Minute):
		t.Fatal("the lab did not end in a minute")
	}
}

// requireGone waits until nothing of a lab is left. A lab that was killed leaves the reaping to others, hence the wait.
func requireGone(t *testing.T, info lab.Info) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for name, pid := range info.Pids {
		err := process.Until(ctx, &process.Group{}, name+" is gone", func(context.Context) error {
			stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
			if err != nil || strings.Contains(string(stat), ") Z ") {
				return nil
			}
			return fmt.Errorf("there it is: %s", stat)
		})
		require.NoError(t, err)
	}
}

func TestInterrupt(t *testing.T) {
	cmd, e, info, stderr := start(t)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	await(t, e)
	require.NoError(t, e.err, stderr)
	requireGone(t, info)
	require.NoDirExists(t, filepath.Dir(info.Logs))
	require.Regexp(t, `lab: ready after \d+\.\d s; logs are in /`, stderr.String())
}

// Where the cluster does not matter, it is another's.
func TestSharedCluster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c, err := kube.Start(ctx, kube.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Stop(context.Background())) }()
	t.Run("part dies", func(t *testing.T) { testPartDies(t, c.Kubeconfig()) })
	t.Run("once", func(t *testing.T) { testOnce(t, c.Kubeconfig()) })
}

func testPartDies(t *testing.T, kubeconfig string) {
	_, e, info, stderr := start(t, "--kubeconfig", kubeconfig)
	require.NoError(t, syscall.Kill(info.Pids["registry"], syscall.SIGKILL))
	await(t, e)
	require.EqualError(t, e.err, "exit status 1")
	require.Contains(t, stderr.String(), "lab: registry ended by itself: signal: killed\nlast lines of ")
	require.Contains(t, stderr.String(), "listening on ")
	requireGone(t, info)
}

func TestKilled(t *testing.T) {
	cmd, e, info, _ := start(t)
	require.NoError(t, cmd.Process.Kill())
	await(t, e)
	requireGone(t, info)
}

func TestInterruptedStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lab")
	cmd, _, stderr := command(t, "up", "--no-vch", "--dir", dir)
	require.NoError(t, cmd.Start())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := process.Until(ctx, &process.Group{}, "etcd starts", func(context.Context) error {
		_, err := os.Stat(filepath.Join(dir, "logs", "etcd.log"))
		return err
	})
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.EqualError(t, cmd.Wait(), "exit status 1")
	require.Contains(t, stderr.String(), "lab: start lab: Kubernetes control plane: ")
	require.Contains(t, stderr.String(), "terminated signal received")
}

func testOnce(t *testing.T, kubeconfig string) {
	cmd, _, stderr := command(t, "up", "--no-vch", "--no-registry", "--once", "--timeout", "2m", "--kubeconfig", kubeconfig)
	require.NoError(t, cmd.Run(), stderr)
	require.Contains(t, stderr.String(), "lab: taking everything down")
}

func TestTimeout(t *testing.T) {
	cmd, _, stderr := command(t, "up", "--no-vch", "--timeout", "100ms")
	require.EqualError(t, cmd.Run(), "exit status 1")
	require.Contains(t, stderr.String(), "not ready after 100ms")
}

func TestExec(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready.json")
	require.NoError(t, os.WriteFile(ready, []byte(`{"kubeconfig": "/k", "govc": {"GOVC_URL": "https://x/sdk"}}`), 0o600))
	for _, tt := range []struct {
		args         []string
		code         int
		stdout, want string
	}{
		{[]string{"--ready-file", ready, "--", "sh", "-c", `echo "$KUBECONFIG $GOVC_URL $1"`, "sh", "a b"}, 0, "/k https://x/sdk a b\n", ""},
		{[]string{"--ready-file", ready, "--", "sh", "-c", "echo oops >&2; exit 3"}, 3, "", "oops\n"},
		{[]string{"--ready-file", "/nonexistent", "--", "true"}, 1, "", "lab: read ready file: open /nonexistent: no such file or directory\n"},
		{[]string{"--", "true"}, 1, "", "lab: exec: give the lab's --ready-file\n"},
	} {
		cmd, stdout, stderr := command(t, append([]string{"exec"}, tt.args...)...)
		err := cmd.Run()
		require.Equal(t, tt.code, cmd.ProcessState.ExitCode(), "%v: %v", tt.args, err)
		require.Equal(t, tt.stdout, stdout.String())
		require.Equal(t, tt.want, stderr.String())
	}
}

func TestBadFlag(t *testing.T) {
	cmd, _, stderr := command(t, "up", "--guests", "real")
	require.EqualError(t, cmd.Run(), "exit status 1")
	require.Equal(t, "lab: start lab: guests \"real\": must be sim or none\n", stderr.String())
}
