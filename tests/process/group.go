// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Member is a part of a group: a Process, or something made of several.
type Member interface {
	Lifetime
	// Stop ends it and returns when it is gone. Stopping it again is harmless.
	Stop(ctx context.Context) error
}

// Lifetime is what can end by itself.
type Lifetime interface {
	// Done is closed when it has ended.
	Done() <-chan struct{}
	// Err says why it ended; nil if it has not, or was told to.
	Err() error
}

// Group is members that live and die together. The zero Group is ready for use.
type Group struct {
	mu      sync.Mutex // guards the fields below
	members []Member
	err     error         // why the first member that ended by itself did
	done    chan struct{} // made by the first use
	closed  bool          // done is closed
}

// Add makes m a member, the first to be stopped. It must not be called after Stop.
func (g *Group) Add(m Member) {
	g.mu.Lock()
	g.members = append(g.members, m)
	g.mu.Unlock()
	go func() {
		<-m.Done()
		g.ended(m.Err())
	}()
}

// ended records the end of a member; only the first that was no Stop counts.
func (g *Group) ended(err error) {
	if err == nil {
		return
	}
	g.mu.Lock()
	if g.err == nil {
		g.err = err
	}
	g.mu.Unlock()
	g.close()
}

// close closes the done channel, once.
func (g *Group) close() {
	done := g.channel()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		close(done)
	}
}

// Done is closed when the first member ends by itself, and by Stop.
func (g *Group) Done() <-chan struct{} { return g.channel() }

// channel returns the done channel, making it on first use.
func (g *Group) channel() chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.done == nil {
		g.done = make(chan struct{})
	}
	return g.done
}

// Err returns why the first member to end by itself did, or nil.
func (g *Group) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Stop stops all members, the last one added first, and goes on past those that fail. Its error names those that are still
// there. The group has ended then: stopping it again does nothing, and nothing may be added any more.
func (g *Group) Stop(ctx context.Context) error {
	g.mu.Lock()
	members := g.members
	g.members = nil
	g.mu.Unlock()
	defer g.close()
	var errs []error
	for _, m := range slices.Backward(members) {
		errs = append(errs, m.Stop(ctx))
	}
	return errors.Join(errs...)
}
