// SPDX-License-Identifier: Apache-2.0

package tracing_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	vktrace "github.com/virtual-kubelet/virtual-kubelet/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"wolfpack/errs"
	"wolfpack/provider/tracing"
	"wolfpack/tests/otlptest"
	"wolfpack/version"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// environment sets OpenTelemetry's variables, and unsets those that the machine may have.
func environment(t *testing.T, set map[string]string) {
	t.Helper()
	for _, name := range []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL",
		"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES",
	} {
		t.Setenv(name, set[name])
	}
}

// createAPod does what creating a pod's VM does, with one step that fails.
func createAPod(ctx context.Context, traces *tracing.Tracing) {
	ctx, virtualKubelet := vktrace.StartSpan(ctx, "createOrUpdatePod")
	virtualKubelet.End()
	ctx = tracing.WithPod(context.WithoutCancel(ctx), tracing.Pod{
		Node: "n", Namespace: "default", Name: "web", UID: "u-1", VMName: "web-u", VMID: "vm-42",
	})
	ctx, operation := traces.Step(ctx, "operations.PodCreator", "")
	inStep, step := traces.Step(ctx, "operations.PodCreator", "create the VM")
	_, request := traces.Request(inStep, "CreateVM_Task")
	busy := errs.New("test", errs.Unavailable, "vCenter is busy")
	request(busy)
	step(busy)
	operation(busy)
	_, poll := traces.Request(context.Background(), "WaitForUpdatesEx")
	poll(nil)
}

func TestTracesArriveAtACollector(t *testing.T) {
	for name, tc := range map[string]struct {
		protocol string
		serve    func(*collector, *testing.T) string
	}{
		"gRPC": {"", (*collector).serveGRPC},
		"HTTP": {"http/protobuf", (*collector).serveHTTP},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCollector()
			environment(t, map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": tc.serve(c, t), "OTEL_EXPORTER_OTLP_PROTOCOL": tc.protocol,
				"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=lab",
			})
			traces, err := tracing.Start(t.Context(), "n")
			require.NoError(t, err)
			createAPod(t.Context(), traces)
			over, cancel := context.WithCancel(t.Context())
			cancel()
			traces.Stop(over) // the program's context is over when it ends
			checkSpans(t, c)
		})
	}
}

func checkSpans(t *testing.T, c *collector) {
	t.Helper()
	require.Len(t, c.spans, 4, "Virtual Kubelet's, the operation, its step, the step's request; not the poll: %v", c.spans)
	operation, step, request := c.spans["PodCreator"], c.spans["create the VM"], c.spans["CreateVM_Task"]
	require.Equal(t, operation.GetSpanId(), step.GetParentSpanId())
	require.Equal(t, step.GetSpanId(), request.GetParentSpanId())
	require.Equal(t, operation.GetTraceId(), request.GetTraceId())
	require.NotNil(t, c.spans["createOrUpdatePod"])
	for _, span := range []*tracepb.Span{operation, step, request} {
		got := otlptest.Attributes(span.GetAttributes())
		require.Equal(t, "default", got["k8s.namespace.name"])
		require.Equal(t, "web", got["k8s.pod.name"])
		require.Equal(t, "u-1", got["k8s.pod.uid"])
		require.Equal(t, "n", got["k8s.node.name"])
		require.Equal(t, "web-u", got["wolfpack.vm.name"])
		require.Equal(t, "vm-42", got["wolfpack.vm.id"])
		require.Equal(t, "unavailable", got["error.type"])
		require.Equal(t, "vCenter is busy", span.GetStatus().GetMessage())
	}
	require.Equal(t, tracepb.Span_SPAN_KIND_CLIENT, request.GetKind())
	require.Equal(t, "CreateVM_Task", otlptest.Attributes(request.GetAttributes())["rpc.method"])
	require.Equal(t, "wolfpack", c.about["service.name"])
	require.Equal(t, version.Get().Version, c.about["service.version"])
	require.Equal(t, "n", c.about["k8s.node.name"])
	require.Equal(t, "lab", c.about["deployment.environment.name"])
}

func TestWithoutAnEndpointNothingRuns(t *testing.T) {
	for name, set := range map[string]map[string]string{
		"nothing set":   {},
		"turned off":    {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
		"exporter none": {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, set)
			before := goleak.IgnoreCurrent()
			traces, err := tracing.Start(t.Context(), "n")
			require.NoError(t, err)
			require.Nil(t, traces)
			goleak.VerifyNone(t, before)
			createAPod(t.Context(), traces)
			traces.Stop(t.Context())
			allocations := testing.AllocsPerRun(100, func() {
				_, end := traces.Step(t.Context(), "operations.PodCreator", "create the VM")
				end(nil)
			})
			require.Zero(t, allocations, "it costs nothing")
		})
	}
}

func TestAProtocolThatDoesNotExist(t *testing.T) {
	environment(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "smoke"})
	_, err := tracing.Start(t.Context())
	require.True(t, errs.Is(err, errs.Invalid))
	require.ErrorContains(t, err, `OTEL_EXPORTER_OTLP_PROTOCOL is "smoke", want grpc or http/protobuf`)
}

// lines is a writer of log lines.
type lines struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) with(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

func TestACollectorThatIsAwayIsLoggedOnceInAWhile(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	environment(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + closed.Addr().String()})
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "20")
	log := new(lines)
	ctx := klog.NewContext(t.Context(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(log))))
	traces, err := tracing.Start(ctx, "n")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		createAPod(ctx, traces) // never fails and never waits
		return log.with("Traces are not sent") == 1
	}, time.Minute, 20*time.Millisecond)
	for range 10 {
		createAPod(ctx, traces)
	}
	traces.Stop(ctx)
	require.Equal(t, 1, log.with("Traces are not sent"))
}
