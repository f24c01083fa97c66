// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"slices"
	"time"

	"wolfpack/telemetry/lifetimes"
)

// Source is a History as a vCenter tells it.
type Source struct {
	history   *History
	now       time.Time
	retention time.Duration
}

// Source is what vCenter tells at a time, when it forgets what is older than retention.
func (h *History) Source(now time.Time, retention time.Duration) *Source {
	return &Source{h, now, retention}
}

// Instance implements lifetimes.Source.
func (*Source) Instance() string { return "history" }

// oldest is the time before which vCenter remembers nothing.
func (s *Source) oldest() time.Time {
	oldest := s.now.Add(-s.retention)
	if restart := s.history.restart; restart.After(oldest) && !restart.After(s.now) {
		return restart
	}
	return oldest
}

// Events implements lifetimes.Source.
func (s *Source) Events(ctx context.Context, from time.Time, take func([]lifetimes.Event) bool) (lifetimes.Reading, error) {
	if oldest := s.oldest(); from.Before(oldest) {
		from = oldest
	}
	var given []told
	for _, e := range s.history.events {
		if !e.Time.Before(from) && !e.Time.After(s.now) {
			if given = append(given, e); e.twice {
				given = append(given, e)
			}
		}
	}
	slices.SortStableFunc(given, cmpTold)
	reading := lifetimes.Reading{Pages: 1, Complete: true}
	for page := range slices.Chunk(given, lifetimes.PageSize) {
		events := make([]lifetimes.Event, len(page))
		for i, e := range page {
			events[i] = e.Event
		}
		if reading.Pages++; !take(events) {
			break
		}
	}
	return reading, ctx.Err()
}
