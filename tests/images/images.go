// SPDX-License-Identifier: Apache-2.0

// Package images makes the container images that pods in the lab run, and puts them into its registry:
//
//	busybox  a shell and some 250 tools, as user root; its command is sh
//	hello    busybox, and a small server as its entrypoint, as a user of its own, with an environment and a working folder
//
// They are made of programs that are there, not pulled from anywhere, so that a lab needs no network. The same programs
// give the same images.
package images

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Tag is that of all images.
const Tag = "1"

// Programs are the files that images are made of.
type Programs struct {
	Busybox string // a static busybox
	Hello   string // made of ./hello
}

// Make makes all images, by name.
func Make(ctx context.Context, programs Programs) (map[string]v1.Image, error) {
	tools, err := busyboxLayer(ctx, programs.Busybox)
	if err != nil {
		return nil, err
	}
	busybox, err := build(empty.Image, v1.Config{Cmd: []string{"sh"}, Env: []string{path}}, tools)
	if err != nil {
		return nil, fmt.Errorf("make image busybox: %w", err)
	}
	server, err := program(programs.Hello)
	if err != nil {
		return nil, err
	}
	hello, err := build(busybox, v1.Config{
		Entrypoint: []string{"/bin/hello"}, Env: []string{path, "GREETING=hello"}, WorkingDir: "/srv", User: "1000:1000",
	}, layer{{"bin/hello", 0o755, server, ""}, {"srv/", 0o755, nil, ""}})
	if err != nil {
		return nil, fmt.Errorf("make image hello: %w", err)
	}
	return map[string]v1.Image{"busybox": busybox, "hello": hello}, nil
}

const path = "PATH=/bin"

// Push makes all images and puts them into a registry, such as 127.0.0.1:5000, below a repository prefix that may be "".
func Push(ctx context.Context, programs Programs, registry, prefix string, options ...remote.Option) error {
	images, err := Make(ctx, programs)
	if err != nil {
		return err
	}
	options = append(slices.Clone(options), remote.WithContext(ctx))
	for repository, image := range images {
		ref, err := name.NewTag(registry + "/" + prefix + repository + ":" + Tag)
		if err != nil {
			return err
		}
		if err := remote.Write(ref, image, options...); err != nil {
			return fmt.Errorf("push image %s: %w", ref, err)
		}
	}
	return nil
}

// build puts a layer and a configuration on an image.
func build(base v1.Image, config v1.Config, files layer) (v1.Image, error) {
	content, err := files.tar()
	if err != nil {
		return nil, err
	}
	added, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(base, added)
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", "amd64", config
	return mutate.ConfigFile(image, file)
}

// layer is the files of a layer. A name that ends with a slash is a folder's.
type layer []struct {
	name    string
	mode    int64
	content []byte
	link    string // target of a symbolic link
}

func (l layer) tar() ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range l {
		header := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.content)), Typeflag: tar.TypeReg}
		switch {
		case f.link != "":
			header.Typeflag, header.Linkname = tar.TypeSymlink, f.link
		case strings.HasSuffix(f.name, "/"):
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// busyboxLayer is a root file system of busybox alone.
func busyboxLayer(ctx context.Context, file string) (layer, error) {
	content, err := program(file)
	if err != nil {
		return nil, err
	}
	list, err := exec.CommandContext(ctx, file, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its tools: %w", file, err)
	}
	files := layer{
		{"bin/", 0o755, nil, ""},
		{"etc/", 0o755, nil, ""},
		{"tmp/", 0o1777, nil, ""},
		{"var/", 0o755, nil, ""},
		{"etc/passwd", 0o644, []byte("root:x:0:0:root:/:/bin/sh\nhello:x:1000:1000:hello:/srv:/bin/sh\n"), ""},
		{"etc/group", 0o644, []byte("root:x:0:\nhello:x:1000:\n"), ""},
		{"bin/busybox", 0o755, content, ""},
	}
	for tool := range strings.FieldsSeq(string(list)) {
		if tool != "busybox" {
			files = append(files, layer{{"bin/" + tool, 0o777, nil, "busybox"}}...)
		}
	}
	return files, nil
}

// program reads a program that needs no other file.
func program(file string) ([]byte, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read what an image is made of: %w", err)
	}
	parsed, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s is no Linux program: %w", file, err)
	}
	defer parsed.Close()
	for _, segment := range parsed.Progs {
		if segment.Type == elf.PT_INTERP {
			return nil, fmt.Errorf("%s needs shared libraries, which an image of it would lack: use a static one", file)
		}
	}
	return content, nil
}
