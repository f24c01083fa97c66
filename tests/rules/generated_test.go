// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is generated must be what its source says now: a mock of yesterday's interface tests yesterday's code.
func TestMocksAreFresh(t *testing.T) {
	goFiles(t, func(string) {}) // so that the test is run again when any Go file has changed
	config, err := os.ReadFile("../../.mockery.yml")
	require.NoError(t, err)
	const dir = `dir: "{{.InterfaceDir}}"`
	require.Contains(t, string(config), dir)
	fresh := scratch(t)
	elsewhere := filepath.Join(fresh, "mockery.yml")
	config = []byte(strings.Replace(string(config), dir, `dir: "`+fresh+`/{{.InterfaceDirRelative}}"`, 1))
	require.NoError(t, os.WriteFile(elsewhere, config, 0o600))
	command := exec.CommandContext(t.Context(), "go", "tool", "mockery", "--log-level", "error", "--config", elsewhere)
	command.Dir = "../.."
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)

	compared := 0
	require.NoError(t, filepath.WalkDir(fresh, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path == elsewhere {
			return err
		}
		compared++
		relative, err := filepath.Rel(fresh, path)
		require.NoError(t, err)
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join("../..", relative))
		require.NoError(t, err)
		if string(want) != string(got) {
			t.Errorf("%s is not what its interfaces say now: run `make generate` and commit the result", relative)
		}
		return nil
	}))
	require.Positive(t, compared, "mockery wrote nothing")
}

// scratch is a folder that is removed with the test. It is in the module, where mockery looks for a package's path.
func scratch(t *testing.T) string {
	t.Helper()
	build, err := filepath.Abs("../../build")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(build, 0o755))
	folder, err := os.MkdirTemp(build, "mocks")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	return folder
}
