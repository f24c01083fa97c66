// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const hello = `package main

var stamp = "unstamped"

func main() { println(stamp) }
`

// newBuilder returns a builder for a module of one small program, with an empty cache, and where its progress goes.
func newBuilder(t *testing.T, source string) (Builder, *bytes.Buffer) {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "m", "go.mod"), "module example\n\ngo 1.26\n")
	write(t, filepath.Join(root, "m", "main.go"), source)
	var progress bytes.Buffer
	return Builder{
		Root:    root,
		Cache:   filepath.Join(t.TempDir(), "cache"),
		Modules: []Module{{Dir: "m", Stamp: []string{"main.stamp"}, Programs: []Program{{"hello", "."}}}},
		Log:     Log{"kube", &progress},
	}, &progress
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestEnsure(t *testing.T) {
	b, progress := newBuilder(t, hello)
	dir, err := b.Ensure(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `^v0-[0-9a-f]{12}$`, filepath.Base(dir))
	out, err := exec.Command(filepath.Join(dir, "hello")).CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, "v0\n", string(out), "the version is stamped")
	require.Regexp(t, `(?m)^kube: 1/1 hello built in \d+ s`, progress.String())

	progress.Reset()
	again, err := b.Ensure(t.Context())
	require.NoError(t, err)
	require.Equal(t, dir, again)
	require.Empty(t, progress.String(), "nothing is built twice")

	// A second clone of the same sources shares the folder.
	clone, _ := newBuilder(t, hello)
	clone.Cache, clone.Log = b.Cache, b.Log
	again, err = clone.Ensure(t.Context())
	require.NoError(t, err)
	require.Equal(t, dir, again)
	require.Empty(t, progress.String())

	write(t, filepath.Join(b.Root, "m", "main.go"), hello+"// changed\n")
	other, err := b.Ensure(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, dir, other, "other sources, another folder")
	require.FileExists(t, filepath.Join(dir, "hello"), "the old one stays for those who use it")
}

func TestTags(t *testing.T) {
	b, _ := newBuilder(t, hello)
	write(t, filepath.Join(b.Root, "m", "special.go"), "//go:build special\n\npackage main\n\nfunc init() { println(\"special\") }\n")
	b.Modules[0].Tags = "other,special"
	dir, err := b.Ensure(t.Context())
	require.NoError(t, err)
	out, err := exec.Command(filepath.Join(dir, "hello")).CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, "special\nv0\n", string(out))
}

func TestEnsureAtOnce(t *testing.T) {
	b, _ := newBuilder(t, hello)
	progress := make([]bytes.Buffer, 3)
	var g errgroup.Group
	for i := range progress {
		own := b
		own.Log.To = &progress[i]
		g.Go(func() error {
			_, err := own.Ensure(t.Context())
			return err
		})
	}
	require.NoError(t, g.Wait())
	built := 0
	for i := range progress {
		built += bytes.Count(progress[i].Bytes(), []byte("built in"))
	}
	require.Equal(t, 1, built)
}

func TestEnsureFails(t *testing.T) {
	b, _ := newBuilder(t, "package main\n\nfunc main() { undefined() }\n")
	_, err := b.Ensure(t.Context())
	require.ErrorContains(t, err, "build hello: go build in m: exit status 1")
	require.ErrorContains(t, err, "undefined: undefined")
	requireNoFolder(t, b.Cache)
}

func TestEnsureCancelled(t *testing.T) {
	b, progress := newBuilder(t, hello)
	key, err := b.Key(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(b.Cache, 0o755))
	unlock, err := lock(t.Context(), filepath.Join(b.Cache, key+".lock"), b.Log)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = b.Ensure(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Contains(t, progress.String(), "another build is under way")
	unlock()

	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, b.Compile(ctx, b.Modules[0], b.Modules[0].Programs[0], b.Cache), context.Canceled)
	requireNoFolder(t, b.Cache)
}

// A build that was killed leaves a half-filled folder, which the next one replaces.
func TestEnsureAfterCrash(t *testing.T) {
	b, _ := newBuilder(t, hello)
	key, err := b.Key(t.Context())
	require.NoError(t, err)
	write(t, filepath.Join(b.Cache, key+".tmp", "rubbish"), "")
	dir, err := b.Ensure(t.Context())
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(dir, "rubbish"))
	require.NoDirExists(t, dir+".tmp")
}

// requireNoFolder fails if the cache has anything but locks in it.
func requireNoFolder(t *testing.T, cache string) {
	t.Helper()
	entries, err := os.ReadDir(cache)
	require.NoError(t, err)
	for _, e := range entries {
		require.Equal(t, ".lock", filepath.Ext(e.Name()))
	}
}

func TestNoGo(t *testing.T) {
	b, _ := newBuilder(t, hello)
	t.Setenv("PATH", t.TempDir())
	_, err := b.Ensure(t.Context())
	require.EqualError(t, err, "the go command is missing: install the version of Go that go.mod names and have it on PATH")
}

func TestCacheDir(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"ours", map[string]string{"WOLFPACK_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"},
		{"XDG's", map[string]string{"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/wolfpack"},
		{"a relative one does not count", map[string]string{"XDG_CACHE_HOME": "b", "HOME": "/c"}, "/c/.cache/wolfpack"},
		{"home", map[string]string{"HOME": "/c"}, "/c/.cache/wolfpack"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := CacheDir(func(k string) string { return tt.env[k] })
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
	_, err := CacheDir(func(string) string { return "" })
	require.ErrorContains(t, err, "set WOLFPACK_CACHE or HOME")
}

func TestRelink(t *testing.T) {
	link := filepath.Join(t.TempDir(), "bin", "kube")
	for _, dir := range []string{t.TempDir(), t.TempDir()} {
		require.NoError(t, Relink(dir, link))
		got, err := os.Readlink(link)
		require.NoError(t, err)
		require.Equal(t, dir, got)
	}
	entries, err := os.ReadDir(filepath.Dir(link))
	require.NoError(t, err)
	require.Len(t, entries, 1)
}
