// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wolfpack/telemetry"
	"wolfpack/telemetry/render"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a text with the one in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// written is a report in a format.
func written(t *testing.T, f render.Format, report *telemetry.Report, earlier ...*telemetry.Report) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, render.Write(&b, f, report, earlier))
	return b.String()
}
