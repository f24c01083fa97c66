// SPDX-License-Identifier: Apache-2.0

package guest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/guest"
)

func TestLookup(t *testing.T) {
	for _, word := range []string{"photon", "Photon", "redhat", "WINDOWS"} {
		os, err := guest.Lookup(word, guest.Container)
		require.NoError(t, err)
		require.True(t, strings.EqualFold(word, os.Word))
	}
	_, err := guest.Lookup("photon", guest.VCH)
	require.NoError(t, err)
	_, err = guest.Lookup("windows", guest.VCH)
	require.EqualError(t, err, `no guest OS "windows" for a VCH; there are: photon`)
	_, err = guest.Lookup("beos", guest.Container)
	require.EqualError(t, err, `no guest OS "beos" for a Container; there are: photon, redhat, windows`)
}

func TestOnlyOtherGuestIdsShowTheAlternateName(t *testing.T) {
	for _, os := range guest.All() {
		require.Contains(t, []types.VirtualMachineGuestOsIdentifier{
			types.VirtualMachineGuestOsIdentifierOtherGuest, types.VirtualMachineGuestOsIdentifierOtherGuest64,
		}, os.ID, os.Word)
	}
}

func TestAlignMemory(t *testing.T) {
	photon, err := guest.Lookup("photon", guest.Container)
	require.NoError(t, err)
	windows, err := guest.Lookup("windows", guest.Container)
	require.NoError(t, err)
	cases := []struct {
		os   guest.OS
		in   int64
		want int64
	}{
		{photon, 0, 512},
		{photon, 512, 512},
		{photon, 513, 640},
		{photon, 1000, 1024},
		{photon, 1024, 1024},
		{windows, 512, 2048},
		{windows, 2049, 2176},
	}
	for _, tc := range cases {
		require.Equal(t, tc.want, tc.os.AlignMemory(tc.in), "%s with %d MB", tc.os.Word, tc.in)
	}
}

func TestSpecOfEachGuestOS(t *testing.T) {
	for _, os := range guest.All() {
		t.Run(os.Word, func(t *testing.T) {
			spec, err := os.Spec(guest.Machine{
				VMName:   "web-1",
				Guest:    guest.Name{Role: guest.Container, Version: "v1.2.3", Build: "4", Commit: "abcdef0"},
				CPUs:     3,
				MemoryMB: 2100,
				Network:  &types.VirtualEthernetCardNetworkBackingInfo{},
				Media:    "[ds] vch/boot.iso",
				Extra:    map[string]string{"b": "2", "a": "1"},
			})
			require.NoError(t, err)
			require.Equal(t, os.Word+" - Container v1.2.3, 4, abcdef0", spec.AlternateGuestName)
			require.Equal(t, string(os.ID), spec.GuestId)
			require.Equal(t, string(os.Firmware), spec.Firmware)
			require.EqualValues(t, 3, spec.NumCPUs)
			require.EqualValues(t, 2176, spec.MemoryMB)
			require.Equal(t, []types.BaseOptionValue{
				&types.OptionValue{Key: "a", Value: "1"}, &types.OptionValue{Key: "b", Value: "2"},
			}, spec.ExtraConfig)

			devices := devicesOf(spec)
			require.Len(t, devices.SelectByType((*types.ParaVirtualSCSIController)(nil)), 1)
			require.Len(t, devices.SelectByType((*types.VirtualVmxnet3)(nil)), 1)
			cdroms := devices.SelectByType((*types.VirtualCdrom)(nil))
			require.Len(t, cdroms, 1)
			backing := cdroms[0].GetVirtualDevice().Backing.(*types.VirtualCdromIsoBackingInfo)
			require.Equal(t, "[ds] vch/boot.iso", backing.FileName)
		})
	}
}

func TestSpecWithoutNetworkOrMedia(t *testing.T) {
	photon, err := guest.Lookup("photon", guest.VCH)
	require.NoError(t, err)
	spec, err := photon.Spec(guest.Machine{
		VMName: "vch", Guest: guest.Name{Role: guest.VCH, Version: "v1", Build: "0", Commit: "abc"},
	})
	require.NoError(t, err)
	require.EqualValues(t, 1, spec.NumCPUs)
	require.EqualValues(t, 512, spec.MemoryMB)
	devices := devicesOf(spec)
	require.Empty(t, devices.SelectByType((*types.VirtualEthernetCard)(nil)))
	require.Len(t, devices.SelectByType((*types.VirtualCdrom)(nil)), 1, "the boot media slot is there, empty")
}

func TestSpecRefusesABadGuestName(t *testing.T) {
	photon, err := guest.Lookup("photon", guest.VCH)
	require.NoError(t, err)
	_, err = photon.Spec(guest.Machine{VMName: "vch", Guest: guest.Name{Role: guest.VCH, Version: "v1,2", Build: "0", Commit: "abc"}})
	require.ErrorContains(t, err, `version "v1,2" has a comma`)
}

func devicesOf(spec types.VirtualMachineConfigSpec) object.VirtualDeviceList {
	var devices object.VirtualDeviceList
	for _, change := range spec.DeviceChange {
		devices = append(devices, change.GetVirtualDeviceConfigSpec().Device)
	}
	return devices
}
