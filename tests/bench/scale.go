// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"wolfpack/tests/vcsim"
)

const (
	pageSize = 100              // objects that vCenter, and so the stand-in, puts into one answer to a wait at most
	quiet    = 30 * time.Second // how long the node is watched at rest
	samples  = 200              // of the time that news take
)

// scale is what a node of many pods costs at rest, how long news take then, and what its restart asks of vCenter.
func scale(ctx context.Context, o options) ([]row, error) {
	s, err := newSetting(ctx, o)
	if err != nil {
		return nil, err
	}
	defer s.close(context.WithoutCancel(ctx))
	var rows []row
	for _, part := range []func(context.Context, options, *setting) ([]row, error){memoryPerPod, atRest, newsTake, restart} {
		more, err := part(ctx, o, s)
		rows = append(rows, more...)
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// memoryPerPod fills the node.
func memoryPerPod(ctx context.Context, o options, s *setting) ([]row, error) {
	if err := s.startReadyNode(ctx, o.idle); err != nil {
		return nil, err
	}
	empty, err := s.settledMemory(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.bindPods(ctx, 0, o.idle); err != nil {
		return nil, err
	}
	if err := s.awaitRunning(ctx, o.idle); err != nil {
		return nil, err
	}
	full, err := s.settledMemory(ctx)
	if err != nil {
		return nil, err
	}
	return []row{{
		what: fmt.Sprintf("memory of the provider per pod, %d pods", o.idle), unit: "KiB", ours: (full - empty) / 1024 / float64(o.idle),
		baseline: 64, against: "the target", target: "under 64",
	}}, nil
}

// atRest watches the node while nothing happens.
func atRest(ctx context.Context, o options, s *setting) ([]row, error) {
	before, err := s.usages()
	if err != nil {
		return nil, err
	}
	seen, err := s.journal(ctx, 0)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, quiet); err != nil {
		return nil, err
	}
	after, err := s.usages()
	if err != nil {
		return nil, err
	}
	now, err := s.journal(ctx, last(seen))
	if err != nil {
		return nil, err
	}
	asked := methods(now.Requests)
	progress("at rest, vCenter was asked for %v", asked)
	delete(asked, poll)
	return []row{
		{
			what: fmt.Sprintf("processor of the provider at rest, %d pods", o.idle), unit: "% of a core",
			ours: 100 * (after["node"].cpu - before["node"].cpu) / quiet.Seconds(), baseline: 1, against: "the target", target: "under 1",
		},
		{
			what: fmt.Sprintf("requests in %.0f s at rest, %d pods", quiet.Seconds(), o.idle), unit: "requests", ours: float64(sum(asked)), target: "0",
			baseline: float64(o.idle) * quiet.Seconds() / 5, against: "one for each pod each 5 s, as Virtual Kubelet polls by itself",
		},
	}, nil
}

// poll is the one request that always waits.
const poll = "WaitForUpdatesEx"

// restart counts what the node asks of vCenter until it takes pods again.
func restart(ctx context.Context, o options, s *setting) ([]row, error) {
	if err := s.stopNode(ctx); err != nil {
		return nil, err
	}
	before, err := s.journal(ctx, 0)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := s.startReadyNode(ctx, o.idle); err != nil {
		return nil, err
	}
	took := time.Since(began).Seconds()
	after, err := s.journal(ctx, last(before))
	if err != nil {
		return nil, err
	}
	progress("restart with %d VMs took %.1f s and asked for %v", o.idle, took, methods(after.Requests))
	begin := slices.IndexFunc(after.Requests, func(r vcsim.Request) bool { return r.Method == "CreatePropertyCollector" })
	if begin < 0 {
		return nil, errors.New("the restarted node made no property collector")
	}
	watch := after.Requests[begin:]
	asked := methods(watch[:firstAnswer(watch)])
	pages := asked[poll]
	delete(asked, poll)
	return []row{
		{
			what: fmt.Sprintf("requests of a restart before the first page, %d VMs", o.idle), unit: "requests", ours: float64(sum(asked)),
			baseline: 3, against: "the target", target: "at most 3",
		},
		{
			what: "pages until the first answer", unit: "requests", ours: float64(pages),
			baseline: float64(o.idle) / pageSize, against: fmt.Sprintf("VMs by %d; the host and recent tasks come with them", pageSize),
		},
		{
			what: "requests before those: login, the VCH and its tags", unit: "requests", ours: float64(begin),
			baseline: 3, against: "the target of the watch",
		},
	}, nil
}

// firstAnswer returns how many of the requests it took until all was told: the last poll waits, since nothing happens, and the
// one before it brought the last page.
func firstAnswer(requests []vcsim.Request) int {
	end := 0
	waiting := len(requests)
	for i, request := range requests {
		if request.Method == poll {
			end, waiting = waiting, i+1
		}
	}
	return end
}

// last is the number of the last request of a journal.
func last(journal vcsim.Journaled) uint64 {
	if n := len(journal.Requests); n > 0 {
		return journal.Requests[n-1].Number
	}
	return 0
}

// methods counts requests by method.
func methods(requests []vcsim.Request) map[string]int {
	counts := map[string]int{}
	for _, request := range requests {
		counts[request.Method]++
	}
	return counts
}

func sum(calls map[string]int) int {
	total := 0
	for n := range maps.Values(calls) {
		total += n
	}
	return total
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
