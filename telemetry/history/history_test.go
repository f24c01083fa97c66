// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wolfpack/errs"
	"wolfpack/telemetry"
	"wolfpack/telemetry/history"
	"wolfpack/telemetry/telemetrytest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("HISTORY_TEST_WRITER"); path != "" {
		writer(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// report is one of the n-th hour.
func report(n int) *telemetry.Report {
	r := telemetrytest.Sized(2)
	r.Taken = r.Taken.Add(time.Duration(n) * time.Hour)
	return r
}

func file(t *testing.T) string { return filepath.Join(t.TempDir(), "history.json") }

func add(t *testing.T, path string, r *telemetry.Report, lifetimes string) {
	t.Helper()
	var state json.RawMessage
	if lifetimes != "" {
		state = json.RawMessage(lifetimes)
	}
	problems, err := history.At(path).Add(context.Background(), r, state)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func read(t *testing.T, path string) history.Past {
	t.Helper()
	past, err := history.At(path).Read(context.Background(), report(0).VCenter)
	require.NoError(t, err)
	return past
}

func hours(past history.Past) []int {
	list := []int{}
	for _, r := range past.Reports {
		list = append(list, int(r.Taken.Sub(report(0).Taken).Hours()))
	}
	return list
}

func TestWhatIsAddedIsRead(t *testing.T) {
	path := file(t)
	require.Equal(t, history.Past{}, read(t, path), "no file is no past")
	add(t, path, telemetrytest.Detailed(report(2)), `{"seen": 1}`)
	add(t, path, report(1), "")
	add(t, path, report(3), `{"seen": 2}`)
	add(t, path, report(3), "")

	past := read(t, path)
	require.Empty(t, past.Problems)
	require.Equal(t, []int{1, 2, 3}, hours(past), "in the order of time, and each once")
	require.JSONEq(t, `{"seen": 2}`, string(past.Lifetimes), "what is not given stays")
	require.Equal(t, report(2), past.Reports[1], "as it was, but without its inventory")

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
}

func TestVCentersDoNotMix(t *testing.T) {
	path := file(t)
	add(t, path, report(1), `"one"`)
	other := report(2)
	other.VCenter.InstanceUUID = "another"
	add(t, path, other, `"other"`)
	for _, name := range []string{"esx-1", "esx-2"} { // hosts without a vCenter have no UUID
		alone := report(3)
		alone.VCenter.InstanceUUID, alone.VCenter.Name = "", name
		add(t, path, alone, "")
	}
	require.Equal(t, []int{1}, hours(read(t, path)))
	past, err := history.At(path).Read(context.Background(), telemetry.VCenter{InstanceUUID: "another"})
	require.NoError(t, err)
	require.Equal(t, `"other"`, string(past.Lifetimes))
	past, err = history.At(path).Read(context.Background(), telemetry.VCenter{Name: "esx-2"})
	require.NoError(t, err)
	require.Len(t, past.Reports, 1)
}

// A run that began earlier and ends later brings its report, but does not put the state of the lifetimes back.
func TestALateRunDoesNotSetTheStateBack(t *testing.T) {
	path := file(t)
	add(t, path, report(2), `"newer"`)
	add(t, path, report(1), `"older"`)
	past := read(t, path)
	require.Equal(t, []int{1, 2}, hours(past))
	require.Equal(t, `"newer"`, string(past.Lifetimes))
}

func TestTheFilesModeAndLinkStay(t *testing.T) {
	path := file(t)
	add(t, path, report(1), "")
	require.NoError(t, os.Chmod(path, 0o640))
	link := filepath.Join(t.TempDir(), "link.json")
	require.NoError(t, os.Symlink(path, link))
	add(t, link, report(2), "")
	require.Equal(t, []int{1, 2}, hours(read(t, path)))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&fs.ModeSymlink, "the link is still one")
	info, err = os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o640), info.Mode().Perm())
}

func TestUnreadableIsKeptAside(t *testing.T) {
	good := file(t)
	add(t, good, report(1), `{"seen":1}`)
	text, err := os.ReadFile(good)
	require.NoError(t, err)
	uuid := report(0).VCenter.InstanceUUID
	for name, c := range map[string]struct{ text, says, kind string }{
		"empty":            {"", "no JSON of a history: unexpected EOF", "corrupt"},
		"cut off":          {string(text[:len(text)/2]), "no JSON of a history: unexpected EOF", "corrupt"},
		"two":              {string(text) + string(text), "something follows its end", "corrupt"},
		"something else":   {`{"name": "package.json"}`, "says no schema", "corrupt"},
		"no JSON":          {"kind,vcenter\r\n", "no JSON of a history: invalid character", "corrupt"},
		"newer":            {`{"schema": 7, "vcenters": "in another shape"}`, "schema 7 of a newer Wolfpack, this one reads 1", "newer"},
		"newer report":     {strings.Replace(string(text), `{"schema":1,"taken"`, `{"schema":2,"taken"`, 1), "a report in it has schema 2 of a newer", "newer"},
		"report of no use": {`{"schema":1,"vcenters":{"` + uuid + `":{"reports":[{"schema":1,"taken":"2026-01-01T00:00:00Z","vms":"many"}]}}}`, "its report of 2026-01-01T00:00:00Z is none", "corrupt"},
		"no shelf":         {`{"schema":1,"vcenters":{"x":null}}`, `nothing under "x"`, "corrupt"},
		"null report":      {`{"schema":1,"vcenters":{"x":{"reports":[null]}}}`, "a report in it says no schema", "corrupt"},
	} {
		for _, use := range []string{"read", "add"} {
			t.Run(name+" "+use, func(t *testing.T) {
				path := file(t)
				require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
				var problems []telemetry.Problem
				if use == "read" {
					past := read(t, path)
					require.Empty(t, past.Reports)
					problems = past.Problems
				} else {
					problems, err = history.At(path).Add(context.Background(), report(5), nil)
					require.NoError(t, err)
					require.Equal(t, []int{5}, hours(read(t, path)))
				}
				require.Len(t, problems, 1)
				require.Equal(t, "history", problems[0].Stage)
				require.Equal(t, path, problems[0].Object)
				require.True(t, problems[0].Partial)
				require.Contains(t, problems[0].Message, c.says)
				aside := matches(t, path+"."+c.kind+"-*")
				require.Len(t, aside, 1)
				require.Contains(t, problems[0].Message, fmt.Sprintf("kept as %q", aside[0]))
				kept, err := os.ReadFile(aside[0])
				require.NoError(t, err)
				require.Equal(t, c.text, string(kept), "not a byte is lost")
			})
		}
	}
}

func matches(t *testing.T, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	require.NoError(t, err)
	return list
}

func TestWhatIsKeptAsideIsNeverOverwritten(t *testing.T) {
	path := file(t)
	for i := range 4 {
		require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, "broken %d", i), 0o600))
		require.Len(t, read(t, path).Problems, 1)
	}
	texts := map[string]bool{}
	for _, aside := range matches(t, path+".corrupt-*") {
		text, err := os.ReadFile(aside)
		require.NoError(t, err)
		texts[string(text)] = true
	}
	require.Len(t, texts, 4)
}

func TestMistakesAreErrors(t *testing.T) {
	ctx := context.Background()
	t.Run("no such folder", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "nowhere", "history.json")
		_, err := history.At(path).Read(ctx, report(0).VCenter)
		require.True(t, errs.Is(err, errs.NotFound))
		require.ErrorContains(t, err, "its folder must exist")
		_, err = history.At(path).Add(ctx, report(0), nil)
		require.True(t, errs.Is(err, errs.NotFound))
	})
	t.Run("a folder", func(t *testing.T) {
		path := t.TempDir()
		_, err := history.At(path).Read(ctx, report(0).VCenter)
		require.True(t, errs.Is(err, errs.Invalid))
		require.ErrorContains(t, err, fmt.Sprintf("%q", path))
		_, err = history.At(path).Add(ctx, report(0), nil)
		require.True(t, errs.Is(err, errs.Invalid))
	})
	t.Run("a state that is no JSON", func(t *testing.T) {
		path := file(t)
		add(t, path, report(1), "")
		_, err := history.At(path).Add(ctx, report(2), json.RawMessage("{"))
		require.ErrorContains(t, err, "no JSON")
		require.Equal(t, []int{1}, hours(read(t, path)))
	})
}

func TestALockedFileIsWaitedFor(t *testing.T) {
	path := file(t)
	add(t, path, report(1), "")
	release := hold(t, path+".lock")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := history.At(path).Add(ctx, report(2), nil)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "another run holds")
	require.Equal(t, []int{1}, hours(read(t, path)), "a reader waits for nobody")

	added := make(chan error, 1)
	go func() {
		_, err := history.At(path).Add(context.Background(), report(2), nil)
		added <- err
	}()
	release()
	require.NoError(t, <-added)
	require.Equal(t, []int{1, 2}, hours(read(t, path)))
}

// hold locks a lock file as another run does.
func hold(t *testing.T, path string) (release func()) {
	t.Helper()
	lock := flock.New(path)
	require.NoError(t, lock.Lock())
	return func() { require.NoError(t, lock.Close()) }
}

// Two processes with several goroutines each add to one file at once, and all reports are in it.
func TestRunsDoNotLoseOneAnothersReports(t *testing.T) {
	path := file(t)
	var group sync.WaitGroup
	failed := make(chan string, 2)
	for first := range 2 {
		group.Go(func() {
			command := exec.Command(os.Args[0])
			command.Env = append(os.Environ(), "HISTORY_TEST_WRITER="+path, fmt.Sprintf("HISTORY_TEST_FIRST=%d", first*each))
			if out, err := command.CombinedOutput(); err != nil {
				failed <- fmt.Sprintf("%v: %s", err, out)
			}
		})
	}
	group.Wait()
	close(failed)
	for failure := range failed {
		t.Error(failure)
	}
	require.Len(t, read(t, path).Reports, 2*each)
	require.Empty(t, matches(t, filepath.Join(filepath.Dir(path), ".*")), "nothing is left behind")
}

const each = 12

// writer is what each process of the test above does.
func writer(path string) {
	first := 0
	_, err := fmt.Sscan(os.Getenv("HISTORY_TEST_FIRST"), &first)
	var group sync.WaitGroup
	errs := make(chan error, each+1)
	errs <- err
	for i := range each {
		group.Go(func() {
			_, err := history.At(path).Add(context.Background(), report(first+i), nil)
			errs <- err
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}
