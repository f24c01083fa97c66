// SPDX-License-Identifier: Apache-2.0

package vch_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/guest/contract"
	"wolfpack/vch"
	"wolfpack/version"
)

func TestInspectTellsItsOwnFromOthers(t *testing.T) {
	s := vcenter(t)
	made := s.create(vch.Spec{Name: "web"})
	s.vm("b", made.Folder.Path, made.Pool.Path, map[string]string{
		contract.KeyPod: "x", vch.KeyVCH: "web", vch.KeyNamespace: "default", vch.KeyName: "b", vch.KeyUID: "2",
	}, false)
	s.vm("a", made.Folder.Path, made.Pool.Path, map[string]string{
		contract.KeyPod: "x", vch.KeyVCH: "web", vch.KeyNamespace: "default", vch.KeyName: "a", vch.KeyUID: "1",
	}, true)
	s.vm("theirs", made.Folder.Path, "/DC0/host/DC0_C0/Resources", nil, true)
	s.vm("theirs-too", "/DC0/vm", made.Pool.Path, nil, true)
	_, err := object.NewFolder(s.client.Client, made.Folder.Ref).CreateFolder(t.Context(), "folder")
	require.NoError(t, err)

	detail, err := vch.Inspect(t.Context(), s.client, "web")
	require.NoError(t, err)
	require.Len(t, detail.Pods, 2)
	require.Equal(t, "a", detail.Pods[0].Name)
	require.Equal(t, "1", detail.Pods[0].UID)
	require.Equal(t, types.VirtualMachinePowerStatePoweredOn, detail.Pods[0].PowerState)
	require.Equal(t, "/DC0/vm/web/b", detail.Pods[1].VM.Path)
	var strangers []string
	for _, stranger := range detail.Strangers {
		strangers = append(strangers, stranger.Path)
	}
	require.Equal(t, []string{"/DC0/vm/theirs-too", "/DC0/vm/web/folder", "/DC0/vm/web/theirs"}, strangers)
	require.Equal(t, version.Get().Version, detail.Version)
	require.Equal(t, "/DC0/host/DC0_C0", detail.Compute.Path)
	require.Equal(t, "DC0_C0_H0", detail.Host.Name)
	require.EqualValues(t, 4588, detail.CPU.Capacity)
	require.EqualValues(t, 4095, detail.Memory.Capacity)
}

func TestInspectSaysWhatIsWrong(t *testing.T) {
	model := simulator.VPX()
	model.Host, model.ClusterHost = 0, 2
	s := newSite(t, model)
	made := s.create(vch.Spec{Name: "web", Network: "VM Network"})
	require.Empty(t, made.Problems)
	s.await(object.NewVirtualMachine(s.client.Client, made.EndpointVM.Ref).PowerOff(t.Context()))
	other := "/DC0/host/DC0_C0/DC0_C0_H0"
	if made.Host.Name == "DC0_C0_H0" {
		other = "/DC0/host/DC0_C0/DC0_C0_H1"
	}
	host := s.find(other)
	s.await(object.NewHostSystem(s.client.Client, host.Reference()).EnterMaintenanceMode(t.Context(), 0, false, nil))
	detail, err := vch.Inspect(t.Context(), s.client, "web")
	require.NoError(t, err)
	require.Len(t, detail.Problems, 2)
	require.Equal(t, "its endpoint VM is poweredOff", detail.Problems[0])
	require.Regexp(t, `^host DC0_C0_H\d is in maintenance$`, detail.Problems[1])
	require.Empty(t, detail.Incomplete)

	s.await(object.NewResourcePool(s.client.Client, made.Pool.Ref).Destroy(t.Context()))
	detail, err = vch.Inspect(t.Context(), s.client, "web")
	require.NoError(t, err, "one that is not whole is shown too")
	require.Equal(t, []string{"its resource pool is gone"}, detail.Incomplete)

	_, err = vch.Inspect(t.Context(), s.client, "wob")
	require.True(t, errs.Is(err, errs.NotFound), "%v", err)
}

func TestWhatInspectTellsMakesTheSameAgain(t *testing.T) {
	for name, s := range map[string]*site{"vCenter": vcenter(t), "ESXi": esxi(t)} {
		t.Run(name, func(t *testing.T) {
			spec := vch.Spec{
				Name: "web", EndpointMemoryMB: 1024, CPU: vch.Allocation{Limit: 900, Reservation: 100, Shares: "high"},
				Memory: vch.Allocation{Shares: "77"},
			}
			s.create(spec)
			first, err := vch.Inspect(t.Context(), s.client, "web")
			require.NoError(t, err)
			require.Equal(t, spec.CPU, first.Spec.CPU)
			require.Equal(t, spec.Memory, first.Spec.Memory)
			require.NoError(t, vch.Delete(t.Context(), s.client, "web", vch.DeleteOptions{}))
			s.create(first.Spec)
			again, err := vch.Inspect(t.Context(), s.client, "web")
			require.NoError(t, err)
			require.Equal(t, first.Spec, again.Spec)
		})
	}
}
