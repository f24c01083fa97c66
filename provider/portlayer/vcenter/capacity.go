// SPDX-License-Identifier: Apache-2.0

package vcenter

import (
	"context"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/provider/portlayer"
)

// Capacity is the pool's limits, or where it has none, what the hosts behind it have. One request reads both.
func (v *VCenter) Capacity(ctx context.Context) (portlayer.Capacity, error) {
	const op = "vcenter.Capacity"
	res, err := property.DefaultCollector(v.client).RetrieveProperties(ctx, types.RetrieveProperties{SpecSet: []types.PropertyFilterSpec{v.poolSpec()}})
	if err != nil {
		return portlayer.Capacity{}, errs.New(op, errs.KindOf(err), "read the pool of VCH %q: %w", v.target.VCH, err)
	}
	var pool mo.ResourcePool
	var owner mo.ComputeResource
	for _, object := range res.Returnval {
		target := any(&owner)
		if object.Obj == v.target.Pool {
			target = &pool
		}
		if err := mo.LoadObjectContent([]types.ObjectContent{object}, target); err != nil {
			return portlayer.Capacity{}, errs.New(op, errs.Internal, "read the pool of VCH %q: %w", v.target.VCH, err)
		}
	}
	return capacity(pool.Config, owner.Summary), nil
}

// poolSpec selects the pool and the cluster or host that owns it.
func (v *VCenter) poolSpec() types.PropertyFilterSpec {
	return types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{
			Obj:       v.target.Pool,
			SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{Type: "ResourcePool", Path: "owner"}},
		}},
		PropSet: []types.PropertySpec{
			{Type: "ResourcePool", PathSet: []string{"config"}},
			{Type: "ComputeResource", PathSet: []string{"summary"}},
		},
	}
}

// capacity turns MHz into cores by the clock of the hosts. A limit of -1 is none. Effective memory is in MB and total
// memory in bytes, says the vSphere API reference of ComputeResourceSummary; govmomi's simulator has bytes in both.
func capacity(pool types.ResourceConfigSpec, owner types.BaseComputeResourceSummary) portlayer.Capacity {
	var c portlayer.Capacity
	if owner == nil {
		return c
	}
	hosts := owner.GetComputeResourceSummary()
	if hosts.TotalCpu == 0 || hosts.NumCpuCores == 0 {
		return c
	}
	mhz := within(int64(hosts.EffectiveCpu), pool.CpuAllocation.Limit)
	c.CPUs = float64(mhz) * float64(hosts.NumCpuCores) / float64(hosts.TotalCpu)
	c.MemoryBytes = min(within(hosts.EffectiveMemory, pool.MemoryAllocation.Limit)<<20, hosts.TotalMemory)
	return c
}

func within(all int64, limit *int64) int64 {
	if limit == nil || *limit < 0 {
		return all
	}
	return min(all, *limit)
}
