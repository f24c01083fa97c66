// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"wolfpack/tests/process"
)

// lineWatch is a Writer that waits for a line which has what one is looking for. It is written to by one goroutine and
// waited for by another.
type lineWatch struct {
	parse func(line string) (string, bool)
	rest  []byte      // the beginning of a line whose end has not come yet
	found chan string // gets the first answer
	over  bool        // there was one
}

func newLineWatch(parse func(line string) (string, bool)) *lineWatch {
	return &lineWatch{parse: parse, found: make(chan string, 1)}
}

// Write looks at the lines in p until one is found. It never fails.
func (w *lineWatch) Write(p []byte) (int, error) {
	if w.over {
		return len(p), nil
	}
	w.rest = append(w.rest, p...)
	for {
		line, rest, whole := bytes.Cut(w.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		w.rest = rest
		if answer, ok := w.parse(string(line)); ok {
			w.found <- answer
			w.over, w.rest = true, nil
			return len(p), nil
		}
	}
}

// wait returns the answer, unless ctx, the process that is to give it, or the time is over first.
func (w *lineWatch) wait(ctx context.Context, p *process.Process, d time.Duration) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d, fmt.Errorf("it did not come in %s", d))
	defer cancel()
	ctx, unbind := process.Bind(ctx, p)
	defer unbind()
	select {
	case answer := <-w.found:
		return answer, nil
	case <-ctx.Done():
		err := context.Cause(ctx)
		if p.Err() == nil {
			err = errors.Join(err, errors.New(p.Tail()))
		}
		return "", err
	}
}
