// SPDX-License-Identifier: Apache-2.0

package survey_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wolfpack/telemetry"
	"wolfpack/telemetry/history"
	"wolfpack/telemetry/lifetimes"
	"wolfpack/telemetry/survey"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is the time of the census, by vCenter's clock.
var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// world is a vCenter with a VM that was made an hour ago, and one that lived for a minute before that. It notes in what order
// it is asked.
type world struct {
	asked    []string
	report   func(*telemetry.Report)
	noCensus error
	forgets  bool
}

func (w *world) Instance() string { return "vc" }

func (w *world) Events(_ context.Context, _ time.Time, take func([]lifetimes.Event) bool) (lifetimes.Reading, error) {
	w.asked = append(w.asked, "events")
	container := &lifetimes.Guest{ID: "otherGuest64", Alternate: "Photon - Container v1, 0, 0123abc"}
	made := func(key int32, vm string, at time.Time) []lifetimes.Event {
		return []lifetimes.Event{
			{Key: key, Time: at, Kind: lifetimes.BeingMade, VM: vm, Name: vm, Guest: container},
			{Key: key + 1, Time: at, Kind: lifetimes.Made, VM: vm, Name: vm},
		}
	}
	page := made(1, "vm-1", now.Add(-2*time.Hour))
	page = append(page, lifetimes.Event{Key: 3, Time: now.Add(-2*time.Hour + time.Minute), Kind: lifetimes.Removed, VM: "vm-1", Name: "vm-1"})
	page = append(page, made(4, "vm-2", now.Add(-time.Hour))...)
	if !w.forgets {
		take(page)
	}
	return lifetimes.Reading{Pages: 2, Complete: true}, nil
}

func (w *world) census(_ context.Context, see func(telemetry.VM)) (*telemetry.Report, error) {
	w.asked = append(w.asked, "census")
	if w.noCensus != nil {
		return nil, w.noCensus
	}
	if see != nil {
		born := now.Add(-time.Hour)
		see(telemetry.VM{Kind: telemetry.ContainerVM, Name: "vm-2", MoID: "vm-2", OS: "Photon", Created: &born})
	}
	report := &telemetry.Report{Schema: telemetry.Schema, Taken: now, VCenter: vcenter, Quality: telemetry.Quality{Complete: true, Pages: 1, Requests: 1}}
	if w.report != nil {
		w.report(report)
	}
	return report, nil
}

var vcenter = telemetry.VCenter{Name: "vc.example.com", InstanceUUID: "vc"}

func (w *world) survey() survey.Survey { return survey.Survey{Census: w.census, Events: w} }

func TestEventsAreReadBeforeTheCensusThatConfirmsThem(t *testing.T) {
	w := new(world)
	report, state, err := w.survey().Take(t.Context(), nil)
	require.NoError(t, err)
	require.NotNil(t, state)
	require.Equal(t, []string{"events", "census"}, w.asked)
	require.Equal(t, telemetry.Sample{Count: 1, Mean: 60}, report.Lifetime.Completed)
	require.Equal(t, telemetry.Sample{Count: 1, Mean: 3600}, report.Lifetime.Living)
	require.True(t, report.Quality.Complete)
	require.Equal(t, 3, report.Quality.Pages, "of the census and of the events")
}

func TestWithoutEventsThereIsNoLifetime(t *testing.T) {
	w := new(world)
	report, state, err := survey.Survey{Census: w.census}.Take(t.Context(), nil)
	require.NoError(t, err)
	require.Nil(t, state)
	require.Nil(t, report.Lifetime)
	require.Equal(t, []string{"census"}, w.asked)
	require.Equal(t, 1, report.Quality.Requests)
}

func TestAllRequestsAreCounted(t *testing.T) {
	w, sent := new(world), 2
	s := w.survey()
	s.Requests = func() int { sent += 4; return sent }
	report, _, err := s.Take(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, 4, report.Quality.Requests, "those between the beginning and the end")
}

func TestOfAPartialCensusNobodyIsDead(t *testing.T) {
	w := &world{report: func(r *telemetry.Report) { r.Quality.Complete = false }}
	report, state, err := w.survey().Take(t.Context(), nil)
	require.NoError(t, err)
	require.False(t, report.Quality.Complete)

	w = &world{forgets: true, report: func(r *telemetry.Report) { r.Quality.Complete = false }}
	report, _, err = w.survey().Take(t.Context(), state)
	require.NoError(t, err)
	require.Zero(t, report.Lifetime.Vanished)
}

func TestWithoutACensusThereIsNoReport(t *testing.T) {
	broken := errors.New("broken")
	w := &world{noCensus: broken}
	_, _, err := w.survey().Take(t.Context(), nil)
	require.ErrorIs(t, err, broken)

	file := history.At(filepath.Join(t.TempDir(), "history"))
	_, _, err = w.survey().Keep(t.Context(), file, vcenter)
	require.ErrorIs(t, err, broken)
	past, err := file.Read(t.Context(), vcenter)
	require.NoError(t, err)
	require.Empty(t, past.Reports)
}

func TestWhatVCenterForgetsTheHistoryKnows(t *testing.T) {
	file := history.At(filepath.Join(t.TempDir(), "history"))
	_, earlier, err := new(world).survey().Keep(t.Context(), file, vcenter)
	require.NoError(t, err)
	require.Empty(t, earlier)

	later := &world{forgets: true, report: func(r *telemetry.Report) { r.Taken = now.Add(time.Minute) }}
	report, earlier, err := later.survey().Keep(t.Context(), file, vcenter)
	require.NoError(t, err)
	require.Len(t, earlier, 1)
	require.Equal(t, telemetry.Sample{Count: 1, Mean: 60}, report.Lifetime.Completed)
	require.False(t, report.Quality.Complete, "events after those of the first survey may be lost")
}

func TestAHistoryThatCannotBeReadIsAnErrorBeforeAnythingIsAsked(t *testing.T) {
	w := new(world)
	_, _, err := w.survey().Keep(t.Context(), history.At(filepath.Join(t.TempDir(), "none", "history")), vcenter)
	require.ErrorContains(t, err, "its folder must exist")
	require.Empty(t, w.asked)
}

func TestAHistoryThatCannotBeWrittenMakesThePartialReportSaySo(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "here")
	require.NoError(t, os.Mkdir(folder, 0o755))
	w := &world{report: func(*telemetry.Report) { require.NoError(t, os.RemoveAll(folder)) }}
	report, _, err := w.survey().Keep(t.Context(), history.At(filepath.Join(folder, "history")), vcenter)
	require.NoError(t, err)
	require.False(t, report.Quality.Complete)
	require.Contains(t, report.Quality.Problems[0].Message, "the report is not kept")
	require.NotNil(t, report.Lifetime)
}

func TestADamagedHistoryIsSaidOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	require.NoError(t, os.WriteFile(path, []byte(`{"half`), 0o600))
	report, _, err := new(world).survey().Keep(t.Context(), history.At(path), vcenter)
	require.NoError(t, err)
	require.Len(t, report.Quality.Problems, 1)
	require.Equal(t, "history", report.Quality.Problems[0].Stage)

	report, _, err = new(world).survey().Keep(t.Context(), history.At(path), vcenter)
	require.NoError(t, err)
	require.Empty(t, report.Quality.Problems)
}

func TestAStateThatCannotBeReadBeginsAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	_, err := history.At(path).Add(t.Context(), &telemetry.Report{Schema: telemetry.Schema, Taken: now.Add(-time.Hour), VCenter: vcenter}, []byte(`{"version": 99}`))
	require.NoError(t, err)
	report, _, err := new(world).survey().Keep(t.Context(), history.At(path), vcenter)
	require.NoError(t, err)
	require.Len(t, report.Quality.Problems, 1)
	require.Contains(t, report.Quality.Problems[0].Message, "they begin anew")
	require.Equal(t, 1, report.Lifetime.Completed.Count)
}
