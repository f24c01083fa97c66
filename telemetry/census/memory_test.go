// SPDX-License-Identifier: Apache-2.0

package census_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/telemetry/census"
)

// endless is a vCenter of so many VMs that makes each page up when it is asked for it, and so has no memory of its own. One VM of
// a hundred is a VCH, which has a folder.
type endless struct {
	vms, requests int
}

func (e *endless) RoundTrip(_ context.Context, request, response soap.HasFault) error {
	e.requests++
	switch answer := response.(type) {
	case *methods.RetrievePropertiesExBody:
		size := request.(*methods.RetrievePropertiesExBody).Req.Options.MaxObjects
		page := e.page(0, int(size))
		answer.Res = &types.RetrievePropertiesExResponse{Returnval: &page}
	case *methods.ContinueRetrievePropertiesExBody:
		var from, size int
		if _, err := fmt.Sscanf(request.(*methods.ContinueRetrievePropertiesExBody).Req.Token, "%d %d", &from, &size); err != nil {
			return err
		}
		answer.Res = &types.ContinueRetrievePropertiesExResponse{Returnval: e.page(from, size)}
	default:
		return fmt.Errorf("nobody should ask for %T", request)
	}
	return nil
}

func (e *endless) page(from, size int) types.RetrieveResult {
	to := min(from+size, e.vms)
	page := types.RetrieveResult{Objects: make([]types.ObjectContent, 0, to-from)}
	for i := from; i < to; i++ {
		page.Objects = append(page.Objects, e.object(i))
	}
	if to < e.vms {
		page.Token = fmt.Sprintf("%d %d", to, size)
	}
	return page
}

func (e *endless) object(i int) types.ObjectContent {
	name, text := fmt.Sprintf("vm-%d", i), fmt.Sprintf("Photon - Container v1.5.%d, 0, 44cdb82", i%3)
	if i%100 == 0 {
		text = fmt.Sprintf("Photon - VCH v1.5.%d, 0, 44cdb82", i%3)
	}
	return types.ObjectContent{Obj: at("VirtualMachine", name), PropSet: []types.DynamicProperty{
		{Name: "name", Val: name},
		{Name: "parent", Val: at("Folder", fmt.Sprintf("group-v%d", i/100))},
		{Name: "runtime.host", Val: at("HostSystem", fmt.Sprintf("host-%d", i%32))},
		{Name: "resourcePool", Val: at("ResourcePool", fmt.Sprintf("resgroup-%d", i/100))},
		{Name: "summary.config.guestFullName", Val: text},
		{Name: "config.alternateGuestName", Val: text + ""},
		{Name: "config.instanceUuid", Val: fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i)},
		{Name: "config.createDate", Val: time.Unix(1_760_000_000, int64(i))},
		{Name: "runtime.powerState", Val: types.VirtualMachinePowerStatePoweredOn},
		{Name: "summary.config.product", Val: types.VAppProductInfo{Name: name, Version: "1"}},
		{Name: "summary.config.template", Val: false},
	}}
}

// TestTheMemoryOfACensusIsThatOfAPage weighs what is alive at the end of each page: that of 50,000 VMs is at most twice that of
// 10,000. In between a page takes more, but no page takes more than another.
func TestTheMemoryOfACensusIsThatOfAPage(t *testing.T) {
	client := connect(t, start(t, simulator.VPX()))
	wire := client.RoundTripper
	defer func() { client.RoundTripper = wire }() // which logs out
	alive := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	peak := func(vms int) (peak uint64) {
		server := &endless{vms: vms}
		client.RoundTripper = server
		before := alive()
		report, err := census.Take(t.Context(), client, census.Options{Progress: func(int) {
			if now := alive(); now > before {
				peak = max(peak, now-before)
			}
		}})
		require.NoError(t, err)
		require.True(t, report.Quality.Complete)
		require.Equal(t, vms, report.Quality.Objects)
		require.Equal(t, vms, vmsOf(report))
		require.Len(t, report.VCHs, vms/100)
		require.Equal(t, vms/1000, server.requests, "a page is 1,000 objects by default")
		return peak
	}
	small := peak(10_000)
	large := peak(50_000)
	t.Logf("alive: %d KiB at 10,000 VMs, %d KiB at 50,000", small>>10, large>>10)
	require.Less(t, large, 2*small)
}
