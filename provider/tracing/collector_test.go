// SPDX-License-Identifier: Apache-2.0

package tracing_test

import (
	"context"
	"sync"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"wolfpack/tests/otlptest"
)

// collector is a small OpenTelemetry collector: it keeps what exporters send.
type collector struct {
	collectorpb.UnimplementedTraceServiceServer

	mu    sync.Mutex // guards spans and about
	spans map[string]*tracepb.Span
	about map[string]string // the attributes of who sends
}

func newCollector() *collector { return &collector{spans: map[string]*tracepb.Span{}} }

// Export takes a batch; the TraceService of OTLP has it.
func (c *collector) Export(_ context.Context, batch *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range batch.GetResourceSpans() {
		c.about = otlptest.Attributes(resource.GetResource().GetAttributes())
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				c.spans[span.GetName()] = span
			}
		}
	}
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

// serveGRPC returns the URL of a collector that speaks OTLP over gRPC.
func (c *collector) serveGRPC(t *testing.T) string {
	return otlptest.ServeGRPC(t, func(server *grpc.Server) { collectorpb.RegisterTraceServiceServer(server, c) })
}

// serveHTTP returns the URL of a collector that speaks OTLP over HTTP.
func (c *collector) serveHTTP(t *testing.T) string {
	return otlptest.ServeHTTP(t, "/v1/traces", func() *collectorpb.ExportTraceServiceRequest {
		return new(collectorpb.ExportTraceServiceRequest)
	}, c.Export)
}
