// SPDX-License-Identifier: Apache-2.0

package lifetimes_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"wolfpack/telemetry"
	"wolfpack/telemetry/lifetimes"
)

const minute = 60.0

func TestAFirstRun(t *testing.T) {
	s := new(story).
		make(0, "vm-1", "a").
		make(10, "vm-2", "b").
		make(20, "vm-3", "c").
		tell(30, lifetimes.Removed, "vm-1", "a").
		tell(35, lifetimes.Removed, "vm-3", "c")
	lifetime, _, study := s.run(t, nil, 40, pod("vm-2", "b", 10))
	require.Empty(t, study.Problems)
	oldest := at(0)
	require.Equal(t, &telemetry.Lifetime{
		From: at(0), To: at(40),
		Completed: telemetry.Sample{Count: 2, Mean: 22.5 * minute},
		Median:    22.5 * minute, P90: 28.5 * minute,
		Living:   telemetry.Sample{Count: 1, Mean: 30 * minute},
		Exposure: telemetry.Exposure{VMSeconds: 75 * minute, Deaths: 2, Mean: 37.5 * minute},
		Histograms: []telemetry.Histogram{{OS: "Photon", Count: 2, Sum: 45 * minute, Buckets: []telemetry.Bucket{
			{UpTo: 60}, {UpTo: 300}, {UpTo: 3600, Count: 2}, {UpTo: 21600, Count: 2}, {UpTo: 86400, Count: 2}, {UpTo: 604800, Count: 2}, {UpTo: 2592000, Count: 2},
		}}},
		Curve:       []telemetry.Point{{Seconds: 15 * minute, Share: 0.5}, {Seconds: 30 * minute, Share: 1}},
		OldestEvent: &oldest,
	}, lifetime)
}
