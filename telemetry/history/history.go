// SPDX-License-Identifier: Apache-2.0

// Package history keeps earlier reports in a file, so that a report can say what changed, and what the lifetimes of container
// VMs need to know of the past, so that they are right across runs that are further apart than vCenter keeps its events.
//
// The file is JSON, by vCenter, and several runs and several vCenters may share it. It is replaced as a whole: a crash, a full
// disk or a power cut leaves either what was there or what is there now. What cannot be read, because it is damaged or another
// version's, is never overwritten: it is kept aside under a name that the Problem tells, and a new history begins.
//
// A history does not grow for ever. Of each vCenter there are at most MaxReports, the older the sparser: what is a year old is
// kept by the week, what is of today by the run.
//
// A File is safe for concurrent use, by goroutines and by processes: writers wait for one another by a lock file beside it.
package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"wolfpack/errs"
	"wolfpack/telemetry"
)

// Bounds of a history.
const (
	MaxReports = 400      // of one vCenter
	MaxBytes   = 32 << 20 // of the file
)

// File is a history file, which need not exist yet.
type File struct {
	path string
	disk disk
	now  func() time.Time // for the names of what is kept aside
}

// At returns the history file of a path. Nothing is read yet.
func At(path string) *File { return &File{path: path, disk: local{}, now: time.Now} }

// Past is what a history has of one vCenter.
type Past struct {
	Reports   []*telemetry.Report // oldest first, without Inventory
	Lifetimes json.RawMessage     // as it was added; nil if there is none
	Problems  []telemetry.Problem // of stage history: that a file was kept aside, and where
}

// Read returns what the history has of a vCenter, which is nothing if there is no file. A file that is damaged or of another
// version is kept aside, and Problems says so. It is an error if the file cannot be read, or not be kept aside.
func (f *File) Read(ctx context.Context, of telemetry.VCenter) (Past, error) {
	const op = "history.Read"
	path := f.resolved()
	all, err := load(path)
	if err == nil {
		past, bad := all.past(key(of))
		if bad == nil {
			return past, nil
		}
		err = bad
	}
	var bad *unreadable
	if !errors.As(err, &bad) {
		return Past{}, f.failed(op, err)
	}
	unlock, err := f.lock(ctx, path)
	if err != nil {
		return Past{}, f.failed(op, err)
	}
	defer unlock()
	_, problems, err := f.open(path, key(of))
	if err != nil {
		return Past{}, f.failed(op, err)
	}
	return Past{Problems: problems}, nil
}

// Add adds a report, without its Inventory, and replaces what the lifetimes need to know by a valid JSON text; nil leaves it
// as it is. Of two reports of one time the last added is kept. Problems are as in Read. After an error the file is as it was,
// unless all that failed is that the disk has not confirmed it.
func (f *File) Add(ctx context.Context, report *telemetry.Report, lifetimes json.RawMessage) ([]telemetry.Problem, error) {
	const op = "history.Add"
	path := f.resolved()
	unlock, err := f.lock(ctx, path)
	if err != nil {
		return nil, f.failed(op, err)
	}
	defer unlock()
	all, problems, err := f.open(path, key(report.VCenter))
	if err != nil {
		return nil, f.failed(op, err)
	}
	if err := all.add(report, lifetimes); err != nil {
		return problems, f.failed(op, err)
	}
	data, err := all.encode(MaxBytes)
	if err != nil {
		return problems, f.failed(op, err)
	}
	return problems, f.failed(op, replace(f.disk, path, data))
}

// key is what a vCenter's reports are kept under. A lone ESXi host has no UUID.
func key(v telemetry.VCenter) string {
	if v.InstanceUUID == "" {
		return "name:" + v.Name
	}
	return v.InstanceUUID
}

// resolved is the path itself, or that of the file which it is a link to: that file is replaced, not the link.
func (f *File) resolved() string {
	if path, err := filepath.EvalSymlinks(f.path); err == nil {
		return path
	}
	return f.path
}

// failed names the file, and says what would be right where that is plain.
func (f *File) failed(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return errs.New(op, errs.Denied, "history %q: %w", f.path, err)
	case errors.Is(err, fs.ErrNotExist):
		return errs.New(op, errs.NotFound, "history %q: its folder must exist: %w", f.path, err)
	default:
		return errs.New(op, errs.KindOf(err), "history %q: %w", f.path, err)
	}
}

// pause is how long a writer that finds the file locked waits before it looks again.
const pause = 50 * time.Millisecond

// lock waits until no other writer is at work. The lock file stays, for a file that somebody may wait for cannot be removed.
func (f *File) lock(ctx context.Context, path string) (unlock func(), err error) {
	name := path + ".lock"
	lock := flock.New(name, flock.SetPermissions(private))
	if _, err := lock.TryLockContext(ctx, pause); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("another run holds %q: %w", name, err)
		}
		return nil, err
	}
	return func() { _ = lock.Close() }, nil // closing a lock file frees it
}

// private is the mode of a new file: who may read a history learns what is in the inventory.
const private fs.FileMode = 0o600

// open returns what is in the file while it is locked, and keeps the file aside if that cannot be read.
func (f *File) open(path, key string) (*contents, []telemetry.Problem, error) {
	all, err := load(path)
	if err == nil {
		if _, err = all.past(key); err == nil {
			return all, nil, nil
		}
	}
	var bad *unreadable
	if !errors.As(err, &bad) {
		return nil, nil, err
	}
	aside, err := f.keepAside(path, bad.kind)
	if err != nil {
		return nil, nil, fmt.Errorf("%w, and it cannot be kept aside: %w", bad, err)
	}
	return empty(), []telemetry.Problem{{
		Stage:   "history",
		Object:  f.path,
		Message: fmt.Sprintf("%v: it is kept as %q, and a new history begins", bad, aside),
		Partial: true,
	}}, nil
}

// load reads a file; one that does not exist has nothing.
func load(path string) (*contents, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		_, err := os.Stat(filepath.Dir(path)) // a run shall not find out at its end that it cannot write
		return empty(), err
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, errs.New("history.load", errs.Invalid, "it must be a file, and is a folder or a device")
	}
	data, err := io.ReadAll(io.LimitReader(file, 2*MaxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > 2*MaxBytes {
		return nil, &unreadable{corrupt, fmt.Sprintf("it is larger than %d MB", 2*MaxBytes>>20)}
	}
	return parse(data)
}
