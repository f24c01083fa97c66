// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"wolfpack/errs"
	"wolfpack/provider/portlayer"
	"wolfpack/provider/portlayer/inprocess"
)

// logbook is a log that is kept.
type logbook struct {
	mu  sync.Mutex // guards buf
	buf strings.Builder
}

func (l *logbook) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(line)
}

// lines are those so far.
func (l *logbook) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.buf.String()), "\n")
}

// newLoggedWorld is a world whose log is kept, of verbosity 0.
func newLoggedWorld(t *testing.T, before ...func(*inprocess.Host)) (*world, *logbook) {
	t.Helper()
	w, log := newWorld(t, before...), new(logbook)
	w.ctx = klog.NewContext(context.Background(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(log))))
	w.restart()
	return w, log
}

// nextEvent is what the pod's user is told next.
func (w *world) nextEvent() string {
	w.t.Helper()
	select {
	case event := <-w.events.Events:
		return event
	case <-time.After(patience):
		require.FailNow(w.t, "no event")
		return ""
	}
}

func TestAPodsLifeInTheLogAndInEvents(t *testing.T) {
	w, log := newLoggedWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	require.Equal(t, "Normal VMStarted Started VM web-u-1 (vm-1) in VCH v", w.nextEvent())
	w.host.Set("vm-1", func(vm *portlayer.VM) { vm.State = portlayer.Suspended })
	require.Equal(t, "Warning VMSuspended VM web-u-1 (vm-1) was suspended", w.nextEvent())
	require.NoError(t, w.DeletePod(t.Context(), deleted(pod, 0)))
	require.Equal(t, "Normal VMStopping Powering off VM web-u-1 (vm-1)", w.nextEvent())
	require.Equal(t, "Normal VMRemoved Removed VM web-u-1 (vm-1)", w.nextEvent())
	w.stop()
	require.Empty(t, w.events.Events)

	lines := log.lines()
	require.Len(t, lines, 3, "a line for each of started, suspended, removed:\n%s", strings.Join(lines, "\n"))
	for i, reason := range []string{"VMStarted", "VMSuspended", "VMRemoved"} {
		for _, field := range []string{`pod="shop/web"`, `podUID="u-1"`, `vm="web-u-1"`, `vmID="vm-1"`, `reason="` + reason + `"`} {
			require.Contains(t, lines[i], field)
		}
	}
}

func TestAFailureThatStaysTheSameIsLoggedOnce(t *testing.T) {
	w, log := newLoggedWorld(t, failing("Create", errs.New("test", errs.Unavailable, "vCenter is busy")))
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	for range 3 {
		require.Equal(t, "Warning FailedCreateVM Failed to create VM web-u-1 in VCH v: create the VM: vCenter is busy", w.nextEvent())
	}
	require.Contains(t, w.nextEvent(), "VMStarted")
	w.stop()
	lines := log.lines()
	require.Len(t, lines, 2, "one line for three failures, and one for the start:\n%s", strings.Join(lines, "\n"))
	for _, want := range []string{`"Operation failed"`, `err="create the VM: vCenter is busy"`, `pod="shop/web"`, `vm="web-u-1"`, `op="operations.PodCreator"`, `kind="unavailable"`} {
		require.Contains(t, lines[0], want)
	}
}

func TestTheWatchIsLoggedWhenItsStateChanges(t *testing.T) {
	w, log := newLoggedWorld(t)
	listen := w.listen(w.ctx)
	away := errs.New("test", errs.Unavailable, "no route to host")
	for range 3 {
		listen(portlayer.Update{Lost: away})
	}
	listen(portlayer.Update{Sync: true})
	listen(portlayer.Update{Sync: true})
	lines := log.lines()
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], `"The watch over vSphere is interrupted; pods keep their last status" vch="v" reason="no route to host"`)
	require.Contains(t, lines[1], `"The watch over vSphere is back" vch="v" vms=0`)
}
