// SPDX-License-Identifier: Apache-2.0

package sweep

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"wolfpack/tests/process"
)

// program is the real program wolfpack, running the world's node.
type program struct {
	w          *world
	file       string
	kubeconfig string

	mu    sync.Mutex // guards all below, and is held while there is no program
	lives []*life    // the last is the present one
}

// life is a process of the program.
type life struct {
	*process.Process
	takesPods *until // it says that it does
}

// newProgram starts the program. It is stopped with the test.
func newProgram(w *world) *program {
	w.Helper()
	p := &program{w: w, file: shared.build(w.T), kubeconfig: shared.kubeconfig(w.T, w.node)}
	require.NoError(w, p.start())
	w.Cleanup(func() {
		require.NoError(w, p.now().Stop(context.Background()))
		for i, l := range p.lives {
			if w.Failed() {
				w.Logf("life %d: %s", i+1, l.Tail())
			}
		}
	})
	w.alive = func() error { return p.now().Err() }
	return p
}

// start starts the program once more. The caller holds mu, or is alone.
func (p *program) start() error {
	c := p.w.connection()
	l := &life{takesPods: newUntil("The virtual node takes pods")}
	var err error
	l.Process, err = process.Start(process.Spec{
		Name: p.w.node, Path: p.file,
		Args: []string{
			"node", "--vch", p.w.host.Name, "--node-name", p.w.node, "--address", "127.0.0.1",
			"--kubelet-address", "127.0.0.1", "--kubelet-port", "0", "--tls-self-signed",
		},
		Env: []string{
			"GOVC_URL=" + c.URL, "GOVC_USERNAME=" + c.Username, "GOVC_PASSWORD=" + c.Password, "GOVC_TLS_CA_CERTS=" + c.CACerts,
			"KUBECONFIG=" + p.kubeconfig, fmt.Sprintf("GOGC=%d", thrift),
		},
		Log:    filepath.Join(filepath.Dir(p.kubeconfig), fmt.Sprintf("life-%d.log", len(p.lives)+1)),
		Output: l.takesPods,
		Grace:  time.Minute,
	})
	if err == nil {
		p.lives = append(p.lives, l)
	}
	return err
}

func (p *program) now() *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lives[len(p.lives)-1]
}

// crash ends the program as kill -9 does, and starts it again when it is gone.
func (p *program) crash() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	pid := p.lives[len(p.lives)-1].Pid()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	<-p.lives[len(p.lives)-1].Done()
	return p.start()
}

// crashes is how often the program was killed.
func (p *program) crashes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lives) - 1
}

// stop ends the program as an operator does. One that is killed meanwhile and started again takes pods before it is ended.
func (p *program) stop() {
	p.w.Helper()
	for {
		now := p.now()
		p.w.await("it takes pods", now.takesPods.over)
		require.NoError(p.w, now.Stop(p.w.Context()))
		if p.now() == now {
			return
		}
	}
}

// until is a Writer that waits for a text.
type until struct {
	text string
	came chan struct{} // closed when it came
	line []byte        // that has not ended
}

func newUntil(text string) *until { return &until{text: text, came: make(chan struct{})} }

// Write looks for the text. It never fails.
func (u *until) Write(written []byte) (int, error) {
	u.line = append(u.line, written...)
	for {
		line, rest, whole := bytes.Cut(u.line, []byte("\n"))
		if !whole {
			return len(written), nil
		}
		u.line = bytes.Clone(rest)
		if strings.Contains(string(line), u.text) && !u.over() {
			close(u.came)
		}
	}
}

// over says whether the text came.
func (u *until) over() bool {
	select {
	case <-u.came:
		return true
	default:
		return false
	}
}
