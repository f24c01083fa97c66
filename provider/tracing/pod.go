// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
)

// Pod is whose sake a span is for.
type Pod struct {
	Node, Namespace, Name, UID string
	VMName, VMID               string // "" while there is no VM
}

// WithPod has the spans below ctx say whose they are.
func WithPod(ctx context.Context, pod Pod) context.Context {
	return context.WithValue(ctx, podKey{}, pod)
}

type podKey struct{}

func (p Pod) attributes() []attribute.KeyValue {
	all := []attribute.KeyValue{
		semconv.K8SNodeName(p.Node), semconv.K8SNamespaceName(p.Namespace), semconv.K8SPodName(p.Name), semconv.K8SPodUID(p.UID),
	}
	if p.VMName != "" {
		all = append(all, attribute.String("wolfpack.vm.name", p.VMName))
	}
	if p.VMID != "" {
		all = append(all, attribute.String("wolfpack.vm.id", p.VMID))
	}
	return all
}

// inherit gives each span the pod of its context.
type inherit struct{}

// OnStart sets the attributes; a sdktrace.SpanProcessor has it.
func (inherit) OnStart(parent context.Context, span sdktrace.ReadWriteSpan) {
	if pod, ok := parent.Value(podKey{}).(Pod); ok {
		span.SetAttributes(pod.attributes()...)
	}
}

// OnEnd does nothing; a sdktrace.SpanProcessor has it.
func (inherit) OnEnd(sdktrace.ReadOnlySpan) {}

// Shutdown does nothing; a sdktrace.SpanProcessor has it.
func (inherit) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing; a sdktrace.SpanProcessor has it.
func (inherit) ForceFlush(context.Context) error { return nil }
