// SPDX-License-Identifier: Apache-2.0

package inprocess_test

import (
	"testing"

	"go.uber.org/goleak"

	"wolfpack/provider/portlayer"
	"wolfpack/provider/portlayer/inprocess"
	"wolfpack/provider/portlayer/portlayertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	portlayertest.Run(t, func(*testing.T) portlayer.Portlayer { return inprocess.New() })
}
