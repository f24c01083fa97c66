// SPDX-License-Identifier: Apache-2.0

package history

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// disk is what replacing a file needs of a disk. A test fails each of it.
type disk interface {
	Create(path string) (file, error) // with mode private; an error if there is one of that name
	Rename(from, to string) error
	Remove(path string) error
	Sync(folder string) error
}

type file interface {
	io.WriteCloser
	Chmod(mode fs.FileMode) error
	Sync() error
}

// local is the disk there is.
type local struct{}

func (local) Create(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, private)
}
func (local) Rename(from, to string) error { return os.Rename(from, to) }
func (local) Remove(path string) error     { return os.Remove(path) }

// Sync makes a rename last through a power cut. Windows has no such call for a folder, and needs none.
func (local) Sync(folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// replace puts data in the place of a file, wholly or not at all. Only one at a time may, which is why the new file's name can
// be fixed: what a crash left under it is removed.
func replace(d disk, path string, data []byte) error {
	next := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".wolfpack-new")
	if err := d.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := write(d, next, mode(path), data); err != nil {
		return errors.Join(err, forget(d, next))
	}
	if err := d.Rename(next, path); err != nil {
		return errors.Join(err, forget(d, next))
	}
	return d.Sync(filepath.Dir(path))
}

// forget removes a file that may not be there.
func forget(d disk, path string) error {
	if err := d.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// mode is the mode of a file, so that it stays when the file is replaced.
func mode(path string) fs.FileMode {
	if info, err := os.Stat(path); err == nil {
		return info.Mode().Perm()
	}
	return private
}

func write(d disk, path string, mode fs.FileMode, data []byte) (err error) {
	f, err := d.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if mode != private {
		if err := f.Chmod(mode); err != nil {
			return err
		}
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// keepAside renames a file to a name that nothing has yet, which says why and when, and returns that. A file of that name is
// made first, for renaming would overwrite one that another run has just made.
func (f *File) keepAside(path, why string) (string, error) {
	stem := fmt.Sprintf("%s.%s-%s", path, why, f.now().UTC().Format("20060102T150405Z"))
	name := stem
	for n := 2; ; n++ {
		place, err := f.disk.Create(name)
		switch {
		case errors.Is(err, fs.ErrExist) && n < attempts:
			name = fmt.Sprintf("%s-%d", stem, n)
		case err != nil:
			return "", err
		default:
			return name, f.rename(place, path, name)
		}
	}
}

// rename gives a file the name of an empty one.
func (f *File) rename(place file, from, to string) error {
	err := place.Close()
	if err == nil {
		err = f.disk.Rename(from, to)
	}
	if err != nil { // what has the name is still the empty one
		return errors.Join(err, forget(f.disk, to))
	}
	return f.disk.Sync(filepath.Dir(from))
}

// attempts is how many files are kept aside within a second at most.
const attempts = 1000
