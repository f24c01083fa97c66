// SPDX-License-Identifier: Apache-2.0

package inprocess_test

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"wolfpack/provider/portlayer/inprocess"
	"wolfpack/provider/portlayer/portlayertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	portlayertest.Run(t, func(*testing.T) portlayertest.Backend {
		host := inprocess.New()
		return portlayertest.Backend{Portlayer: host, LoseAnswer: host.LoseAnswer, Interrupt: func() {
			host.Lose(errors.New("interrupted"))
			host.Regain()
		}}
	})
}
