// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wolfpack/tests/kube"
)

var update = flag.Bool("update", false, "render deploy/wolfpack.yaml anew")

const (
	chart     = "../../deploy/helm/wolfpack"
	manifest  = "../../deploy/wolfpack.yaml"
	namespace = "wolfpack-system"
)

// values are the files with which the chart is rendered.
var values = []string{"../../deploy/values.yaml", "testdata/everything.yaml"}

// opencensus, which Virtual Kubelet imports, starts its worker at import and never ends it.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// program returns one of the programs that `make kube` built.
func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := kube.FindBinaries()
	require.NoError(t, err)
	path := filepath.Join(dir, name)
	_, err = os.Stat(path)
	require.NoError(t, err, "run `make kube` first")
	return path
}

// helm runs Helm, which keeps nothing of it, and returns what it prints.
func helm(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, "helm"), args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home, "KUBECONFIG=")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// render returns the chart's objects for a values file, as YAML.
func render(t *testing.T, values string) string {
	t.Helper()
	out, stderr, err := helm(t, "template", "wolfpack", chart, "--namespace", namespace, "--values", values)
	require.NoError(t, err, stderr)
	return out
}

func TestLint(t *testing.T) {
	for _, file := range values {
		t.Run(filepath.Base(file), func(t *testing.T) {
			out, stderr, err := helm(t, "lint", "--strict", chart, "--values", file)
			require.NoError(t, err, out+stderr)
			require.NotContains(t, out, "[WARNING]")
			require.Contains(t, out, "1 chart(s) linted, 0 chart(s) failed")
		})
	}
}

const manifestHead = `# SPDX-License-Identifier: Apache-2.0
# Wolfpack without Helm. Before you apply it: put your image, vCenter and virtual container host in place of the examples
# of deploy/values.yaml, and make the Secret and the ConfigMap that it refers to:
#
#   kubectl create namespace wolfpack-system
#   kubectl -n wolfpack-system create secret generic wolfpack-vcenter --from-literal=username=... --from-literal=password=...
#   kubectl -n wolfpack-system create configmap wolfpack-vcenter-ca --from-file=ca.crt=...
#
# Rendered from deploy/helm/wolfpack by: go test ./tests/deploy -run TestManifest -update
apiVersion: v1
kind: Namespace
metadata:
  name: wolfpack-system
`

func TestManifestIsWhatTheChartRenders(t *testing.T) {
	want := manifestHead + render(t, values[0])
	if *update {
		require.NoError(t, os.WriteFile(manifest, []byte(want), 0o644))
	}
	got, err := os.ReadFile(manifest)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "deploy/wolfpack.yaml is stale: make it anew with `go test ./tests/deploy -run TestManifest -update`")
}

func TestWrongValues(t *testing.T) {
	for name, tc := range map[string]struct {
		set  string // of Helm's --set
		want string
	}{
		"no image":          {"image.repository=", "image.repository is not set: where your image of Wolfpack is"},
		"no vCenter":        {"vcenter.url=", "vcenter.url is not set: the vCenter or ESXi to use, such as https://vc.example.com/sdk"},
		"no Secret":         {"vcenter.secretName=", "vcenter.secretName is not set: name a Secret with the keys username and password"},
		"no VCH":            {"vchs=null", "vchs is empty: name a virtual container host; `wolfpack vch ls` shows them"},
		"one name for two":  {"vchs={a,b},node.name=n", "node.name is set, and there are several vchs"},
		"no replica":        {"replicas=0", "'/replicas': minimum: got 0, want 1"},
		"plain HTTP":        {"vcenter.url=http://vc", "'/vcenter/url': 'http://vc' does not match pattern"},
		"a user in the URL": {"vcenter.url=https://me:secret@vc/sdk", "'/vcenter/url': "},
		"a misspelt value":  {"vcenter.urll=https://vc", "'/vcenter': additional properties 'urll' not allowed"},
		"an unknown value":  {"replica=2", "additional properties 'replica' not allowed"},
		"no pods at all":    {"node.maxPods=0", "'/node/maxPods': minimum: got 0, want 1"},
		"not a number":      {"node.maxPods=many", "'/node/maxPods': got string, want integer"},
		"patience":          {"node.keepFinishedVMs=long", "'/node/keepFinishedVMs': 'long' does not match pattern"},
		"log format":        {"logging.format=xml", "'/logging/format': value must be one of 'text', 'json'"},
		"verbosity":         {"logging.verbosity=-1", "'/logging/verbosity': minimum: got -1, want 0"},
		"profiling":         {"profiling=sometimes", "'/profiling': got string, want boolean"},
		"pull policy":       {"image.pullPolicy=Often", "'/image/pullPolicy': value must be one of"},
		"collector":         {"tracing.endpoint=collector:4317", "'/tracing/endpoint': 'collector:4317' does not match pattern"},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr, err := helm(t, "template", "wolfpack", chart, "--values", values[0], "--set", tc.set)
			require.Error(t, err)
			require.Contains(t, stderr, tc.want)
		})
	}
}

func TestNotesSayWhereToLook(t *testing.T) {
	out, stderr, err := helm(t, "install", "wolfpack", chart, "--namespace", namespace, "--values", values[1], "--dry-run=client")
	require.NoError(t, err, stderr)
	for _, want := range []string{"kubectl get node web-node", "kubectl -n wolfpack-system logs deployment/wolfpack", "wolfpack.vch: web"} {
		require.Contains(t, out, want)
	}
	require.False(t, strings.Contains(out, "<no value>"))
}
