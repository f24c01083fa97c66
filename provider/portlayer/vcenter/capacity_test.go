// SPDX-License-Identifier: Apache-2.0

package vcenter

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/provider/portlayer"
)

func TestCapacity(t *testing.T) {
	const gib = 1 << 30
	host := func(usable bool) machine { return machine{usable, 4, amount{8000, 16 * gib}} } // 4 cores of 2 GHz
	two := []machine{host(true), host(true)}
	free := pool{limit: amount{unlimited, unlimited}}
	limited := func(mhz, bytes int64) pool { return pool{limit: amount{mhz, bytes}} }
	reserved := func(mhz, bytes int64) pool {
		return pool{reserved: amount{mhz, bytes}, limit: amount{unlimited, unlimited}}
	}
	cases := []struct {
		name      string
		hosts     []machine
		effective amount
		levels    []level
		cpus      float64
		gib       float64
	}{
		{"no hosts", nil, amount{}, []level{{pool: free}}, 0, 0},
		{"a pool without limits has what the hosts have", two, amount{}, []level{{pool: free}}, 8, 32},
		{"a host that is not usable counts nothing", []machine{host(true), host(false)}, amount{}, []level{{pool: free}}, 4, 16},
		{"no host is usable", []machine{host(false)}, amount{8000, 16 * gib}, []level{{pool: free}}, 0, 0},
		{"the hypervisor's own share is not for VMs", two, amount{15000, 30 * gib}, []level{{pool: free}}, 7.5, 30},
		{"what vCenter says is late: usable hosts bound it", []machine{host(true), host(false)}, amount{16000, 32 * gib}, []level{{pool: free}}, 4, 16},
		{"the pool's limit", two, amount{}, []level{{pool: limited(3000, 8*gib)}}, 1.5, 8},
		{"a limit on CPU alone", two, amount{}, []level{{pool: limited(3000, unlimited)}}, 1.5, 32},
		{"a limit of zero", two, amount{}, []level{{pool: limited(0, 0)}}, 0, 0},
		{"a limit above what there is", two, amount{}, []level{{pool: limited(99000, 99*gib)}}, 8, 32},
		{"a limit of a pool above", two, amount{}, []level{{pool: limited(4000, 4*gib)}, {pool: limited(6000, 2*gib)}}, 2, 2},
		{"what is reserved beside it", two, amount{}, []level{{pool: free, beside: []pool{reserved(2000, 4*gib), reserved(2000, 4*gib)}}}, 6, 24},
		{"what is reserved beside a pool above", two, amount{}, []level{{pool: free, beside: []pool{reserved(4000, 8*gib)}}, {pool: free}}, 6, 24},
		{"its own reservation is its own", two, amount{}, []level{{pool: reserved(2000, 4*gib), beside: []pool{reserved(15000, 31*gib)}}}, 1, 4},
		{"a reservation is not more than there is", []machine{host(true)}, amount{}, []level{{pool: reserved(20000, 64*gib)}}, 4, 16},
		{"a reservation is not more than the limit", two, amount{}, []level{{pool: pool{amount{4000, 8 * gib}, amount{2000, 4 * gib}}}}, 1, 4},
		{"never negative", two, amount{}, []level{{pool: free, beside: []pool{reserved(20000, 64*gib)}}}, 0, 0},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			want := portlayer.Resources{CPUs: tc.cpus, MemoryBytes: int64(tc.gib * gib)}
			require.Equal(t, want, capacity(tc.hosts, tc.effective, tc.levels))
		})
	}
}

func TestPoolConfiguration(t *testing.T) {
	info := func(reservation, limit int64) types.ResourceAllocationInfo {
		return types.ResourceAllocationInfo{Reservation: &reservation, Limit: &limit}
	}
	require.Equal(t, pool{amount{100, 200 << 20}, amount{300, 400 << 20}}, newPool(info(100, 300), info(200, 400)))
	require.Equal(t, pool{limit: amount{unlimited, unlimited}}, newPool(info(0, -1), info(0, -1)))
	require.Equal(t, pool{limit: amount{unlimited, unlimited}}, newPool(types.ResourceAllocationInfo{}, types.ResourceAllocationInfo{}))
}
