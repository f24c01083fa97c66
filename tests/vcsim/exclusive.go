// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// exclusive lets requests that may touch a datastore or walk the inventory, with the tasks that they start, run one after
// the other. The simulator copies whole datastore objects without their lock when it looks for a file, reads the children of
// folders and pools without theirs for a new view, and reads without its own whether a VM's host is in maintenance, while other
// tasks change them. That is harmless, but the race detector rightly complains, so the server is exclusive only when it watches.
type exclusive struct {
	listener
	turn chan struct{} // holds a value while a request has its turn
	mu   sync.Mutex    // guards what is in the turns
}

// turn is a request's.
type turn struct {
	answered bool
	tasks    int // that run on its behalf
}

// turnKey is the key of a *turn in the context of a request.
type turnKey struct{}

func newExclusive() *exclusive {
	return &exclusive{listener: newListener("Exclusive"), turn: make(chan struct{}, 1)}
}

// serve serves a request when its turn has come, unless it has gone by then. Its turn ends with the last of its tasks.
func (e *exclusive) serve(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	select {
	case e.turn <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	t := new(turn)
	next(w, r.WithContext(context.WithValue(r.Context(), turnKey{}, t)))
	e.change(t, func() { t.answered = true })
}

// change changes t, and ends it if it is over.
func (e *exclusive) change(t *turn, how func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	how()
	if t.answered && t.tasks == 0 {
		<-e.turn
	}
}

// UpdateObject implements simulator.RegisterObject: it counts the tasks of a turn.
func (e *exclusive) UpdateObject(ctx *simulator.Context, obj mo.Reference, changes []types.PropertyChange) {
	task, ok := obj.(*mo.Task)
	if !ok || !changed(changes, "info.state") {
		return
	}
	t, ok := ctx.Value(turnKey{}).(*turn)
	switch {
	case !ok:
	case changed(changes, "info.startTime"):
		e.change(t, func() { t.tasks++ })
	case task.Info.State == types.TaskInfoStateSuccess || task.Info.State == types.TaskInfoStateError:
		e.change(t, func() { t.tasks-- })
	}
}

// needsTurn reports whether a request does.
func needsTurn(r *http.Request) bool {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	return ok && slices.Contains([]string{
		"Folder", "VirtualMachine", "ResourcePool", "VirtualApp", "Datastore", "HostDatastoreBrowser", "HostDatastoreSystem",
		"FileManager", "VirtualDiskManager", "VcenterVStorageObjectManager", "VirtualMachineSnapshot", "Datacenter",
		"ViewManager", "SearchIndex", "HostSystem",
	}, x.call.ref.Type)
}
