// SPDX-License-Identifier: Apache-2.0

package lifetimes_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wolfpack/telemetry"
	"wolfpack/telemetry/lifetimes"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is when the tests' stories begin.
var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// at is a time of a story, in minutes.
func at(minutes float64) time.Time {
	return start.Add(time.Duration(minutes * float64(time.Minute)))
}

// story is a vCenter's history, as a Source.
type story struct {
	instance  string
	events    []lifetimes.Event
	incorrect *lifetimes.Reading // instead of a complete one
	asked     []time.Time
}

func (s *story) Instance() string { return s.instance }

func (s *story) Events(ctx context.Context, from time.Time, take func([]lifetimes.Event) bool) (lifetimes.Reading, error) {
	s.asked = append(s.asked, from)
	events := slices.Clone(s.events)
	slices.SortStableFunc(events, func(a, b lifetimes.Event) int { return a.Time.Compare(b.Time) })
	for page := range slices.Chunk(events, 3) {
		page = slices.DeleteFunc(page, func(e lifetimes.Event) bool { return e.Time.Before(from) })
		if !take(page) {
			break
		}
	}
	if s.incorrect != nil {
		return *s.incorrect, ctx.Err()
	}
	return lifetimes.Reading{Pages: 1 + len(events)/3, Complete: true}, ctx.Err()
}

// tell adds an event, of the minute and the VM.
func (s *story) tell(minute float64, kind lifetimes.Kind, vm, name string, change ...func(*lifetimes.Event)) *story {
	e := lifetimes.Event{
		Key: int32(len(s.events) + 1), Time: at(minute), Kind: kind, VM: vm, Name: name, Datastore: "ds",
	}
	for _, change := range change {
		change(&e)
	}
	s.events = append(s.events, e)
	return s
}

func container(e *lifetimes.Event) {
	e.Guest = &lifetimes.Guest{ID: "otherGuest64", Alternate: "Photon - Container v1, 2, 3"}
}

func uuid(uuid string) func(*lifetimes.Event) {
	return func(e *lifetimes.Event) { e.UUID = uuid }
}

// make tells that a container VM is made.
func (s *story) make(minute float64, vm, name string) *story {
	return s.tell(minute, lifetimes.BeingMade, vm, name, container).
		tell(minute, lifetimes.Identified, vm, name, uuid("uuid of "+name)).
		tell(minute, lifetimes.Made, vm, name)
}

// pod is a container VM as a census sees it.
func pod(vm, name string, born float64) telemetry.VM {
	created := at(born)
	return telemetry.VM{Kind: telemetry.ContainerVM, OS: "Photon", MoID: vm, Name: name, InstanceUUID: "uuid of " + name, Created: &created}
}

// run is one run, whose state goes through JSON.
func (s *story) run(t *testing.T, state *lifetimes.State, minute float64, there ...telemetry.VM) (*telemetry.Lifetime, *lifetimes.State, *lifetimes.Study) {
	t.Helper()
	study, err := lifetimes.Read(t.Context(), s, state, time.Time{})
	require.NoError(t, err)
	for _, vm := range there {
		study.See(vm)
	}
	lifetime, next := study.Finish(at(minute))
	return lifetime, through(t, next), study
}

// through is a state that was written and read again.
func through(t testing.TB, state *lifetimes.State) *lifetimes.State {
	t.Helper()
	text, err := json.Marshal(state)
	require.NoError(t, err)
	back := new(lifetimes.State)
	require.NoError(t, json.Unmarshal(text, back), "%s", text)
	again, err := json.Marshal(back)
	require.NoError(t, err)
	require.Equal(t, string(text), string(again))
	return back
}
