// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"
)

// throughput is how many pods a second become Running when so many are bound to the node at once, up to their status in the
// API server, against VMs a second of a plain loop without Kubernetes; and which part of the processor time is ours.
func throughput(ctx context.Context, o options) ([]row, error) {
	plain, err := plainThroughput(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("plain loop: %w", err)
	}
	ours, shares, err := ourThroughput(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("pods: %w", err)
	}
	rows := []row{{
		what: fmt.Sprintf("%d pods bound at once to Running", o.pods), unit: "per second", ours: ours, baseline: plain, target: "1.5 times",
		against: fmt.Sprintf("VMs of govmomi's create and power on, %d workers, no Kubernetes", o.concurrency),
	}}
	for _, share := range []struct{ what, name string }{
		{"of it, processor time of the provider", "node"},
		{"of it, processor time of the stand-in", "vcsim"},
		{"of it, processor time of API server and etcd", "kube"},
	} {
		rows = append(rows, row{
			what: share.what, unit: "ms per pod", ours: 1000 * shares[share.name] / float64(o.pods),
			baseline: 1000 * shares["all"] / float64(o.pods), against: "processor time of all parts",
		})
	}
	return rows, nil
}

// plainThroughput is the baseline, on a lab of its own.
func plainThroughput(ctx context.Context, o options) (float64, error) {
	s, err := newSetting(ctx, o)
	if err != nil {
		return 0, err
	}
	defer s.close(context.WithoutCancel(ctx))
	plain, err := s.plain(ctx)
	if err != nil {
		return 0, err
	}
	defer plain.close(ctx)
	began := time.Now()
	err = plain.createMany(ctx, o.pods, o.concurrency)
	return float64(o.pods) / time.Since(began).Seconds(), err
}

// ourThroughput begins to count when the node has started to take the pods that wait for it.
func ourThroughput(ctx context.Context, o options) (rate float64, shares map[string]float64, err error) {
	s, err := newSetting(ctx, o)
	if err != nil {
		return 0, nil, err
	}
	defer s.close(context.WithoutCancel(ctx))
	if err := s.bindPods(ctx, 0, o.pods); err != nil {
		return 0, nil, err
	}
	before, err := s.usages()
	if err != nil {
		return 0, nil, err
	}
	began := time.Now()
	if err := s.startNode(o.pods); err != nil {
		return 0, nil, err
	}
	if err := s.awaitRunning(ctx, o.pods); err != nil {
		return 0, nil, err
	}
	rate = float64(o.pods) / time.Since(began).Seconds()
	after, err := s.usages()
	if err != nil {
		return 0, nil, err
	}
	shares = map[string]float64{}
	for name, used := range after {
		spent := used.cpu - before[name].cpu
		shares["all"] += spent
		switch name {
		case "node", "vcsim":
			shares[name] += spent
		default:
			shares["kube"] += spent
		}
	}
	return rate, shares, nil
}
