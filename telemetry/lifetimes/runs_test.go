// SPDX-License-Identifier: Apache-2.0

package lifetimes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"

	"wolfpack/telemetry"
	"wolfpack/telemetry/lifetimes"
)

// A VM that was registered again has another reference, and lives on.
func TestRegisteredAgainInTheStandIn(t *testing.T) {
	b := newBench(t)
	source := &lifetimes.VCenter{Client: b.client.Client}
	vm := b.create("a", photonContainer)
	_, state, _ := b.study(source, nil)
	require.NoError(t, vm.Unregister(b.ctx))
	b.result(b.folder.RegisterVM(b.ctx, "[LocalDS_0] a/a.vmx", "a", false, b.pool, nil))
	again := b.find("a")
	require.NotEqual(t, vm.Reference(), again.Reference())

	for name, state := range map[string]*lifetimes.State{"at once": nil, "between two runs": state} {
		lifetime, _, study := b.study(source, state)
		require.Empty(t, study.Problems, name)
		require.Equal(t, 1, lifetime.Stitched, name)
		require.Zero(t, lifetime.Exposure.Deaths, name)
		require.Zero(t, lifetime.Vanished, name)
	}
	b.destroy(object.NewVirtualMachine(b.client.Client, again.Reference()))
	lifetime, _, _ := b.study(source, state)
	require.Equal(t, 1, lifetime.Completed.Count)
	require.Equal(t, 1, lifetime.Stitched)
}

// A restricted account gets an empty page for want of events of its own among a thousand: what comes after it is read all
// the same.
func TestAnEmptyPageIsNotTheEndForARestrictedAccount(t *testing.T) {
	b := newBench(t)
	b.create("a", photonContainer)
	pages := 0
	client := b.spoilt(func(page []byte) []byte {
		if pages++; pages > 1 {
			return page
		}
		first, last := bytes.Index(page, []byte("<returnval")), bytes.LastIndex(page, []byte("</returnval>"))
		return append(page[:first:first], page[last+len("</returnval>"):]...)
	})
	made, reading := names(t, &lifetimes.VCenter{Client: client, Restricted: true}, lifetimes.Made)
	require.Equal(t, []string{"a"}, made)
	require.True(t, reading.Complete)
	require.Len(t, reading.Problems, 1)
	require.Contains(t, reading.Problems[0].Message, "Read-only on the vCenter's root")
	b.noCollectors()
}

func TestEventsThatWereForgottenBetweenTwoRuns(t *testing.T) {
	s := new(story).make(0, "vm-1", "a").make(10, "vm-2", "b")
	_, state, _ := s.run(t, nil, 20, pod("vm-1", "a", 0), pod("vm-2", "b", 10))
	s.events = nil
	for range 10 { // keys go on
		s.tell(200, lifetimes.BeingMade, "vm-3", "c", container)
	}
	lifetime, _, study := s.run(t, state, 300, pod("vm-2", "b", 10))
	require.Len(t, study.Problems, 1)
	require.Contains(t, study.Problems[0].Message, "events after 2026-03-01T12:10:00Z are lost")
	require.True(t, study.Problems[0].Partial)
	require.Equal(t, 1, lifetime.Vanished)
	require.Zero(t, lifetime.Completed.Count)
	require.Equal(t, 1, lifetime.Living.Count)
}

func TestAPartialCensusProvesNoDeath(t *testing.T) {
	s := new(story).make(0, "vm-1", "a").make(10, "vm-2", "b")
	study, err := lifetimes.Read(t.Context(), s, nil, time.Time{})
	require.NoError(t, err)
	study.See(pod("vm-2", "b", 10))
	study.Partial()
	lifetime, state := study.Finish(at(20))
	require.Zero(t, lifetime.Vanished)
	require.Zero(t, lifetime.Exposure.Deaths)
	lifetime, _, _ = s.run(t, state, 30, pod("vm-1", "a", 0), pod("vm-2", "b", 10))
	require.Equal(t, 2, lifetime.Living.Count)
}

func TestAStateOfAnotherVCenterIsLeftAside(t *testing.T) {
	s := new(story).make(0, "vm-1", "a")
	s.instance = "one"
	_, state, _ := s.run(t, nil, 20, pod("vm-1", "a", 0))
	s.instance = "two"
	lifetime, _, study := s.run(t, state, 30)
	require.Len(t, study.Problems, 1)
	require.Contains(t, study.Problems[0].Message, `of the vCenter "one" and not of "two"`)
	require.Equal(t, 1, lifetime.Vanished, "which is what a first run finds")
}

// A watch knows what a VM was that no event and no census told of.
func TestAWatchSawItLeave(t *testing.T) {
	s := new(story).make(0, "vm-0", "x").tell(10, lifetimes.Made, "vm-1", "a").tell(30, lifetimes.Removed, "vm-1", "a")
	study, err := lifetimes.Read(t.Context(), s, nil, time.Time{})
	require.NoError(t, err)
	study.Left(pod("vm-1", "a", 10))
	study.See(pod("vm-0", "x", 0))
	lifetime, _ := study.Finish(at(40))
	require.Equal(t, 1, lifetime.Completed.Count)
	require.Zero(t, lifetime.Unclassified)
}

// VMs that were made while events were read, and of which no event tells, show that the account does not see them.
func TestEventsThatAreHidden(t *testing.T) {
	s := new(story).make(0, "vm-0", "x").make(90, "vm-9", "y")
	_, _, study := s.run(t, nil, 100, pod("vm-0", "x", 0), pod("vm-9", "y", 90), pod("vm-1", "a", 30), pod("vm-2", "b", 40))
	require.Len(t, study.Problems, 1)
	require.Contains(t, study.Problems[0].Message, "no event tells of 2 of the 2 VMs")
}

// The state of 50,000 VMs is small, and holds no name.
func TestTheStateIsSmall(t *testing.T) {
	s := new(story)
	var there []telemetry.VM
	for i := range 50_000 {
		there = append(there, pod(fmt.Sprintf("vm-%d", 1000+7*i), fmt.Sprintf("pod-%d", i), float64(i)*0.85))
	}
	s.make(0, "vm-1", "first")
	_, state, _ := s.run(t, nil, 43000, there...)
	text, err := json.Marshal(state)
	require.NoError(t, err)
	t.Logf("%d bytes", len(text))
	require.Less(t, len(text), 2<<20)
	require.NotContains(t, string(text), "pod-1")
}
