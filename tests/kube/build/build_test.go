// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wolfpack/internal/build"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The real modules can be found, and name the Kubernetes version.
func TestKey(t *testing.T) {
	root, err := build.Checkout()
	require.NoError(t, err)
	b := build.Builder{Root: root, Modules: modules(), Log: build.Log{To: io.Discard}}
	key, err := b.Key(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `^v1\.\d+\.\d+-[0-9a-f]{12}$`, key)
}
