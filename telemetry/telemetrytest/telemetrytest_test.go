// SPDX-License-Identifier: Apache-2.0

package telemetrytest_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wolfpack/telemetry"
	"wolfpack/telemetry/telemetrytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What a report counts in two ways is the same number.
func TestReportsAreConsistent(t *testing.T) {
	for name, r := range map[string]*telemetry.Report{
		"sample": telemetrytest.Report(), "one": telemetrytest.Sized(1), "large": telemetrytest.Sized(500), "empty": telemetrytest.Empty(),
	} {
		hosts, onHosts, ofVCHs, ofKinds, vms := 0, 0, 0, 0, 0
		for _, c := range r.Clusters {
			for _, n := range c.Hosts {
				hosts += n
			}
		}
		for _, h := range r.Hosts {
			onHosts += h.VCHs
		}
		for _, v := range r.VCHs {
			ofVCHs += v.ContainerVMs
		}
		for _, c := range r.ContainerVMs {
			ofKinds += c.Count
		}
		for _, c := range r.VMs {
			vms += c.Count
		}
		require.Len(t, r.Hosts, hosts, name)
		require.Len(t, r.VCHs, onHosts, name)
		require.Equal(t, ofVCHs, ofKinds, name)
		require.GreaterOrEqual(t, vms, ofKinds+len(r.VCHs), name)
		require.Equal(t, telemetry.Schema, r.Schema, name)
	}
}

func TestDetailedHasWhatIsCounted(t *testing.T) {
	r := telemetrytest.Detailed(telemetrytest.Report())
	kinds, vms := map[telemetry.Kind]int{}, 0
	for _, vm := range r.Inventory {
		kinds[vm.Kind]++
	}
	for _, c := range r.VMs {
		vms += c.Count
	}
	require.Len(t, r.Inventory, vms)
	require.Equal(t, len(r.VCHs), kinds[telemetry.EndpointVM])
	require.Equal(t, 653, kinds[telemetry.ContainerVM])
}

func TestHistoryGrowsToTheReport(t *testing.T) {
	list := telemetrytest.History(30)
	require.Len(t, list, 30)
	now := telemetrytest.Report()
	for i, r := range append(list, now)[1:] {
		require.True(t, list[i].Taken.Before(r.Taken))
		require.LessOrEqual(t, len(list[i].VCHs), len(r.VCHs))
	}
}
