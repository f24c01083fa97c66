// SPDX-License-Identifier: Apache-2.0

// Package process starts the programs that tests and the lab need and answers for their end.
//
// Each process has a process group of its own, so that a Ctrl-C at the terminal reaches only its parent, which then decides
// the order of the end; a log file; and, on Linux, a parent death signal, so that it ends even when its parent is killed
// outright. A process that ends without having been asked to is an error, whatever its exit code.
//
// A Group is what several of them make together: it ends when the first of them does, and is stopped in reverse order.
//
// All methods of Process and Group are safe for concurrent use. One goroutine lives as long as the process does; after Done is
// closed nothing is left of it.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Spec says what to run. Name, Path and Log are required.
type Spec struct {
	// Name is what messages call the process.
	Name string
	// Path is the program's file, Args its arguments without the program's name.
	Path string
	Args []string
	// Env is the whole environment as key=value; nil means this process's own.
	Env []string
	// Dir is the working directory; empty means this process's own.
	Dir string
	// Log is the file that standard output and standard error are appended to. Its folder is made when missing.
	Log string
	// Output, if set, gets a copy of what goes to the log. Write is called from one goroutine at a time, and not after Done.
	Output io.Writer
	// Grace is how long Stop waits after SIGTERM before it sends SIGKILL; 0 means 10 s.
	Grace time.Duration
}

// Process is a program that Start started.
type Process struct {
	spec Spec
	cmd  *exec.Cmd
	done chan struct{}

	mu      sync.Mutex // guards the fields below, which are final when done is closed
	stopped bool       // Stop was called: an end is no error any more
	err     error      // why it ended by itself
	exit    error      // how it ended, nil for exit status 0
}

// Start runs a program. It returns when the program was executed, which says nothing yet about its being ready. The caller
// must Stop it.
func Start(spec Spec) (*Process, error) {
	log, err := openLog(spec)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Env, cmd.Dir = spec.Env, spec.Dir
	var out io.Writer = log
	if spec.Output != nil {
		out = io.MultiWriter(log, spec.Output)
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = sysProcAttr()
	// A grandchild that keeps the output pipe open must not keep Wait from returning.
	cmd.WaitDelay = time.Second
	p := &Process{spec: spec, cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started, log)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	return p, nil
}

// Run runs a program that is to end by itself, and returns an error with the end of its log unless it does so with exit
// status 0. When ctx ends first, the program is stopped as by Stop, so that it can clean up.
func Run(ctx context.Context, spec Spec) error {
	p, err := Start(spec)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("%s: %w", spec.Name, context.Cause(ctx)), p.Stop(context.WithoutCancel(ctx)))
	}
	if p.exit != nil {
		return fmt.Errorf("%s: %w\n%s", spec.Name, p.exit, p.Tail())
	}
	return nil
}

// openLog opens the log for appending and heads this run with its command line.
func openLog(spec Spec) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(spec.Log), 0o755); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(log, "+ %s %s\n", spec.Path, strings.Join(spec.Args, " "))
	return log, nil
}

// run starts the command, reports that on started, and waits for its end.
func (p *Process) run(started chan<- error, log *os.File) {
	// The kernel sends the parent death signal when the *thread* that forked ends, so that thread has to outlive the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer log.Close()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	err := p.cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.exit = err
	if !p.stopped {
		how := "exit status 0"
		if err != nil {
			how = err.Error()
		}
		p.err = fmt.Errorf("%s ended by itself: %s\n%s", p.spec.Name, how, p.Tail())
	}
	close(p.done)
}

// Name returns the name that messages call the process.
func (p *Process) Name() string { return p.spec.Name }

// Pid returns the process id, which is its process group's id as well.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Log returns the log file's path.
func (p *Process) Log() string { return p.spec.Log }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns nil while the process runs and after a Stop; otherwise why it ended, with the end of its log.
func (p *Process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Stop ends the process and waits until it is gone: SIGTERM to its group and, when the grace period or ctx is over, SIGKILL.
// Stopping one that has ended already does nothing and returns nil, as does stopping it again. An error means that it is
// still there.
func (p *Process) Stop(ctx context.Context) error {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	grace := p.spec.Grace
	if grace == 0 {
		grace = 10 * time.Second
	}
	p.signal(syscall.SIGTERM)
	if p.wait(ctx, grace) {
		return nil
	}
	p.signal(syscall.SIGKILL)
	// Only a process stuck in the kernel survives this; ctx may be over already, so it has no say.
	if p.wait(context.Background(), 10*time.Second) {
		return nil
	}
	return fmt.Errorf("stop %s: process %d is still there after SIGKILL", p.spec.Name, p.Pid())
}

// signal sends sig to the process's group, unless the process has ended.
func (p *Process) signal(sig syscall.Signal) {
	select {
	case <-p.done:
	default:
		// It fails only for a group that is gone, which is what wait will see.
		_ = syscall.Kill(-p.Pid(), sig)
	}
}

// wait reports whether the process ended within d and before ctx did.
func (p *Process) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-ctx.Done():
		return false
	case <-timer.C:
		return false
	}
}

// Tail returns the log's path and last lines, for messages.
func (p *Process) Tail() string {
	const size, lines = 8 << 10, 15
	text, err := lastBytes(p.spec.Log, size)
	if err != nil {
		return fmt.Sprintf("(log: %v)", err)
	}
	all := strings.Split(strings.TrimSpace(text), "\n")
	return fmt.Sprintf("last lines of %s:\n  %s", p.spec.Log, strings.Join(all[max(0, len(all)-lines):], "\n  "))
}

// lastBytes returns the last n bytes of a file, or all of a shorter one.
func lastBytes(path string, n int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := f.Seek(-n, io.SeekEnd); err != nil {
		// Seeking before the start is refused: the file is shorter than n.
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return "", err
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, n))
	return string(data), err
}
