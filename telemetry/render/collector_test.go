// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"wolfpack/telemetry"
	"wolfpack/telemetry/render"
	"wolfpack/telemetry/telemetrytest"
)

// series are the samples of a text, by name and labels, without the vcenter label.
func series(t *testing.T, text string) map[string]string {
	t.Helper()
	samples := map[string]string{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndex(line, " ")
		name := strings.NewReplacer(`,vcenter="vcenter.example.com"`, "", `vcenter="vcenter.example.com",`, "", `{vcenter="vcenter.example.com"}`, "").Replace(line[:at])
		require.NotContains(t, samples, name)
		samples[name] = strings.TrimSpace(line[at:])
	}
	return samples
}

func TestOpenMetricsGolden(t *testing.T) {
	golden(t, "one.openmetrics.txt", written(t, render.FormatOpenMetrics, telemetrytest.Sized(1)))
}

func TestOpenMetricsSaysTheTenMetrics(t *testing.T) {
	text := written(t, render.FormatOpenMetrics, telemetrytest.Report())
	samples := series(t, text)
	for name, want := range map[string]string{
		`vic_cluster_hosts{cluster="edge-01",datacenter="Dublin",state="connected"}`:                                                                     "7.0",
		`vic_cluster_hosts{cluster="edge-01",datacenter="Dublin",state="notResponding"}`:                                                                 "1.0",
		`vic_cluster_hosts{cluster="edge-01",datacenter="Dublin",state="disconnected"}`:                                                                  "0.0",
		`vic_hosts{build="23794027",version="7.0.3"}`:                                                                                                    "8.0",
		`vic_host_info{build="24022510",cluster="prod-01",datacenter="Berlin",host="esx-001.berlin.example.com",version="8.0.3"}`:                        "1.0",
		`vic_vcenter_info{api_version="8.0.3.0",build="24022515",instance_uuid="9f0c6d1e-7b52-4c1e-9a35-2f6e8f2b7a10",version="8.0.3"}`:                  "1.0",
		`vic_product_present{product="harbor"}`:                                                                                                          "1.0",
		`vic_product_present{product="admiral"}`:                                                                                                         "1.0",
		`vic_product_info{confidence="high",product="harbor",source="api",version="v2.11.1",vm=""}`:                                                      "1.0",
		`vic_vms{cluster="prod-01",datacenter="Berlin",power_state="poweredOff",template="true"}`:                                                        "2.0",
		`vic_vchs{cluster="prod-01",datacenter="Berlin",power_state="poweredOff"}`:                                                                       "0.0",
		`vic_vch_info{build="412",cluster="prod-01",commit="8fa3c1d",datacenter="Berlin",moid="vm-2000",os="Photon",vch="payments-01",version="v1.6.0"}`: "1.0",
		`vic_vch_container_vms{cluster="prod-01",datacenter="Berlin",moid="vm-2000",vch="payments-01"}`:                                                  "234.0",
		`vic_container_vms{cluster="prod-01",datacenter="Berlin",os="Windows",power_state="poweredOn",version="v1.5.6"}`:                                 "2.0",
		`vic_unassigned_container_vms`:                                              "4.0",
		`vic_container_vm_lifetime_seconds_bucket{os="Photon",le="3600.0"}`:         "1620",
		`vic_container_vm_lifetime_seconds_count{os="Photon"}`:                      "3134",
		`vic_container_vm_lifetime_mean_seconds{estimator="exposure",window="30d"}`: "22493.30025523226",
		`vic_container_vm_age_mean_seconds`:                                         "412345.0",
		`vic_census_up`:                                                             "1.0",
		`vic_census_complete`:                                                       "1.0",
		`vic_census_errors_total{stage="inventory"}`:                                "1.0",
		`vic_census_errors_total{stage="events"}`:                                   "0.0",
		`vic_removed_vms_unclassified`:                                              "19.0",
		`vic_lives_stitched_total`:                                                  "3.0",
	} {
		require.Equal(t, want, samples[name], name)
	}
	require.True(t, strings.HasSuffix(text, "\n# EOF\n"))
	require.Contains(t, text, "# UNIT vic_container_vm_lifetime_seconds seconds\n")
	require.Contains(t, text, "# TYPE vic_census_errors counter\n")
}

// Each metric adds up to what the report says.
func TestSumsAreTheReportsSums(t *testing.T) {
	for _, report := range []*telemetry.Report{telemetrytest.Report(), telemetrytest.Sized(500), telemetrytest.Hostile(), telemetrytest.Empty()} {
		want := map[string]float64{"vic_unassigned_container_vms": float64(report.Unassigned)}
		for _, c := range report.Clusters {
			for _, n := range c.Hosts {
				want["vic_cluster_hosts"] += float64(n)
			}
		}
		for _, h := range report.Hosts {
			want["vic_hosts"]++
			want["vic_host_vchs"] += float64(h.VCHs)
		}
		for _, c := range report.VMs {
			want["vic_vms"] += float64(c.Count)
		}
		for _, v := range report.VCHs {
			want["vic_vchs"]++
			want["vic_vch_container_vms"] += float64(v.ContainerVMs)
		}
		for _, c := range report.ContainerVMs {
			want["vic_container_vms"] += float64(c.Count)
		}
		for name, sum := range want {
			require.InDelta(t, sum, sumOf(t, report, name), 0.1, name)
		}
	}
}

// sumOf adds up the samples of a gauge.
func sumOf(t *testing.T, report *telemetry.Report, name string) float64 {
	t.Helper()
	sum := 0.0
	for _, m := range family(t, report, name).GetMetric() {
		sum += m.GetGauge().GetValue()
	}
	return sum
}

func family(t *testing.T, report *telemetry.Report, name string) *dto.MetricFamily {
	t.Helper()
	families, err := render.Families(report)
	require.NoError(t, err)
	i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == name })
	if i < 0 {
		return nil
	}
	return families[i]
}

// What is served is in the list, and what is in the list is served, under its type and with its labels.
func TestNamesAreWhatIsServed(t *testing.T) {
	families, err := render.Families(telemetrytest.Report())
	require.NoError(t, err)
	served := map[string]*dto.MetricFamily{}
	for _, f := range families {
		served[f.GetName()] = f
	}
	for _, m := range render.Names() {
		f := served[m.Name]
		require.NotNil(t, f, "%s is in the list, but a report with everything in it does not have it", m.Name)
		require.Equal(t, m.Help, f.GetHelp())
		require.Equal(t, m.Type, strings.ToLower(f.GetType().String()), m.Name)
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		require.ElementsMatch(t, m.Labels, labels, m.Name)
		delete(served, m.Name)
	}
	require.Empty(t, served, "not in the list")
}

func TestNamesAreGoodNames(t *testing.T) {
	problems, err := testutil.CollectAndLint(collectorOf(telemetrytest.Report()))
	require.NoError(t, err)
	require.Empty(t, problems)
	for _, m := range render.Names() {
		require.Regexp(t, `^vic_[a-z_]+$`, m.Name)
		require.Equal(t, "vcenter", m.Labels[0], "%s: several vCenters are told apart", m.Name)
		require.NotContains(t, m.Labels, "name", "%s: no container VM is a label", m.Name)
	}
	require.Equal(t, []string{"vic_container_vm_lifetime_seconds_bucket", "vic_container_vm_lifetime_seconds_sum", "vic_container_vm_lifetime_seconds_count"},
		named(t, "vic_container_vm_lifetime_seconds").Series())
	require.Equal(t, []string{"vic_vms"}, named(t, "vic_vms").Series())
}

func named(t *testing.T, name string) render.Metric {
	t.Helper()
	list := render.Names()
	i := slices.IndexFunc(list, func(m render.Metric) bool { return m.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return list[i]
}

func collectorOf(reports ...*telemetry.Report) *render.Collector {
	var censuses []render.Census
	for _, r := range reports {
		censuses = append(censuses, render.CensusOf(r))
	}
	return render.NewCollector(func() []render.Census { return censuses })
}

// gather is what a strict registry makes of a collector.
func gather(t *testing.T, collector prometheus.Collector) []*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(collector))
	families, err := registry.Gather()
	require.NoError(t, err)
	return families
}

// Objects of the same labels are one sample: Prometheus would drop the whole scrape if there were two.
func TestTheSameNameTwiceIsOneSample(t *testing.T) {
	report := telemetrytest.Sized(14)
	for i := range report.Hosts {
		report.Hosts[i].Name, report.Hosts[i].Cluster, report.Hosts[i].Datacenter, report.Hosts[i].VCHs = "twin", "c", "d", 1
	}
	for i := range report.VCHs {
		report.VCHs[i].Name = "twin"
	}
	gather(t, collectorOf(report))
	hosts := family(t, report, "vic_host_vchs")
	require.Len(t, hosts.GetMetric(), 1)
	require.InDelta(t, 16, hosts.GetMetric()[0].GetGauge().GetValue(), 0)
	require.Len(t, family(t, report, "vic_vch_container_vms").GetMetric(), 14, "VCHs of one name are told apart by their moid")
}

func TestZerosAreSamples(t *testing.T) {
	report := telemetrytest.Empty()
	report.Clusters = []telemetry.Cluster{{Datacenter: "d", Name: "c", MoID: "domain-c1", Hosts: map[string]int{}}}
	report.Hosts = []telemetry.Host{{Datacenter: "d", Cluster: "c", Name: "h", Version: "8.0.3"}}
	report.VCHs = []telemetry.VCH{{Datacenter: "d", Cluster: "c", Host: "h", Name: "v", MoID: "vm-1", OS: "Photon", Version: "v1.6.0", PowerState: "poweredOn"}}
	text := written(t, render.FormatOpenMetrics, report)
	for _, line := range []string{
		`vic_cluster_hosts{cluster="c",datacenter="d",state="connected",vcenter="empty.example.com"} 0.0`,
		`vic_host_vchs{cluster="c",datacenter="d",host="h",vcenter="empty.example.com"} 0.0`,
		`vic_product_present{product="harbor",vcenter="empty.example.com"} 0.0`,
		`vic_vms{cluster="c",datacenter="d",power_state="poweredOn",template="false",vcenter="empty.example.com"} 0.0`,
		`vic_vchs{cluster="c",datacenter="d",power_state="poweredOff",vcenter="empty.example.com"} 0.0`,
		`vic_container_vms{cluster="c",datacenter="d",os="Photon",power_state="poweredOn",vcenter="empty.example.com",version="v1.6.0"} 0.0`,
		`vic_vch_container_vms{cluster="c",datacenter="d",moid="vm-1",vcenter="empty.example.com",vch="v"} 0.0`,
		`vic_unassigned_container_vms{vcenter="empty.example.com"} 0.0`,
	} {
		require.Contains(t, text, line+"\n")
	}
	require.NotContains(t, text, "lifetime_mean", "the mean of nothing is not 0")
}

// Who may name a guest decides neither how many series there are nor how long a label is that is not an object's own name.
func TestLabelsAreBounded(t *testing.T) {
	report := telemetrytest.Empty()
	report.Lifetime = &telemetry.Lifetime{}
	for i := range 1000 {
		os := fmt.Sprintf("OS %d", i)
		report.ContainerVMs = append(report.ContainerVMs, telemetry.ContainerVMCount{OS: os, Version: "v1", PowerState: "poweredOn", Count: 1})
		report.Lifetime.Histograms = append(report.Lifetime.Histograms, telemetry.Histogram{
			OS: os, Count: 2, Sum: 30, Buckets: []telemetry.Bucket{{UpTo: 60, Count: 2}},
		})
	}
	report.ContainerVMs = append(report.ContainerVMs, telemetry.ContainerVMCount{OS: "Photon", Version: "v1", PowerState: "poweredOn", Count: 7})
	vms := family(t, report, "vic_container_vms")
	require.Len(t, vms.GetMetric(), 51)
	require.InDelta(t, 1007, sumOf(t, report, "vic_container_vms"), 0)
	text := written(t, render.FormatOpenMetrics, report)
	require.Contains(t, text, `vic_container_vms{cluster="",datacenter="",os="Photon",power_state="poweredOn",vcenter="empty.example.com",version="v1"} 7.0`)
	require.Contains(t, text, `vic_container_vms{cluster="",datacenter="",os="other",power_state="poweredOn",vcenter="empty.example.com",version="v1"} 951.0`)
	lives := family(t, report, "vic_container_vm_lifetime_seconds")
	require.Len(t, lives.GetMetric(), 51)
	total, minute, sum := uint64(0), uint64(0), 0.0
	for _, m := range lives.GetMetric() {
		total += m.GetHistogram().GetSampleCount()
		require.Len(t, m.GetHistogram().GetBucket(), len(telemetry.LifetimeBuckets))
		minute += m.GetHistogram().GetBucket()[0].GetCumulativeCount()
		sum += m.GetHistogram().GetSampleSum()
	}
	require.EqualValues(t, 2000, total)
	require.EqualValues(t, 2000, minute)
	require.InDelta(t, 30000, sum, 0)
}

func TestHostileNamesAreLabels(t *testing.T) {
	gather(t, collectorOf(telemetrytest.Hostile()))
	requireLabels(t, written(t, render.FormatOpenMetrics, telemetrytest.Hostile()))
}

func TestSeveralVCenters(t *testing.T) {
	a, b := telemetrytest.Sized(2), telemetrytest.Sized(3)
	censuses := []render.Census{
		{VCenter: "a", Report: a, Up: true},
		{VCenter: "b", Report: b, Up: false, Errors: map[string]int{"connect": 4}},
		{VCenter: "a", Report: b, Up: true},
		{VCenter: "never", Errors: map[string]int{"connect": 1}},
	}
	collector := render.NewCollector(func() []render.Census { return censuses })
	gather(t, collector)
	require.NoError(t, testutil.CollectAndCompare(collector, strings.NewReader(`
# HELP vic_census_errors_total Problems of censuses so far, by stage: connect, inventory, events, products or history.
# TYPE vic_census_errors_total counter
vic_census_errors_total{stage="connect",vcenter="a"} 0
vic_census_errors_total{stage="connect",vcenter="b"} 4
vic_census_errors_total{stage="connect",vcenter="never"} 1
vic_census_errors_total{stage="events",vcenter="a"} 0
vic_census_errors_total{stage="events",vcenter="b"} 0
vic_census_errors_total{stage="events",vcenter="never"} 0
vic_census_errors_total{stage="history",vcenter="a"} 0
vic_census_errors_total{stage="history",vcenter="b"} 0
vic_census_errors_total{stage="history",vcenter="never"} 0
vic_census_errors_total{stage="inventory",vcenter="a"} 0
vic_census_errors_total{stage="inventory",vcenter="b"} 0
vic_census_errors_total{stage="inventory",vcenter="never"} 0
vic_census_errors_total{stage="products",vcenter="a"} 0
vic_census_errors_total{stage="products",vcenter="b"} 0
vic_census_errors_total{stage="products",vcenter="never"} 0
# HELP vic_census_up Whether the last census brought a report: 1 or 0. At 0 the other metrics are of the last that did.
# TYPE vic_census_up gauge
vic_census_up{vcenter="a"} 1
vic_census_up{vcenter="b"} 0
vic_census_up{vcenter="never"} 0
# HELP vic_unassigned_container_vms Container VMs that belong to no virtual container host that is known.
# TYPE vic_unassigned_container_vms gauge
vic_unassigned_container_vms{vcenter="a"} 0
vic_unassigned_container_vms{vcenter="b"} 1
`), "vic_census_up", "vic_census_errors_total", "vic_unassigned_container_vms"))
}
