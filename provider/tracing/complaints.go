// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// complaints logs OpenTelemetry's errors, which come with each batch while the collector is away, one in a while.
type complaints struct {
	logger klog.Logger
	every  time.Duration

	mu      sync.Mutex // guards all below
	last    time.Time
	skipped int
}

// Handle takes an error; an otel.ErrorHandler has it.
func (c *complaints) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.last) < c.every {
		c.skipped++
		return
	}
	c.logger.Info("Traces are not sent", "reason", err, "notLogged", c.skipped)
	c.last, c.skipped = time.Now(), 0
}
