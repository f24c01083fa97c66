// SPDX-License-Identifier: Apache-2.0

package vcenter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/provider/portlayer"
)

type reference = types.ManagedObjectReference

// surroundings are the properties of what VMs run on that are watched, each with what it is for. Absent on purpose: what
// changes with every heartbeat (usage of hosts, networks' and datastores' lists of VMs), and quickStats, of which vCenter
// announces no changes at all: see statistics.
var surroundings = []types.PropertySpec{
	{Type: "ResourcePool", PathSet: []string{
		"parent",                  // the way up to the cluster
		"config.cpuAllocation",    // reservation and limit
		"config.memoryAllocation", //
	}},
	{Type: "ComputeResource", PathSet: []string{
		"summary.effectiveCpu",    // what is left for VMs after the hypervisor's own share
		"summary.effectiveMemory", //
	}},
	{Type: "HostSystem", PathSet: []string{
		"runtime.connectionState",   // whether it runs VMs now
		"runtime.powerState",        //
		"runtime.inMaintenanceMode", //
		"summary.hardware",          // cores, their clock, memory
	}},
}

var storesAndNetworks = []types.PropertySpec{
	{Type: "Datastore", PathSet: []string{
		"name",
		"summary.accessible",
		"summary.maintenanceMode",
		"summary.capacity",
		"summary.freeSpace", // vCenter looks every few minutes, and after each change of its own
	}},
	{Type: "Network", PathSet: []string{
		"name",
		"summary.accessible",
	}},
}

// surroundingsFilter selects the pool, the pools in it, those above it and beside these, and the cluster or host that owns
// them with its hosts.
func (v *VCenter) surroundingsFilter() types.PropertyFilterSpec {
	pools := func(name, path string, next ...string) *types.TraversalSpec {
		t := traverse(name, "ResourcePool", path)
		for _, n := range next {
			t.SelectSet = append(t.SelectSet, &types.SelectionSpec{Name: n})
		}
		return t
	}
	owner := pools("owner", "owner", "hosts")
	return types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{
			Obj: v.target.Pool,
			SelectSet: []types.BaseSelectionSpec{
				pools("above", "parent", "above", "beside"), pools("beside", "resourcePool"), pools("inside", "resourcePool", "inside"),
				owner, traverse("hosts", "ComputeResource", "host"),
			},
		}},
		PropSet: surroundings,
	}
}

// storeAndNetwork selects the datastore and the network.
func (v *VCenter) storeAndNetwork() types.PropertyFilterSpec {
	return types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{Obj: v.target.DatastoreRef}, {Obj: v.target.NetworkRef}},
		PropSet:   storesAndNetworks,
	}
}

func traverse(name, kind, path string) *types.TraversalSpec {
	return &types.TraversalSpec{SelectionSpec: types.SelectionSpec{Name: name}, Type: kind, Path: path}
}

// properties of an object, by path.
type properties map[string]types.AnyType

func get[T any](p properties, path string) T {
	value, _ := p[path].(T)
	return value
}

// place is what the watch knows of what VMs run on.
type place struct {
	v       *VCenter
	objects map[reference]properties
	read    time.Time // when statistics were read last
	stale   bool      // something changed since it was last told
	last    portlayer.Host
}

func newPlace(v *VCenter) *place { return &place{v: v, objects: map[reference]properties{}} }

// apply takes an update of an object that is no VM.
func (p *place) apply(object types.ObjectUpdate) {
	p.stale = true
	if object.Kind == types.ObjectUpdateKindLeave {
		delete(p.objects, object.Obj)
		return
	}
	if object.Obj.Type == "HostSystem" && object.Kind == types.ObjectUpdateKindModify {
		p.read = time.Time{} // what the cluster has for VMs is about to change
	}
	p.know(object.Obj, object.ChangeSet)
}

func (p *place) know(ref reference, changes []types.PropertyChange) {
	known := p.objects[ref]
	if known == nil {
		known = properties{}
		p.objects[ref] = known
	}
	for _, change := range changes {
		known[change.Name] = change.Val
	}
}

// saw takes that a VM has changed, or is gone. A pod's takes nothing from what pods may use.
func (p *place) saw(r *record) {
	p.stale = p.stale || r != nil && !r.isPodOf(p.v.target.VCH)
}

// news is what VMs run on, if that changed since it was last asked, or if all is wanted. records are all VMs that are known.
func (p *place) news(records map[portlayer.ID]*record, all bool) *portlayer.Host {
	if !p.stale && !all {
		return nil
	}
	p.stale = false
	now := p.host(records)
	if now == p.last && !all {
		return nil
	}
	p.last = now
	return &now
}

func (p *place) host(records map[portlayer.ID]*record) portlayer.Host {
	about := p.v.client.ServiceContent.About
	stats := get[types.ResourcePoolQuickStats](p.objects[p.v.target.Pool], "summary.quickStats")
	host := portlayer.Host{
		Product: strings.TrimSpace(about.FullName), Version: about.Version,
		ReclaimedMemory: (stats.BalloonedMemory+stats.SwappedMemory)<<20 + stats.CompressedMemory<<10,
		Datastore:       p.datastore(),
		Network:         p.network(),
	}
	machines := p.machines()
	host.Hosts = len(machines)
	for _, m := range machines {
		if m.usable {
			host.UsableHosts++
		}
	}
	host.All = capacity(machines, p.effective(), p.levels())
	inside := p.inside()
	for _, r := range records {
		if inside[r.pool] && r.power == types.VirtualMachinePowerStatePoweredOn && !r.isPodOf(p.v.target.VCH) {
			host.Others.CPUs += float64(r.cpus)
			host.Others.MemoryBytes += r.memory()
		}
	}
	return host
}

// machines are the hosts of the cluster, or the one host.
func (p *place) machines() []machine {
	var all []machine
	for ref, host := range p.objects {
		if ref.Type != "HostSystem" {
			continue
		}
		hardware := get[types.HostHardwareSummary](host, "summary.hardware")
		m := machine{
			usable: get[types.HostSystemConnectionState](host, "runtime.connectionState") == types.HostSystemConnectionStateConnected &&
				get[types.HostSystemPowerState](host, "runtime.powerState") != types.HostSystemPowerStatePoweredOff &&
				get[types.HostSystemPowerState](host, "runtime.powerState") != types.HostSystemPowerStateStandBy &&
				!get[bool](host, "runtime.inMaintenanceMode"),
			cores: int64(hardware.NumCpuCores),
		}
		m.amount = amount{mhz: m.cores * int64(hardware.CpuMhz), bytes: hardware.MemorySize}
		all = append(all, m)
	}
	return all
}

// effective is what the cluster has for VMs, as vCenter says, which has memory in MB.
func (p *place) effective() amount {
	for ref, owner := range p.objects {
		if isCompute(ref) {
			return amount{mhz: int64(get[int32](owner, "summary.effectiveCpu")), bytes: get[int64](owner, "summary.effectiveMemory") << 20}
		}
	}
	return amount{}
}

// levels are the pools from below the cluster's own down to ours. The cluster's own has no limits but what the cluster has.
func (p *place) levels() []level {
	var levels []level
	for at := p.v.target.Pool; ; {
		parent, ok := p.parent(at)
		if !ok || isCompute(parent) {
			break
		}
		l := level{pool: p.pool(at)}
		for ref := range p.objects {
			if beside, ok := p.parent(ref); ok && ref != at && beside == parent {
				l.beside = append(l.beside, p.pool(ref))
			}
		}
		levels = append(levels, l)
		at = parent
	}
	slices.Reverse(levels)
	return levels
}

func (p *place) pool(ref reference) pool {
	known := p.objects[ref]
	return newPool(get[types.ResourceAllocationInfo](known, "config.cpuAllocation"), get[types.ResourceAllocationInfo](known, "config.memoryAllocation"))
}

func (p *place) parent(ref reference) (reference, bool) {
	parent, ok := p.objects[ref]["parent"].(reference)
	return parent, ok
}

// inside are the pool and all pools in it.
func (p *place) inside() map[reference]bool {
	inside := map[reference]bool{}
	for ref := range p.objects {
		for at, ok := ref, true; ok; at, ok = p.parent(at) {
			if at == p.v.target.Pool {
				inside[ref] = true
				break
			}
		}
	}
	return inside
}

func isCompute(ref reference) bool {
	return ref.Type == "ComputeResource" || ref.Type == "ClusterComputeResource"
}

func (p *place) datastore() portlayer.Datastore {
	known, ok := p.objects[p.v.target.DatastoreRef]
	d := portlayer.Datastore{
		Name: p.v.target.Datastore, Found: ok,
		Accessible: get[bool](known, "summary.accessible"),
		Capacity:   get[int64](known, "summary.capacity"),
		Free:       get[int64](known, "summary.freeSpace"),
	}
	if name := get[string](known, "name"); name != "" {
		d.Name = name
	}
	mode := get[string](known, "summary.maintenanceMode")
	d.MaintenanceMode = mode != "" && mode != string(types.DatastoreSummaryMaintenanceModeStateNormal)
	return d
}

func (p *place) network() portlayer.Network {
	known, ok := p.objects[p.v.target.NetworkRef]
	return portlayer.Network{Name: get[string](known, "name"), Found: ok, Accessible: get[bool](known, "summary.accessible")}
}

// statisticsEvery is how often statistics are read. It is the one thing that is asked for again and again: once for a node.
const statisticsEvery = time.Minute

func (p *place) due(now time.Time) bool { return now.Sub(p.read) >= statisticsEvery }

// statistics reads what vCenter announces no changes of: how much memory the hypervisor has taken back from the pool's VMs,
// and, for good measure, what the cluster has, of which it may or may not.
func (p *place) statistics(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.v.limits.request)
	defer cancel()
	res, err := property.DefaultCollector(p.v.client).RetrieveProperties(ctx, types.RetrieveProperties{SpecSet: []types.PropertyFilterSpec{{
		ObjectSet: []types.ObjectSpec{{Obj: p.v.target.Pool, SelectSet: []types.BaseSelectionSpec{traverse("owner", "ResourcePool", "owner")}}},
		PropSet: []types.PropertySpec{
			{Type: "ResourcePool", PathSet: []string{"summary.quickStats"}},
			{Type: "ComputeResource", PathSet: []string{"summary.effectiveCpu", "summary.effectiveMemory"}},
		},
	}}})
	if err != nil {
		return fmt.Errorf("read statistics of the resource pool: %w", err)
	}
	for _, object := range res.Returnval {
		for _, property := range object.PropSet {
			p.know(object.Obj, []types.PropertyChange{{Name: property.Name, Val: property.Val}})
		}
	}
	p.read, p.stale = time.Now(), true
	return nil
}
