// SPDX-License-Identifier: Apache-2.0

package vch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// Spec says what VCH to create. The zero value of each field but Name stands for its default.
type Spec struct {
	Name      string // letters, digits, "-", "_" and "."; begins and ends with a letter or digit; at most 63
	Compute   string // name or inventory path of a cluster, host or resource pool; default: the only cluster or host
	Datastore string // name or path, for the endpoint VM and pod VMs; default: the only one
	Network   string // name or path, for the endpoint VM and pod VMs; default: the only one, or "VM Network"
	Folder    string // name or path of the VM folder to put the VCH's folder into; default: the datacenter's own
	GuestOS   string // word of the endpoint VM's guest OS; default photon

	CPU    Allocation // of the resource pool, in MHz
	Memory Allocation // of the resource pool, in MB

	EndpointCPUs     int32 // virtual CPUs of the endpoint VM; default 1
	EndpointMemoryMB int64 // of the endpoint VM; default 2048

	Progress func(step string) // is told of each step as it begins; may be nil
}

// Allocation is what a resource pool gets of its parent's CPU or memory.
type Allocation struct {
	Limit       int64  // at most; 0 and -1 mean no limit
	Reservation int64  // at least
	Shares      string // weight against others: low, normal (default), high or a number
}

// Defaults of a Spec. The endpoint VM's are VIC's.
const (
	DefaultGuestOS          = "photon"
	DefaultNetwork          = "VM Network"
	DefaultEndpointCPUs     = 1
	DefaultEndpointMemoryMB = 2048
)

// maxName is the length of a Kubernetes label value, since a node is labelled with its VCH's name. vCenter takes 80.
const maxName = 63

// CheckName says what is wrong with name as the name of a VCH.
func CheckName(name string) error {
	if name == "" {
		return fmt.Errorf("a VCH needs a name")
	}
	if len(name) > maxName {
		return fmt.Errorf("name %q has %d characters, want at most %d", name, len(name), maxName)
	}
	for _, r := range name {
		if !alphanumeric(r) && !strings.ContainsRune("-_.", r) {
			return fmt.Errorf(`name %q has the character %q in it, want only letters, digits, "-", "_" and "."`, name, r)
		}
	}
	if first, last := rune(name[0]), rune(name[len(name)-1]); !alphanumeric(first) || !alphanumeric(last) {
		return fmt.Errorf("name %q must begin and end with a letter or digit", name)
	}
	if strings.HasSuffix(name, suffix) {
		return fmt.Errorf("name %q ends with %q, which marks what is not whole", name, suffix)
	}
	return nil
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// withDefaults fills in the defaults that need no look at vSphere.
func (s Spec) withDefaults() Spec {
	if s.EndpointCPUs == 0 {
		s.EndpointCPUs = DefaultEndpointCPUs
	}
	if s.EndpointMemoryMB == 0 {
		s.EndpointMemoryMB = DefaultEndpointMemoryMB
	}
	return s
}

// pool is the resource pool's configuration. Both parts are expandable, as vCenter's own dialog proposes.
func (s Spec) pool() types.ResourceConfigSpec {
	return types.ResourceConfigSpec{CpuAllocation: s.CPU.info(), MemoryAllocation: s.Memory.info()}
}

// check returns what is wrong with the allocation of what, such as "CPU", in units of unit.
func (a Allocation) check(what, unit string) []error {
	var problems []error
	if a.Limit < -1 {
		problems = append(problems, fmt.Errorf("%s limit %d %s is negative, want -1 for none", what, a.Limit, unit))
	}
	if a.Reservation < 0 {
		problems = append(problems, fmt.Errorf("%s reservation %d %s is negative", what, a.Reservation, unit))
	}
	if a.Limit > 0 && a.Reservation > a.Limit {
		problems = append(problems, fmt.Errorf("%s reservation %d %s is above the limit of %d %s", what, a.Reservation, unit, a.Limit, unit))
	}
	if _, err := a.shares(); err != nil {
		problems = append(problems, fmt.Errorf("%s %w", what, err))
	}
	return problems
}

// info is the allocation in vSphere's words. check has passed.
func (a Allocation) info() types.ResourceAllocationInfo {
	limit := a.Limit
	if limit == 0 {
		limit = -1
	}
	shares, _ := a.shares()
	return types.ResourceAllocationInfo{
		Limit:                 &limit,
		Reservation:           types.NewInt64(a.Reservation),
		ExpandableReservation: types.NewBool(true),
		Shares:                &shares,
	}
}

func (a Allocation) shares() (types.SharesInfo, error) {
	levels := []types.SharesLevel{types.SharesLevelLow, types.SharesLevelNormal, types.SharesLevelHigh}
	if a.Shares == "" {
		return types.SharesInfo{Level: types.SharesLevelNormal}, nil
	}
	if level := types.SharesLevel(strings.ToLower(a.Shares)); slices.Contains(levels, level) {
		return types.SharesInfo{Level: level}, nil
	}
	number, err := strconv.ParseInt(a.Shares, 10, 32)
	if err != nil || number < 1 {
		return types.SharesInfo{}, fmt.Errorf("shares %q, want low, normal, high or a number above 0", a.Shares)
	}
	return types.SharesInfo{Level: types.SharesLevelCustom, Shares: int32(number)}, nil
}

// differs says whether an existing pool's allocation is another than a asks for. An allocation that asks for nothing
// differs from none.
func (a Allocation) differs(info types.ResourceAllocationInfo) bool {
	if a == (Allocation{}) {
		return false
	}
	want := a.info()
	same := info.Limit != nil && *info.Limit == *want.Limit &&
		info.Reservation != nil && *info.Reservation == *want.Reservation &&
		info.Shares != nil && info.Shares.Level == want.Shares.Level &&
		(want.Shares.Level != types.SharesLevelCustom || info.Shares.Shares == want.Shares.Shares)
	return !same
}
