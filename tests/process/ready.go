// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Bind returns a context that also ends when l does, with l's error as its cause.
func Bind(ctx context.Context, l Lifetime) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-l.Done():
			err := l.Err()
			if err == nil {
				err = errors.New("it was stopped")
			}
			cancel(err)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// Until asks probe again and again until it returns nil. It gives up when ctx or l ends, with why, what was waited for and
// the probe's last answer. One probe may take up to 5 s.
func Until(ctx context.Context, l Lifetime, what string, probe func(context.Context) error) error {
	ctx, cancel := Bind(ctx, l)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		attempt, done := context.WithTimeout(ctx, 5*time.Second)
		last := probe(attempt)
		done()
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w (last seen: %v)", what, context.Cause(ctx), last)
		case <-tick.C:
		}
	}
}
