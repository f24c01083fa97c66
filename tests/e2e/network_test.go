// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// network is how the API server reaches nodes and pods: an HTTP proxy that knows where, on this machine, those addresses
// really are. The API server proxies to no loopback address, and nobody but root may give this machine another.
type network struct {
	dir    string
	server http.Server
	done   chan struct{}

	mu    sync.Mutex // guards hosts
	hosts map[string]string
	calls sync.WaitGroup
}

// newNetwork starts a network on a Unix socket, for the length of the test. Hosts are added by at.
func newNetwork(t *testing.T) *network {
	t.Helper()
	dir, err := os.MkdirTemp("", "wolfpack-e2e-") // a test's own folder is too long a name for a socket
	require.NoError(t, err)
	n := &network{dir: dir, done: make(chan struct{}), hosts: map[string]string{}}
	listener, err := net.Listen("unix", n.socket())
	require.NoError(t, err)
	n.server.Handler = http.HandlerFunc(n.connect)
	go func() {
		defer close(n.done)
		_ = n.server.Serve(listener)
	}()
	t.Cleanup(func() {
		require.NoError(t, n.server.Close())
		<-n.done
		n.calls.Wait()
		require.NoError(t, os.RemoveAll(dir))
	})
	return n
}

func (n *network) socket() string { return filepath.Join(n.dir, "egress") }

// at says that what is asked of address, a host and port, is at the real one.
func (n *network) at(address, real string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[address] = real
}

// connect answers CONNECT with a connection to where the address really is.
func (n *network) connect(w http.ResponseWriter, r *http.Request) {
	n.calls.Add(1)
	defer n.calls.Done()
	n.mu.Lock()
	real, ok := n.hosts[r.Host]
	n.mu.Unlock()
	if r.Method != http.MethodConnect || !ok {
		http.Error(w, fmt.Sprintf("%s %s: no such host in this test", r.Method, r.Host), http.StatusBadGateway)
		return
	}
	out, err := net.Dial("tcp", real)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer out.Close()
	in, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer in.Close()
	if _, err := io.WriteString(in, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(in, out)
		_ = in.Close()
	}()
	_, _ = io.Copy(out, buffered)
	_ = out.Close()
	<-back
}
