// SPDX-License-Identifier: Apache-2.0

// Package tracing sends OpenTelemetry traces of what is done for pods to a collector: a span for each operation and each
// of its steps, for each request to vSphere that they make, and Virtual Kubelet's own. It is set up by OpenTelemetry's
// standard variables alone. Without an endpoint among them nothing is sent, and nothing runs.
//
// A collector that does not answer harms nobody: spans wait in a bounded queue, are dropped when it is full, and the log
// says so once in a while. All methods are safe for concurrent use. A nil Tracing takes everything and does nothing.
package tracing

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	vktrace "github.com/virtual-kubelet/virtual-kubelet/trace"
	vkotel "github.com/virtual-kubelet/virtual-kubelet/trace/opentelemetry"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/klog/v2"

	"wolfpack/errs"
	"wolfpack/version"
)

// flushTimeout bounds the sending of the last spans at the end.
const flushTimeout = 5 * time.Second

// Tracing makes spans and sends them.
type Tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// Start sets up tracing for a process with the given virtual nodes, and makes it Virtual Kubelet's too. It returns nil if
// the environment names no endpoint. It does not wait for the collector. An error says which variable is wrong.
func Start(ctx context.Context, nodes ...string) (*Tracing, error) {
	if !configured() {
		return nil, nil
	}
	const op = "tracing.Start"
	exporter, err := newExporter(ctx)
	if err != nil {
		return nil, errs.New(op, errs.Invalid, "set up tracing: %w", err)
	}
	about := []attribute.KeyValue{semconv.ServiceName("wolfpack"), semconv.ServiceVersion(version.Get().Version)}
	if len(nodes) == 1 {
		about = append(about, semconv.K8SNodeName(nodes[0]))
	}
	// The environment comes last: what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say wins.
	self, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithAttributes(about...), resource.WithFromEnv())
	if err != nil {
		return nil, errs.New(op, errs.Invalid, "set up tracing: %w; check OTEL_RESOURCE_ATTRIBUTES", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(self), sdktrace.WithSpanProcessor(inherit{}), sdktrace.WithBatcher(exporter),
	)
	otel.SetErrorHandler(&complaints{logger: klog.FromContext(ctx), every: time.Minute})
	otel.SetTracerProvider(provider)
	vktrace.T = vkotel.Adapter{}
	return &Tracing{provider: provider, tracer: provider.Tracer("wolfpack")}, nil
}

// configured says whether OpenTelemetry's variables name an endpoint and do not turn traces off.
func configured() bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// newExporter speaks the protocol that the environment chooses; where it does not, gRPC, as Kubernetes' own components do.
// All else the exporters take from the environment themselves.
func newExporter(ctx context.Context) (*otlptrace.Exporter, error) {
	name := "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	if os.Getenv(name) == "" {
		name = "OTEL_EXPORTER_OTLP_PROTOCOL"
	}
	switch protocol := os.Getenv(name); protocol {
	case "", "grpc":
		return otlptracegrpc.New(ctx)
	case "http/protobuf":
		return otlptracehttp.New(ctx)
	default:
		return nil, fmt.Errorf("%s is %q, want grpc or http/protobuf", name, protocol)
	}
}

// Stop sends what is left and ends tracing, within a few seconds. It is for when ctx may be over already.
func (t *Tracing) Stop(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		klog.FromContext(ctx).Info("The last traces could not be sent", "reason", err)
	}
}

// Step makes a span of an operation, if step is "", or of one step of it. It is an operations.Observer.
func (t *Tracing) Step(ctx context.Context, op, step string) (context.Context, func(error)) {
	if t == nil {
		return ctx, func(error) {}
	}
	name := step
	if step == "" {
		name = strings.TrimPrefix(op, "operations.")
	}
	ctx, span := t.tracer.Start(ctx, name)
	return ctx, func(err error) { end(span, err) }
}

// Request makes a span of a request to vSphere that a step makes. Those that nobody's pod is the reason of, such as the
// long poll of the watch, would each be a trace of their own and are left out. It is a vsphere.Observer.
func (t *Tracing) Request(ctx context.Context, method string) (context.Context, func(error)) {
	if t == nil || !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, func(error) {}
	}
	ctx, span := t.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(semconv.RPCSystemNameKey.String("vsphere"), semconv.RPCMethod(method)))
	return ctx, func(err error) { end(span, err) }
}

func end(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		span.SetAttributes(semconv.ErrorTypeKey.String(errs.KindOf(err).String()))
	}
	span.End()
}
