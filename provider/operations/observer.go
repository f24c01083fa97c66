// SPDX-License-Identifier: Apache-2.0

package operations

import "context"

// Observer is told of each operation, with an empty step, and of each of its steps and their undoing ("undo of create the
// VM"): it is called when that begins, and what it returns is called with the outcome. What is done, is done with the
// context that it returns. It must be safe for concurrent use.
type Observer func(ctx context.Context, op, step string) (context.Context, func(error))

// WithObserver has the operations below ctx tell all observers, those that ctx has already first.
func WithObserver(ctx context.Context, observers ...Observer) context.Context {
	before, _ := ctx.Value(observerKey{}).([]Observer)
	return context.WithValue(ctx, observerKey{}, append(before[:len(before):len(before)], observers...))
}

type observerKey struct{}

// observe says that an operation or a step begins.
func observe(ctx context.Context, op, step string) (context.Context, func(error)) {
	observers, _ := ctx.Value(observerKey{}).([]Observer)
	ends := make([]func(error), len(observers))
	for i, observer := range observers {
		ctx, ends[i] = observer(ctx, op, step)
	}
	return ctx, func(err error) {
		for _, end := range ends {
			end(err)
		}
	}
}
