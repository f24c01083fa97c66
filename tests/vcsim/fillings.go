// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// fillings are what takes the free space of the datastores that a rule fills: files of others, as it were.
type fillings struct {
	mu    sync.Mutex // held while datastores are changed; guards sizes
	sizes map[types.ManagedObjectReference]int64
}

// fillDatastores makes the free space of each datastore what the rules say, and tells watchers so.
func (s *Server) fillDatastores() {
	s.fillings.mu.Lock()
	defer s.fillings.mu.Unlock()
	if s.model.Service == nil {
		return // there is no inventory yet
	}
	ctx := newContext(s.model.Service.Context)
	for _, entity := range ctx.Map.All("Datastore") {
		if datastore, ok := entity.(*simulator.Datastore); ok {
			ctx.WithLock(datastore, func() { s.fillings.fill(ctx, datastore, s.faults.fills(named{datastore.Self, datastore.Name})) })
		}
	}
}

// fill fills a datastore or, with full false, gives back what that took: VMs may have come or gone meanwhile.
func (f *fillings) fill(ctx *simulator.Context, datastore *simulator.Datastore, full bool) {
	size, filled := f.sizes[datastore.Self]
	if full == filled {
		return
	}
	free := size + datastore.Summary.FreeSpace
	if full {
		if f.sizes == nil {
			f.sizes = map[types.ManagedObjectReference]int64{}
		}
		f.sizes[datastore.Self], free = free, 0
	} else {
		delete(f.sizes, datastore.Self)
	}
	ctx.Update(datastore, []types.PropertyChange{{Name: "summary.freeSpace", Val: free}})
}
