// SPDX-License-Identifier: Apache-2.0

package vch_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/vch"
)

// disconnect takes a network or datastore from one host.
func (s *site) disconnect(host string, what types.ManagedObjectReference) {
	s.Helper()
	found := s.server.Model().Map().Get(s.find(host).Reference()).(*simulator.HostSystem)
	without := func(refs []types.ManagedObjectReference) (left []types.ManagedObjectReference) {
		for _, ref := range refs {
			if ref != what {
				left = append(left, ref)
			}
		}
		return left
	}
	ctx := s.server.Service().Context
	ctx.WithLock(found, func() { found.Network, found.Datastore = without(found.Network), without(found.Datastore) })
}

func TestCreateRefusesWhatNotAllHostsReach(t *testing.T) {
	model := simulator.VPX()
	model.Host, model.ClusterHost, model.Datastore = 0, 2, 2
	s := newSite(t, model)
	s.indexed()
	network, datastore := s.find("/DC0/network/DC0_DVPG0").Reference(), s.find("/DC0/datastore/LocalDS_1").Reference()
	s.disconnect("/DC0/host/DC0_C0/DC0_C0_H1", network)
	s.disconnect("/DC0/host/DC0_C0/DC0_C0_H0", datastore)
	before := s.snapshot()
	s.server.ResetCalls()
	_, err := vch.Create(t.Context(), s.client, vch.Spec{Name: "web", Network: "DC0_DVPG0", Datastore: "LocalDS_1"})
	require.True(t, errs.Is(err, errs.Invalid), "%v", err)
	require.ErrorContains(t, err, "for 2 reasons")
	require.ErrorContains(t, err, "network /DC0/network/DC0_DVPG0 is not connected to all hosts of /DC0/host/DC0_C0: not to DC0_C0_H1; connected are: VM Network")
	require.ErrorContains(t, err, "datastore /DC0/datastore/LocalDS_1 is not connected to all hosts of /DC0/host/DC0_C0: not to DC0_C0_H0; connected are: LocalDS_0")
	require.Empty(t, s.changes())
	require.Equal(t, before, s.snapshot())
}

func TestCreateRefusesMoreThanThereIs(t *testing.T) {
	s := vcenter(t)
	team := types.DefaultResourceConfigSpec()
	team.CpuAllocation.Limit = types.NewInt64(900)
	_, err := object.NewResourcePool(s.client.Client, s.find("/DC0/host/DC0_C0/Resources").Reference()).
		Create(t.Context(), "team", team)
	require.NoError(t, err)
	cases := map[string]struct {
		spec vch.Spec
		want []string
	}{
		"than the cluster has": {
			vch.Spec{CPU: vch.Allocation{Limit: 100000, Reservation: 90000}, Memory: vch.Allocation{Limit: 99999, Reservation: 99998}},
			[]string{
				"CPU limit 100000 MHz is more than /DC0/host/DC0_C0/Resources has: 4588 MHz; give at most that, or 0 for no limit",
				"CPU reservation 90000 MHz is more than /DC0/host/DC0_C0/Resources has left to reserve: 4121 MHz",
				"memory limit 99999 MB is more than /DC0/host/DC0_C0/Resources has: 4095 MB",
				"memory reservation 99998 MB is more than /DC0/host/DC0_C0/Resources has left to reserve: 961 MB",
			},
		},
		"than the pool has": {
			vch.Spec{Compute: "team", CPU: vch.Allocation{Limit: 1000}},
			[]string{"CPU limit 1000 MHz is more than /DC0/host/DC0_C0/Resources/team has: 900 MHz"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.spec.Name = "web"
			_, err := vch.Create(t.Context(), s.client, tc.spec)
			require.True(t, errs.Is(err, errs.Invalid), "%v", err)
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

// permit gives the session's user a role on a thing, and no other.
func (s *site) permit(on types.ManagedObjectReference, role string, propagate bool) {
	s.Helper()
	manager := object.NewAuthorizationManager(s.client.Client)
	roles, err := manager.RoleList(s.Context())
	require.NoError(s, err)
	require.NotNil(s, roles.ByName(role), role)
	require.NoError(s, manager.SetEntityPermissions(s.Context(), on, []types.Permission{{
		Entity: &on, Principal: "operator", RoleId: roles.ByName(role).RoleId, Propagate: propagate,
	}}))
}

// Issues vic 7606, 7734, 7714 and 1689: nobody knew which privileges are needed, and a create failed in its middle for want
// of one.
func TestCreateListsThePrivilegesThatAreMissing(t *testing.T) {
	s := newSiteFor(t, simulator.VPX(), "operator")
	s.indexed()
	spec := vch.Spec{Name: "web", Compute: "DC0_C0", Network: "VM Network"}
	root := s.client.ServiceContent.RootFolder
	s.permit(root, "ReadOnly", true)
	before := s.snapshot()
	_, err := vch.Create(t.Context(), s.client, spec)
	require.True(t, errs.Is(err, errs.Denied), "%v", err)
	for _, want := range []string{
		"for 5 reasons",
		`user "operator" lacks privileges on vCenter itself: InventoryService.Tagging.AttachTag, InventoryService.Tagging.CreateCategory`,
		`user "operator" lacks privileges on /DC0/vm: Folder.Create, Folder.Delete, Folder.Rename, `,
		`user "operator" lacks privileges on /DC0/host/DC0_C0/Resources: Resource.AssignVMToPool, `,
		`user "operator" lacks privileges on /DC0/datastore/LocalDS_0: Datastore.AllocateSpace; ` + "`wolfpack vch privileges` prints the role that has them",
		`user "operator" lacks privileges on /DC0/network/VM Network: Network.Assign; `,
	} {
		require.ErrorContains(t, err, want)
	}
	require.Equal(t, before, s.snapshot())

	added, err := vch.CreateRole(t.Context(), s.client, "Wolfpack")
	require.NoError(t, err)
	require.Equal(t, vch.Role(), added)
	for _, path := range []string{"/DC0/vm", "/DC0/host/DC0_C0/Resources", "/DC0/datastore/LocalDS_0"} {
		s.permit(s.find(path).Reference(), "Wolfpack", true)
	}
	s.permit(root, "Wolfpack", false)
	_, err = vch.Create(t.Context(), s.client, spec)
	require.ErrorContains(t, err, `cannot create VCH "web": user "operator" lacks privileges on /DC0/network/VM Network: Network.Assign; `,
		"what is left is one line")
	s.permit(s.find("/DC0/network/VM Network").Reference(), "Wolfpack", false)
	require.Empty(t, s.create(spec).Incomplete)
}

func TestCreateRoleMakesItOnce(t *testing.T) {
	s := vcenter(t)
	added, err := vch.CreateRole(t.Context(), s.client, "Wolfpack")
	require.NoError(t, err)
	require.NotEmpty(t, added)
	added, err = vch.CreateRole(t.Context(), s.client, "Wolfpack")
	require.NoError(t, err)
	require.Empty(t, added)

	_, err = object.NewAuthorizationManager(s.client.Client).AddRole(t.Context(), "Ours", []string{"Network.Assign", "Global.LogEvent"})
	require.NoError(t, err)
	added, err = vch.CreateRole(t.Context(), s.client, "Ours")
	require.NoError(t, err)
	require.NotContains(t, added, "Network.Assign")
	roles, err := object.NewAuthorizationManager(s.client.Client).RoleList(t.Context())
	require.NoError(t, err)
	require.Subset(t, roles.ByName("Ours").Privilege, append(vch.Role(), "Global.LogEvent"))

	_, err = vch.CreateRole(t.Context(), s.client, "ReadOnly")
	require.True(t, errs.Is(err, errs.Invalid), "%v", err)
	require.ErrorContains(t, err, `role "ReadOnly" is vCenter's own, and lacks Datastore.AllocateSpace`)
}

// Issue vic 6803: validation changed settings of vCenter.
func TestADryRunSaysWhatCreateDoesAndChangesNothing(t *testing.T) {
	for name, s := range map[string]*site{"vCenter": vcenter(t), "ESXi": esxi(t)} {
		t.Run(name, func(t *testing.T) {
			before := s.snapshot()
			s.server.ResetCalls()
			var steps []string
			spec := vch.Spec{Name: "web", CPU: vch.Allocation{Limit: 1000}}
			plan, err := vch.DryRun(t.Context(), s.client, spec)
			require.NoError(t, err)
			require.Empty(t, s.changes())
			require.Equal(t, before, s.snapshot())
			require.NotContains(t, s.server.Calls(), "cis.tagging.category.create", "nor does it make vCenter's index")

			spec.Progress = func(step string) { steps = append(steps, step) }
			made := s.create(spec)
			var planned []string
			for _, step := range plan.Steps {
				planned = append(planned, step.Step)
			}
			require.Equal(t, steps[1:], planned, "it says what create does")
			require.Equal(t, made.Folder.Path, plan.Folder)
			require.Equal(t, made.Pool.Path, plan.Compute)
			require.Equal(t, made.Datastore.Path, plan.Datastore)
			require.Equal(t, made.Network.Path, plan.Network)
			require.Equal(t, "CPU: a limit of 1000 MHz, 0 MHz reserved, shares normal; memory: no limit, 0 MB reserved, shares normal", plan.Limits)

			plan, err = vch.DryRun(t.Context(), s.client, vch.Spec{Name: "web"})
			require.NoError(t, err)
			require.Empty(t, plan.Steps, "there is nothing to do")
			_, err = vch.DryRun(t.Context(), s.client, vch.Spec{Name: "web", Network: "pods"})
			require.ErrorContains(t, err, `it exists, with the network`)
		})
	}
}

func TestADryRunSaysWhereThingsAreMade(t *testing.T) {
	s := vcenter(t)
	plan, err := vch.DryRun(t.Context(), s.client, vch.Spec{Name: "web", Network: "DC0_DVPG0"})
	require.NoError(t, err)
	what := map[string]string{}
	for _, step := range plan.Steps {
		what[step.Step] = step.What
	}
	require.Equal(t, "/DC0/vm/web, for this VM and those of pods", what["VM folder"])
	require.Equal(t, "/DC0/vm/web/web", what["power on endpoint VM"])
	require.Contains(t, what["endpoint VM"], "/DC0/vm/web/web, 1 CPUs, 2048 MB, guest \"Photon - VCH ")
	require.Contains(t, what["endpoint VM"], "on datastore /DC0/datastore/LocalDS_0, on network /DC0/network/DC0_DVPG0")
	require.Contains(t, what["resource pool"], "/DC0/host/DC0_C0/Resources/web, with CPU: no limit")
}
