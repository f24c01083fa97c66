// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"wolfpack/provider/metrics"
	"wolfpack/provider/operations"
	"wolfpack/provider/portlayer"
	"wolfpack/provider/tracing"
)

// about is a context for work on a pod: what is logged, measured and traced with it says whose pod and VM it is.
func (p *Provider) about(ctx context.Context, e entry) context.Context {
	logger := klog.FromContext(ctx).WithValues("pod", klog.KObj(e.pod), "podUID", e.pod.UID, "vm", e.vmName())
	if e.id != "" {
		logger = logger.WithValues("vmID", e.id)
	}
	ctx = klog.NewContext(ctx, logger)
	ctx = tracing.WithPod(ctx, tracing.Pod{
		Node: p.config.Node, Namespace: e.pod.Namespace, Name: e.pod.Name, UID: string(e.pod.UID), VMName: e.vmName(), VMID: string(e.id),
	})
	return operations.WithObserver(ctx, logStep, p.config.Metrics.Step, p.config.Traces.Step)
}

// vmName is the name of the pod's VM, or, while it has none, the one that it will have.
func (e entry) vmName() string {
	if e.vm != nil {
		return e.vm.VMName
	}
	return operations.VMName(e.pod.Name, string(e.pod.UID))
}

// logStep is an operations.Observer that logs steps, for who looks closely.
func logStep(ctx context.Context, op, step string) (context.Context, func(error)) {
	logger := klog.FromContext(ctx).V(4)
	if !logger.Enabled() || step == "" {
		return ctx, func(error) {}
	}
	begun := time.Now()
	return ctx, func(err error) {
		logger.Info("Step done", "op", op, "step", step, "took", time.Since(begun), "err", err)
	}
}

// listen is what the watch reports to: it takes what the news are, and what they say of the watch itself.
func (p *Provider) listen(ctx context.Context) func(portlayer.Update) {
	logger, lost := klog.FromContext(ctx).WithValues("vch", p.config.VCH), false
	return func(update portlayer.Update) {
		switch {
		case update.Lost != nil:
			p.config.Metrics.WatchLost()
			if !lost {
				logger.Info("The watch over vSphere is interrupted; pods keep their last status", "reason", update.Lost)
			}
			lost = true
		case update.Sync && lost:
			logger.Info("The watch over vSphere is back", "vms", len(update.Changed))
			lost = false
		}
		p.config.Metrics.WatchAnswered(update.Received)
		p.observe(ctx, update)
	}
}

// snapshot is the provider's state for a scrape.
func (p *Provider) snapshot() metrics.Snapshot {
	s := metrics.Snapshot{Pods: map[string]int{}, VMs: map[string]int{}, Busy: p.queues.busy(), Notices: p.notices.waiting()}
	for _, phase := range []corev1.PodPhase{corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed, corev1.PodUnknown} {
		s.Pods[string(phase)] = 0
	}
	for _, state := range []portlayer.State{portlayer.Off, portlayer.Running, portlayer.Suspended, portlayer.Inaccessible} {
		s.VMs[string(state)] = 0
	}
	for _, e := range p.cache.all() {
		s.Pods[string(status(e.pod, e, p.config.HostIP).Phase)]++
		if e.vm != nil {
			s.VMs[string(e.vm.State)]++
		}
	}
	return s
}
