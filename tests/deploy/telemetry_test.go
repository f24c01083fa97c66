// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	exposition "wolfpack/telemetry/render"
	"wolfpack/telemetry/telemetrytest"
)

const (
	dashboardFile = "../../deploy/grafana/wolfpack-telemetry.json"
	rulesFile     = "../../deploy/prometheus/wolfpack-telemetry.rules.yaml"
	rulesTests    = "testdata/wolfpack-telemetry.rules.test.yaml"
)

// run runs one of the programs that `make kube` built.
func run(t *testing.T, stdin []byte, name string, args ...string) (stdout string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, name), args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	if err = cmd.Run(); err != nil {
		t.Logf("%s: %v\n%s%s", cmd, err, out.String(), errs.String())
	}
	return out.String() + errs.String(), err
}

// names are what a query names.
type names struct {
	Metrics []string `json:"metrics"`
	Labels  []string `json:"labels"`
	Problem string   `json:"problem"`
}

// parse has Prometheus' own parser read queries.
func parse(t *testing.T, queries []string) []names {
	t.Helper()
	stdin, err := json.Marshal(queries)
	require.NoError(t, err)
	out, err := run(t, stdin, "promql")
	require.NoError(t, err)
	var all []names
	require.NoError(t, json.Unmarshal([]byte(out), &all))
	require.Len(t, all, len(queries))
	return all
}

// exported are the labels of each series that there may be.
func exported() map[string][]string {
	all := map[string][]string{}
	for _, metric := range exposition.Names() {
		for _, series := range metric.Series() {
			all[series] = metric.Labels
			if strings.HasSuffix(series, "_bucket") {
				all[series] = append(slices.Clone(metric.Labels), "le")
			}
		}
	}
	return all
}

// check fails unless a query names what there may be. It returns the labels that its metrics have.
func check(t *testing.T, query string, found names) (labels []string) {
	t.Helper()
	require.Empty(t, found.Problem, query)
	require.NotEmpty(t, found.Metrics, query)
	series := exported()
	for _, metric := range found.Metrics {
		require.Contains(t, series, metric, "no such metric, in %s", query)
		labels = append(labels, series[metric]...)
	}
	for _, label := range found.Labels {
		require.Contains(t, labels, label, "no such label, in %s", query)
	}
	return labels
}

type target struct {
	Expr         string     `json:"expr"`
	LegendFormat string     `json:"legendFormat"`
	Datasource   datasource `json:"datasource"`
}

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type panel struct {
	ID          int        `json:"id"`
	Type        string     `json:"type"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Repeat      string     `json:"repeat"`
	Datasource  datasource `json:"datasource"`
	Targets     []target   `json:"targets"`
	Panels      []panel    `json:"panels"`
	GridPos     struct{ X, Y, W, H int }
}

type dashboard struct {
	UID        string  `json:"uid"`
	Panels     []panel `json:"panels"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Type       string `json:"type"`
			Definition string `json:"definition"`
			Query      any    `json:"query"`
		} `json:"list"`
	} `json:"templating"`
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	require.NoError(t, err)
	var d dashboard
	require.NoError(t, json.Unmarshal(text, &d))
	return d
}

// panels are those with queries.
func (d dashboard) panels() (all []panel) {
	for _, p := range d.Panels {
		all = append(append(all, p), p.Panels...)
	}
	return slices.DeleteFunc(all, func(p panel) bool { return p.Type == "row" })
}

// variables are what Grafana puts in for its variables.
var variables = strings.NewReplacer("$vcenter", ".*", "$top", "20")

var legend = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`) // Grafana's own template, which is no PromQL

func TestDashboardShowsWhatIsExported(t *testing.T) {
	queries, shown := []string{}, []target{}
	for _, p := range readDashboard(t).panels() {
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			queries, shown = append(queries, variables.Replace(target.Expr)), append(shown, target)
		}
	}
	used := map[string]bool{}
	for i, found := range parse(t, queries) {
		labels := check(t, queries[i], found)
		require.Contains(t, found.Labels, "vcenter", "it is of the chosen vCenters: %s", queries[i])
		for _, label := range legend.FindAllStringSubmatch(shown[i].LegendFormat, -1) {
			require.Contains(t, labels, label[1], "no such label in the legend of %s", queries[i])
		}
		for _, metric := range found.Metrics {
			used[metric] = true
		}
	}
	for number, metric := range []string{
		"vic_cluster_hosts", "vic_hosts", "vic_vcenter_info", "vic_product_info", "vic_vms", "vic_vch_info", "vic_container_vms", "vic_host_vchs",
		"vic_vch_container_vms", "vic_container_vm_lifetime_mean_seconds",
	} {
		require.True(t, used[metric], "metric %d, %s, is shown nowhere", number+1, metric)
	}
}

func TestDashboardIsForAnyGrafana(t *testing.T) {
	d := readDashboard(t)
	require.NotEmpty(t, d.UID)
	ours := datasource{"prometheus", "${datasource}"}
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range d.panels() {
		require.False(t, ids[p.ID], "two panels have the id %d", p.ID)
		ids[p.ID] = true
		require.NotEmpty(t, p.Title)
		require.NotEmpty(t, p.Description, "%s: say what it shows", p.Title)
		require.Empty(t, p.Repeat, "%s: a panel for each of very many things hangs the browser", p.Title)
		require.Equal(t, ours, p.Datasource, p.Title)
		for _, target := range p.Targets {
			require.Equal(t, ours, target.Datasource, p.Title)
		}
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				require.Empty(t, taken[[2]int{x, y}], "%s covers another panel", p.Title)
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	for _, v := range d.Templating.List {
		switch v.Name {
		case "datasource":
			require.Equal(t, "prometheus", v.Query)
		case "vcenter":
			require.Equal(t, "label_values(vic_census_up, vcenter)", v.Definition)
			require.Contains(t, exported()["vic_census_up"], "vcenter")
		default:
			require.Equal(t, "custom", v.Type, v.Name)
		}
	}
	require.Len(t, d.Templating.List, 3)
}

func readRules(t *testing.T) (rules []monitoringv1.Rule) {
	t.Helper()
	text, err := os.ReadFile(rulesFile)
	require.NoError(t, err)
	var all monitoringv1.PrometheusRuleSpec
	require.NoError(t, yaml.UnmarshalStrict(text, &all))
	for _, group := range all.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules
}

var labelOf = regexp.MustCompile(`\$labels\.(\w+)`) // in Prometheus' own templates, which are no PromQL

func TestAlertsAreAboutWhatIsExported(t *testing.T) {
	out, err := run(t, nil, "promtool", "check", "rules", "--lint=all", "--lint-fatal", rulesFile)
	require.NoError(t, err)
	require.Contains(t, out, "SUCCESS")
	rules := readRules(t)
	var queries []string
	for _, rule := range rules {
		queries = append(queries, rule.Expr.String())
	}
	for i, found := range parse(t, queries) {
		labels := check(t, queries[i], found)
		require.NotEmpty(t, rules[i].Alert)
		require.Contains(t, []string{"info", "warning", "critical"}, rules[i].Labels["severity"], rules[i].Alert)
		for _, name := range []string{"summary", "description"} {
			text := rules[i].Annotations[name]
			require.NotEmpty(t, text, "%s has no %s", rules[i].Alert, name)
			for _, label := range labelOf.FindAllStringSubmatch(text, -1) {
				require.Contains(t, labels, label[1], "no such label in the %s of %s", name, rules[i].Alert)
			}
		}
	}
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	out, err := run(t, nil, "promtool", "test", "rules", rulesTests)
	require.NoError(t, err)
	require.Contains(t, out, "SUCCESS")
	text, err := os.ReadFile(rulesTests)
	require.NoError(t, err)
	var file struct {
		Tests []struct {
			Rules []struct {
				Alert  string `json:"alertname"`
				Alerts []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, rule := range test.Rules {
			fires[rule.Alert] = fires[rule.Alert] || len(rule.Alerts) > 0
			quiet[rule.Alert] = quiet[rule.Alert] || len(rule.Alerts) == 0
		}
	}
	for _, rule := range readRules(t) {
		require.True(t, fires[rule.Alert], "no test has %s fire", rule.Alert)
		require.True(t, quiet[rule.Alert], "no test has %s keep quiet", rule.Alert)
	}
}

func TestPromtoolLikesWhatIsExported(t *testing.T) {
	families, err := exposition.Families(telemetrytest.Report())
	require.NoError(t, err)
	require.NotEmpty(t, families)
	var text bytes.Buffer
	encoder := expfmt.NewEncoder(&text, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, family := range families {
		require.NoError(t, encoder.Encode(family))
	}
	out, err := run(t, text.Bytes(), "promtool", "check", "metrics", "--lint=all")
	require.NoError(t, err)
	require.Empty(t, out)
}
