// SPDX-License-Identifier: Apache-2.0

package vch_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/guest"
	"wolfpack/tests/vcsim"
	"wolfpack/vch"
	"wolfpack/version"
	"wolfpack/vsphere"
)

func TestCreateMakesFolderPoolAndEndpointVM(t *testing.T) {
	s := vcenter(t)
	var steps []string
	made := s.create(vch.Spec{
		Name: "web", Compute: "DC0_C0", Datastore: "LocalDS_0", Network: "DC0_DVPG0",
		CPU:      vch.Allocation{Limit: 4000, Reservation: 100, Shares: "high"},
		Memory:   vch.Allocation{Limit: 2048, Shares: "4000"},
		Progress: func(step string) { steps = append(steps, step) },
	})
	require.Equal(t, []string{
		"validate", "name in vCenter's index", "VM folder", "resource pool", "endpoint VM", "endpoint VM in vCenter's index",
		"name resource pool", "name VM folder", "power on endpoint VM",
	}, steps)
	require.Equal(t, "/DC0/vm/web", made.Folder.Path)
	require.Equal(t, "/DC0/host/DC0_C0/Resources/web", made.Pool.Path)
	require.Equal(t, "/DC0/vm/web/web", made.EndpointVM.Path)
	require.Equal(t, "/DC0/datastore/LocalDS_0", made.Datastore.Path)
	require.Equal(t, "/DC0/network/DC0_DVPG0", made.Network.Path)
	require.Equal(t, types.VirtualMachinePowerStatePoweredOn, made.PowerState)
	require.Empty(t, made.Incomplete)
	require.IsType(t, &types.VirtualEthernetCardDistributedVirtualPortBackingInfo{}, made.NetworkBacking)

	name, err := guest.Parse(made.GuestName)
	require.NoError(t, err)
	stamp := version.Get()
	require.Equal(t, guest.Name{OS: "Photon", Role: guest.VCH, Version: stamp.Version, Build: stamp.Build, Commit: stamp.Commit}, name)

	values, config := s.extra(made.EndpointVM.Ref)
	require.Equal(t, vch.RoleEndpoint, values[vch.KeyRole])
	require.Equal(t, "web", values[vch.KeyVCH])
	require.Equal(t, made.ID, values[vch.KeyVCHID])
	require.Equal(t, made.Folder.Ref.Value, values[vch.KeyFolder])
	require.Equal(t, made.Pool.Ref.Value, values[vch.KeyPool])
	require.Equal(t, "LocalDS_0", values[vch.KeyDatastore])
	require.Equal(t, "DC0_DVPG0", values[vch.KeyNetwork])
	require.Equal(t, "photon", values[vch.KeyGuestOS])
	require.Equal(t, made.ID, config.InstanceUuid)
	require.EqualValues(t, vch.DefaultEndpointMemoryMB, config.Hardware.MemoryMB)

	var pool mo.ResourcePool
	require.NoError(t, property.DefaultCollector(s.client.Client).RetrieveOne(t.Context(), made.Pool.Ref, []string{"config", "vm"}, &pool))
	require.EqualValues(t, 4000, *pool.Config.CpuAllocation.Limit)
	require.EqualValues(t, 100, *pool.Config.CpuAllocation.Reservation)
	require.Equal(t, types.SharesLevelHigh, pool.Config.CpuAllocation.Shares.Level)
	require.EqualValues(t, 2048, *pool.Config.MemoryAllocation.Limit)
	require.EqualValues(t, 4000, pool.Config.MemoryAllocation.Shares.Shares)
	require.Equal(t, []types.ManagedObjectReference{made.EndpointVM.Ref}, pool.Vm)
}

func TestCreateOnALoneESXiHostMakesNoFolder(t *testing.T) {
	s := esxi(t)
	before := s.snapshot()
	made := s.create(vch.Spec{Name: "web"})
	require.Equal(t, "/ha-datacenter/vm", made.Folder.Path)
	require.Equal(t, "/ha-datacenter/vm/web", made.EndpointVM.Path)
	require.Equal(t, "web", made.Pool.Name)
	require.NotNil(t, made.NetworkBacking)
	values, _ := s.extra(made.EndpointVM.Ref)
	require.NotContains(t, values, vch.KeyFolder)

	whole := s.snapshot()
	require.Equal(t, made, s.create(vch.Spec{Name: "web"}))
	require.Equal(t, whole, s.snapshot(), "the second create changes nothing")

	s.pod("pod-1", made, true)
	require.NoError(t, vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{Force: true}))
	require.Equal(t, before, s.snapshot())
}

func TestCreateInAPoolAndAFolderThatAreThere(t *testing.T) {
	s := vcenter(t)
	_, err := object.NewFolder(s.client.Client, s.find("/DC0/vm").Reference()).CreateFolder(t.Context(), "team")
	require.NoError(t, err)
	_, err = object.NewResourcePool(s.client.Client, s.find("/DC0/host/DC0_C0/Resources").Reference()).
		Create(t.Context(), "team", types.DefaultResourceConfigSpec())
	require.NoError(t, err)

	made := s.create(vch.Spec{Name: "web", Compute: "*/Resources/team", Folder: "team"})
	require.Equal(t, "/DC0/vm/team/web", made.Folder.Path)
	require.Equal(t, "/DC0/host/DC0_C0/Resources/team/web", made.Pool.Path)
	require.Equal(t, "/DC0/network/VM Network", made.Network.Path, "vSphere's first port group is the default of several")
	require.Equal(t, made, s.create(vch.Spec{Name: "web", Compute: "team", Folder: "/DC0/vm/team"}))
}

func TestCreateAgainChangesNothing(t *testing.T) {
	s := vcenter(t)
	spec := vch.Spec{Name: "web", Compute: "DC0_C0", Datastore: "LocalDS_0", GuestOS: "Photon", CPU: vch.Allocation{Limit: 1000}}
	made := s.create(spec)
	s.server.ResetCalls()
	require.Equal(t, made, s.create(spec))
	require.Equal(t, made, s.create(vch.Spec{Name: "web"}), "what is not asked for is not compared")
	require.Empty(t, s.changes())
}

func TestCreateRefusesAVCHThatIsAnother(t *testing.T) {
	s := vcenter(t)
	s.create(vch.Spec{Name: "web"})
	before := s.snapshot()
	cases := map[string]struct {
		spec vch.Spec
		want string
	}{
		"network":   {vch.Spec{Network: "DC0_DVPG0"}, `it exists, with the network /DC0/network/VM Network and not "DC0_DVPG0"`},
		"datastore": {vch.Spec{Datastore: "ssd"}, `it exists, with the datastore /DC0/datastore/LocalDS_0 and not "ssd"`},
		"folder":    {vch.Spec{Folder: "team"}, `it exists, with the folder /DC0/vm and not "team"`},
		"compute":   {vch.Spec{Compute: "C9"}, `it exists, with the resource pool /DC0/host/DC0_C0/Resources and not "C9"`},
		"CPU":       {vch.Spec{CPU: vch.Allocation{Limit: 5}}, "it exists, with another CPU limit"},
		"memory":    {vch.Spec{Memory: vch.Allocation{Shares: "low"}}, "it exists, with another memory limit"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.spec.Name = "web"
			_, err := vch.Create(t.Context(), s.client, tc.spec)
			require.ErrorContains(t, err, tc.want)
			require.True(t, errs.Is(err, errs.Exists))
		})
	}
	require.Equal(t, before, s.snapshot())
}

func TestCreateCompletesWhatIsMissing(t *testing.T) {
	cases := map[string]func(*site, *vch.VCH){
		"endpoint VM is off": func(s *site, made *vch.VCH) {
			s.await(object.NewVirtualMachine(s.client.Client, made.EndpointVM.Ref).PowerOff(s.Context()))
		},
		"pool is gone": func(s *site, made *vch.VCH) {
			s.await(object.NewResourcePool(s.client.Client, made.Pool.Ref).Destroy(s.Context()))
		},
		"pool is unfinished": func(s *site, made *vch.VCH) {
			require.NoError(s, object.NewResourcePool(s.client.Client, made.Pool.Ref).UpdateConfig(s.Context(), "web.incomplete", nil))
		},
		"folder is unfinished": func(s *site, made *vch.VCH) {
			s.await(object.NewFolder(s.client.Client, made.Folder.Ref).Rename(s.Context(), "web.incomplete"))
		},
		"VM was moved out of the pool": func(s *site, made *vch.VCH) {
			root := s.find("/DC0/host/DC0_C0/Resources").Reference()
			s.await(object.NewVirtualMachine(s.client.Client, made.EndpointVM.Ref).Relocate(s.Context(),
				types.VirtualMachineRelocateSpec{Pool: &root}, types.VirtualMachineMovePriorityDefaultPriority))
		},
		"only an empty folder and pool were made": func(s *site, made *vch.VCH) {
			require.NoError(s, vch.Delete(s.Context(), s.client, "web", vch.DeleteOptions{}))
			_, err := object.NewFolder(s.client.Client, s.find("/DC0/vm").Reference()).CreateFolder(s.Context(), "web.incomplete")
			require.NoError(s, err)
			_, err = object.NewResourcePool(s.client.Client, s.find("/DC0/host/DC0_C0/Resources").Reference()).
				Create(s.Context(), "web.incomplete", types.DefaultResourceConfigSpec())
			require.NoError(s, err)
		},
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			s := vcenter(t)
			before := s.snapshot()
			first := s.create(vch.Spec{Name: "web"})
			damage(s, first)
			again := s.create(vch.Spec{Name: "web"})
			require.Empty(t, again.Incomplete)
			require.Equal(t, "/DC0/vm/web", again.Folder.Path)
			require.Equal(t, "/DC0/host/DC0_C0/Resources/web", again.Pool.Path)
			require.Equal(t, types.VirtualMachinePowerStatePoweredOn, again.PowerState)
			require.NoError(t, vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{}))
			require.Equal(t, before, s.snapshot())
		})
	}
}

func TestCreateReportsAllThatIsWrongAtOnce(t *testing.T) {
	model := simulator.VPX() // with a host beside the cluster
	model.Datastore = 2
	s := newSite(t, model)
	s.tagUplinks()
	before := s.snapshot()
	cases := map[string]struct {
		spec vch.Spec
		kind errs.Kind
		want []string
	}{
		"ambiguous": {vch.Spec{Name: "web"}, errs.Invalid, []string{
			"for 2 reasons",
			"more than one cluster or host; name one with --compute or GOVC_RESOURCE_POOL: /DC0/host/DC0_C0, /DC0/host/DC0_H0",
			"more than one datastore; name one with --datastore or GOVC_DATASTORE: /DC0/datastore/LocalDS_0, /DC0/datastore/LocalDS_1",
		}},
		"unknown places": {
			vch.Spec{Name: "web", Compute: "C7", Datastore: "ssd", Network: "pods", Folder: "team"},
			errs.NotFound,
			[]string{
				`no cluster, host or resource pool "C7"`, "/DC0/host/DC0_C0/Resources",
				`no datastore "ssd" (--datastore or GOVC_DATASTORE); there are: /DC0/datastore/LocalDS_0, /DC0/datastore/LocalDS_1`,
				`no network "pods" (--network or GOVC_NETWORK); there are: /DC0/network/DC0_DVPG0, /DC0/network/VM Network`,
				`no VM folder "team" (--folder or GOVC_FOLDER); there are: /DC0/vm`,
			},
		},
		"one problem is one line": {
			vch.Spec{Name: "web", Compute: "DC0_C0", Datastore: "ssd"},
			errs.NotFound,
			[]string{`cannot create VCH "web": no datastore "ssd"`},
		},
		"bad words": {
			vch.Spec{Name: "we b", Compute: "DC0_C0", Datastore: "LocalDS_0", GuestOS: "photon,\n", EndpointCPUs: -1, EndpointMemoryMB: -1},
			errs.Invalid,
			[]string{`has the character ' ' in it`, `no guest OS "photon,\n" for a VCH; there are: photon`, "endpoint VM with -1 CPUs", "endpoint VM with -1 MB"},
		},
		"bad limits": {
			vch.Spec{
				Name: "web", Compute: "DC0_C0", Datastore: "LocalDS_0",
				CPU: vch.Allocation{Limit: 10, Reservation: 11}, Memory: vch.Allocation{Limit: -2, Reservation: -1, Shares: "much"},
			},
			errs.Invalid,
			[]string{
				"CPU reservation 11 MHz is above the limit of 10 MHz", "memory limit -2 MB is negative, want -1 for none",
				"memory reservation -1 MB is negative", `memory shares "much", want low, normal, high or a number above 0`,
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := vch.Create(t.Context(), s.client, tc.spec)
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
			require.Equal(t, tc.kind, errs.KindOf(err))
		})
	}
	require.Empty(t, s.changes())
	require.Equal(t, before, s.snapshot())
}

func TestCreateRefusesWhatIsNotOurs(t *testing.T) {
	pool := func(s *site, name string) {
		_, err := object.NewResourcePool(s.client.Client, s.find("/DC0/host/DC0_C0/Resources").Reference()).
			Create(s.Context(), name, types.DefaultResourceConfigSpec())
		require.NoError(s, err)
	}
	folder := func(s *site, name string) {
		_, err := object.NewFolder(s.client.Client, s.find("/DC0/vm").Reference()).CreateFolder(s.Context(), name)
		require.NoError(s, err)
	}
	cases := map[string]struct {
		prepare func(*site)
		want    string
	}{
		"a pool":   {func(s *site) { pool(s, "web") }, "/DC0/host/DC0_C0/Resources/web exists and is no VCH's; choose another name"},
		"a folder": {func(s *site) { folder(s, "web") }, "/DC0/vm/web exists and is no VCH's; choose another name"},
		"a folder with VMs": {func(s *site) {
			folder(s, "web")
			s.vm("theirs", "/DC0/vm/web", "/DC0/host/DC0_C0/Resources", nil, false)
		}, "/DC0/vm/web exists and is no VCH's (in it: /DC0/vm/web/theirs)"},
		"VMs in an unfinished folder": {func(s *site) {
			folder(s, "web.incomplete")
			s.vm("theirs", "/DC0/vm/web.incomplete", "/DC0/host/DC0_C0/Resources", nil, false)
		}, "/DC0/vm/web.incomplete is of an unfinished VCH, but it is not empty (in it: /DC0/vm/web.incomplete/theirs)"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := vcenter(t)
			tc.prepare(s)
			before := s.snapshot()
			_, err := vch.Create(t.Context(), s.client, vch.Spec{Name: "web"})
			require.ErrorContains(t, err, tc.want)
			require.True(t, errs.Is(err, errs.Exists))
			require.Equal(t, before, s.snapshot())
			err = vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{Force: true})
			require.True(t, errs.Is(err, errs.NotFound), "a name does not make it a VCH: %v", err)
			require.Equal(t, before, s.snapshot())
		})
	}
}

// createCalls are the calls of a create that change something, in order.
var createCalls = []string{
	"cis.tagging.tag.create", "CreateFolder", "CreateResourcePool", "CreateVM_Task", "cis.tagging.tag-association.attach",
	"UpdateConfig", "Rename_Task", "PowerOnVM_Task",
}

// mishap is a way in which calls can go wrong. It returns the context to work in.
type mishap func(s *site, call vcsim.Fault) context.Context

// mishaps are those of a call.
var mishaps = map[string]mishap{
	"vCenter refuses it": func(s *site, call vcsim.Fault) context.Context {
		call.Do, call.Fault = vcsim.DoFault, new(types.NoPermission)
		s.server.Inject(call)
		return s.Context()
	},
	"its task fails": func(s *site, call vcsim.Fault) context.Context {
		call.Do, call.Fault = vcsim.DoTaskFault, new(types.InsufficientResourcesFault)
		if !strings.HasSuffix(call.Method, "_Task") {
			call.Do = vcsim.DoFault
		}
		s.server.Inject(call)
		return s.Context()
	},
	"the connection is cut before": func(s *site, call vcsim.Fault) context.Context {
		call.Do = vcsim.DoReset
		s.server.Inject(call)
		return s.Context()
	},
	"the answer is lost": func(s *site, call vcsim.Fault) context.Context {
		call.Do = vcsim.DoLoseAnswer
		s.server.Inject(call)
		return s.Context()
	},
	"the user interrupts it": func(s *site, call vcsim.Fault) context.Context {
		ctx, cancel := context.WithCancel(s.Context())
		s.Cleanup(cancel)
		call.Before = func(vcsim.Request) { cancel() }
		s.server.Inject(call)
		return ctx
	},
	"the user interrupts it just after": func(s *site, call vcsim.Fault) context.Context {
		ctx, cancel := context.WithCancel(s.Context())
		s.Cleanup(cancel)
		call.After = func(vcsim.Request) { cancel() }
		s.server.Inject(call)
		return ctx
	},
}

// Issues vic 1452, 2853 and 6975: a create that failed left things behind.
func TestCreateThatFailsLeavesTheInventoryAsItWas(t *testing.T) {
	for mishap, arrange := range mishaps {
		t.Run(mishap, func(t *testing.T) {
			t.Parallel()
			s := vcenter(t)
			s.indexed()
			before := s.snapshot()
			for i, method := range createCalls {
				ctx := arrange(s, vcsim.Fault{Method: method, Count: 1})
				_, err := vch.Create(ctx, s.client, vch.Spec{Name: "web"})
				s.server.RemoveFaults()
				if ctx.Err() != nil && i == len(createCalls)-1 && err == nil {
					require.NoError(t, vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{}))
					continue // it was made already
				}
				require.Error(t, err, method)
				require.NotContains(t, err.Error(), "could not be taken back", method)
				require.Equal(t, before, s.snapshot(), "%s: after %v", method, err)

				require.Empty(t, s.create(vch.Spec{Name: "web"}).Incomplete, "%s: the next create works", method)
				require.NoError(t, vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{}), method)
				require.Equal(t, before, s.snapshot(), method)
			}
		})
	}
}

func TestCreateThatCannotTakeBackSaysWhatIsLeft(t *testing.T) {
	want := map[string]string{
		"CreateFolder":       `could not be taken back: VM folder /DC0/vm/web.incomplete`,
		"CreateResourcePool": `name "web" in vCenter's index`,
		"CreateVM_Task":      "resource pool /DC0/host/DC0_C0/Resources/web.incomplete",
		"UpdateConfig":       "endpoint VM /DC0/vm/web.incomplete/web",
		"Rename_Task":        "VM folder /DC0/vm/web.incomplete",
		"PowerOnVM_Task":     "`wolfpack vch delete web` removes that",
	}
	for method, text := range want {
		t.Run(method, func(t *testing.T) {
			s := vcenter(t)
			s.indexed()
			before := s.snapshot()
			s.server.Inject(vcsim.Fault{Method: method, Count: 1, Do: vcsim.DoLoseAnswer, After: func(vcsim.Request) {
				s.server.Inject(vcsim.Fault{Do: vcsim.DoReset}) // and nobody reaches vCenter any more
			}})
			_, err := vch.Create(t.Context(), s.client, vch.Spec{Name: "web"})
			require.ErrorContains(t, err, text)
			require.True(t, errs.Is(err, errs.Unavailable), "%v", err)

			s.server.RemoveFaults()
			require.NotEqual(t, before, s.snapshot())
			require.NoError(t, vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{}))
			require.Equal(t, before, s.snapshot())
		})
	}
}

// A completion that fails takes back only what it has made itself.
func TestCompletionThatFailsKeepsTheVCH(t *testing.T) {
	for _, method := range []string{"CreateResourcePool", "RelocateVM_Task", "ReconfigVM_Task", "UpdateConfig"} {
		t.Run(method, func(t *testing.T) {
			s := vcenter(t)
			made := s.create(vch.Spec{Name: "web"})
			s.await(object.NewResourcePool(s.client.Client, made.Pool.Ref).Destroy(t.Context()))
			before := s.snapshot()
			ctx := mishaps["vCenter refuses it"](s, vcsim.Fault{Method: method, Count: 1})
			_, err := vch.Create(ctx, s.client, vch.Spec{Name: "web"})
			require.Error(t, err)
			require.NotContains(t, err.Error(), "could not be taken back")
			require.Equal(t, before, s.snapshot())
			require.Empty(t, s.create(vch.Spec{Name: "web"}).Incomplete)
		})
	}
}

func TestTwoWhoCreateTheSameNameMakeOneVCH(t *testing.T) {
	for range 5 {
		s := vcenter(t)
		before := s.snapshot()
		clients := []*vsphere.Client{s.client, s.connect(), s.connect()}
		failures := make([]error, len(clients))
		var group sync.WaitGroup
		for i, client := range clients {
			group.Go(func() { _, failures[i] = vch.Create(t.Context(), client, vch.Spec{Name: "web"}) })
		}
		group.Wait()
		for _, err := range failures {
			if err != nil {
				t.Log(err)
			}
		}
		all, err := vch.List(t.Context(), s.client)
		require.NoError(t, err)
		require.LessOrEqual(t, len(all), 1, "%v", failures)
		made := s.create(vch.Spec{Name: "web"})
		require.Empty(t, made.Incomplete)
		require.NoError(t, vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{}))
		require.Equal(t, before, s.snapshot())
	}
}

// waiting are the calls of govmomi's task wait, which the round trips of a create do not count.
var waiting = []string{"CreatePropertyCollector", "CreateFilter", "WaitForUpdatesEx", "DestroyPropertyFilter", "DestroyPropertyCollector"}

func TestCreateMakesFewRoundTrips(t *testing.T) {
	s := vcenter(t)
	s.create(vch.Spec{Name: "other"})
	s.server.ResetCalls()
	s.create(vch.Spec{Name: "web"})
	sum := 0
	for method, count := range s.server.Calls() {
		if !slices.Contains(waiting, method) {
			sum += count
		}
	}
	require.LessOrEqual(t, sum, 15, "%v", s.server.Calls())
}
