// SPDX-License-Identifier: Apache-2.0

package census_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"wolfpack/telemetry"
	"wolfpack/telemetry/census"
)

const (
	vchText       = "Photon - VCH v1.5.6, 0, 44cdb82"
	containerText = "Photon - Container v1.5.6, 0, 44cdb82"
)

func at(kind, value string) census.Ref { return census.Ref{Type: kind, Value: value} }

// facts makes facts of paths and values.
func facts(ref census.Ref, pairs ...any) census.Facts {
	facts := census.NewFacts(ref)
	for i := 0; i < len(pairs); i += 2 {
		facts.Set(pairs[i].(string), pairs[i+1])
	}
	return facts
}

// ground is a datacenter with a cluster of two hosts, the root of its VM folders, and a folder in that.
func ground() []census.Facts {
	return []census.Facts{
		facts(at("Folder", "root"), "name", "Datacenters"),
		facts(at("Folder", "europe"), "name", "Europe", "parent", at("Folder", "root")),
		facts(at("Datacenter", "dc"), "name", "DC", "parent", at("Folder", "europe"), "vmFolder", at("Folder", "vms")),
		facts(at("Folder", "vms"), "name", "vm", "parent", at("Datacenter", "dc")),
		facts(at("Folder", "own"), "name", "own", "parent", at("Folder", "vms")),
		facts(at("Folder", "hosts"), "name", "host", "parent", at("Datacenter", "dc")),
		facts(at("ClusterComputeResource", "cluster"), "name", "C", "parent", at("Folder", "hosts")),
		facts(at("HostSystem", "host-1"), "name", "esx-1", "parent", at("ClusterComputeResource", "cluster"), "runtime.connectionState", "connected"),
		facts(at("HostSystem", "host-2"), "name", "esx-2", "parent", at("ClusterComputeResource", "cluster"), "runtime.connectionState", "notResponding"),
	}
}

// placed is a VM in a folder and a pool, each "" for none.
func placed(id, guestName, folder, pool string) census.Facts {
	vm := facts(at("VirtualMachine", id), "name", id, "summary.config.guestFullName", guestName, "runtime.host", at("HostSystem", "host-1"))
	if folder != "" {
		vm.Set("parent", at("Folder", folder))
	}
	if pool != "" {
		vm.Set("resourcePool", at("ResourcePool", pool))
	}
	return vm
}

func report(all ...[]census.Facts) *telemetry.Report {
	fold := census.NewFold(true)
	for _, some := range all {
		for _, facts := range some {
			fold.Add(facts)
		}
	}
	return fold.Report()
}

// TestAContainerVMBelongsToTheVCHOfItsFolderOrElseOfItsPool has VCHs where VIC and Wolfpack, and admins, put them.
func TestAContainerVMBelongsToTheVCHOfItsFolderOrElseOfItsPool(t *testing.T) {
	container := func(folder, pool string) census.Facts { return placed("web", containerText, folder, pool) }
	one := func(folder, pool string) census.Facts { return placed("one", vchText, folder, pool) }
	two := func(folder, pool string) census.Facts { return placed("two", vchText, folder, pool) }
	for name, row := range map[string]struct {
		vms  []census.Facts
		want string // name of the VCH
	}{
		"folder and pool of its own":         {[]census.Facts{one("own", "a"), two("vms", "b"), container("own", "a")}, "one"},
		"the folder decides":                 {[]census.Facts{one("own", "a"), two("vms", "b"), container("own", "b")}, "one"},
		"all in the root folder":             {[]census.Facts{one("vms", "a"), two("vms", "b"), container("vms", "b")}, "two"},
		"one VCH alone in the root folder":   {[]census.Facts{one("vms", "a"), container("vms", "b")}, ""},
		"two VCHs in a folder":               {[]census.Facts{one("own", "a"), two("own", "b"), container("own", "b")}, "two"},
		"two VCHs in a pool":                 {[]census.Facts{one("own", "a"), two("vms", "a"), container("own", "a")}, "one"},
		"two VCHs in a folder and a pool":    {[]census.Facts{one("own", "a"), two("own", "a"), container("own", "a")}, ""},
		"moved to a folder without a VCH":    {[]census.Facts{one("own", "a"), container("archive", "a")}, "one"},
		"in a vApp, which is in no folder":   {[]census.Facts{one("", "a"), two("", "b"), container("", "b")}, "two"},
		"in no folder and no pool":           {[]census.Facts{one("", ""), container("", "")}, ""},
		"somewhere else":                     {[]census.Facts{one("own", "a"), container("vms", "b")}, ""},
		"a folder that may not be read":      {[]census.Facts{one("secret", "a"), container("secret", "b")}, "one"},
		"no VCH at all":                      {[]census.Facts{container("own", "a")}, ""},
		"the folder's VCH is a VM as others": {[]census.Facts{placed("one", "Ubuntu Linux (64-bit)", "own", "a"), container("own", "a")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := report(ground(), row.vms)
			for _, vm := range r.Inventory {
				if vm.Kind == telemetry.ContainerVM {
					require.Equal(t, row.want, vm.VCH)
				}
			}
			for _, vch := range r.VCHs {
				want := 0
				if vch.Name == row.want {
					want = 1
				}
				require.Equal(t, want, vch.ContainerVMs, vch.Name)
			}
			require.Equal(t, row.want == "", r.Unassigned == 1)
		})
	}
}

func TestTheOrderOfFactsDoesNotMatter(t *testing.T) {
	all := append(ground(),
		placed("one", vchText, "own", "a"), placed("two", vchText, "vms", "b"), placed("web", containerText, "own", "a"),
		placed("db", containerText, "vms", "b"), placed("other", "Ubuntu Linux (64-bit)", "vms", "c"), placed("blank", "", "", ""),
		facts(at("VirtualMachine", "harbor"), "name", "harbor-1", "parent", at("Folder", "vms"), "summary.config.guestFullName", "Photon"))
	want := report(all)
	random := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		require.Equal(t, want, report(all))
	}
}

func TestWhereThingsAre(t *testing.T) {
	lost := facts(at("VirtualMachine", "lost"), "name", "lost", "summary.config.guestFullName", vchText, "parent", at("Folder", "own"),
		"runtime.host", at("HostSystem", "host-9"))
	nowhere := facts(at("VirtualMachine", "off"), "name", "off", "summary.config.guestFullName", "Linux", "parent", at("Folder", "vms"))
	r := report(ground(), []census.Facts{placed("web", containerText, "own", "a"), lost, nowhere})
	where := map[string][3]string{}
	for _, vm := range r.Inventory {
		where[vm.Name] = [3]string{vm.Datacenter, vm.Cluster, vm.Host}
	}
	require.Equal(t, map[string][3]string{
		"web":  {"Europe/DC", "C", "esx-1"},
		"lost": {"Europe/DC", "", ""}, // its host is none that can be seen
		"off":  {"Europe/DC", "", ""}, // it has none
	}, where)
	require.Equal(t, []telemetry.Cluster{{
		Datacenter: "Europe/DC", Name: "C", MoID: "cluster", Hosts: map[string]int{"connected": 1, "disconnected": 0, "notResponding": 1},
	}}, r.Clusters)
	require.Equal(t, []telemetry.Host{
		{Datacenter: "Europe/DC", Cluster: "C", Name: "esx-1", MoID: "host-1", State: "connected"},
		{Datacenter: "Europe/DC", Cluster: "C", Name: "esx-2", MoID: "host-2", State: "notResponding"},
	}, r.Hosts, "a host without VCHs counts 0")
}

func TestParentsThatLeadInACircleEnd(t *testing.T) {
	r := report([]census.Facts{
		facts(at("Folder", "a"), "name", "a", "parent", at("Folder", "b")),
		facts(at("Folder", "b"), "name", "b", "parent", at("Folder", "a")),
		facts(at("VirtualMachine", "vm"), "name", "vm", "parent", at("Folder", "a")),
		facts(at("Datacenter", "dc"), "name", "dc", "parent", at("Folder", "a")),
		facts(at("VirtualMachine", "in"), "name", "in", "parent", at("Datacenter", "dc")),
	})
	require.Len(t, r.Inventory, 2)
}

func TestAnEmptyInventoryHasNoNilLists(t *testing.T) {
	r := census.NewFold(false).Report()
	for name, list := range map[string]any{
		"clusters": r.Clusters, "hosts": r.Hosts, "products": r.Products, "vms": r.VMs, "vchs": r.VCHs, "containerVMs": r.ContainerVMs,
		"problems": r.Quality.Problems,
	} {
		require.NotNil(t, list, name)
		require.Empty(t, list, name)
	}
	require.Nil(t, r.Inventory, "nobody asked for it")
	require.True(t, r.Quality.Complete)
}
