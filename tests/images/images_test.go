// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"archive/tar"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wolfpack/tests/images"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// programs returns stand-ins for both programs: a static one of the right behaviour costs no package.
func programs(t *testing.T) images.Programs {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(source, []byte("package main\n\nimport \"os\"\n\nfunc main() { _, _ = os.Stdout.WriteString(\"sh\\nls\\nbusybox\\n\") }\n"), 0o600))
	tool := filepath.Join(dir, "busybox")
	build := exec.Command("go", "build", "-o", tool, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return images.Programs{Busybox: tool, Hello: tool}
}

func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	require.NoError(t, images.Push(t.Context(), programs(t), address, "lab/"))

	hello, err := crane.Pull(address + "/lab/hello:" + images.Tag)
	require.NoError(t, err)
	file, err := hello.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, "linux/amd64", file.OS+"/"+file.Architecture)
	require.Equal(t, []string{"/bin/hello"}, file.Config.Entrypoint)
	require.Empty(t, file.Config.Cmd, "the command is the base's, which an entrypoint of one's own replaces")
	require.Equal(t, "/srv", file.Config.WorkingDir)
	require.Equal(t, "1000:1000", file.Config.User)

	content := mutate.Extract(hello)
	defer content.Close()
	files := map[string]*tar.Header{}
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		files[strings.TrimSuffix(header.Name, "/")] = header
	}
	require.Contains(t, files, "bin/hello")
	require.Equal(t, "busybox", files["bin/ls"].Linkname)
	require.Equal(t, byte(tar.TypeReg), files["bin/busybox"].Typeflag)
	require.Equal(t, int64(0o1777), files["tmp"].Mode)
}

func TestSameProgramsSameImages(t *testing.T) {
	files := programs(t)
	first, err := images.Make(t.Context(), files)
	require.NoError(t, err)
	second, err := images.Make(t.Context(), files)
	require.NoError(t, err)
	for name := range first {
		a, err := first[name].Digest()
		require.NoError(t, err)
		b, err := second[name].Digest()
		require.NoError(t, err)
		require.Equal(t, a, b, name)
	}
}

func TestMakeRefuses(t *testing.T) {
	good := programs(t)
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("no program"), 0o600))
	dynamic, err := exec.LookPath("sh")
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		programs images.Programs
		want     string
	}{
		"missing": {images.Programs{Busybox: good.Busybox, Hello: "/nowhere/hello"}, "/nowhere/hello"},
		"a text":  {images.Programs{Busybox: text, Hello: good.Hello}, text + " is no Linux program"},
		"dynamic": {images.Programs{Busybox: dynamic, Hello: good.Hello}, dynamic + " needs shared libraries"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := images.Make(t.Context(), tc.programs)
			require.ErrorContains(t, err, tc.want)
		})
	}
}
