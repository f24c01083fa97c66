// SPDX-License-Identifier: Apache-2.0

package otlp_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"wolfpack/errs"
	"wolfpack/telemetry"
	"wolfpack/telemetry/otlp"
	"wolfpack/telemetry/render"
	"wolfpack/telemetry/telemetrytest"
	"wolfpack/tests/otlptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector is a small OpenTelemetry collector: it hands on what exporters send.
type collector struct {
	collectorpb.UnimplementedMetricsServiceServer
	got chan *metricspb.ResourceMetrics
}

func newCollector() *collector { return &collector{got: make(chan *metricspb.ResourceMetrics, 100)} }

// Export takes a batch; the MetricsService of OTLP has it.
func (c *collector) Export(_ context.Context, batch *collectorpb.ExportMetricsServiceRequest) (*collectorpb.ExportMetricsServiceResponse, error) {
	for _, metrics := range batch.GetResourceMetrics() {
		c.got <- metrics
	}
	return &collectorpb.ExportMetricsServiceResponse{}, nil
}

// serveGRPC returns the URL of a collector that speaks OTLP over gRPC.
func (c *collector) serveGRPC(t *testing.T) string {
	return otlptest.ServeGRPC(t, func(server *grpc.Server) { collectorpb.RegisterMetricsServiceServer(server, c) })
}

// serveHTTP returns the URL of a collector that speaks OTLP over HTTP.
func (c *collector) serveHTTP(t *testing.T) string {
	return otlptest.ServeHTTP(t, "/v1/metrics", func() *collectorpb.ExportMetricsServiceRequest {
		return new(collectorpb.ExportMetricsServiceRequest)
	}, c.Export)
}

func census(name string) render.Census {
	return render.Census{VCenter: name, Report: telemetrytest.Report(), Up: true}
}

func TestReportsReachACollector(t *testing.T) {
	for name, tc := range map[string]struct {
		protocol string
		serve    func(*collector, *testing.T) string
	}{
		"gRPC": {"", (*collector).serveGRPC}, "HTTP": {"http/protobuf", (*collector).serveHTTP},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCollector()
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", tc.serve(c, t))
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", tc.protocol)
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab")
			e, err := otlp.Start(t.Context())
			require.NoError(t, err)
			e.Send(census("east"))
			got := <-c.got
			e.Send(census("west"))
			e.Stop(t.Context())
			require.Equal(t, "west", otlptest.Attributes((<-c.got).GetResource().GetAttributes())["vcenter.name"], "what waits at the end is sent")

			report := telemetrytest.Report()
			about := otlptest.Attributes(got.GetResource().GetAttributes())
			for key, want := range map[string]string{
				"vcenter.name": "east", "vcenter.version": report.VCenter.Version, "vcenter.build": report.VCenter.Build,
				"vcenter.api_version": report.VCenter.APIVersion, "vcenter.instance.uuid": report.VCenter.InstanceUUID,
				"service.name": "wolfpack", "deployment.environment.name": "lab",
			} {
				require.Equal(t, want, about[key], key)
			}
			checkMetrics(t, report, got.GetScopeMetrics()[0].GetMetrics())
		})
	}
}

// checkMetrics fails unless the metrics say what the report does, by the names and units of OpenTelemetry's conventions.
func checkMetrics(t *testing.T, report *telemetry.Report, metrics []*metricspb.Metric) {
	t.Helper()
	units, sums, histograms := map[string]string{}, map[string]int{}, map[string]*metricspb.Histogram{}
	for _, m := range metrics {
		require.NotEmpty(t, m.GetDescription(), m.GetName())
		units[m.GetName()] = m.GetUnit()
		if sum := m.GetSum(); sum != nil {
			require.False(t, sum.GetIsMonotonic(), m.GetName())
			for _, point := range sum.GetDataPoints() {
				sums[m.GetName()] += int(point.GetAsInt())
			}
		}
		histograms[m.GetName()] = m.GetHistogram()
	}
	require.Equal(t, map[string]string{
		"vic.census.up": "1", "vic.cluster.host.count": "{host}", "vic.host.vch.count": "{vch}", "vic.product.present": "1", "vic.vm.count": "{vm}",
		"vic.vch.count": "{vch}", "vic.vch.container_vm.count": "{vm}", "vic.container_vm.count": "{vm}", "vic.container_vm.lifetime": "s",
		"vic.container_vm.lifetime.mean": "s", "vic.container_vm.age.mean": "s",
	}, units)
	vms, containers, owned, onHosts := 0, 0, 0, 0
	for _, v := range report.VMs {
		vms += v.Count
	}
	for _, c := range report.ContainerVMs {
		containers += c.Count
	}
	for _, v := range report.VCHs {
		owned += v.ContainerVMs
	}
	for _, h := range report.Hosts {
		onHosts += h.VCHs
	}
	require.Equal(t, map[string]int{
		"vic.census.up": 1, "vic.cluster.host.count": len(report.Hosts), "vic.host.vch.count": onHosts, "vic.product.present": len(report.Products),
		"vic.vm.count": vms, "vic.vch.count": len(report.VCHs), "vic.vch.container_vm.count": owned, "vic.container_vm.count": containers,
	}, sums)
	count, total := 0, 0
	for _, point := range histograms["vic.container_vm.lifetime"].GetDataPoints() {
		require.Equal(t, telemetry.LifetimeBuckets, point.GetExplicitBounds())
		count += int(point.GetCount())
		for _, n := range point.GetBucketCounts() {
			total += int(n)
		}
	}
	require.Equal(t, report.Lifetime.Completed.Count, count)
	require.Equal(t, count, total, "each life is in one bucket")
}

func TestWithoutAnEndpointNothingRuns(t *testing.T) {
	for name, env := range map[string][2]string{
		"nothing is set": {"OTEL_SERVICE_NAME", "x"}, "all is off": {"OTEL_SDK_DISABLED", "true"}, "metrics are off": {"OTEL_METRICS_EXPORTER", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "nothing is set" {
				t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			}
			t.Setenv(env[0], env[1])
			e, err := otlp.Start(t.Context())
			require.NoError(t, err)
			require.Nil(t, e)
			e.Send(census("east"))
			e.Stop(t.Context())
		})
	}
}

func TestAProtocolThatDoesNotExist(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "carrier-pigeon")
	_, err := otlp.Start(t.Context())
	require.True(t, errs.Is(err, errs.Invalid))
	require.ErrorContains(t, err, `OTEL_EXPORTER_OTLP_METRICS_PROTOCOL is "carrier-pigeon", want grpc or http/protobuf`)
}

// While a collector is away, only the last report of each vCenter waits for it, and nobody waits for that.
func TestACollectorThatIsSlow(t *testing.T) {
	c := newCollector()
	asked, answer := make(chan struct{}), make(chan struct{})
	var first sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		first.Do(func() { close(asked); <-answer })
		batch := new(collectorpb.ExportMetricsServiceRequest)
		if otlptest.Decode(r, batch) == nil {
			_, _ = c.Export(r.Context(), batch)
		}
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	e, err := otlp.Start(t.Context())
	require.NoError(t, err)
	e.Send(census("east"))
	<-asked
	for range 50 {
		e.Send(render.Census{VCenter: "east"})
	}
	e.Send(census("east"))
	close(answer)
	for range 2 {
		require.Greater(t, len((<-c.got).GetScopeMetrics()[0].GetMetrics()), 5, "the reports between are left out")
	}
	e.Stop(t.Context())
	require.Empty(t, c.got)
}

func TestAVCenterThatIsAwayAndOneWithNothing(t *testing.T) {
	names := func(c render.Census) []string {
		all := map[string]bool{}
		for _, m := range otlp.Metrics(c, resource.Empty(), time.Now(), time.Now()).ScopeMetrics[0].Metrics {
			all[m.Name] = true
		}
		return slices.Sorted(maps.Keys(all))
	}
	require.Equal(t, []string{"vic.census.up"}, names(render.Census{VCenter: "east"}))
	require.Equal(t, []string{"vic.census.up", "vic.product.present"}, names(render.Census{Report: &telemetry.Report{}, Up: true}))
}

// Anyone who names a guest can make up words.
func TestWordsWithoutEnd(t *testing.T) {
	report := &telemetry.Report{}
	for i := range 5000 {
		report.ContainerVMs = append(report.ContainerVMs, telemetry.ContainerVMCount{OS: time.Duration(i).String(), Count: 2})
	}
	for _, m := range otlp.Metrics(render.Census{Report: report}, resource.Empty(), time.Now(), time.Now()).ScopeMetrics[0].Metrics {
		if m.Name != "vic.container_vm.count" {
			continue
		}
		points := m.Data.(metricdata.Sum[int64]).DataPoints
		require.Len(t, points, 2000)
		last := points[len(points)-1]
		require.True(t, last.Attributes.HasValue("otel.metric.overflow"))
		require.EqualValues(t, 2*(5000-1999), last.Value)
		return
	}
	require.Fail(t, "no metric of container VMs")
}
