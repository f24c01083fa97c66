// SPDX-License-Identifier: Apache-2.0

package census_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/telemetry"
	"wolfpack/telemetry/census"
)

func vmRef(id string) census.Ref { return census.Ref{Type: "VirtualMachine", Value: id} }

func TestAVMIsWhatItsConfiguredNameSays(t *testing.T) {
	for name, row := range map[string]struct {
		full, alternate string
		want            telemetry.VM
	}{
		"a VCH": {
			full: "Photon - VCH v1.5.6, 21091, 44cdb82",
			want: telemetry.VM{Kind: telemetry.EndpointVM, OS: "Photon", Version: "v1.5.6", Build: "21091", Commit: "44cdb82"},
		},
		"a container VM": {
			full: "Windows - Container v1.5.0-rc2, 0, fedcba9",
			want: telemetry.VM{Kind: telemetry.ContainerVM, OS: "Windows", Version: "v1.5.0-rc2", Build: "0", Commit: "fedcba9"},
		},
		"VIC pads a short commit": {
			full: "Photon - Container v1.4.0, 18893,   c0ffe",
			want: telemetry.VM{Kind: telemetry.ContainerVM, OS: "Photon", Version: "v1.4.0", Build: "18893", Commit: "c0ffe"},
		},
		"VIC does not cut a long one": {
			full: "Photon - VCH v1.4.0, 18893, c0ffee123",
			want: telemetry.VM{Kind: telemetry.EndpointVM, OS: "Photon", Version: "v1.4.0", Build: "18893", Commit: "c0ffee123"},
		},
		"VIC without a stamp": {
			full: "Photon - VCH , ,        ",
			want: telemetry.VM{Kind: telemetry.EndpointVM, OS: "Photon"},
		},
		"an OS that nobody knows": {
			full: "Container Linux - Container v2.0.0, 1, 0a1b2c3",
			want: telemetry.VM{Kind: telemetry.ContainerVM, OS: "Container Linux", Version: "v2.0.0", Build: "1", Commit: "0a1b2c3"},
		},
		"another guest id has its own name": {
			full: "VMware Photon OS (64-bit)", alternate: "Photon - VCH v1.5.6, 0, 44cdb82",
			want: telemetry.VM{Kind: telemetry.EndpointVM, OS: "Photon", Version: "v1.5.6", Build: "0", Commit: "44cdb82"},
		},
		"a server that shows the id": {
			full: "otherGuest64", alternate: "Redhat - Container v1.5.6, 0, 44cdb82",
			want: telemetry.VM{Kind: telemetry.ContainerVM, OS: "Redhat", Version: "v1.5.6", Build: "0", Commit: "44cdb82"},
		},
		"another product":              {full: "Ubuntu Linux (64-bit)", want: telemetry.VM{Kind: telemetry.OtherVM}},
		"nearly ours":                  {full: "Photon - Pod v1.5.6, 0, 44cdb82", want: telemetry.VM{Kind: telemetry.OtherVM}},
		"an alternate name, none full": {alternate: "Some OS", want: telemetry.VM{Kind: telemetry.OtherVM}},
		"no name":                      {want: telemetry.VM{Kind: telemetry.Unclassified}},
		"a blank, and a name":          {full: "  ", alternate: "Some OS", want: telemetry.VM{Kind: telemetry.OtherVM}},
		"a blank":                      {full: "  ", want: telemetry.VM{Kind: telemetry.Unclassified}},
	} {
		t.Run(name, func(t *testing.T) {
			vm := census.NewFacts(vmRef("vm-1")).(*census.VM)
			vm.Set("summary.config.guestFullName", row.full)
			vm.Set("config.alternateGuestName", row.alternate)
			told := vm.Describe()
			require.Equal(t, row.want, telemetry.VM{Kind: told.Kind, OS: told.OS, Version: told.Version, Build: told.Build, Commit: told.Commit})
		})
	}
}

// TestWhatIsMissingOrOddIsTolerated reads what vCenters have been seen to answer.
func TestWhatIsMissingOrOddIsTolerated(t *testing.T) {
	property := func(name string, value any) types.DynamicProperty {
		return types.DynamicProperty{Name: name, Val: value}
	}
	missing := func(path string, fault types.BaseMethodFault) types.MissingProperty {
		return types.MissingProperty{Path: path, Fault: types.LocalizedMethodFault{Fault: fault}}
	}
	epoch := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, row := range map[string]struct {
		content types.ObjectContent
		want    *telemetry.VM
		lacks   string
	}{
		"nothing at all": {
			want: &telemetry.VM{Kind: telemetry.Unclassified, Name: "vm-1", PowerState: "unknown"},
		},
		"properties without a value": {
			content: types.ObjectContent{PropSet: []types.DynamicProperty{
				property("name", nil), property("runtime.host", nil), property("config.createDate", nil), property("summary.config.template", nil),
				property("summary.config.product", nil), property("runtime.powerState", nil),
			}},
			want: &telemetry.VM{Kind: telemetry.Unclassified, Name: "vm-1", PowerState: "unknown"},
		},
		"values of other types": {
			content: types.ObjectContent{PropSet: []types.DynamicProperty{
				property("name", 7), property("runtime.host", "host-1"), property("config.createDate", "today"), property("summary.config.template", "yes"),
				property("summary.config.product", "Harbor"), property("runtime.powerState", types.VirtualMachinePowerState("broken")),
			}},
			want: &telemetry.VM{Kind: telemetry.Unclassified, Name: "vm-1", PowerState: "unknown"},
		},
		"a property that nobody asked for": {
			content: types.ObjectContent{PropSet: []types.DynamicProperty{property("name", "web"), property("guest.guestFullName", "Photon - VCH v1, 1, 1")}},
			want:    &telemetry.VM{Kind: telemetry.Unclassified, Name: "web", PowerState: "unknown"},
		},
		"a birth that vCenter does not know": {
			content: types.ObjectContent{PropSet: []types.DynamicProperty{property("config.createDate", epoch), property("name", "web")}},
			want:    &telemetry.VM{Kind: telemetry.Unclassified, Name: "web", PowerState: "unknown"},
		},
		"one that may not be read": {
			content: types.ObjectContent{MissingSet: []types.MissingProperty{missing("name", &types.NoPermission{})}},
			want:    &telemetry.VM{Kind: telemetry.Unclassified, Name: "vm-1", PowerState: "unknown"},
			lacks:   "NoPermission",
		},
		"a fault that is not told": {
			content: types.ObjectContent{MissingSet: []types.MissingProperty{missing("name", nil)}},
			want:    &telemetry.VM{Kind: telemetry.Unclassified, Name: "vm-1", PowerState: "unknown"},
			lacks:   "no reason given",
		},
		"one that has just gone": {
			content: types.ObjectContent{MissingSet: []types.MissingProperty{missing("name", &types.ManagedObjectNotFound{})}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			row.content.Obj = vmRef("vm-1")
			facts := census.Read(&row.content)
			fold := census.NewFold(false)
			fold.Add(facts)
			report := fold.Report()
			if row.want == nil {
				require.Nil(t, facts)
				require.Zero(t, report.Quality.Objects)
				return
			}
			row.want.MoID = "vm-1"
			require.Equal(t, *row.want, facts.(*census.VM).Describe())
			require.Equal(t, 1, report.Quality.Unclassified)
			require.Equal(t, []telemetry.VMCount{{PowerState: "unknown", Count: 1}}, report.VMs, "it is a VM all the same")
			if row.lacks == "" {
				require.True(t, report.Quality.Complete)
				return
			}
			require.Equal(t, 1, report.Quality.Missing)
			require.False(t, report.Quality.Complete)
			require.Contains(t, report.Quality.Problems[0].Message, "objects that cannot be read whole ("+row.lacks+"): 1, such as VirtualMachine:vm-1")
		})
	}
}

func TestAnotherKindOfObjectIsNone(t *testing.T) {
	require.Nil(t, census.Read(&types.ObjectContent{Obj: census.Ref{Type: "Datastore", Value: "datastore-1"}}))
	fold := census.NewFold(true)
	fold.Add(nil)
	require.Zero(t, fold.Report().Quality.Objects)
}

// FuzzDescribe gives a VM any names.
func FuzzDescribe(f *testing.F) {
	f.Add("Photon - VCH v1.5.6, 21091, 44cdb82", "")
	f.Add("otherGuest64", "Photon - Container , ,        ")
	f.Add("\xff - VCH ,,", " - Container ,,")
	f.Fuzz(func(t *testing.T, full, alternate string) {
		vm := census.NewFacts(vmRef("vm-1")).(*census.VM)
		vm.Set("summary.config.guestFullName", full)
		vm.Set("config.alternateGuestName", alternate)
		told := vm.Describe()
		ours := told.Kind == telemetry.EndpointVM || told.Kind == telemetry.ContainerVM
		require.Equal(t, ours, told.OS != "", "what is ours has an OS word, and nothing else has")
		if told.Kind == telemetry.Unclassified {
			require.Empty(t, strings.TrimSpace(full+alternate))
		}
	})
}
