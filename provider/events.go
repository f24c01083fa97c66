// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"wolfpack/errs"
)

// tell gives the pod's user an Event and the log a line, in the same words. ctx says whose pod and VM it is: see about.
func (p *Provider) tell(ctx context.Context, pod *corev1.Pod, kind, reason, message string) {
	klog.FromContext(ctx).Info("Event", "reason", reason, "message", message)
	p.config.Events.Event(pod, kind, reason, message)
}

func (p *Provider) tellStarted(ctx context.Context, e entry) {
	p.tell(ctx, e.pod, corev1.EventTypeNormal, "VMStarted", fmt.Sprintf("Started VM %s in VCH %s", e.vmText(), p.config.VCH))
}

// tellStopping is for the pod's user: the log has a line when the VM is removed. It is said once, not at each try.
func (p *Provider) tellStopping(ctx context.Context, e entry) {
	if e.troubled != nil {
		return
	}
	message := "Powering off VM " + e.vmText()
	if grace := time.Until(e.deadline).Round(time.Second); grace > 0 {
		message = fmt.Sprintf("Stopping VM %s: its guest has %s to end the pod", e.vmText(), grace)
	}
	klog.FromContext(ctx).V(2).Info("Event", "reason", "VMStopping", "message", message)
	p.config.Events.Event(e.pod, corev1.EventTypeNormal, "VMStopping", message)
}

// report tells the log and the pod's user what went wrong. Of a failure that is the same at each try, the log has a line
// once; Events are counted and bounded by their recorder.
func (p *Provider) report(ctx context.Context, e entry, err error) {
	logger := klog.FromContext(ctx).WithValues("op", errs.Op(err), "kind", errs.KindOf(err).String())
	if e.troubled != nil && e.troubled.Error() == err.Error() {
		logger.V(2).Info("Operation failed again", "err", err)
	} else {
		logger.Error(err, "Operation failed")
	}
	reason, message := p.failure(e, err)
	p.config.Events.Event(e.pod, corev1.EventTypeWarning, reason, message)
}

// failure is the reason and the message of a failure's Event. Where the kubelet has a reason for it, it is that.
func (p *Provider) failure(e entry, err error) (reason, message string) {
	var rejected *Rejection
	switch {
	case e.deleting():
		return "FailedDeleteVM", fmt.Sprintf("Failed to remove VM %s: %v", e.vmText(), err)
	case badImage(err):
		return reasonInvalidImage, err.Error()
	case errors.As(err, &rejected):
		return rejected.Reason, err.Error()
	case p.ended(e):
		return "FailedStopVM", fmt.Sprintf("Failed to power off VM %s: %v", e.vmText(), err)
	default:
		return "FailedCreateVM", fmt.Sprintf("Failed to create VM %s in VCH %s: %v", e.vmText(), p.config.VCH, err)
	}
}

// vmText is how the pod's VM is called in messages: by its name, and, once it has one, by its ID, which stays when somebody
// renames it.
func (e entry) vmText() string {
	if e.id == "" {
		return e.vmName()
	}
	return fmt.Sprintf("%s (%s)", e.vmName(), e.id)
}
