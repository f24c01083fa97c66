// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMutationsApply is the part of the proof that costs nothing: all pitfalls have one, what they replace is there, and so are
// the tests that must fail.
func TestMutationsApply(t *testing.T) {
	t.Parallel()
	proved := map[int]bool{}
	for _, m := range mutations {
		proved[m.pitfall] = true
		_, err := m.overlay("../..", t.TempDir())
		require.NoError(t, err, "pitfall %d: %s", m.pitfall, m.naive)
		require.NotEmpty(t, m.tests)
		for _, test := range m.tests {
			folder, name, _ := strings.Cut(test, ".")
			require.True(t, declared(t, filepath.Join("../..", folder), name), "%s has no %s", folder, name)
		}
	}
	for pitfall := 1; pitfall <= 16; pitfall++ {
		require.True(t, proved[pitfall], "pitfall %d", pitfall)
	}
}

// declared says whether a folder has a test.
func declared(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if strings.Contains(string(text), "\nfunc "+name+"(t *testing.T) {") {
			return true
		}
	}
	return false
}

// TestCodeThatHasChangedIsAnError is what becomes of a proof whose code is no more.
func TestCodeThatHasChangedIsAnError(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "x.go"), []byte("a b a"), 0o644))
	for _, tc := range []struct{ old, says string }{{"c", "has 0 times"}, {"a", "has 2 times"}} {
		m := mutation{pitfall: 1, edits: []edit{{"x.go", tc.old, "d"}}}
		_, err := m.overlay(root, t.TempDir())
		require.ErrorContains(t, err, tc.says)
	}
	m := mutation{pitfall: 1, edits: []edit{{"x.go", "b", "c"}, {"x.go", "c", "d"}}}
	dir := t.TempDir()
	path, err := m.overlay(root, dir)
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.JSONEq(t, `{"Replace": {"`+filepath.Join(root, "x.go")+`": "`+filepath.Join(dir, "1-x.go")+`"}}`, string(text))
	naive, err := os.ReadFile(filepath.Join(dir, "1-x.go"))
	require.NoError(t, err)
	require.Equal(t, "a d a", string(naive))
}

func TestReason(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Condition never satisfied the VM is gone", reason("    x_test.go:1: \n\tError Trace:\tx\n\tError:      \tCondition never satisfied\n\tMessages:   \tthe VM is gone\n--- FAIL: TestX"))
	require.Equal(t, "it failed", reason("--- FAIL: TestX"))
}
