// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"wolfpack/tests/process"
)

// spent is what some VMs or pods have taken of time and of the processor, which all parts share.
type spent struct {
	seconds float64
	cpu     map[string]float64 // seconds of the processor, by part
}

// all is the processor time of all parts.
func (s spent) all() float64 {
	var all float64
	for _, seconds := range s.cpu {
		all += seconds
	}
	return all
}

// parts are those whose processor time has a row of its own.
var parts = []struct{ name, what string }{
	{"node", "the provider"},
	{"vcsim", "the stand-in and its guests"},
	{"kube-apiserver", "kube-apiserver"},
	{"etcd", "etcd"},
	{others, "controllers, scheduler and this program"},
}

const others = "others"

// throughput is how many pods a second become Running when so many are bound to the node at once, up to their status in the
// API server, against VMs a second of a plain loop without Kubernetes; and whose processor time it is that they share.
func throughput(ctx context.Context, o options) ([]row, error) {
	plain, err := plainThroughput(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("plain loop: %w", err)
	}
	ours, err := ourThroughput(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("pods: %w", err)
	}
	each := func(total float64) float64 { return 1000 * total / float64(o.pods) }
	rows := []row{
		{
			what: fmt.Sprintf("%d pods bound at once to Running", o.pods), unit: "per second", target: "1.5 times",
			ours: float64(o.pods) / ours.seconds, baseline: float64(o.pods) / plain.seconds,
			against: fmt.Sprintf("VMs of govmomi's create and power on, %d workers, no Kubernetes", o.concurrency),
		},
		{
			what: "of the machine's processor time, in use", unit: "%", ours: ours.busy(), baseline: plain.busy(),
			against: fmt.Sprintf("the same of the loop; more than 100 %% of %d cores there is not", runtime.NumCPU()),
		},
		{
			what: "processor time of a pod, all parts", unit: "ms", ours: each(ours.all()), baseline: each(plain.all()),
			against: "the same of a VM of the loop: its program and the stand-in",
		},
		{
			what: "without Kubernetes, which the loop has not", unit: "ms", ours: each(ours.cpu["node"] + ours.cpu["vcsim"]), baseline: each(plain.all()),
			against: "the same; what the ratio would be if Kubernetes had a machine of its own",
		},
	}
	for _, part := range parts {
		rows = append(rows, row{
			what: "of it, of " + part.what, unit: "ms", ours: each(ours.cpu[part.name]), baseline: each(ours.all()), against: "all parts",
		})
	}
	return rows, nil
}

// busy is the part of the machine's processor time that was in use, in percent.
func (s spent) busy() float64 { return 100 * s.all() / s.seconds / float64(runtime.NumCPU()) }

// plainThroughput is the baseline, on a lab of its own.
func plainThroughput(ctx context.Context, o options) (spent, error) {
	s, err := newSetting(ctx, o)
	if err != nil {
		return spent{}, err
	}
	defer s.close(context.WithoutCancel(ctx))
	plain, err := s.plain(ctx)
	if err != nil {
		return spent{}, err
	}
	defer plain.close(ctx)
	before, err := s.usages()
	if err != nil {
		return spent{}, err
	}
	began := time.Now()
	if err := plain.createMany(ctx, o.pods, o.concurrency); err != nil {
		return spent{}, err
	}
	took := time.Since(began)
	cpu, err := s.cpuSince(before)
	return spent{took.Seconds(), cpu}, err
}

// ourThroughput begins to count when the node asks for the first VM: the pods wait for it, and it has started, as the loop has
// logged in.
func ourThroughput(ctx context.Context, o options) (spent, error) {
	s, err := newSetting(ctx, o)
	if err != nil {
		return spent{}, err
	}
	defer s.close(context.WithoutCancel(ctx))
	if err := s.bindPods(ctx, 0, o.pods); err != nil {
		return spent{}, err
	}
	seen, err := s.journal(ctx, 0)
	if err != nil {
		return spent{}, err
	}
	if err := s.startNode(o.pods); err != nil {
		return spent{}, err
	}
	began, err := s.firstCreate(ctx, last(seen))
	if err != nil {
		return spent{}, err
	}
	before, err := s.usages()
	if err != nil {
		return spent{}, err
	}
	if err := s.awaitRunning(ctx, o.pods); err != nil {
		return spent{}, err
	}
	took := time.Since(began)
	cpu, err := s.cpuSince(before)
	return spent{took.Seconds(), cpu}, err
}

// cpuSince is the processor time that each part has spent since before.
func (s *setting) cpuSince(before map[string]usage) (map[string]float64, error) {
	cpu := map[string]float64{}
	after, err := s.usages()
	if err != nil {
		return nil, err
	}
	for name, used := range after {
		part := others
		for _, p := range parts {
			if p.name == name {
				part = name
			}
		}
		cpu[part] += used.cpu - before[name].cpu
	}
	return cpu, nil
}

// firstCreate waits until vCenter has been asked for a VM since the request of that number, and returns when that was.
func (s *setting) firstCreate(ctx context.Context, since uint64) (began time.Time, err error) {
	err = process.Until(ctx, s.node, "the node asks for a VM", func(ctx context.Context) error {
		journal, err := s.journal(ctx, since)
		if err != nil {
			return err
		}
		for _, request := range journal.Requests {
			if request.Method == "CreateVM_Task" {
				began = request.Time
				return nil
			}
		}
		return errors.New("it has not yet")
	})
	return began, err
}
