// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// module is a Go module of this checkout and the programs to build in it.
type module struct {
	dir      string   // folder, relative to the checkout
	version  string   // the required module whose version the programs carry
	stamp    []string // string variables to set to that version when linking
	tags     string   // of the build, comma-separated
	programs []program
}

// program is one binary: its file name and the package it is built from.
type program struct{ name, pkg string }

// builder keeps one cache folder up to date.
type builder struct {
	root, cache string
	modules     []module
	progress    io.Writer
}

// ensure returns the cache's folder for the checkout's present sources, building it first if it is not there. A folder
// appears whole or not at all.
func (b builder) ensure(ctx context.Context) (string, error) {
	key, err := b.key(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.cache, key)
	if exists(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache: %w", err)
	}
	unlock, err := b.lock(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(dir) {
		return dir, nil
	}
	tmp := dir + ".tmp"
	defer os.RemoveAll(tmp)
	// A leftover is from a build that was killed: whoever holds the lock owns the name.
	if err := os.RemoveAll(tmp); err != nil {
		return "", fmt.Errorf("clear the build folder: %w", err)
	}
	if err := b.build(ctx, tmp); err != nil {
		return "", err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return "", fmt.Errorf("finish the cache folder: %w", err)
	}
	return dir, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// key names the folder: the first module's version, and a hash over everything else that decides what is built.
func (b builder) key(ctx context.Context) (string, error) {
	h := sha256.New()
	env, err := b.output(ctx, "", "env", "GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64")
	if err != nil {
		return "", err
	}
	fmt.Fprintf(h, "%s\n%+v\n", env, b.modules)
	for _, m := range b.modules {
		if err := hashTree(h, filepath.Join(b.root, m.dir)); err != nil {
			return "", fmt.Errorf("hash %s: %w", m.dir, err)
		}
	}
	version, err := b.version(ctx, b.modules[0])
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s-%x", version, h.Sum(nil)[:6]), nil
}

// hashTree adds the Go sources and module files of dir to h, by their names relative to dir.
func hashTree(h io.Writer, dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains([]string{".go", ".mod", ".sum"}, filepath.Ext(path)) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		fmt.Fprintf(h, "%s %d\n%s", rel, len(data), data)
		return err
	})
}

// version returns the version of the module that m's programs are made of.
func (b builder) version(ctx context.Context, m module) (string, error) {
	if m.version == "" {
		return "v0", nil
	}
	return b.output(ctx, m.dir, "list", "-m", "-f", "{{.Version}}", m.version)
}

// lock takes the lock file, waiting while another process holds it. The lock ends with the process, however that ends.
func (b builder) lock(ctx context.Context, path string) (unlock func(), err error) {
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
			fmt.Fprintln(b.progress, "kube: another build is under way; waiting for it")
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for another build: %w", context.Cause(ctx)), f.Close())
		case <-tick.C:
		}
	}
}

// build makes every program in dir.
func (b builder) build(ctx context.Context, dir string) error {
	start := time.Now()
	total := 0
	for _, m := range b.modules {
		total += len(m.programs)
	}
	fmt.Fprintf(b.progress, "kube: building %d programs; this takes some minutes, once for each version\n", total)
	n := 0
	for _, m := range b.modules {
		version, err := b.version(ctx, m)
		if err != nil {
			return err
		}
		flags := "-s -w"
		for _, variable := range m.stamp {
			flags += " -X " + variable + "=" + version
		}
		for _, p := range m.programs {
			n++
			begun := time.Now()
			if err := b.compile(ctx, m, p, filepath.Join(dir, p.name), flags); err != nil {
				return err
			}
			fmt.Fprintf(b.progress, "kube: %d/%d %s built in %.0f s (%.0f s in all)\n",
				n, total, p.name, time.Since(begun).Seconds(), time.Since(start).Seconds())
		}
	}
	return nil
}

// compile builds one program, with a sign of life every now and then. Its error carries the compiler's last words.
func (b builder) compile(ctx context.Context, m module, p program, out, ldflags string) error {
	// Without a stamp of this checkout's commit: that would make each commit link another binary.
	cmd := b.goCommand(ctx, m.dir, "build", "-v", "-buildvcs=false", "-trimpath", "-tags", m.tags, "-ldflags", ldflags, "-o", out, p.pkg)
	log := &packageLog{}
	cmd.Stdout, cmd.Stderr = log, log
	alive := time.NewTicker(15 * time.Second)
	defer alive.Stop()
	start, done := time.Now(), make(chan error, 1)
	go func() { done <- cmd.Run() }()
	for {
		select {
		case err := <-done:
			if ctx.Err() != nil {
				return fmt.Errorf("build %s: %w", p.name, context.Cause(ctx))
			}
			if err != nil {
				return fmt.Errorf("build %s: go build in %s: %w\n%s", p.name, m.dir, err, log.tail())
			}
			return nil
		case <-alive.C:
			fmt.Fprintf(b.progress, "kube: %s: %d packages compiled, %.0f s\n", p.name, log.packages(), time.Since(start).Seconds())
		}
	}
}

// output runs the go command in a folder of the checkout and returns what it prints.
func (b builder) output(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := b.goCommand(ctx, dir, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("the go command is missing: install the version of Go that go.mod names and have it on PATH")
	}
	if err != nil {
		return "", fmt.Errorf("go %s in %s: %w\n%s", strings.Join(args, " "), filepath.Join(b.root, dir), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// goCommand prepares the go command in a folder of the checkout. It runs in a process group of its own, which is ended as
// a whole with ctx: the go command alone would leave its compilers behind.
func (b builder) goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(b.root, dir)
	// Static binaries need no C compiler; a go.work or a GOFLAGS=-mod=… of the user's is about other modules than these.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// SIGINT is the one that makes the go command clean up its temporary folder.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// packageLog takes the output of `go build -v`, a line for each package and the errors. It is safe for concurrent use.
type packageLog struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *packageLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// packages returns how many packages were compiled so far.
func (l *packageLog) packages() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.buf.Bytes(), []byte("\n"))
}

// tail returns the last lines.
func (l *packageLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(l.buf.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
