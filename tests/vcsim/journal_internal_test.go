// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestJournalIsBounded enters more requests than the journal holds, several at a time. It enters them where a request that a
// server gets is entered: to send so many takes a minute.
func TestJournalIsBounded(t *testing.T) {
	t.Parallel()
	var s Server
	const workers, each = 10, JournalSize/10 + 10
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range each {
				s.journal.begin(&Request{Method: "CurrentTime"})
			}
		})
	}
	group.Wait()
	require.Equal(t, workers*each, s.Calls()["CurrentTime"], "counts drop none")
	journal := s.Journal()
	require.Len(t, journal, JournalSize)
	require.Equal(t, workers*each-JournalSize, s.Dropped())
	require.EqualValues(t, workers*each, journal[JournalSize-1].Number, "the last one is kept")
	for i := range journal[1:] {
		require.Equal(t, journal[i].Number+1, journal[i+1].Number)
	}
}
