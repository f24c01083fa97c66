// SPDX-License-Identifier: Apache-2.0

package vch_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/tests/vcsim"
	"wolfpack/vch"
)

func TestDeleteOfAnUnknownVCHNamesTheKnown(t *testing.T) {
	s := vcenter(t)
	before := s.snapshot()
	err := vch.Delete(t.Context(), s.client, "wob", vch.DeleteOptions{})
	require.EqualError(t, err, "no VCH \"wob\"; there are none; `wolfpack vch create NAME` makes one")
	require.True(t, errs.Is(err, errs.NotFound))
	require.Equal(t, before, s.snapshot())

	s.create(vch.Spec{Name: "web"})
	err = vch.Delete(t.Context(), s.client, "wob", vch.DeleteOptions{Force: true})
	require.EqualError(t, err, `no VCH "wob"; there are: web`)
}

func TestDeleteRefusesWhilePodVMsAreThere(t *testing.T) {
	s := vcenter(t)
	before := s.snapshot()
	made := s.create(vch.Spec{Name: "web"})
	s.pod("pod-1", made, true)
	s.pod("pod-2", made, false)
	whole := s.snapshot()

	err := vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{})
	require.EqualError(t, err, `VCH "web" still has 2 pod VMs: /DC0/vm/web/pod-1, /DC0/vm/web/pod-2; `+
		"delete their pods first, or remove them too with --force")
	require.True(t, errs.Is(err, errs.Invalid))
	require.Equal(t, whole, s.snapshot())

	var steps []string
	require.NoError(t, vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{
		Force: true, Progress: func(step string) { steps = append(steps, step) },
	}))
	require.ElementsMatch(t, []string{"pod VM /DC0/vm/web/pod-1", "pod VM /DC0/vm/web/pod-2"}, steps[:2])
	require.Equal(t, []string{"endpoint VM /DC0/vm/web/web", "VM folder /DC0/vm/web", "resource pool /DC0/host/DC0_C0/Resources/web", "name in vCenter's index"}, steps[2:])
	require.Equal(t, before, s.snapshot())
}

func TestDeleteNeverTouchesOthers(t *testing.T) {
	cases := map[string]struct {
		prepare func(*site, *vch.VCH)
		keeps   []string // what the error says is kept, and why
		gone    string   // what is removed all the same
	}{
		"a VM in the folder": {
			func(s *site, made *vch.VCH) {
				s.vm("theirs", made.Folder.Path, "/DC0/host/DC0_C0/Resources", nil, true)
			},
			[]string{"/DC0/vm/web, because of /DC0/vm/web/theirs"},
			"/DC0/host/DC0_C0/Resources/web",
		},
		"a VM in the pool": {
			func(s *site, made *vch.VCH) { s.vm("theirs", "/DC0/vm", made.Pool.Path, nil, true) },
			[]string{"/DC0/host/DC0_C0/Resources/web, because of /DC0/vm/theirs"},
			"/DC0/vm/web",
		},
		"a pod VM of another VCH": {
			func(s *site, made *vch.VCH) {
				other := s.create(vch.Spec{Name: "other"})
				s.pod("pod-of-other", &vch.VCH{Name: other.Name, Folder: made.Folder, Pool: other.Pool}, true)
			},
			[]string{"/DC0/vm/web, because of /DC0/vm/web/pod-of-other"},
			"/DC0/host/DC0_C0/Resources/web",
		},
		"a folder and a pool within": {
			func(s *site, made *vch.VCH) {
				_, err := object.NewFolder(s.client.Client, made.Folder.Ref).CreateFolder(s.Context(), "theirs")
				require.NoError(s, err)
				_, err = object.NewResourcePool(s.client.Client, made.Pool.Ref).Create(s.Context(), "theirs", types.DefaultResourceConfigSpec())
				require.NoError(s, err)
			},
			[]string{"/DC0/vm/web, because of /DC0/vm/web/theirs", "Resources/web, because of /DC0/host/DC0_C0/Resources/web/theirs"},
			"",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := vcenter(t)
			made := s.create(vch.Spec{Name: "web"})
			tc.prepare(s, made)
			pod := s.pod("pod-1", made, true)
			err := vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{Force: true})
			for _, kept := range tc.keeps {
				require.ErrorContains(t, err, kept)
			}
			require.True(t, errs.Is(err, errs.Exists))

			left := s.snapshot()
			for _, line := range left {
				require.NotContains(t, line, made.EndpointVM.Ref.String()+" ")
				require.NotContains(t, line, pod.String()+" ")
				if tc.gone != "" {
					require.NotContains(t, line, refOf(made, tc.gone).String()+" ")
				}
			}
		})
	}
}

func refOf(made *vch.VCH, path string) types.ManagedObjectReference {
	if path == made.Folder.Path {
		return made.Folder.Ref
	}
	return made.Pool.Ref
}

func TestDeleteWithoutItsPoolOrUnderAnotherName(t *testing.T) {
	cases := map[string]func(*site, *vch.VCH){
		"pool is gone": func(s *site, made *vch.VCH) { // vic 3190
			s.await(object.NewResourcePool(s.client.Client, made.Pool.Ref).Destroy(s.Context()))
		},
		"all were renamed": func(s *site, made *vch.VCH) {
			require.NoError(s, object.NewResourcePool(s.client.Client, made.Pool.Ref).UpdateConfig(s.Context(), "pool", nil))
			s.await(object.NewFolder(s.client.Client, made.Folder.Ref).Rename(s.Context(), "folder"))
			s.await(object.NewVirtualMachine(s.client.Client, made.EndpointVM.Ref).Rename(s.Context(), "vm"))
		},
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			s := vcenter(t)
			before := s.snapshot()
			damage(s, s.create(vch.Spec{Name: "web"}))
			require.NoError(t, vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{}))
			require.Equal(t, before, s.snapshot())
		})
	}
}

// A delete that fails anywhere is finished by the next one, which removes nothing else. Issues vic 3190, 7359 and 7549: what
// could not be removed kept all else from being removed, for ever.
func TestDeleteThatFailsCanBeRunAgain(t *testing.T) {
	calls := []struct {
		method, kind string
		skip         int
	}{
		{"PowerOffVM_Task", "VirtualMachine", 0}, // the pod VM
		{"Destroy_Task", "VirtualMachine", 0},    // the pod VM
		{"Rename_Task", "Folder", 0},
		{"UpdateConfig", "ResourcePool", 0},
		{"PowerOffVM_Task", "VirtualMachine", 1}, // the endpoint VM
		{"Destroy_Task", "VirtualMachine", 1},    // the endpoint VM
		{"Destroy_Task", "Folder", 0},
		{"Destroy_Task", "ResourcePool", 0},
		{"cis.tagging.tag.delete", "", 0},
	}
	for mishap, arrange := range mishaps {
		t.Run(mishap, func(t *testing.T) {
			t.Parallel()
			s := vcenter(t)
			s.indexed()
			before := s.snapshot()
			for _, call := range calls {
				name := call.method + " of " + call.kind
				s.pod("pod-1", s.create(vch.Spec{Name: "web"}), true)
				fault := vcsim.Fault{Method: call.method, Skip: call.skip, Count: 1}
				if call.kind != "" {
					fault.Object = call.kind + ":*"
				}
				ctx := arrange(s, fault)
				err := vch.Delete(ctx, s.client, "web", vch.DeleteOptions{Force: true})
				s.server.RemoveFaults()
				if ctx.Err() == nil { // else it may have been done
					require.ErrorContains(t, err, `delete VCH "web": `, name)
				}
				if err != nil && !strings.HasPrefix(call.method, "cis") || slices.Equal(before, s.snapshot()) == false {
					err = vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{Force: true})
					require.True(t, err == nil || errs.Is(err, errs.NotFound), "%s: %v", name, err)
				}
				require.Equal(t, before, s.snapshot(), name)
				require.True(t, errs.Is(vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{}), errs.NotFound))
			}
		})
	}
}
