// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// Program is QEMU's, and Package the package of Debian and Ubuntu that has it.
const (
	Program = "qemu-system-x86_64"
	Package = "qemu-system-x86"
)

// Launcher starts machines.
type Launcher struct {
	// Accelerator is what runs the guests' code: KVM, or else QEMU itself.
	Accelerator string

	path   string
	marker string
	starts chan func()
	ended  chan struct{}

	mu       sync.Mutex // guards the fields below
	machines map[*Process]bool
	closed   bool
}

// New finds QEMU and the fastest way to run it, and ends the machines of launchers that are no more. The caller closes it.
func New(ctx context.Context) (*Launcher, error) {
	path, err := exec.LookPath(Program)
	if err != nil {
		return nil, fmt.Errorf("%s is missing, which runs real guests: install the package %s", Program, Package)
	}
	marker, err := newMarker()
	if err != nil {
		return nil, err
	}
	endLeftovers(marker)
	l := &Launcher{
		Accelerator: accelerator(ctx, path), path: path, marker: marker.String(),
		starts: make(chan func()), ended: make(chan struct{}), machines: make(map[*Process]bool),
	}
	go l.launch()
	return l, nil
}

// launch starts processes, all in one thread that lives as long as the launcher: the kernel kills them when it dies.
func (l *Launcher) launch() {
	defer close(l.ended)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for start := range l.starts {
		start()
	}
}

// Close turns off all machines. It returns when their processes have ended.
func (l *Launcher) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	var all []*Process
	for p := range l.machines {
		all = append(all, p)
	}
	close(l.starts)
	l.mu.Unlock()
	for _, p := range all {
		p.Kill()
	}
	<-l.ended
}

// Process is a machine that runs.
type Process struct {
	// Out and In are the machine's side of GuestRPC's ports: see package rpc.
	Out, In net.Conn

	cmd     *exec.Cmd
	monitor *monitor
	said    tail // standard error
	done    chan struct{}
	exit    Exit // when done is closed
	killed  bool // guarded by mu
	mu      sync.Mutex
}

// Exit is how a machine came to its end.
type Exit int

const (
	Killed  Exit = iota // by Kill
	Off                 // its guest turned it off
	Reboot              // its guest, or Reset, wants it to start again
	Crashed             // otherwise: see Process.Reason
)

// Start turns on a machine, and takes the cables of its cards, also on an error. It returns when QEMU is there.
func (l *Launcher) Start(m Machine) (*Process, error) {
	defer func() {
		for _, card := range m.Cards {
			_ = card.Cable.Close() // QEMU has its own
		}
	}()
	p := &Process{done: make(chan struct{})}
	var ours []net.Conn
	var theirs []*os.File
	closeAll := func() {
		for _, conn := range ours {
			_ = conn.Close()
		}
	}
	for range fdCables - fdMonitor {
		conn, file, err := SocketPair()
		if err != nil {
			closeAll()
			return nil, err
		}
		defer file.Close() // QEMU has its own
		ours, theirs = append(ours, conn), append(theirs, file)
	}
	for _, card := range m.Cards {
		theirs = append(theirs, card.Cable)
	}
	p.Out, p.In = ours[fdOut-fdMonitor], ours[fdIn-fdMonitor]
	p.cmd = exec.Command(l.path, m.arguments(l.marker, l.Accelerator)...)
	p.cmd.ExtraFiles, p.cmd.Stderr, p.cmd.SysProcAttr = theirs, &p.said, dieWithParent()
	if err := l.start(p); err != nil {
		closeAll()
		return nil, err
	}
	for _, file := range theirs {
		_ = file.Close() // so that the end of QEMU is the end of its sockets
	}
	p.monitor = newMonitor(ours[0])
	go func() {
		p.await()
		closeAll()
		l.forget(p)
		close(p.done)
	}()
	if err := p.monitor.greet(); err != nil {
		p.Kill()
		return nil, fmt.Errorf("start %s: %s", Program, p.Reason())
	}
	return p, nil
}

// start has the launcher's thread start the process.
func (l *Launcher) start(p *Process) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errors.New("the machines are closed")
	}
	started := make(chan error)
	l.starts <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", Program, err)
	}
	l.machines[p] = true
	return nil
}

func (l *Launcher) forget(p *Process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.machines, p)
}

// await waits for the end, and says what kind it was.
func (p *Process) await() {
	<-p.monitor.ended
	_ = p.cmd.Wait() // QEMU's own words say more
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.monitor.reason() {
	case "guest-shutdown":
		p.exit = Off
	case "guest-reset", "host-qmp-system-reset":
		p.exit = Reboot
	default:
		p.exit = Crashed
	}
	if p.killed {
		p.exit = Killed
	}
}

// Done is closed when the process has ended. Exit says how; it is valid from then on.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit waits for the end and says how it came.
func (p *Process) Exit() Exit {
	<-p.done
	return p.exit
}

// Reason waits for the end and returns what QEMU said of it.
func (p *Process) Reason() string {
	<-p.done
	if text := strings.TrimSpace(p.said.String()); text != "" {
		return text
	}
	return p.cmd.ProcessState.String()
}

// Pid is the process's.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Pause has the machine stand still, Resume go on, and Reset press its reset button: it exits, to be started again.
func (p *Process) Pause() error  { return p.monitor.run("stop") }
func (p *Process) Resume() error { return p.monitor.run("cont") }
func (p *Process) Reset() error  { return p.monitor.run("system_reset") }

// Kill turns the machine off as if the power had failed. It returns when the process has ended.
func (p *Process) Kill() {
	p.mu.Lock()
	p.killed = true
	p.mu.Unlock()
	_ = p.cmd.Process.Kill() // it has ended, if not by this
	<-p.done
}

// SocketPair returns both ends of a stream: one for this process, and one for a process that it starts.
func SocketPair() (net.Conn, *os.File, error) {
	syscall.ForkLock.RLock() // no process that is started meanwhile gets them
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "here"), os.NewFile(uintptr(fds[1]), "qemu")
	defer ours.Close() // FileConn has its own
	conn, err := net.FileConn(ours)
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex // guards the field below
	text []byte
}

const tailSize = 2 << 10

func (t *tail) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, text...)
	t.text = t.text[max(0, len(t.text)-tailSize):]
	return len(text), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
