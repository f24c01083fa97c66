// SPDX-License-Identifier: Apache-2.0

package history

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wolfpack/errs"
	"wolfpack/telemetry"
	"wolfpack/telemetry/telemetrytest"
)

func taken(at time.Time) *telemetry.Report {
	r := telemetrytest.Empty()
	r.Taken = at
	return r
}

// Half a year by the hour stays a bounded history, in which today is whole and the first report is still there.
func TestAHistoryIsBounded(t *testing.T) {
	all := empty()
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const n = 183 * 24
	for i := range n {
		require.NoError(t, all.add(taken(begin.Add(time.Duration(i)*time.Hour)), nil))
	}
	reports := all.VCenters[telemetrytest.Empty().VCenter.InstanceUUID].Reports
	require.Len(t, reports, MaxReports)
	newest := reports[MaxReports-1].taken
	require.Equal(t, begin, reports[0].taken)
	require.Equal(t, begin.Add((n-1)*time.Hour), newest)
	for i := 1; i < len(reports); i++ {
		age, gap := newest.Sub(reports[i].taken), reports[i].taken.Sub(reports[i-1].taken)
		if age <= 12*time.Hour {
			require.Equal(t, time.Hour, gap, "what is recent is whole")
		}
		require.LessOrEqual(t, gap, max(2*time.Hour, age/4), "no hole is large for its age: %s ago", age)
	}
}

func TestAHistoryOfLargeReportsIsBoundedToo(t *testing.T) {
	const bound = 1 << 20
	all := empty()
	for i := range 200 {
		r := taken(time.Unix(int64(i)*3600, 0))
		r.VCenter.FullName = strings.Repeat("x", bound/100)
		require.NoError(t, all.add(r, nil))
		r.VCenter.InstanceUUID, r.VCenter.FullName = "small", ""
		require.NoError(t, all.add(r, nil))
	}
	data, err := all.encode(bound)
	require.NoError(t, err)
	require.LessOrEqual(t, len(data), bound)
	again, err := parse(data)
	require.NoError(t, err)
	reports := again.VCenters[telemetrytest.Empty().VCenter.InstanceUUID].Reports
	require.Greater(t, len(reports), 50)
	require.Equal(t, int64(199*3600), reports[len(reports)-1].taken.Unix(), "the newest stays")
	require.Len(t, again.VCenters["small"].Reports, 200, "who takes little loses nothing")

	_, err = again.encode(bound / 100)
	require.ErrorContains(t, err, "at most 10485 may be kept")
}

// Another version's fields within the schema stay what they are.
func TestAddingLeavesTheOthersAlone(t *testing.T) {
	text := `{"schema":1,"vcenters":{"x":{"name":"x","reports":[{"schema":1,"taken":"2026-01-01T00:00:00Z","unheardOf":[1,2]}],"lifetimes":{"a":1}}}}`
	all, err := parse([]byte(text))
	require.NoError(t, err)
	require.NoError(t, all.add(telemetrytest.Empty(), nil))
	data, err := all.encode(MaxBytes)
	require.NoError(t, err)
	require.Contains(t, string(data), `"unheardOf":[1,2]`)
	require.Contains(t, string(data), `"lifetimes":{"a":1}`)
}

var errDisk = errors.New("no space left on device")

// faulty is a disk on which the n-th step fails, and, if the machine has died with it, all that follow.
type faulty struct {
	err    error
	left   int
	dies   bool
	failed bool
	steps  []string // that were tried
}

func (d *faulty) step(name string) error {
	d.steps = append(d.steps, name)
	d.left--
	if d.left == 0 || d.failed && d.dies {
		d.failed = true
		return d.err
	}
	return nil
}

func (d *faulty) Create(path string) (file, error) {
	if err := d.step("create"); err != nil {
		return nil, err
	}
	f, err := local{}.Create(path)
	if err != nil {
		return nil, err
	}
	return &faultyFile{f, d}, nil
}

func (d *faulty) Rename(from, to string) error {
	if err := d.step("rename"); err != nil {
		return err
	}
	return local{}.Rename(from, to)
}

func (d *faulty) Remove(path string) error {
	if err := d.step("remove"); err != nil {
		return err
	}
	return local{}.Remove(path)
}

func (d *faulty) Sync(folder string) error {
	if err := d.step("sync folder"); err != nil {
		return err
	}
	return local{}.Sync(folder)
}

type faultyFile struct {
	file
	disk *faulty
}

// Write writes half of it when it fails, as a full disk does.
func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.disk.step("write"); err != nil {
		n, _ := f.file.Write(p[:len(p)/2])
		return n, err
	}
	return f.file.Write(p)
}

func (f *faultyFile) Chmod(mode fs.FileMode) error {
	if err := f.disk.step("chmod"); err != nil {
		return err
	}
	return f.file.Chmod(mode)
}

func (f *faultyFile) Sync() error {
	if err := f.disk.step("sync"); err != nil {
		return err
	}
	return f.file.Sync()
}

func (f *faultyFile) Close() error { return errors.Join(f.disk.step("close"), f.file.Close()) }

// Whatever step fails, and whether the process lives on or not, the file is what it was or what it should be, a file that was
// to be kept aside is whole under one of its names, and the next run goes on.
func TestAFailureAtAnyStepLosesNothing(t *testing.T) {
	ctx := context.Background()
	first, second, third := taken(time.Unix(1000, 0).UTC()), taken(time.Unix(2000, 0).UTC()), taken(time.Unix(3000, 0).UTC())
	for _, broken := range []bool{false, true} {
		for _, dies := range []bool{false, true} {
			for step := 1; ; step++ {
				path := filepath.Join(t.TempDir(), "history.json")
				_, err := At(path).Add(ctx, first, nil)
				require.NoError(t, err)
				require.NoError(t, os.Chmod(path, 0o640))
				if broken {
					require.NoError(t, os.WriteFile(path, []byte("broken"), 0o600))
				}
				d := &faulty{err: errDisk, left: step, dies: dies}
				f := At(path)
				f.disk = d
				_, err = f.Add(ctx, second, json.RawMessage(`"state"`))
				if !d.failed {
					require.NoError(t, err)
					require.Equal(t, stepsOf(broken), d.steps)
					break
				}
				require.ErrorIs(t, err, errDisk, "step %d", step)
				require.ErrorContains(t, err, path)
				requireWhole(t, path, broken)
				_, err = At(path).Add(ctx, third, nil)
				require.NoError(t, err, "step %d: the next run goes on", step)
				past, err := At(path).Read(ctx, third.VCenter)
				require.NoError(t, err)
				require.Equal(t, third, past.Reports[len(past.Reports)-1])
				if !broken {
					require.Equal(t, first, past.Reports[0])
				}
				left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
				require.NoError(t, err)
				require.Empty(t, left, "step %d: nothing half-written stays", step)
			}
		}
	}
}

// stepsOf are all steps of a run: what is written is on the disk before it gets the file's name.
func stepsOf(broken bool) []string {
	replaced := []string{"remove", "create", "write", "sync", "close", "rename", "sync folder"}
	if broken {
		return append([]string{"create", "close", "rename", "sync folder"}, replaced...)
	}
	return slices.Insert(replaced, 2, "chmod") // to the mode that the file had
}

func TestAFolderThatMayNotBeWrittenIsDenied(t *testing.T) {
	f := At(filepath.Join(t.TempDir(), "history.json"))
	f.disk = &faulty{err: &fs.PathError{Op: "open", Path: f.path, Err: fs.ErrPermission}, left: 2}
	_, err := f.Add(context.Background(), taken(time.Now()), nil)
	require.True(t, errs.Is(err, errs.Denied))
	require.ErrorContains(t, err, f.path)
}

// requireWhole checks that the file has a report, or, if it was broken, that what was in it is somewhere.
func requireWhole(t *testing.T, path string, broken bool) {
	t.Helper()
	if !broken {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		all, err := parse(text)
		require.NoError(t, err)
		require.NotEmpty(t, all.VCenters)
		return
	}
	candidates, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	for _, candidate := range candidates {
		if text, err := os.ReadFile(candidate); err == nil && string(text) == "broken" {
			return
		}
	}
	t.Fatalf("what was in the file is in none of %q", candidates)
}

// What is read can be written and read again, and is then the same.
func FuzzParse(f *testing.F) {
	all := empty()
	require.NoError(f, all.add(telemetrytest.Sized(1), json.RawMessage(`{"a":1}`)))
	good, err := all.encode(MaxBytes)
	require.NoError(f, err)
	for _, seed := range []string{string(good), string(good[:len(good)/2]), "", "null", "{}", `{"schema":1}`, `{"schema":2}`, `{"schema":1,"vcenters":{"":{}}}`, `{"schema":1,"vcenters":{"x":{"reports":[{"schema":1}]}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parse(data)
		if err != nil {
			var bad *unreadable
			require.ErrorAs(t, err, &bad)
			require.NotEmpty(t, bad.why)
			return
		}
		for key := range all.VCenters {
			if past, err := all.past(key); err == nil {
				require.Len(t, past.Reports, len(all.VCenters[key].Reports))
			}
		}
		text, err := all.encode(MaxBytes)
		require.NoError(t, err)
		again, err := parse(text)
		require.NoError(t, err)
		retext, err := again.encode(MaxBytes)
		require.NoError(t, err)
		require.JSONEq(t, string(text), string(retext))
	})
}
