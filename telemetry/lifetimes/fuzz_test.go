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

// A state that is not right is refused, and the error says what is not.
func TestStatesThatAreRefused(t *testing.T) {
	cases := map[string]string{
		`{"version":0}`:                          "version 0; this program reads version 1",
		`{"version":2}`:                          "version 2; this program reads version 1",
		`{"version":1,"living":{"vm":["vm-1"]`:   "unexpected end of JSON input",
		`{"version":1,"living":{"vm":["vm-1"]}}`: `living VMs: "vm-1" is of the class 0, of 0 that there are`,
		`{"version":1,"classes":[{"kind":"vm"}],"living":{"vm":[""]}}`:                                          "living VMs: number 1 has no reference",
		`{"version":1,"classes":[{"kind":"vm"}],"living":{"vm":["vm-1"],"class":[0,0]}}`:                        "class has 2 values for 1 VMs",
		`{"version":1,"classes":[{"kind":"vm"}],"living":{"vm":["vm-1"],"uuid":"AAAA"}}`:                        "uuid has 3 bytes for 1 VMs, want 8 for each",
		`{"version":1,"classes":[{"kind":"vm"}],"living":{"vm":["vm-1"],"born":[1,2]}}`:                         "2 times for 1 VMs",
		`{"version":1,"classes":[{"kind":"vm"}],"living":{"vm":["vm-1"],"born":[-1]}}`:                          `"vm-1" has a time of -1`,
		`{"version":1,"classes":[{"kind":"vm"}],"living":{"vm":["vm-1"],"died":[5]}}`:                           `living VMs: "vm-1" died at 5`,
		`{"version":1,"classes":[{"kind":"vm"}],"removed":{"vm":["vm-1"]}}`:                                     `removed VMs: "vm-1" died at 0`,
		`{"version":1,"covered":9223372036854775807}`:                                                           "there is a time of 9223372036854775807",
		`{"version":1,"recentKeys":[1],"recentTimes":[]}`:                                                       "recent events: 1 keys and 0 times",
		`{"version":1,"recentKeys":[2147483648],"recentTimes":[1]}`:                                             "recent events: 2147483648 is no key",
		`{"version":1,"classes":[{"kind":"vm"}],"vanished":{"vm":["vm-1"],"died":[5],"sign":[-9],"class":[1]}}`: `"vm-1" is of the class 1, of 1 that there are`,
	}
	for text, want := range cases {
		state := new(lifetimes.State)
		err := json.Unmarshal([]byte(text), state)
		require.ErrorContains(t, err, want, text)
		require.Equal(t, new(lifetimes.State), state)
	}
}
