// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"go.uber.org/goleak"

	"wolfpack/telemetry"
	"wolfpack/tests/fleet"
	"wolfpack/tests/vcsim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestASeedIsAFleet generates one twice.
func TestASeedIsAFleet(t *testing.T) {
	require.Equal(t, fleet.New(fleet.Random(7)).Truth(""), fleet.New(fleet.Random(7)).Truth(""))
	require.NotEqual(t, fleet.New(fleet.Random(7)).Truth(""), fleet.New(fleet.Random(8)).Truth(""))
}

// TestSeedsHaveEverything looks for what a census must cope with among as many seeds as the tests use.
func TestSeedsHaveEverything(t *testing.T) {
	found := map[string]bool{}
	for seed := range uint64(12) {
		truth := fleet.New(fleet.Random(seed)).Truth("")
		names := map[string]int{}
		for _, vch := range truth.VCHs {
			names[vch.Name]++
			found["two VCHs of one name"] = found["two VCHs of one name"] || names[vch.Name] > 1
			found["a VCH without a stamp"] = found["a VCH without a stamp"] || vch.Version == ""
			found["a VCH with container VMs"] = found["a VCH with container VMs"] || vch.ContainerVMs > 0
		}
		for _, host := range truth.Hosts {
			found["a host "+host.State] = true
		}
		for _, vm := range truth.Inventory {
			found["a VM "+string(vm.Kind)+" "+vm.PowerState] = true
			found["a VM without configuration"] = found["a VM without configuration"] || vm.Created == nil && vm.GuestName != ""
			found["a template"] = found["a template"] || vm.Template
		}
		for _, product := range truth.Products {
			found["a "+product.Name+" by "+product.Source] = true
		}
		found["container VMs of nobody"] = found["container VMs of nobody"] || truth.Unassigned > 0
		found["objects that may not be read"] = found["objects that may not be read"] || truth.Quality.Missing > 0
	}
	for _, what := range []string{
		"two VCHs of one name", "a VCH without a stamp", "a VCH with container VMs", "a host connected", "a host disconnected",
		"a host notResponding", "a host unknown", "a VM vm poweredOn", "a VM vch suspended", "a VM container poweredOff",
		"a VM unclassified unknown", "a VM unclassified poweredOn", "a VM without configuration", "a template", "a vic by ovf",
		"a harbor by ovf", "a admiral by name", "container VMs of nobody", "objects that may not be read",
	} {
		require.True(t, found[what], what)
	}
}

func TestAFleetIsAllThatIsThere(t *testing.T) {
	shape := fleet.Large(300)
	shape.Seed = 2 // which has vApps
	f := fleet.New(shape)
	server, err := f.Start(t.Context(), vcsim.Config{})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	client, err := server.Client(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Logout(context.Background()); client.CloseIdleConnections() })
	all, err := view.NewManager(client.Client).CreateContainerView(t.Context(), client.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	require.NoError(t, err)
	var vms []mo.VirtualMachine
	require.NoError(t, all.Retrieve(t.Context(), []string{"VirtualMachine"}, []string{"name", "runtime.powerState", "config.template"}, &vms))
	watched, vApps := map[types.ManagedObjectReference]bool{}, 0
	filter := new(property.WaitFilter).Add(all.Reference(), "VirtualMachine", []string{"parentVApp"}, all.TraversalSpec())
	require.NoError(t, property.WaitForUpdates(t.Context(), property.DefaultCollector(client.Client), filter, func(updates []types.ObjectUpdate) bool {
		for _, update := range updates {
			watched[update.Obj] = true
			for _, change := range update.ChangeSet {
				if change.Val != nil {
					vApps++
				}
			}
		}
		return !filter.Truncated
	}))
	require.Len(t, watched, len(vms), "who watches sees the same")
	require.Positive(t, vApps, "some are in vApps, and so in no folder")
	require.NoError(t, all.Destroy(t.Context()))
	truth := f.Truth("")
	ids := map[string]telemetry.VM{}
	for _, vm := range truth.Inventory {
		ids[vm.MoID] = vm
	}
	require.Len(t, ids, len(vms))
	for _, vm := range vms {
		require.Equal(t, ids[vm.Self.Value].Name, vm.Name)
		if vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn && !vm.Config.Template {
			t.Run("a VM of it goes its way", func(t *testing.T) {
				machine := object.NewVirtualMachine(client.Client, vm.Self)
				for _, change := range []func(context.Context) (*object.Task, error){
					machine.PowerOff,
					func(ctx context.Context) (*object.Task, error) { return machine.Rename(ctx, "another") },
					machine.PowerOn, machine.PowerOff, machine.Destroy,
				} {
					task, err := change(t.Context())
					require.NoError(t, err)
					require.NoError(t, task.Wait(t.Context()))
				}
			})
			break
		}
	}
}
