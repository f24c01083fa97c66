// SPDX-License-Identifier: Apache-2.0

// Package portlayertest is the conformance suite of portlayer.Portlayer: each case explains the rule that it checks. Every
// backend runs it.
package portlayertest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"wolfpack/errs"
	"wolfpack/guest"
	"wolfpack/guest/contract"
	"wolfpack/provider/portlayer"
	"wolfpack/vch"
)

// VCH is the name of the virtual container host whose VMs a backend under test must know.
const VCH = "conformance"

// patience is how long the suite waits for what must happen.
const patience = 20 * time.Second

// Backend is a backend under test, with what the suite does to it behind its back.
type Backend struct {
	portlayer.Portlayer
	// LoseAnswer has the next change of that name (Create, Start, Shutdown, Stop, Remove) be made and its answer be lost.
	LoseAnswer func(op string)
	// Interrupt breaks the connection of the watch, at once or after its next news.
	Interrupt func()
}

// Run runs the suite. start returns a new backend without VMs.
func Run(t *testing.T, start func(t *testing.T) Backend) {
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			backend := start(t)
			rule.check(t, backend, Watch(t, backend))
		})
	}
}

var rules = []struct {
	name  string
	check func(*testing.T, Backend, *Watcher)
}{
	{"the watch begins with all VMs", func(t *testing.T, p Backend, w *Watcher) {
		id := create(t, p, "uid-1")
		w.Await(t, "created", func(vms map[portlayer.ID]portlayer.VM) bool { return vms[id].ID == id })
		second := Watch(t, p)
		second.Await(t, "in the first batch", func(vms map[portlayer.ID]portlayer.VM) bool { return vms[id].ID == id })
	}},
	{"a created VM is off and says whose it is", func(t *testing.T, p Backend, w *Watcher) {
		spec := Spec(t, "uid-1")
		id, err := p.Create(t.Context(), spec)
		require.NoError(t, err)
		vm := w.Await(t, "created", func(vms map[portlayer.ID]portlayer.VM) bool { return vms[id].ID == id })[id]
		require.Equal(t, portlayer.Off, vm.State)
		require.Equal(t, spec.Identity, vm.Identity)
		require.Equal(t, spec.Machine.VMName, vm.VMName)
		pod := vm.Pod()
		require.NotNil(t, pod)
		require.Equal(t, types.UID("uid-1"), pod.UID)
		require.Nil(t, vm.Status)
	}},
	{"a pod has one VM: a second create finds the first", func(t *testing.T, p Backend, w *Watcher) {
		id := create(t, p, "uid-1")
		again, err := p.Create(t.Context(), Spec(t, "uid-1"))
		require.True(t, errs.Is(err, errs.Exists), "%v", err)
		require.Equal(t, id, again)
		w.Await(t, "one VM", func(vms map[portlayer.ID]portlayer.VM) bool { return len(vms) == 1 })
	}},
	{"a VM that was started runs, and starting it again is no error", func(t *testing.T, p Backend, w *Watcher) {
		id := create(t, p, "uid-1")
		require.NoError(t, p.Start(t.Context(), id))
		w.Await(t, "running", state(id, portlayer.Running))
		require.NoError(t, p.Start(t.Context(), id))
	}},
	{"stopping a VM turns it off, and stopping it again is no error", func(t *testing.T, p Backend, w *Watcher) {
		id := running(t, p, w)
		require.NoError(t, p.Stop(t.Context(), id))
		require.NoError(t, p.AwaitOff(t.Context(), id))
		w.Await(t, "off", state(id, portlayer.Off))
		require.NoError(t, p.Stop(t.Context(), id))
		require.NoError(t, p.Shutdown(t.Context(), id))
	}},
	{"waiting for a running VM to be off ends with the context", func(t *testing.T, p Backend, w *Watcher) {
		id := running(t, p, w)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, p.AwaitOff(ctx, id), context.Canceled)
	}},
	{"a VM that runs is not removed", func(t *testing.T, p Backend, w *Watcher) {
		id := running(t, p, w)
		err := p.Remove(t.Context(), id)
		require.Error(t, err)
		require.False(t, errs.Is(err, errs.NotFound), "%v", err)
		w.Await(t, "still running", state(id, portlayer.Running))
	}},
	{"a removed VM is gone for the watch and for every operation", func(t *testing.T, p Backend, w *Watcher) {
		id := create(t, p, "uid-1")
		require.NoError(t, p.Remove(t.Context(), id))
		w.Await(t, "gone", func(vms map[portlayer.ID]portlayer.VM) bool { return len(vms) == 0 })
		require.NoError(t, p.AwaitOff(t.Context(), id))
		for name, op := range map[string]func(context.Context, portlayer.ID) error{
			"Start": p.Start, "Stop": p.Stop, "Shutdown": p.Shutdown, "Remove": p.Remove,
		} {
			err := op(t.Context(), id)
			require.True(t, errs.Is(err, errs.NotFound), "%s: %v", name, err)
		}
	}},
	{"a change is carried through when its context ends", func(t *testing.T, p Backend, w *Watcher) {
		id := create(t, p, "uid-1")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Start(ctx, id) }()
		cancel()
		if err := <-done; err != nil {
			require.ErrorIs(t, err, context.Canceled, "only a change that was not begun may fail")
			return
		}
		w.Await(t, "running", state(id, portlayer.Running))
	}},
	{"a change whose answer was lost is completed by making it again, and is not made twice", func(t *testing.T, p Backend, w *Watcher) {
		var id portlayer.ID
		for _, change := range []struct {
			op    string
			make  func() error
			after []errs.Kind // what may be said of what is done already
			want  portlayer.State
		}{
			{"Create", func() (err error) { id, err = p.Create(t.Context(), Spec(t, "uid-1")); return err }, []errs.Kind{errs.Exists}, portlayer.Off},
			{"Start", func() error { return p.Start(t.Context(), id) }, nil, portlayer.Running},
			{"Stop", func() error { return p.Stop(t.Context(), id) }, nil, portlayer.Off},
			{"Remove", func() error { return p.Remove(t.Context(), id) }, []errs.Kind{errs.NotFound}, ""},
		} {
			p.LoseAnswer(change.op)
			first := change.make()
			require.True(t, okay(first, append(change.after, errs.Unavailable)...), "%s: %v", change.op, first)
			again := change.make()
			require.True(t, okay(again, change.after...), "%s again: %v", change.op, again)
			require.NotEmpty(t, id)
			w.Await(t, change.op+", once", func(vms map[portlayer.ID]portlayer.VM) bool {
				return vms[id].State == change.want && (len(vms) == 1 || change.want == "" && len(vms) == 0)
			})
		}
	}},
	{"a guest whose shutdown was asked for may be asked again", func(t *testing.T, p Backend, w *Watcher) {
		id := running(t, p, w)
		p.LoseAnswer("Shutdown")
		for range 3 {
			err := p.Shutdown(t.Context(), id)
			require.True(t, okay(err, errs.Unavailable), "%v", err) // without Tools it cannot be asked
		}
		require.NoError(t, p.Stop(t.Context(), id))
		w.Await(t, "off", state(id, portlayer.Off))
		require.True(t, okay(p.Shutdown(t.Context(), id), errs.Unavailable), "if it could not be asked before, this answer is lost")
		require.NoError(t, p.Shutdown(t.Context(), id))
	}},
	{"finding a VM changes nothing, and one that is not there is not found", func(t *testing.T, p Backend, w *Watcher) {
		id := running(t, p, w)
		for range 2 {
			require.NoError(t, p.Find(t.Context(), "uid-1"))
			err := p.Find(t.Context(), "uid-2")
			require.True(t, errs.Is(err, errs.NotFound), "%v", err)
		}
		vm := w.Await(t, "still running", state(id, portlayer.Running))[id]
		require.False(t, vm.Outside, "it is where it was")
	}},
	{"a watch that is interrupted says so, and comes back with all there is and nothing else", func(t *testing.T, p Backend, w *Watcher) {
		stays, goes := create(t, p, "uid-stays"), create(t, p, "uid-goes")
		w.Await(t, "both", func(vms map[portlayer.ID]portlayer.VM) bool { return len(vms) == 2 })
		before := w.Syncs()
		p.Interrupt()
		later := create(t, p, "uid-later")
		w.await(t, "it is interrupted, and back", func() bool { return len(w.lost) > 0 && w.syncs > before })
		require.NoError(t, p.Start(t.Context(), stays))
		require.NoError(t, p.Remove(t.Context(), goes))
		w.Await(t, "news go on", func(vms map[portlayer.ID]portlayer.VM) bool {
			return len(vms) == 2 && vms[stays].State == portlayer.Running && vms[later].State == portlayer.Off
		})
	}},
	{"operations on many VMs go side by side", func(t *testing.T, p Backend, w *Watcher) {
		var group sync.WaitGroup
		failures := make(chan error, 20)
		for i := range 20 {
			group.Go(func() {
				id, err := p.Create(t.Context(), Spec(t, "uid-"+string(rune('a'+i))))
				if err == nil {
					err = p.Start(t.Context(), id)
				}
				failures <- err
			})
		}
		group.Wait()
		close(failures)
		for err := range failures {
			require.NoError(t, err)
		}
		w.Await(t, "20 running", func(vms map[portlayer.ID]portlayer.VM) bool {
			n := 0
			for _, vm := range vms {
				if vm.State == portlayer.Running {
					n++
				}
			}
			return n == 20
		})
	}},
	{"the watch begins with what VMs run on", func(t *testing.T, _ Backend, w *Watcher) {
		host := w.AwaitHost(t, "there", func(portlayer.Host) bool { return true })
		require.Positive(t, host.All.CPUs)
		require.Positive(t, host.All.MemoryBytes)
		require.Positive(t, host.UsableHosts)
		require.LessOrEqual(t, host.UsableHosts, host.Hosts)
		require.True(t, host.Datastore.Found && host.Datastore.Accessible, "%+v", host.Datastore)
		require.Positive(t, host.Datastore.Capacity)
		require.NotEmpty(t, host.Datastore.Name)
		require.True(t, host.Network.Found && host.Network.Accessible, "%+v", host.Network)
		require.NotEmpty(t, host.Network.Name)
		require.NotEmpty(t, host.Product)
		require.NotEmpty(t, host.Version)
	}},
	{"a pod's VM takes nothing from what pods may use", func(t *testing.T, p Backend, w *Watcher) {
		before := w.AwaitHost(t, "there", func(portlayer.Host) bool { return true })
		running(t, p, w)
		after := w.AwaitHost(t, "there", func(portlayer.Host) bool { return true })
		require.Equal(t, before.All, after.All)
		require.Equal(t, before.Others, after.Others)
	}},
}

// Spec is a small VM for a pod with that UID.
func Spec(t *testing.T, uid string) portlayer.Spec {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: types.UID(uid)}}
	payload, err := contract.EncodePod(pod)
	require.NoError(t, err)
	os, err := guest.Lookup("photon", guest.Container)
	require.NoError(t, err)
	identity := portlayer.Identity{Namespace: "default", Name: "web", UID: uid, VCH: VCH, SpecHash: "1"}
	return portlayer.Spec{
		Identity: identity,
		OS:       os,
		Machine: guest.Machine{
			VMName: "web-" + uid, Guest: guest.Name{Role: guest.Container, Version: "v1", Build: "0", Commit: "abc"},
			Extra: map[string]string{
				vch.KeyNamespace: "default", vch.KeyName: "web", vch.KeyUID: uid, vch.KeyVCH: VCH, vch.KeySpecHash: "1",
				contract.KeyVersion: contract.Version, contract.KeyPod: payload,
			},
		},
	}
}

func create(t *testing.T, p portlayer.Portlayer, uid string) portlayer.ID {
	t.Helper()
	id, err := p.Create(t.Context(), Spec(t, uid))
	require.NoError(t, err)
	return id
}

func running(t *testing.T, p portlayer.Portlayer, w *Watcher) portlayer.ID {
	t.Helper()
	id := create(t, p, "uid-1")
	require.NoError(t, p.Start(t.Context(), id))
	w.Await(t, "running", state(id, portlayer.Running))
	return id
}

// okay says whether err is nil, or of one of the kinds.
func okay(err error, kinds ...errs.Kind) bool {
	return err == nil || slices.ContainsFunc(kinds, func(kind errs.Kind) bool { return errs.Is(err, kind) })
}

func state(id portlayer.ID, want portlayer.State) func(map[portlayer.ID]portlayer.VM) bool {
	return func(vms map[portlayer.ID]portlayer.VM) bool { return vms[id].State == want }
}

// Watcher keeps the picture that a Watch paints.
type Watcher struct {
	mu      sync.Mutex // guards all below
	vms     map[portlayer.ID]portlayer.VM
	host    portlayer.Host
	lost    []error
	syncs   int
	changed chan struct{} // closed and replaced at each update
}

// Watch watches the backend until the test ends, and returns when the first batch has come.
func Watch(t *testing.T, p portlayer.Portlayer) *Watcher {
	t.Helper()
	w := &Watcher{vms: map[portlayer.ID]portlayer.VM{}, changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Watch(ctx, w.update) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	w.await(t, "the first batch", func() bool { return w.syncs > 0 })
	return w
}

func (w *Watcher) update(update portlayer.Update) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if update.Lost != nil {
		w.lost = append(w.lost, update.Lost)
	}
	if update.Sync {
		w.vms = map[portlayer.ID]portlayer.VM{}
		w.syncs++
	}
	if update.Host != nil {
		w.host = *update.Host
	}
	for _, vm := range update.Changed {
		w.vms[vm.ID] = vm
	}
	for _, id := range update.Gone {
		delete(w.vms, id)
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

// Await waits until the picture is as wanted and returns it.
func (w *Watcher) Await(t *testing.T, what string, wanted func(map[portlayer.ID]portlayer.VM) bool) map[portlayer.ID]portlayer.VM {
	t.Helper()
	found := map[portlayer.ID]portlayer.VM{}
	w.await(t, what, func() bool {
		clear(found)
		for id, vm := range w.vms {
			found[id] = vm
		}
		return wanted(found)
	})
	return found
}

// AwaitHost waits until what VMs run on is as wanted and returns it.
func (w *Watcher) AwaitHost(t *testing.T, what string, wanted func(portlayer.Host) bool) portlayer.Host {
	t.Helper()
	var found portlayer.Host
	w.await(t, what, func() bool {
		found = w.host
		return wanted(found)
	})
	return found
}

func (w *Watcher) await(t *testing.T, what string, wanted func() bool) {
	t.Helper()
	late := time.After(patience)
	for {
		w.mu.Lock()
		ok, changed := wanted(), w.changed
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-late:
			w.mu.Lock()
			defer w.mu.Unlock()
			t.Logf("host: %+v", w.host)
			for id, vm := range w.vms {
				t.Logf("%s %q: %s, Tools %t, address %q, reported %t", id, vm.VMName, vm.State, vm.ToolsUp, vm.IP, vm.Status != nil)
			}
			require.FailNowf(t, "not seen: "+what, "after %s; interruptions: %v", patience, w.lost)
		}
	}
}

// Lost returns how many times the watch has said that it is interrupted.
func (w *Watcher) Lost() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.lost)
}

// Syncs returns how many times the watch has begun with all there is.
func (w *Watcher) Syncs() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.syncs
}
