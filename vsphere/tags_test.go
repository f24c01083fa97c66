// SPDX-License-Identifier: Apache-2.0

package vsphere_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25/mo"

	"wolfpack/errs"
	"wolfpack/vsphere"
)

func TestNearestTags(t *testing.T) {
	server, config := start(t, simulator.VPX())
	client := connect(t, config)
	admin := rest.NewClient(client.Client)
	defer admin.CloseIdleConnections()
	require.NoError(t, admin.Login(t.Context(), server.URL().User))
	manager := tags.NewManager(admin)
	attach := func(category, tag string, to mo.Reference) {
		t.Helper()
		id, err := manager.GetCategory(t.Context(), category)
		if err != nil {
			_, err = manager.CreateCategory(t.Context(), &tags.Category{Name: category, Cardinality: "MULTIPLE"})
			require.NoError(t, err)
			id, err = manager.GetCategory(t.Context(), category)
			require.NoError(t, err)
		}
		made, err := manager.CreateTag(t.Context(), &tags.Tag{Name: tag, CategoryID: id.ID})
		require.NoError(t, err)
		require.NoError(t, manager.AttachTag(t.Context(), made, to))
	}
	finder := find.NewFinder(client.Client)
	pool, err := finder.ResourcePool(t.Context(), "/DC0/host/DC0_C0/Resources")
	require.NoError(t, err)
	nearest := func() map[string]string {
		t.Helper()
		found, err := client.NearestTags(t.Context(), pool.Reference(), "k8s-region", "k8s-zone")
		require.NoError(t, err)
		return found
	}
	require.Empty(t, nearest(), "nothing has a tag")

	datacenter, err := finder.Datacenter(t.Context(), "/DC0")
	require.NoError(t, err)
	attach("k8s-region", "east", datacenter)
	attach("k8s-zone", "east-all", datacenter)
	attach("owner", "somebody", datacenter)
	require.Equal(t, map[string]string{"k8s-region": "east", "k8s-zone": "east-all"}, nearest())

	cluster, err := finder.ClusterComputeResource(t.Context(), "/DC0/host/DC0_C0")
	require.NoError(t, err)
	attach("k8s-zone", "east-1", cluster)
	require.Equal(t, map[string]string{"k8s-region": "east", "k8s-zone": "east-1"}, nearest(), "the nearest counts")

	attach("k8s-zone", "east-2", cluster)
	_, err = client.NearestTags(t.Context(), pool.Reference(), "k8s-zone")
	require.True(t, errs.Is(err, errs.Invalid), "%v", err)
	require.ErrorContains(t, err, "DC0_C0 has the tags")
	require.ErrorContains(t, err, "of category k8s-zone, want one at most")
	require.NoError(t, admin.Logout(t.Context()))
}

func TestAnESXiHostHasNoTags(t *testing.T) {
	_, config := start(t, simulator.ESX())
	client := connect(t, config)
	found, err := client.NearestTags(t.Context(), client.ServiceContent.RootFolder, "k8s-zone")
	require.NoError(t, err)
	require.Empty(t, found)
}

// Requests for tags are told to the Observer too, by what they do and without ids.
func TestRequestsForTagsAreObserved(t *testing.T) {
	_, config := start(t, simulator.VPX())
	seen := newJournal()
	config.Observe = seen.observe
	client := connect(t, config)
	manager, end, err := client.Tags(t.Context())
	require.NoError(t, err)
	id, err := manager.CreateCategory(t.Context(), &tags.Category{Name: "c"})
	require.NoError(t, err)
	_, err = manager.ListTagsForCategory(t.Context(), id)
	require.NoError(t, err)
	_, err = manager.GetCategory(t.Context(), id)
	require.NoError(t, err)
	end()
	for _, method := range []string{
		"cis.session.create", "cis.tagging.category.create", "cis.tagging.tag.list-tags-for-category", "cis.tagging.category.get", "cis.session.delete",
	} {
		require.Equal(t, 1, seen.calls[method], "%s: %v", method, seen.calls)
	}
}

func TestErrorsOfTagsHaveAKind(t *testing.T) {
	_, config := start(t, simulator.VPX())
	client := connect(t, config)
	manager, end, err := client.Tags(t.Context())
	require.NoError(t, err)
	defer end()
	_, err = manager.GetTag(t.Context(), "urn:vmomi:InventoryServiceTag:none:GLOBAL")
	require.True(t, errs.Is(vsphere.TagError(err), errs.NotFound), "%v", err)
	_, err = manager.CreateCategory(t.Context(), &tags.Category{Name: "c"})
	require.NoError(t, err)
	_, err = manager.CreateCategory(t.Context(), &tags.Category{Name: "c"})
	require.True(t, errs.Is(vsphere.TagError(err), errs.Exists), "%v", err)
	require.NoError(t, vsphere.TagError(nil))
}
