// SPDX-License-Identifier: Apache-2.0

package version

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func stamp(t *testing.T, v, b, c string) Info {
	t.Helper()
	oldV, oldB, oldC := version, build, commit
	t.Cleanup(func() { version, build, commit = oldV, oldB, oldC })
	version, build, commit = v, b, c
	return Get()
}

func TestStampCutsTheCommitToSevenDigits(t *testing.T) {
	info := stamp(t, "v1.2.0", "42", "0123456789abcdef")
	require.Equal(t, "v1.2.0", info.Version)
	require.Equal(t, "42", info.Build)
	require.Equal(t, "0123456", info.Commit)
	require.NotContains(t, info.String(), "outside git")
}

func TestStampOutsideGitSaysSo(t *testing.T) {
	info := stamp(t, "", " ", "")
	require.Equal(t, Info{Version: "unknown", Build: "0", Commit: "unknown", Go: info.Go}, info)
	require.Contains(t, info.String(), "built outside git")
}
