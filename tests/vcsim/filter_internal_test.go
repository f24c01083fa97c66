// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// A guest that boots says so after its VM was powered on. Whoever reads that it has booted must not read that the VM is off.
func TestValuesThatAreReadBelongTogether(t *testing.T) {
	model := simulator.VPX()
	model.Autostart = false
	server, err := Start(t.Context(), Config{Model: model})
	require.NoError(t, err)
	defer server.Close()
	client, err := server.Client(t.Context())
	require.NoError(t, err)
	vm := server.Service().Context.Map.Any("VirtualMachine").(*simulator.VirtualMachine)

	collector, err := property.DefaultCollector(client.Client).Create(t.Context())
	require.NoError(t, err)
	_, err = collector.CreateFilter(t.Context(), types.CreateFilter{Spec: types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{Obj: vm.Self}},
		PropSet:   []types.PropertySpec{{Type: "VirtualMachine", PathSet: []string{"runtime.powerState", "guest.hostName"}}},
	}})
	require.NoError(t, err)
	request := types.WaitForUpdatesEx{This: collector.Reference()}
	first, err := methods.WaitForUpdatesEx(t.Context(), client.Client, &request)
	require.NoError(t, err)
	request.Version = first.Returnval.Version

	second := make(chan *types.UpdateSet, 1)
	ctx := newContext(server.Service().Context)
	ctx.WithLock(vm, func() {
		ctx.Update(vm, []types.PropertyChange{{Name: "guest.hostName", Val: "early"}})
		go func() {
			if res, err := methods.WaitForUpdatesEx(t.Context(), client.Client, &request); err == nil {
				second <- res.Returnval
			}
			close(second)
		}()
		require.Eventually(t, func() bool { return nothingNoted(server.feeds) }, time.Minute, time.Millisecond, "the wait begins to read")
		ctx.Update(vm, []types.PropertyChange{{Name: "runtime.powerState", Val: types.VirtualMachinePowerStatePoweredOn}})
		ctx.Update(vm, []types.PropertyChange{{Name: "guest.hostName", Val: "late"}})
	})
	set := <-second
	require.NotNil(t, set)
	read := map[string]types.AnyType{}
	for _, change := range set.FilterSet[0].ObjectSet[0].ChangeSet {
		read[change.Name] = change.Val
	}
	require.Equal(t, map[string]types.AnyType{
		"guest.hostName": "late", "runtime.powerState": types.VirtualMachinePowerStatePoweredOn,
	}, read)
}

// nothingNoted says whether no filter has noted a change that is not yet being read.
func nothingNoted(feeds *feeds) bool {
	noted := 0
	feeds.each(func(f *feed) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, filter := range f.filters {
			noted += len(filter.changed)
		}
	})
	return noted == 0
}
