// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMemoryIsGivenBackAtRest(t *testing.T) {
	const mb = 1 << 20
	before := heap{allocated: 1000 * mb, live: 100 * mb, objects: 150 * mb, free: 20 * mb}
	for name, row := range map[string]struct {
		now          heap
		rests, spare bool
	}{
		"after a burst":           {heap{1002 * mb, 100 * mb, 152 * mb, 20 * mb}, true, true},
		"in one":                  {heap{1100 * mb, 100 * mb, 190 * mb, 0}, false, true},
		"it was given back":       {heap{1002 * mb, 100 * mb, 102 * mb, 1 * mb}, true, false},
		"free, and not given":     {heap{1002 * mb, 100 * mb, 102 * mb, 60 * mb}, true, true},
		"little, if a lot of all": {heap{1000 * mb, 8 * mb, 10 * mb, 1 * mb}, true, false},
		"less than was in use":    {heap{1000 * mb, 100 * mb, 20 * mb, 1 * mb}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, row.rests, row.now.rests(before))
			require.Equal(t, row.spare, row.now.spare())
		})
	}
}

func TestHeapIsRead(t *testing.T) {
	before := readHeap()
	held := make([]byte, 64<<20)
	with := readHeap()
	require.GreaterOrEqual(t, with.allocated, before.allocated+64<<20)
	require.False(t, with.rests(before))
	runtime.KeepAlive(held)
	held = nil
	debug.FreeOSMemory()
	after := readHeap()
	require.NotZero(t, after.live)
	require.Less(t, after.objects, with.objects)
	require.False(t, after.spare(), "it was given back: %+v", after)
}
