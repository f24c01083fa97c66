// SPDX-License-Identifier: Apache-2.0

// Package otlptest has what a collector of OpenTelemetry's protocol needs, be it for traces or for metrics, so that tests have a
// real one to send to. What it serves ends with the test.
package otlptest

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// ServeGRPC returns the URL of a collector that speaks OTLP over gRPC, with the service that register adds.
func ServeGRPC(t *testing.T, register func(*grpc.Server)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	register(server)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-done)
	})
	return "http://" + listener.Addr().String()
}

// ServeHTTP returns the URL of a collector that speaks OTLP over HTTP: batches that are sent to a path, such as /v1/traces, are
// decoded into what batch makes and handed to export.
func ServeHTTP[Batch proto.Message, Response any](
	t *testing.T, path string, batch func() Batch, export func(context.Context, Batch) (Response, error),
) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := batch()
		if err := Decode(r, got); err != nil || r.URL.Path != path {
			http.Error(w, "not OTLP", http.StatusBadRequest)
			return
		}
		_, _ = export(r.Context(), got)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Decode reads a batch from a request, which may be compressed.
func Decode(r *http.Request, into proto.Message) error {
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

// Attributes returns the attributes that have a text.
func Attributes(list []*commonpb.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range list {
		all[a.GetKey()] = a.GetValue().GetStringValue()
	}
	return all
}
