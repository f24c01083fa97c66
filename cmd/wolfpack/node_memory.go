// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryInterval is how long a process must have been at rest before it gives memory back.
	memoryInterval = 10 * time.Second
	// worthGiving is how much there must be of it at least.
	worthGiving = 4 << 20
)

// giveMemoryBack returns memory to the system whenever the process is at rest, until ctx ends. While it works, Go lets its heap
// grow to twice of what it needs, so as to collect rarely; at rest, with thousands of pods, it would hold on to that for as long
// as nothing happens.
func giveMemoryBack(ctx context.Context) {
	ticker := time.NewTicker(memoryInterval)
	defer ticker.Stop()
	before := readHeap()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := readHeap()
		if now.rests(before) && now.spare() {
			debug.FreeOSMemory()
		}
		before = now
	}
}

// heap is what Go's runtime says of it, in bytes.
type heap struct {
	allocated uint64 // ever
	live      uint64 // that the last collection found in use
	objects   uint64 // in use, or not collected yet
	free      uint64 // not in use, and not the system's either
}

func readHeap() heap {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	return heap{samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64(), samples[3].Value.Uint64()}
}

// rests says whether next to nothing was allocated since before: a twentieth of what is in use.
func (h heap) rests(before heap) bool { return h.allocated-before.allocated < h.live/20 }

// spare says whether there is a quarter more than was in use, so that a collection is worth its time.
func (h heap) spare() bool {
	more := h.objects + h.free - min(h.live, h.objects+h.free)
	return more > max(h.live/4, worthGiving)
}
