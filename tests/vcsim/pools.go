// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// templates is held while the simulator uses its package variables, which it writes when it makes an inventory or a
// resource pool: all servers of a process share them.
var templates sync.Mutex

// poolMethods is a resource pool whose new children have a summary of their own. In the simulator all pools share that of
// the template, and so the name of the last one made.
type poolMethods struct{ *simulator.ResourcePool }

func (p *poolMethods) CreateResourcePool(ctx *simulator.Context, req *types.CreateResourcePool) soap.HasFault {
	templates.Lock()
	defer templates.Unlock()
	before := p.ResourcePool.ResourcePool.ResourcePool
	body := p.ResourcePool.CreateResourcePool(ctx, req)
	for _, ref := range p.ResourcePool.ResourcePool.ResourcePool[len(before):] {
		if child, ok := ctx.Map.Get(ref).(*simulator.ResourcePool); ok {
			ctx.Map.WithLock(ctx, child, func() { ownSummary(child) })
		}
	}
	return body
}

// ownSummary gives a pool a copy of the summary that it shares.
func ownSummary(pool *simulator.ResourcePool) {
	if shared, ok := pool.Summary.(*types.ResourcePoolSummary); ok {
		own := *shared
		own.Name = pool.Name
		pool.Summary = &own
	}
}

// ownSummaries does so for the pools of a new inventory.
func ownSummaries(registry *simulator.Registry) {
	for _, entity := range registry.All("ResourcePool") {
		if pool, ok := entity.(*simulator.ResourcePool); ok {
			ownSummary(pool)
		}
	}
}
