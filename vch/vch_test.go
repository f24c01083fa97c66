// SPDX-License-Identifier: Apache-2.0

package vch_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

// Issue vic 5382: ls became slower with each VM there was.
func TestListAsksAConstantNumberOfTimes(t *testing.T) {
	model := simulator.VPX()
	model.Datacenter, model.Host = 2, 0
	s := newSite(t, model)
	made := 0
	count := func() map[string]int {
		s.server.ResetCalls()
		all, err := vch.List(t.Context(), s.client)
		require.NoError(t, err)
		require.Len(t, all, made)
		return maps.Clone(s.server.Calls())
	}
	require.Zero(t, count()["ContinueRetrievePropertiesEx"], "this makes vCenter's index")
	require.Equal(t, map[string]int{
		"cis.session.create": 1, "cis.tagging.tag.list-tags-for-category": 1, "cis.session.delete": 1,
	}, count(), "no VM is read where there is no VCH")
	for i, datacenter := range []string{"DC0", "DC1", "DC0", "DC1"} {
		config := vsphere.Config{URL: s.server.URL().String(), CACerts: s.server.CAFile(), Datacenter: datacenter}
		client, err := vsphere.Connect(t.Context(), config)
		require.NoError(t, err)
		found, err := vch.Create(t.Context(), client, vch.Spec{Name: fmt.Sprintf("web-%d", i), Network: "VM Network"})
		require.NoError(t, err)
		require.Equal(t, "/"+datacenter, found.Datacenter.Path)
		require.NoError(t, client.Logout(t.Context()))
		made++
	}
	require.Equal(t, map[string]int{
		"cis.session.create": 1, "cis.tagging.tag.list-tags-for-category": 1,
		"cis.tagging.tag-association.list-attached-objects-on-tags": 1, "RetrievePropertiesEx": 1, "cis.session.delete": 1,
	}, count())

	all, err := vch.List(t.Context(), s.client)
	require.NoError(t, err)
	for i, found := range all {
		require.Equal(t, fmt.Sprintf("web-%d", i), found.Name)
	}
}

func TestNamesAreUniqueInAVSphere(t *testing.T) {
	model := simulator.VPX()
	model.Datacenter, model.Host = 2, 0
	s := newSite(t, model)
	config := vsphere.Config{URL: s.server.URL().String(), CACerts: s.server.CAFile(), Datacenter: "DC0"}
	first, err := vsphere.Connect(t.Context(), config)
	require.NoError(t, err)
	made, err := vch.Create(t.Context(), first, vch.Spec{Name: "web"})
	require.NoError(t, err)
	require.NoError(t, first.Logout(t.Context()))

	config.Datacenter = "DC1"
	second, err := vsphere.Connect(t.Context(), config)
	require.NoError(t, err)
	_, err = vch.Create(t.Context(), second, vch.Spec{Name: "web"})
	require.True(t, errs.Is(err, errs.Exists))
	require.ErrorContains(t, err, made.EndpointVM.Path)
	require.NoError(t, second.Logout(t.Context()))
}

// Issue vic 7776: a VCH that was renamed was not found any more.
func TestFindGoesByIdentityAndNotByName(t *testing.T) {
	s := vcenter(t)
	made := s.create(vch.Spec{Name: "web"})
	s.pod("pod-1", made, true)
	vm := object.NewVirtualMachine(s.client.Client, made.EndpointVM.Ref)
	s.await(vm.Rename(t.Context(), "renamed"))
	s.await(object.NewFolder(s.client.Client, made.Folder.Ref).Rename(t.Context(), "folder"))
	s.await(object.NewFolder(s.client.Client, s.find("/DC0/vm").Reference()).MoveInto(t.Context(), []types.ManagedObjectReference{made.EndpointVM.Ref}))

	found, err := vch.Find(t.Context(), s.client, "web")
	require.NoError(t, err)
	require.Equal(t, made.ID, found.ID)
	require.Equal(t, made.Folder.Ref, found.Folder.Ref)
	require.Equal(t, "/DC0/vm/renamed", found.EndpointVM.Path)
	require.Equal(t, 1, found.PodVMs)
	require.Equal(t, made.NetworkBacking, found.NetworkBacking)

	_, err = vch.Find(t.Context(), s.client, "renamed")
	require.EqualError(t, err, `no VCH "renamed"; there are: web`)
	require.True(t, errs.Is(err, errs.NotFound))
}

func TestACloneOfAnEndpointVMIsNoVCH(t *testing.T) {
	s := vcenter(t)
	made := s.create(vch.Spec{Name: "web"})
	vm := object.NewVirtualMachine(s.client.Client, made.EndpointVM.Ref)
	folder := object.NewFolder(s.client.Client, made.Folder.Ref)
	_, config := s.extra(made.EndpointVM.Ref)
	clone := s.await(vm.Clone(t.Context(), folder, "clone", types.VirtualMachineCloneSpec{
		Config: &types.VirtualMachineConfigSpec{ExtraConfig: config.ExtraConfig}, // a real vCenter clones it unasked
	})).(types.ManagedObjectReference)
	values, _ := s.extra(clone)
	require.Equal(t, made.ID, values[vch.KeyVCHID], "the clone has the same extraConfig")

	all, err := vch.List(t.Context(), s.client)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, made.EndpointVM, all[0].EndpointVM)
}

func TestFindRefusesAVCHThatIsNotWhole(t *testing.T) {
	s := vcenter(t)
	made := s.create(vch.Spec{Name: "web"})
	s.await(object.NewResourcePool(s.client.Client, made.Pool.Ref).Destroy(t.Context()))
	_, err := vch.Find(t.Context(), s.client, "web")
	require.EqualError(t, err, "VCH \"web\" is not whole: its resource pool is gone; complete it with `wolfpack vch create web`")
	require.True(t, errs.Is(err, errs.Invalid))

	all, err := vch.List(t.Context(), s.client)
	require.NoError(t, err)
	require.Equal(t, []string{"its resource pool is gone"}, all[0].Incomplete)
}

// BenchmarkCreateDelete counts the round trips of a create and a delete.
func BenchmarkCreateDelete(b *testing.B) {
	server, client := benchSite(b)
	for b.Loop() {
		_, err := vch.Create(b.Context(), client, vch.Spec{Name: "web"})
		require.NoError(b, err)
		require.NoError(b, vch.Delete(b.Context(), client, "web", vch.DeleteOptions{}))
	}
	calls := 0
	for _, count := range server.Calls() {
		calls += count
	}
	b.ReportMetric(float64(calls)/float64(b.N), "calls/op")
}
