// SPDX-License-Identifier: Apache-2.0

package build

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

// Module is a Go module of this checkout and the programs to build in it.
type Module struct {
	Dir      string   // folder, relative to the checkout
	Version  string   // the required module whose version the programs carry
	Stamp    []string // string variables to set to that version when linking
	Tags     string   // of the build, comma-separated
	LDFlags  string   // more for the linker
	Env      []string // more environment of the go command; without CGO_ENABLED=1 in it, no C is compiled
	Inputs   string   // names what else decides what comes out, such as the version of a C library that Env leads to
	Programs []Program
}

// Program is one binary: its file name and the package it is built from.
type Program struct{ Name, Package string }

// Builder keeps one cache folder of programs up to date.
type Builder struct {
	Root    string // of the checkout
	Cache   string // the folder to keep the folders of programs in
	Modules []Module
	Log     Log
}

// Ensure returns the cache's folder for the checkout's present sources, building it first if it is not there.
func (b Builder) Ensure(ctx context.Context) (string, error) {
	key, err := b.Key(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.Cache, key)
	return dir, Folder(ctx, dir, b.Log, b.build)
}

// Key names the folder: the first module's version, and a hash over everything else that decides what is built.
func (b Builder) Key(ctx context.Context) (string, error) {
	h := sha256.New()
	env, err := b.output(ctx, Module{}, "env", "GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64")
	if err != nil {
		return "", err
	}
	fmt.Fprintln(h, env)
	for _, m := range b.Modules {
		fmt.Fprintf(h, "%q\n", []any{m.Dir, m.Version, m.Stamp, m.Tags, m.LDFlags, m.Inputs, m.Programs})
		if err := hashTree(h, filepath.Join(b.Root, m.Dir)); err != nil {
			return "", fmt.Errorf("hash %s: %w", m.Dir, err)
		}
	}
	version, err := b.version(ctx, b.Modules[0])
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
func (b Builder) version(ctx context.Context, m Module) (string, error) {
	if m.Version == "" {
		return "v0", nil
	}
	return b.output(ctx, m, "list", "-m", "-f", "{{.Version}}", m.Version)
}

// build makes every program in dir.
func (b Builder) build(ctx context.Context, dir string) error {
	start := time.Now()
	total := 0
	for _, m := range b.Modules {
		total += len(m.Programs)
	}
	b.Log.Printf("building %d programs; this takes some minutes, once for each version", total)
	n := 0
	for _, m := range b.Modules {
		version, err := b.version(ctx, m)
		if err != nil {
			return err
		}
		for _, variable := range m.Stamp {
			m.LDFlags += " -X " + variable + "=" + version
		}
		for _, p := range m.Programs {
			n++
			begun := time.Now()
			if err := b.Compile(ctx, m, p, dir); err != nil {
				return err
			}
			b.Log.Printf("%d/%d %s built in %.0f s (%.0f s in all)",
				n, total, p.Name, time.Since(begun).Seconds(), time.Since(start).Seconds())
		}
	}
	return nil
}

// Compile builds one program in a folder, or leaves it there if it is up to date, with a sign of life every now and then. Its
// error carries the compiler's last words.
func (b Builder) Compile(ctx context.Context, m Module, p Program, dir string) error {
	// Without a stamp of this checkout's commit: that would make each commit link another binary.
	cmd := b.goCommand(ctx, m, "build", "-v", "-buildvcs=false", "-trimpath", "-tags", m.Tags,
		"-ldflags", strings.TrimSpace("-s -w "+m.LDFlags), "-o", filepath.Join(dir, p.Name), p.Package)
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
				return fmt.Errorf("build %s: %w", p.Name, context.Cause(ctx))
			}
			if err != nil {
				return fmt.Errorf("build %s: go build in %s: %w\n%s", p.Name, m.Dir, err, log.tail())
			}
			return nil
		case <-alive.C:
			b.Log.Printf("%s: %d packages compiled, %.0f s", p.Name, log.packages(), time.Since(start).Seconds())
		}
	}
}

// output runs the go command in a module's folder and returns what it prints.
func (b Builder) output(ctx context.Context, m Module, args ...string) (string, error) {
	cmd := b.goCommand(ctx, m, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("the go command is missing: install the version of Go that go.mod names and have it on PATH")
	}
	if err != nil {
		return "", fmt.Errorf("go %s in %s: %w\n%s", strings.Join(args, " "), filepath.Join(b.Root, m.Dir), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// goCommand prepares the go command in a module's folder. It runs in a process group of its own, which is ended as
// a whole with ctx: the go command alone would leave its compilers behind.
func (b Builder) goCommand(ctx context.Context, m Module, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(b.Root, m.Dir)
	// Static binaries need no C compiler; a go.work or a GOFLAGS=-mod=… of the user's is about other modules than these.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly")
	cmd.Env = append(cmd.Env, m.Env...)
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
