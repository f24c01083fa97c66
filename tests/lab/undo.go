// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"sync"
)

// undo is the part of a lab that is no process but something to remove at the end. It never ends by itself.
type undo struct {
	once   sync.Once
	done   chan struct{}
	remove func(context.Context) error
}

func newUndo(remove func(context.Context) error) *undo {
	return &undo{done: make(chan struct{}), remove: remove}
}

func (u *undo) Done() <-chan struct{} { return u.done }
func (u *undo) Err() error            { return nil }

// Stop removes it, the first time.
func (u *undo) Stop(ctx context.Context) (err error) {
	u.once.Do(func() {
		defer close(u.done)
		err = u.remove(ctx)
	})
	return err
}
