// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/vcsim"
)

// operated is a stand-in whose one user is no administrator, and a session with it.
func operated(t *testing.T) (*vcsim.Server, *vim25.Client) {
	t.Helper()
	server, err := vcsim.Start(t.Context(), vcsim.Config{Username: "operator", Password: "secret"})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	client, err := server.Client(t.Context())
	require.NoError(t, err)
	return server, client.Client
}

// tagging is a session with the stand-in's tags.
func tagging(t *testing.T, server *vcsim.Server, client *vim25.Client) *tags.Manager {
	t.Helper()
	session := rest.NewClient(client)
	require.NoError(t, session.Login(t.Context(), server.URL().User))
	return tags.NewManager(session)
}

func TestTagsAreAnsweredAsByVCenter(t *testing.T) {
	server, client := operated(t)
	manager := tagging(t, server, client)
	const category = "urn:vmomi:InventoryServiceCategory:1:GLOBAL"
	_, err := manager.ListTagsForCategory(t.Context(), category)
	require.True(t, rest.IsStatusError(err, http.StatusNotFound), "a category that is not there: %v", err)

	_, err = manager.CreateCategory(t.Context(), &tags.Category{CategoryID: category, Name: "c"})
	require.NoError(t, err)
	ids, err := manager.ListTagsForCategory(t.Context(), category)
	require.NoError(t, err)
	require.Empty(t, ids)
	tag, err := manager.CreateTag(t.Context(), &tags.Tag{Name: "t", CategoryID: category})
	require.NoError(t, err)
	vm, err := find.NewFinder(client).VirtualMachine(t.Context(), "/DC0/vm/DC0_C0_RP0_VM0")
	require.NoError(t, err)
	require.NoError(t, manager.AttachTag(t.Context(), tag, vm))
	attached := func() []tags.AttachedObjects {
		list, err := manager.ListAttachedObjectsOnTags(t.Context(), []string{tag})
		require.NoError(t, err)
		require.Len(t, list, 1)
		return list
	}
	require.Equal(t, vm.Reference(), attached()[0].ObjectIDs[0].Reference())
	finish := func(task *object.Task, err error) {
		require.NoError(t, err)
		require.NoError(t, task.Wait(t.Context()))
	}
	finish(vm.PowerOff(t.Context()))
	finish(vm.Destroy(t.Context()))
	require.Empty(t, attached()[0].ObjectIDs, "a tag is on nothing that is gone")
}

func TestRequestsForTagsAreInTheJournalAndStruckByFaults(t *testing.T) {
	server, client := operated(t)
	manager := tagging(t, server, client)
	server.ResetCalls()
	_, err := manager.CreateCategory(t.Context(), &tags.Category{Name: "c"})
	require.NoError(t, err)
	require.Equal(t, map[string]int{"cis.tagging.category.create": 1}, server.Calls())
	require.Equal(t, "ok", server.Journal()[0].Outcome)

	for _, tc := range []struct {
		fault vcsim.Fault
		want  string
	}{
		{vcsim.Fault{Do: vcsim.DoFault, Fault: new(types.NoPermission)}, "403 Forbidden"},
		{vcsim.Fault{Do: vcsim.DoFault, Fault: new(types.DuplicateName)}, "com.vmware.vapi.std.errors.already_exists"},
		{vcsim.Fault{Do: vcsim.DoStatus}, "503 Service Unavailable"},
		{vcsim.Fault{Do: vcsim.DoReset}, "reset"},
	} {
		tc.fault.Method = "cis.tagging.category.list"
		remove := server.Inject(tc.fault)
		_, err = manager.ListCategories(t.Context())
		require.ErrorContains(t, err, tc.want)
		remove()
	}
	server.Inject(vcsim.Fault{Method: "cis.tagging.category.create", Do: vcsim.DoLoseAnswer, Count: 1})
	_, err = manager.CreateCategory(t.Context(), &tags.Category{Name: "d"})
	require.Error(t, err)
	list, err := manager.ListCategories(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2, "it was made all the same")

	server.Inject(vcsim.Fault{Method: "cis.tagging.category.list", Do: vcsim.DoExpire, Count: 1})
	for range 2 {
		_, err = manager.ListCategories(t.Context())
		require.ErrorContains(t, err, "401 Unauthorized", "the session is over")
	}
}

// Each of a read's filters says which properties of its own objects are wanted.
func TestFiltersOfAReadAreApart(t *testing.T) {
	_, client := operated(t)
	vm, err := find.NewFinder(client).VirtualMachine(t.Context(), "/DC0/vm/DC0_C0_RP0_VM0")
	require.NoError(t, err)
	content, err := property.DefaultCollector(client).RetrieveProperties(t.Context(), types.RetrieveProperties{SpecSet: []types.PropertyFilterSpec{
		{
			ObjectSet: []types.ObjectSpec{{Obj: client.ServiceContent.RootFolder, SelectSet: []types.BaseSelectionSpec{
				&types.TraversalSpec{Type: "Folder", Path: "childEntity", SelectSet: []types.BaseSelectionSpec{
					&types.TraversalSpec{Type: "Datacenter", Path: "vmFolder", SelectSet: []types.BaseSelectionSpec{
						&types.TraversalSpec{Type: "Folder", Path: "childEntity"},
					}},
				}},
			}}},
			PropSet: []types.PropertySpec{{Type: "Datacenter", PathSet: []string{"name"}}},
		},
		{
			ObjectSet: []types.ObjectSpec{{Obj: vm.Reference()}},
			PropSet:   []types.PropertySpec{{Type: "VirtualMachine", PathSet: []string{"name"}}},
		},
	}})
	require.NoError(t, err)
	require.Len(t, content.Returnval, 2, "the datacenter and the one VM, and no other VM in it")
}

func TestPrivilegesGoByThePermissionThatIsNearest(t *testing.T) {
	_, client := operated(t)
	manager := object.NewAuthorizationManager(client)
	finder := find.NewFinder(client)
	datacenter, err := finder.Datacenter(t.Context(), "/DC0")
	require.NoError(t, err)
	folder, err := finder.Folder(t.Context(), "/DC0/vm")
	require.NoError(t, err)
	_, err = manager.AddRole(t.Context(), "Folders", []string{"Folder.Create"})
	require.NoError(t, err)
	roles, err := manager.RoleList(t.Context())
	require.NoError(t, err)
	may := func() []bool {
		answer, err := methods.HasPrivilegeOnEntities(t.Context(), client, &types.HasPrivilegeOnEntities{
			This:   *client.ServiceContent.AuthorizationManager,
			Entity: []types.ManagedObjectReference{client.ServiceContent.RootFolder, datacenter.Reference(), folder.Reference()},
			PrivId: []string{"Folder.Create"},
		})
		require.NoError(t, err)
		var granted []bool
		for _, entity := range answer.Returnval {
			granted = append(granted, entity.PrivAvailability[0].IsGranted)
		}
		return granted
	}
	permit := func(on types.ManagedObjectReference, role string, propagate bool) {
		require.NoError(t, manager.SetEntityPermissions(t.Context(), on, []types.Permission{
			{Entity: &on, Principal: "operator", RoleId: roles.ByName(role).RoleId, Propagate: propagate},
		}))
	}
	require.Equal(t, []bool{true, true, true}, may(), "nobody has set any")
	permit(datacenter.Reference(), "Folders", true)
	require.Equal(t, []bool{false, true, true}, may(), "on it and in it")
	permit(datacenter.Reference(), "Folders", false)
	require.Equal(t, []bool{false, true, false}, may(), "on it alone")
	permit(datacenter.Reference(), "Folders", true)
	permit(folder.Reference(), "ReadOnly", true)
	require.Equal(t, []bool{false, true, false}, may(), "the nearest counts")
}
