// SPDX-License-Identifier: Apache-2.0

// Package build makes what is made once and kept outside the checkout: programs of Go modules that are not this project's
// own, and whatever else takes long. Commands of the Makefile use it (tests/kube/build, podvm/build).
//
// What is kept is a folder named after all that decides what is in it. It appears whole or not at all, and is never changed
// afterwards. Several builds at once are safe, in one process or in many: one builds, the others wait for it.
package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Checkout returns the root of the checkout that the working directory is in.
func Checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, "tests", "kube", "binaries", "go.mod")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no checkout of wolfpack here: run this below the folder with tests/kube/binaries")
		}
	}
}

// CacheDir returns Wolfpack's cache folder for the environment that getenv reads:
// ${WOLFPACK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wolfpack}.
func CacheDir(getenv func(string) string) (string, error) {
	if dir := getenv("WOLFPACK_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	// A relative XDG_CACHE_HOME is to be ignored, says the XDG base directory specification.
	if dir := getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "wolfpack"), nil
	}
	if dir := getenv("HOME"); dir != "" {
		return filepath.Join(dir, ".cache", "wolfpack"), nil
	}
	return "", errors.New("no place for the cache: set WOLFPACK_CACHE or HOME")
}

// Relink makes link point to dir, replacing an older link in one step.
func Relink(dir, link string) error {
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return fmt.Errorf("link what was built: %w", err)
	}
	tmp := fmt.Sprintf("%s.%d", link, os.Getpid())
	if err := os.Symlink(dir, tmp); err != nil {
		return fmt.Errorf("link what was built: %w", err)
	}
	if err := os.Rename(tmp, link); err != nil {
		return errors.Join(fmt.Errorf("link what was built: %w", err), os.Remove(tmp))
	}
	return nil
}

// Log is where progress goes, and the word that each of its lines begins with.
type Log struct {
	Name string
	To   io.Writer
}

// Printf writes a line.
func (l Log) Printf(format string, args ...any) {
	fmt.Fprintf(l.To, l.Name+": "+format+"\n", args...)
}

// Folder makes sure that dir is there: if it is not, fill makes what is to be in it, in another folder that becomes dir.
func Folder(ctx context.Context, dir string, log Log, fill func(ctx context.Context, dir string) error) error {
	if exists(dir) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("make the cache: %w", err)
	}
	unlock, err := lock(ctx, dir+".lock", log)
	if err != nil {
		return err
	}
	defer unlock()
	if exists(dir) {
		return nil
	}
	tmp := dir + ".tmp"
	defer os.RemoveAll(tmp)
	// A leftover is from a build that was killed: whoever holds the lock owns the name.
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("clear the build folder: %w", err)
	}
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return fmt.Errorf("make the build folder: %w", err)
	}
	if err := fill(ctx, tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fmt.Errorf("finish the cache folder: %w", err)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lock takes the lock file, waiting while another process holds it. The lock ends with the process, however that ends.
func lock(ctx context.Context, path string, log Log) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the cache: %w", err)
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for told := false; ; told = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		if !told {
			log.Printf("another build is under way; waiting for it")
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for another build: %w", context.Cause(ctx)), f.Close())
		case <-tick.C:
		}
	}
}
