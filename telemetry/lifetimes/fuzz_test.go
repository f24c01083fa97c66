// SPDX-License-Identifier: Apache-2.0

package lifetimes_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wolfpack/errs"
	"wolfpack/telemetry/lifetimes"
)

// Whatever a state is, it is refused, or it can be gone on from.
func FuzzState(f *testing.F) {
	s := new(story).make(0, "vm-1", "a").make(10, "vm-2", "b").tell(30, lifetimes.Removed, "vm-1", "a").make(50, "vm-3", "c")
	study, err := lifetimes.Read(f.Context(), s, nil, time.Time{})
	require.NoError(f, err)
	study.See(pod("vm-2", "b", 10))
	_, state := study.Finish(at(60))
	text, err := json.Marshal(state)
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`{"version":1,"classes":[{"kind":"vm"}],"living":{"vm":["vm-1"],"uuid":"AAAAAAAAAAE=","class":[0],"sign":[5]}}`))
	f.Add([]byte(`{"version":1,"recentKeys":[1],"recentTimes":[9223372036854775807]}`))
	s.tell(70, lifetimes.Removed, "vm-2", "b")
	f.Fuzz(func(t *testing.T, text []byte) {
		state := new(lifetimes.State)
		if err := state.UnmarshalJSON(text); err != nil {
			require.True(t, errs.Is(err, errs.Invalid), "%v", err)
			require.Equal(t, new(lifetimes.State), state, "a state that is refused is not half there")
			return
		}
		again := through(t, state)
		study, err := lifetimes.Read(t.Context(), s, again, time.Time{})
		require.NoError(t, err)
		study.See(pod("vm-3", "c", 50))
		lifetime, next := study.Finish(at(80))
		_, err = json.Marshal(lifetime) // no number that is none
		require.NoError(t, err)
		through(t, next)
	})
}
