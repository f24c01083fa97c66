// SPDX-License-Identifier: Apache-2.0

package simkubelet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// poll is how often a log that is followed is looked at for the container's end.
const poll = 50 * time.Millisecond

// journal is what one run of a container has logged: a function of its times.
type journal struct {
	started, finished time.Time // finished is zero while it runs
	head              []string  // lines at the start
	every             time.Duration
	tail              []string // lines at the end
}

// newJournal is the log of one run.
func newJournal(g Guest, container string, started, finished time.Time, code int32) journal {
	script, _ := ParseScript(g.Pod.Annotations) // a guest whose annotations are wrong runs no container
	j := journal{started: started, finished: finished, every: script.LogEvery}
	j.head = append([]string{fmt.Sprintf("container %s of pod %s/%s started", container, g.Pod.Namespace, g.Pod.Name)}, script.Log...)
	if !finished.IsZero() {
		j.tail = []string{fmt.Sprintf("container %s exited with code %d", container, code)}
	}
	return j
}

// len is how many lines there are at a time.
func (j journal) len(now time.Time) int {
	n := len(j.head) + j.repeats(now)
	if !j.finished.IsZero() {
		n += len(j.tail)
	}
	return n
}

// repeats is how many lines came one after another.
func (j journal) repeats(now time.Time) int {
	end := now
	if !j.finished.IsZero() && j.finished.Before(now) {
		end = j.finished
	}
	if j.every == 0 || end.Before(j.started) {
		return 0
	}
	return int(end.Sub(j.started) / j.every)
}

// line is the i-th line.
func (j journal) line(i int, now time.Time) (time.Time, string) {
	repeats := j.repeats(now)
	switch after := i - len(j.head); {
	case after < 0:
		return j.started, j.head[i]
	case after < repeats:
		return j.started.Add(time.Duration(after+1) * j.every), "line " + strconv.Itoa(after+1)
	default:
		return j.finished, j.tail[after-repeats]
	}
}

// since is the first line that is not before a time.
func (j journal) since(at, now time.Time) int {
	return sort.Search(j.len(now), func(i int) bool {
		written, _ := j.line(i, now)
		return !written.Before(at)
	})
}

// journalOf is the log that a container has, or that its run before has left. The errors are the kubelet's.
func journalOf(g Guest, container string, previous bool) (journal, error) {
	status := g.status(container)
	of := func(t *corev1.ContainerStateTerminated) journal {
		return newJournal(g, container, t.StartedAt.Time, t.FinishedAt.Time, t.ExitCode)
	}
	last := status.LastTerminationState.Terminated
	switch state := status.State; {
	case previous && last == nil:
		return journal{}, fmt.Errorf("previous terminated container %q in pod %q not found", container, g.Pod.Name)
	case previous:
		return of(last), nil
	case state.Running != nil:
		return newJournal(g, container, state.Running.StartedAt.Time, time.Time{}, 0), nil
	case state.Terminated != nil && !state.Terminated.StartedAt.IsZero():
		return of(state.Terminated), nil
	case last != nil:
		return of(last), nil
	case state.Waiting != nil:
		return journal{}, fmt.Errorf("container %q in pod %q is waiting to start: %s", container, g.Pod.Name, state.Waiting.Reason)
	default:
		return journal{}, fmt.Errorf("container %q in pod %q is not available", container, g.Pod.Name)
	}
}

// logOptions are the parameters of a request for logs.
type logOptions struct {
	follow, previous, timestamps bool
	tail, limit                  int64 // -1 for none
	since                        time.Time
}

func parseLogOptions(query url.Values, now time.Time) (o logOptions, err error) {
	o.tail, o.limit = -1, -1
	flag := func(name string) bool { return query.Get(name) == "true" || query.Get(name) == "1" }
	o.follow, o.previous, o.timestamps = flag("follow"), flag("previous"), flag("timestamps")
	number := func(name string, least int64, to *int64) {
		text := query.Get(name)
		if text == "" || err != nil {
			return
		}
		if *to, err = strconv.ParseInt(text, 10, 64); err != nil || *to < least {
			err = fmt.Errorf("%s is %q, want a number of at least %d", name, text, least)
		}
	}
	var seconds int64
	number("tailLines", 0, &o.tail)
	number("limitBytes", 1, &o.limit)
	number("sinceSeconds", 1, &seconds)
	if seconds > 0 {
		o.since = now.Add(-time.Duration(seconds) * time.Second)
	}
	if text := query.Get("sinceTime"); text != "" && err == nil {
		if seconds > 0 {
			return o, errors.New("at most one of sinceTime and sinceSeconds may be given")
		}
		o.since, err = time.Parse(time.RFC3339, text)
	}
	return o, err
}

// logs answers with a container's log, and goes on as long as the container and the client do, if it is to follow.
func (k *kubelet) logs(w http.ResponseWriter, r *http.Request, g Guest, container *corev1.Container) {
	now := time.Now()
	options, err := parseLogOptions(r.URL.Query(), now)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	j, err := journalOf(g, container.Name, options.previous)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusOK)
	from := j.since(options.since, now)
	if options.tail >= 0 {
		from = max(from, j.len(now)-int(min(options.tail, int64(j.len(now)))))
	}
	out := &limited{w: w, left: options.limit}
	if !options.follow || options.previous {
		_, _ = j.write(out, from, now, options.timestamps)
		return
	}
	_ = k.follow(r, out, j, container.Name, from, options.timestamps)
}

// write writes the lines from one on, and returns how many there are.
func (j journal) write(out io.Writer, from int, now time.Time, timestamps bool) (int, error) {
	n := j.len(now)
	for i := from; i < n; i++ {
		at, text := j.line(i, now)
		if timestamps {
			text = at.UTC().Format(time.RFC3339Nano) + " " + text
		}
		if _, err := io.WriteString(out, text+"\n"); err != nil {
			return i, err
		}
	}
	return n, nil
}

// follow writes a log until the container ends, the guest is gone, or nobody reads any more.
func (k *kubelet) follow(r *http.Request, out io.Writer, j journal, container string, from int, timestamps bool) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	started := j.started
	for {
		var err error
		if from, err = j.write(out, from, time.Now(), timestamps); err != nil || !j.finished.IsZero() {
			return err
		}
		if flusher, ok := out.(http.Flusher); ok {
			flusher.Flush()
		}
		select {
		case <-r.Context().Done():
			return r.Context().Err()
		case <-ticker.C:
		}
		g, ok := k.find(nobody{}, r)
		if !ok {
			return errors.New("the guest is gone")
		}
		next, err := journalOf(g, container, false)
		if err != nil || !next.started.Equal(started) { // it has ended and runs again
			if next, err = journalOf(g, container, true); err != nil || !next.started.Equal(started) {
				return err
			}
		}
		j = next
	}
}

// nobody takes an answer that nobody waits for.
type nobody struct{}

func (nobody) Header() http.Header         { return http.Header{} }
func (nobody) Write(p []byte) (int, error) { return len(p), nil }
func (nobody) WriteHeader(int)             {}

// limited writes as many bytes as are left; -1 is any number.
type limited struct {
	w    http.ResponseWriter
	left int64
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left < 0 {
		return l.w.Write(p)
	}
	if int64(len(p)) > l.left {
		n, _ := l.w.Write(p[:l.left])
		l.left = 0
		return n, io.ErrShortWrite
	}
	l.left -= int64(len(p))
	return l.w.Write(p)
}

// Flush implements http.Flusher.
func (l *limited) Flush() { _ = http.NewResponseController(l.w).Flush() }

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
