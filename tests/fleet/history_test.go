// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wolfpack/telemetry"
	"wolfpack/telemetry/lifetimes"
	"wolfpack/tests/fleet"
)

const day = 24 * time.Hour

// forever is the retention of a vCenter that forgets nothing.
const forever = 100 * 365 * day

var begin = time.Date(2031, time.May, 4, 3, 2, 1, 0, time.UTC)

// study reads a history at some times, with the state from each to the next, and returns what the last look brought.
func study(t *testing.T, h *fleet.History, looks []time.Time, retention time.Duration) (*telemetry.Lifetime, []telemetry.Problem) {
	t.Helper()
	var state *lifetimes.State
	var lifetime *telemetry.Lifetime
	var problems []telemetry.Problem
	for _, now := range looks {
		study, err := lifetimes.Read(t.Context(), h.Source(now, retention), state, time.Time{})
		require.NoError(t, err)
		for _, vm := range h.Census(now) {
			study.See(vm)
		}
		lifetime, state = study.Finish(now)
		text, err := json.Marshal(state)
		require.NoError(t, err)
		state = new(lifetimes.State)
		require.NoError(t, json.Unmarshal(text, state))
		problems = append(problems, study.Problems...)
	}
	return lifetime, problems
}

// every are looks at regular times.
func every(interval time.Duration, n int) (looks []time.Time) {
	for i := range n {
		looks = append(looks, begin.Add(time.Duration(i+1)*interval+29*time.Second))
	}
	return looks
}

// mishaps are how a vCenter tells of a history in a way that it should not.
var mishaps = map[string]fleet.Past{
	"none":            {},
	"equal times":     {Coarse: true},
	"twice":           {Twice: 30},
	"lost creates":    {LostCreates: 10, VICNames: 50, Undated: 20},
	"lost removals":   {LostRemovals: 5},
	"no specs":        {Specless: 60, VICNames: 30},
	"false removals":  {FalseRemoved: 30},
	"registered":      {Reregistered: 30},
	"renamed":         {Renamed: 50, Reregistered: 20},
	"undated":         {Undated: 50},
	"all at once":     {LostCreates: 3, LostRemovals: 3, Specless: 20, FalseRemoved: 10, Reregistered: 10, Renamed: 10, VICNames: 30, Undated: 10, Twice: 10},
	"all, and coarse": {LostCreates: 3, LostRemovals: 3, Specless: 20, FalseRemoved: 10, Reregistered: 10, Renamed: 10, VICNames: 30, Undated: 10, Twice: 10, Coarse: true},
}

// What can be known at all is known exactly.
func TestLifetimesOfHistories(t *testing.T) {
	ways := map[string]struct {
		looks     []time.Time
		retention time.Duration
	}{
		"one look, all remembered":            {every(25*day, 1), forever},
		"one look, the half forgotten":        {every(25*day, 1), 12 * day},
		"looks now and then":                  {every(4*day, 6), 12 * day},
		"longer than the window":              {every(9*day, 6), 10 * day},
		"many looks, with a short memory":     {every(day, 40), 26 * time.Hour},
		"looks at nothing, and then at a lot": {[]time.Time{begin.Add(-day), begin.Add(-time.Hour), begin.Add(20 * day)}, forever},
	}
	for way, w := range ways {
		for mishap, past := range mishaps {
			t.Run(way+"/"+mishap, func(t *testing.T) {
				t.Parallel()
				for seed := range uint64(4) {
					past.Seed, past.Begin, past.Span, past.Mean, past.Lives = seed, begin, 45*day, 2*day, 400
					h := fleet.NewHistory(past)
					got, problems := study(t, h, w.looks, w.retention)
					want := h.Lifetime(w.looks, w.retention)
					same(t, fmt.Sprintf("seed %d, %v", seed, problems), want, got)
				}
			})
		}
	}
}

// same compares all but the exposure, which is an estimate, and what the generator does not tell.
func same(t *testing.T, message string, want, got *telemetry.Lifetime) {
	t.Helper()
	inHistograms := 0
	for _, histogram := range got.Histograms {
		inHistograms += histogram.Count
	}
	require.Equal(t, got.Completed.Count, inHistograms, message)
	bare := *got
	bare.Histograms, bare.Curve, bare.Exposure = nil, nil, want.Exposure
	for _, of := range []struct{ want, got *float64 }{
		{&want.Completed.Mean, &bare.Completed.Mean}, {&want.Median, &bare.Median}, {&want.P90, &bare.P90}, {&want.Living.Mean, &bare.Living.Mean},
	} {
		require.InDelta(t, *of.want, *of.got, 1e-3, message) // a millisecond: sums of floating-point numbers
		*of.got = *of.want
	}
	require.Equal(t, want, &bare, message)
}

// Of a history that is told as it was, and of which all is remembered, the exposure is exact too.
func TestExposureOfAHistory(t *testing.T) {
	for _, past := range []fleet.Past{{}, {Reregistered: 20, FalseRemoved: 20, Renamed: 20, Twice: 20}, {Coarse: true}} {
		past.Seed, past.Begin, past.Span, past.Mean, past.Lives = 5, begin, 20*day, 2*day, 2000
		h := fleet.NewHistory(past)
		looks := every(25*day, 1)
		got, problems := study(t, h, looks, forever)
		require.Empty(t, problems)
		want := h.Lifetime(looks, forever).Exposure
		require.Equal(t, want.Deaths, got.Exposure.Deaths)
		require.InDelta(t, want.VMSeconds, got.Exposure.VMSeconds, 1)
	}
}

// The exposure mean is within 3 % of the truth at 10,000 deaths, whatever vCenter forgets and does not tell.
func TestExposureIsRight(t *testing.T) {
	const lives, deaths, seeds, mean = 14000, 10000, 5, 3 * day
	type way struct {
		looks     []time.Time
		retention time.Duration
		restart   time.Duration
	}
	once := way{looks: every(40*day, 1), retention: 30 * day}
	weekly := way{looks: every(7*day, 6), retention: 30 * day}
	gaps := way{looks: every(10*day, 4), retention: 8 * day}
	restarted := way{looks: every(8*day, 5), retention: 30 * day, restart: 22 * day}
	for name, c := range map[string]struct {
		way
		mishap string
	}{
		"one look":                                      {once, "none"},
		"one look, most creations do not tell":          {once, "no specs"},
		"one look, all at once":                         {once, "all at once"},
		"looks each week, all at once":                  {weekly, "all at once"},
		"events are forgotten, all at once":             {gaps, "all at once"},
		"vCenter forgets all and restarts, all at once": {restarted, "all at once"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(seeds) {
				past := mishaps[c.mishap]
				past.Seed, past.Begin, past.Span, past.Mean, past.Lives = seed, begin, 40*day, mean, lives
				h := fleet.NewHistory(past)
				if c.restart != 0 {
					h.Restart(begin.Add(c.restart))
				}
				got, _ := study(t, h, c.looks, c.retention)
				truth := h.Lifetime(c.looks, c.retention).Exposure
				require.GreaterOrEqual(t, truth.Deaths, deaths)
				t.Logf("seed %d: of %d deaths %d are counted; exposure mean %+.2f %%, mean of completed %+.2f %%, age of the living %+.2f %%",
					seed, truth.Deaths, got.Exposure.Deaths, off(got.Exposure.Mean, truth.Mean), off(got.Completed.Mean, truth.Mean), off(got.Living.Mean, truth.Mean))
				require.InDelta(t, 0, off(got.Exposure.Mean, truth.Mean), 3)
			}
		})
	}
}

// off is how far a value is from the truth, in percent.
func off(got, want float64) float64 { return 100 * (got/want - 1) }
