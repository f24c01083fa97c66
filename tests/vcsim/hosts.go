// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// hostMethods is a host whose changes of state are told to watchers, and count in what its cluster has for VMs. The simulator
// changes the host silently and its cluster not at all.
type hostMethods struct{ *simulator.HostSystem }

func (h *hostMethods) EnterMaintenanceModeTask(ctx *simulator.Context, _ *types.EnterMaintenanceMode_Task) soap.HasFault {
	task := h.task(ctx, "enterMaintenanceMode", types.PropertyChange{Name: "runtime.inMaintenanceMode", Val: true})
	return &methods.EnterMaintenanceMode_TaskBody{Res: &types.EnterMaintenanceMode_TaskResponse{Returnval: task}}
}

func (h *hostMethods) ExitMaintenanceModeTask(ctx *simulator.Context, _ *types.ExitMaintenanceMode_Task) soap.HasFault {
	task := h.task(ctx, "exitMaintenanceMode", types.PropertyChange{Name: "runtime.inMaintenanceMode", Val: false})
	return &methods.ExitMaintenanceMode_TaskBody{Res: &types.ExitMaintenanceMode_TaskResponse{Returnval: task}}
}

func (h *hostMethods) DisconnectHostTask(ctx *simulator.Context, _ *types.DisconnectHost_Task) soap.HasFault {
	task := h.task(ctx, "disconnectHost", connection(types.HostSystemConnectionStateDisconnected))
	return &methods.DisconnectHost_TaskBody{Res: &types.DisconnectHost_TaskResponse{Returnval: task}}
}

func (h *hostMethods) ReconnectHostTask(ctx *simulator.Context, _ *types.ReconnectHost_Task) soap.HasFault {
	task := h.task(ctx, "reconnectHost", connection(types.HostSystemConnectionStateConnected))
	return &methods.ReconnectHost_TaskBody{Res: &types.ReconnectHost_TaskResponse{Returnval: task}}
}

func connection(state types.HostSystemConnectionState) types.PropertyChange {
	return types.PropertyChange{Name: "runtime.connectionState", Val: state}
}

// task starts a task that changes the host.
func (h *hostMethods) task(ctx *simulator.Context, name string, change types.PropertyChange) types.ManagedObjectReference {
	return simulator.CreateTask(h.HostSystem, name, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		before := usable(h.HostSystem)
		ctx.Update(h.HostSystem, []types.PropertyChange{change})
		if after := usable(h.HostSystem); after != before && h.Parent != nil {
			part := share(h.HostSystem)
			if before {
				part = part.times(-1)
			}
			summarize(ctx, *h.Parent, func(s *types.ComputeResourceSummary) { part.add(s) })
		}
		return nil, nil
	}).Run(ctx)
}

func usable(h *simulator.HostSystem) bool {
	return !h.Runtime.InMaintenanceMode && h.Runtime.ConnectionState == types.HostSystemConnectionStateConnected
}

// hostShare is what a host adds to what its cluster has for VMs.
type hostShare struct {
	hosts, mhz int32
	mb         int64
}

func share(h *simulator.HostSystem) hostShare {
	hardware := h.Summary.Hardware
	return hostShare{1, hardware.CpuMhz * int32(hardware.NumCpuCores), hardware.MemorySize >> 20}
}

func (s hostShare) times(n int32) hostShare {
	return hostShare{n * s.hosts, n * s.mhz, int64(n) * s.mb}
}

func (s hostShare) add(to *types.ComputeResourceSummary) {
	to.NumEffectiveHosts += s.hosts
	to.EffectiveCpu += s.mhz
	to.EffectiveMemory += s.mb
}

// summarize changes the summary of a cluster or of what stands for a lone host, and tells watchers so.
func summarize(ctx *simulator.Context, ref types.ManagedObjectReference, change func(*types.ComputeResourceSummary)) {
	owner := ctx.Map.Get(ref)
	ctx.WithLock(owner, func() {
		var next types.BaseComputeResourceSummary
		switch before := summaryOf(owner).(type) {
		case *types.ClusterComputeResourceSummary:
			own := *before
			next = &own
		case *types.ComputeResourceSummary:
			own := *before
			next = &own
		default:
			return
		}
		change(next.GetComputeResourceSummary())
		ctx.Update(owner, []types.PropertyChange{{Name: "summary", Val: next}})
	})
}

func summaryOf(owner mo.Reference) types.BaseComputeResourceSummary {
	switch o := owner.(type) {
	case *simulator.ClusterComputeResource:
		return o.Summary
	case *mo.ComputeResource:
		return o.Summary
	default:
		return nil
	}
}

// correctSummaries makes the summaries of a new inventory say what vCenter's would: CPU in MHz of all cores, and memory in MB.
// The simulator counts one core of each host, and writes bytes.
func correctSummaries(ctx *simulator.Context) {
	total := map[types.ManagedObjectReference]hostShare{}
	for _, entity := range ctx.Map.All("HostSystem") {
		if host, ok := entity.(*simulator.HostSystem); ok && host.Parent != nil {
			part, sum := share(host), total[*host.Parent]
			total[*host.Parent] = hostShare{sum.hosts + part.hosts, sum.mhz + part.mhz, sum.mb + part.mb}
		}
	}
	for ref, sum := range total {
		summarize(ctx, ref, func(s *types.ComputeResourceSummary) {
			s.TotalCpu, s.EffectiveCpu, s.EffectiveMemory = sum.mhz, sum.mhz, sum.mb
		})
	}
}

// UpdateConfig changes a pool, and tells watchers so.
func (p *poolMethods) UpdateConfig(ctx *simulator.Context, req *types.UpdateConfig) soap.HasFault {
	body := p.ResourcePool.UpdateConfig(ctx, req)
	if body.Fault() == nil {
		ctx.Update(p.ResourcePool, []types.PropertyChange{
			{Name: "name", Val: p.Name},
			{Name: "config.cpuAllocation", Val: p.Config.CpuAllocation},
			{Name: "config.memoryAllocation", Val: p.Config.MemoryAllocation},
		})
	}
	return body
}
