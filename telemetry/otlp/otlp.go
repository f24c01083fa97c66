// SPDX-License-Identifier: Apache-2.0

// Package otlp sends telemetry reports to an OpenTelemetry collector, as metrics with the names and units that OpenTelemetry's
// conventions ask for. It is set up by OpenTelemetry's standard variables alone. Without an endpoint among them nothing is
// sent, and nothing runs.
//
// Each report is sent as soon as it is there, with its vCenter as the resource. A collector that does not answer harms nobody:
// of each vCenter the last report waits, and the log says so once in a while. All methods are safe for concurrent use. A nil
// Exporter takes everything and does nothing.
package otlp

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"k8s.io/klog/v2"

	"wolfpack/errs"
	"wolfpack/telemetry/render"
	"wolfpack/version"
)

const (
	flushTimeout = 5 * time.Second // of what is left at the end
	silence      = time.Minute     // between two complaints
)

// Exporter sends reports.
type Exporter struct {
	exporter sdkmetric.Exporter
	self     *resource.Resource
	began    time.Time
	quit     chan struct{} // is closed when nobody sends any more
	done     chan struct{} // is closed when nothing is sent any more
	stop     context.CancelFunc

	mu      sync.Mutex // guards all below
	waiting map[string]render.Census
	more    chan struct{} // has an element if something waits
}

// Start sets up the sending of reports. It returns nil if the environment names no endpoint. It does not wait for the
// collector. An error says which variable is wrong.
func Start(ctx context.Context) (*Exporter, error) {
	if !configured() {
		return nil, nil
	}
	const op = "otlp.Start"
	exporter, err := newExporter(ctx)
	if err != nil {
		return nil, errs.New(op, errs.Invalid, "set up the sending of metrics: %w", err)
	}
	// The environment comes last: what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say wins.
	self, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(semconv.ServiceName("wolfpack"), semconv.ServiceVersion(version.Get().Version)), resource.WithFromEnv())
	if err != nil {
		_ = exporter.Shutdown(ctx)
		return nil, errs.New(op, errs.Invalid, "set up the sending of metrics: %w; check OTEL_RESOURCE_ATTRIBUTES", err)
	}
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	e := &Exporter{
		exporter: exporter, self: self, began: time.Now(), quit: make(chan struct{}), done: make(chan struct{}), stop: stop,
		waiting: map[string]render.Census{}, more: make(chan struct{}, 1),
	}
	go e.run(sending)
	return e, nil
}

// configured says whether OpenTelemetry's variables name an endpoint and do not turn metrics off.
func configured() bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_METRICS_EXPORTER") == "none" {
		return false
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") != ""
}

// newExporter speaks the protocol that the environment chooses; where it does not, gRPC, as the traces of wolfpack node do.
// All else the exporters take from the environment themselves.
func newExporter(ctx context.Context) (sdkmetric.Exporter, error) {
	name := "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"
	if os.Getenv(name) == "" {
		name = "OTEL_EXPORTER_OTLP_PROTOCOL"
	}
	switch protocol := os.Getenv(name); protocol {
	case "", "grpc":
		return otlpmetricgrpc.New(ctx)
	case "http/protobuf":
		return otlpmetrichttp.New(ctx)
	default:
		return nil, fmt.Errorf("%s is %q, want grpc or http/protobuf", name, protocol)
	}
}

// Send has a census sent, unless one that is newer comes before that. It does not wait.
func (e *Exporter) Send(census render.Census) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting[census.VCenter] = census
	select {
	case e.more <- struct{}{}:
	default:
	}
}

// Stop sends what waits, and ends, within a few seconds. It is for when ctx may be over already, and nobody sends any more.
func (e *Exporter) Stop(ctx context.Context) {
	if e == nil {
		return
	}
	close(e.quit)
	late := time.AfterFunc(flushTimeout, e.stop)
	<-e.done
	late.Stop()
	e.stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	_ = e.exporter.Shutdown(ctx)
}

// run sends what comes until there is no more.
func (e *Exporter) run(ctx context.Context) {
	defer close(e.done)
	var complained time.Time
	for last := false; !last; {
		select {
		case <-e.more:
		case <-e.quit:
			last = true
		}
		if err := e.send(ctx); err != nil && (last || time.Since(complained) > silence) {
			klog.FromContext(ctx).Info("Metrics are not sent", "reason", err)
			complained = time.Now()
		}
	}
}

// send sends what waits. What fails is dropped: the next one comes soon.
func (e *Exporter) send(ctx context.Context) (failed error) {
	e.mu.Lock()
	all := e.waiting
	e.waiting = map[string]render.Census{}
	e.mu.Unlock()
	for _, census := range all {
		if err := e.exporter.Export(ctx, Metrics(census, e.self, e.began, time.Now())); err != nil {
			failed = err
		}
	}
	return failed
}
