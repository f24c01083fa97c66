// SPDX-License-Identifier: Apache-2.0

package tracing_test

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
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
		c.about = attributes(resource.GetResource().GetAttributes())
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				c.spans[span.GetName()] = span
			}
		}
	}
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

func attributes(list []*commonpb.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range list {
		all[a.GetKey()] = a.GetValue().GetStringValue()
	}
	return all
}

// serveGRPC returns the URL of a collector that speaks OTLP over gRPC.
func (c *collector) serveGRPC(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	collectorpb.RegisterTraceServiceServer(server, c)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-done)
	})
	return "http://" + listener.Addr().String()
}

// serveHTTP returns the URL of a collector that speaks OTLP over HTTP.
func (c *collector) serveHTTP(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		batch := new(collectorpb.ExportTraceServiceRequest)
		if err := decode(r, batch); err != nil || r.URL.Path != "/v1/traces" {
			http.Error(w, "not OTLP", http.StatusBadRequest)
			return
		}
		_, _ = c.Export(r.Context(), batch)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func decode(r *http.Request, into proto.Message) error {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(r.Body); err != nil {
			return err
		}
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	return proto.Unmarshal(text, into)
}
