// SPDX-License-Identifier: Apache-2.0

package vcenter

import (
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/provider/portlayer"
)

// unlimited is the limit of a pool that has none.
const unlimited = -1

// amount is of CPU in MHz and of memory in bytes.
type amount struct{ mhz, bytes int64 }

func (a amount) plus(b amount) amount  { return amount{a.mhz + b.mhz, a.bytes + b.bytes} }
func (a amount) minus(b amount) amount { return amount{a.mhz - b.mhz, a.bytes - b.bytes} }
func (a amount) atMost(b amount) amount {
	return amount{min(a.mhz, b.mhz), min(a.bytes, b.bytes)}
}

func (a amount) atLeast(b amount) amount {
	return amount{max(a.mhz, b.mhz), max(a.bytes, b.bytes)}
}

// machine is a physical host.
type machine struct {
	usable bool // runs VMs now
	cores  int64
	amount
}

// pool is a resource pool's configuration.
type pool struct {
	reserved amount
	limit    amount // unlimited in each part if there is none
}

// level is a pool on the way from the cluster's own pool down to ours, with the pools beside it.
type level struct {
	pool
	beside []pool
}

// capacity is what the last of levels may use. From top to bottom:
//
// The cluster has what its usable hosts have, less what vCenter keeps for the hypervisor itself (effective; the zero amount
// if it is not known). A pool may use what the one above it may, less what is reserved for the pools beside it: vSphere
// takes unused reservations back for others only until they are needed. It always has its own reservation, as far as that
// is there at all, and never more than its limit. Whether its reservation is expandable plays no part: that is about what VMs
// in it may reserve, and pod VMs reserve nothing.
func capacity(hosts []machine, effective amount, levels []level) portlayer.Resources {
	var all amount
	var cores, mhz int64
	for _, host := range hosts {
		if host.usable {
			all = all.plus(host.amount)
			cores, mhz = cores+host.cores, mhz+host.mhz
		}
	}
	if effective.mhz > 0 && effective.bytes > 0 {
		all = all.atMost(effective)
	}
	if mhz == 0 {
		return portlayer.Resources{}
	}
	for _, l := range levels {
		all = l.within(all)
	}
	return portlayer.Resources{CPUs: float64(all.mhz) * float64(cores) / float64(mhz), MemoryBytes: all.bytes}
}

// within is what the pool may use of what the one above it may.
func (l level) within(above amount) amount {
	room := above
	for _, other := range l.beside {
		room = room.minus(other.reserved)
	}
	room = room.atLeast(l.reserved).atMost(above)
	if l.limit.mhz != unlimited {
		room.mhz = min(room.mhz, l.limit.mhz)
	}
	if l.limit.bytes != unlimited {
		room.bytes = min(room.bytes, l.limit.bytes)
	}
	return room.atLeast(amount{})
}

// newPool reads a pool's configuration, which has memory in MB.
func newPool(cpu, memory types.ResourceAllocationInfo) pool {
	p := pool{
		reserved: amount{mhz: value(cpu.Reservation, 0), bytes: value(memory.Reservation, 0) << 20},
		limit:    amount{mhz: value(cpu.Limit, unlimited), bytes: unlimited},
	}
	if p.limit.mhz < 0 {
		p.limit.mhz = unlimited
	}
	if limit := value(memory.Limit, unlimited); limit >= 0 {
		p.limit.bytes = limit << 20
	}
	return p
}

func value(p *int64, otherwise int64) int64 {
	if p == nil {
		return otherwise
	}
	return *p
}
