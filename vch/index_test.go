// SPDX-License-Identifier: Apache-2.0

package vch_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/tests/vcsim"
	"wolfpack/vch"
)

// names lists the VCHs as vCenter's index has them, and as everything that there is has them.
func (s *site) names() (indexed, there []string) {
	s.Helper()
	for _, line := range s.index() {
		fields := strings.Fields(line)
		require.Len(s, fields, 3, "a tag is on one thing: %s", line)
		indexed = append(indexed, fields[1])
	}
	all, err := vch.List(s.Context(), s.client)
	require.NoError(s, err)
	for _, one := range all {
		there = append(there, one.Name)
	}
	return indexed, there
}

// forget takes all VCHs off vCenter's index, and the index too: as if older builds had made them.
func (s *site) forget() {
	s.Helper()
	manager, end, err := s.client.Tags(s.Context())
	require.NoError(s, err)
	defer end()
	all, err := manager.GetCategories(s.Context())
	require.NoError(s, err)
	for _, category := range all {
		require.NoError(s, manager.DeleteCategory(s.Context(), &tags.Category{ID: category.ID}))
	}
	require.Empty(s, s.index())
}

func TestVCHsOfOlderBuildsAreFoundAndListed(t *testing.T) {
	look := map[string]func(*site) error{
		"ls": func(s *site) error { _, err := vch.List(s.Context(), s.client); return err },
		"find": func(s *site) error {
			found, err := vch.Find(s.Context(), s.client, "web")
			if err == nil {
				require.Equal(s, "web", found.Name)
			}
			return err
		},
		"create of another": func(s *site) error {
			_, err := vch.Create(s.Context(), s.client, vch.Spec{Name: "third"})
			return err
		},
		"create of the same": func(s *site) error {
			_, err := vch.Create(s.Context(), s.client, vch.Spec{Name: "web"})
			return err
		},
	}
	for name, look := range look {
		t.Run(name, func(t *testing.T) {
			s := vcenter(t)
			s.create(vch.Spec{Name: "web"})
			s.create(vch.Spec{Name: "other"})
			s.forget()
			require.NoError(t, look(s))
			indexed, there := s.names()
			require.ElementsMatch(t, there, indexed)
			require.Subset(t, indexed, []string{"web", "other"})
		})
	}
}

func TestAVCHThatTheIndexLacksIsFoundByItsName(t *testing.T) {
	for name, act := range map[string]func(*site) error{
		"find":   func(s *site) error { _, err := vch.Find(s.Context(), s.client, "web"); return err },
		"create": func(s *site) error { _, err := vch.Create(s.Context(), s.client, vch.Spec{Name: "web"}); return err },
		"delete": func(s *site) error { return vch.Delete(s.Context(), s.client, "web", vch.DeleteOptions{}) },
	} {
		t.Run(name, func(t *testing.T) {
			s := vcenter(t)
			s.create(vch.Spec{Name: "web"})
			s.forget()
			s.create(vch.Spec{Name: "other"}) // which makes the index
			s.create(vch.Spec{Name: "third"})
			manager, end, err := s.client.Tags(t.Context())
			require.NoError(t, err)
			defer end()
			all, err := manager.GetTags(t.Context())
			require.NoError(t, err)
			for _, tag := range all {
				if tag.Name == "web" {
					require.NoError(t, manager.DeleteTag(t.Context(), &tag))
				}
			}
			require.NoError(t, act(s))
			indexed, there := s.names()
			require.ElementsMatch(t, there, indexed)
		})
	}
}

// Issues vic 7322, 6581 and 7338: a VM that was registered anew was no VCH any more.
func TestAVCHWhoseVMWasRegisteredAnewStaysWhole(t *testing.T) {
	s := vcenter(t)
	made := s.create(vch.Spec{Name: "web"})
	ref := s.register(made)
	require.NotEqual(t, made.EndpointVM.Ref, ref)

	all, err := vch.List(t.Context(), s.client)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, made.ID, all[0].ID)
	require.Equal(t, ref, all[0].EndpointVM.Ref)
	require.Empty(t, all[0].Incomplete)
	require.Contains(t, s.index()[0], ref.String(), "the index has the new VM")
	require.NoError(t, vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{}))
}

// register takes a VCH's endpoint VM out of the inventory and puts it back, as an admin does to mend a VM. The simulator
// registers an empty VM, so what vCenter would read from the VM's file is set after.
func (s *site) register(of *vch.VCH) types.ManagedObjectReference {
	s.Helper()
	vm := object.NewVirtualMachine(s.client.Client, of.EndpointVM.Ref)
	_, config := s.extra(of.EndpointVM.Ref)
	s.await(vm.PowerOff(s.Context()))
	require.NoError(s, vm.Unregister(s.Context()))
	pool := object.NewResourcePool(s.client.Client, of.Pool.Ref)
	ref := s.await(object.NewFolder(s.client.Client, of.Folder.Ref).
		RegisterVM(s.Context(), config.Files.VmPathName, of.EndpointVM.Name, false, pool, nil)).(types.ManagedObjectReference)
	again := object.NewVirtualMachine(s.client.Client, ref)
	s.await(again.Reconfigure(s.Context(), types.VirtualMachineConfigSpec{
		InstanceUuid: config.InstanceUuid, ExtraConfig: config.ExtraConfig,
		DeviceChange: []types.BaseVirtualDeviceConfigSpec{&types.VirtualDeviceConfigSpec{
			Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: &types.VirtualVmxnet3{VirtualVmxnet: types.VirtualVmxnet{
				VirtualEthernetCard: types.VirtualEthernetCard{VirtualDevice: types.VirtualDevice{Key: -1, Backing: of.NetworkBacking}},
			}},
		}},
	}))
	s.await(again.PowerOn(s.Context()))
	return ref
}

// Whoever may not use tags still finds all VCHs, and can make none.
func TestWithoutTagsAllAreFoundAndNoneIsMade(t *testing.T) {
	s := vcenter(t)
	s.create(vch.Spec{Name: "web"})
	s.server.Inject(vcsim.Fault{Method: "cis.*", Do: vcsim.DoFault, Fault: new(types.NoPermission)})
	_, err := vch.Find(t.Context(), s.client, "web")
	require.NoError(t, err)
	all, err := vch.List(t.Context(), s.client)
	require.NoError(t, err)
	require.Len(t, all, 1)
	_, err = vch.Create(t.Context(), s.client, vch.Spec{Name: "other"})
	require.True(t, errs.Is(err, errs.Denied), "%v", err)
	require.ErrorContains(t, err, "vCenter's tags")
	require.True(t, errs.Is(vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{}), errs.Denied))
}

// Issues vic 1452 and 7776: names. Two who make a VCH of one name in two datacenters do not both succeed.
func TestANameIsTakenInAllDatacentersAtOnce(t *testing.T) {
	model := simulator.VPX()
	model.Datacenter, model.Host = 2, 0
	s := newSite(t, model)
	s.indexed()
	east, west := s.in("DC0"), s.in("DC1")
	var later error
	s.server.Inject(vcsim.Fault{Method: "CreateFolder", Count: 1, Before: func(vcsim.Request) {
		_, later = vch.Create(t.Context(), west, vch.Spec{Name: "web", Network: "VM Network"})
	}})
	_, first := vch.Create(t.Context(), east, vch.Spec{Name: "web", Network: "VM Network"})
	require.NoError(t, later, "a name that nobody has finished to take is taken over")
	require.True(t, errs.Is(first, errs.Exists), "%v", first)
	require.ErrorContains(t, first, "somebody else has taken the name over")
	indexed, there := s.names()
	require.Equal(t, []string{"web"}, indexed)
	require.Equal(t, []string{"web"}, there)
}

// Whatever is done to VCHs, in whatever order, vCenter's index has those that there are.
func TestTheIndexIsTrueWhateverIsDone(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			s := vcenter(t)
			before := s.snapshot()
			random := rand.New(rand.NewPCG(seed, seed))
			there := map[string]*vch.VCH{}
			for range 15 {
				name := fmt.Sprintf("web-%d", random.IntN(3))
				found, known := there[name], there[name] != nil
				switch what := random.IntN(5); {
				case !known || what == 0:
					there[name] = s.create(vch.Spec{Name: name})
				case what == 1:
					require.NoError(t, vch.Delete(t.Context(), s.client, name, vch.DeleteOptions{}))
					delete(there, name)
				case what == 2:
					s.await(object.NewVirtualMachine(s.client.Client, found.EndpointVM.Ref).Rename(t.Context(), fmt.Sprintf("vm-%d", random.IntN(1000))))
				case what == 3:
					s.await(object.NewFolder(s.client.Client, s.find("/DC0/vm").Reference()).
						MoveInto(t.Context(), []types.ManagedObjectReference{found.EndpointVM.Ref}))
				case what == 4:
					s.await(object.NewFolder(s.client.Client, found.Folder.Ref).Rename(t.Context(), fmt.Sprintf("folder-%d", random.IntN(1000))))
				}
				indexed, listed := s.names()
				require.ElementsMatch(t, listed, indexed)
				require.Len(t, listed, len(there))
			}
			for name := range there {
				require.NoError(t, vch.Delete(t.Context(), s.client, name, vch.DeleteOptions{}))
			}
			require.Equal(t, before, s.snapshot())
		})
	}
}
