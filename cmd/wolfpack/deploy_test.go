// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"wolfpack/tests/kube"
)

// What deploy/ installs calls this very program.
func TestTheChartsArgumentsAreTaken(t *testing.T) {
	binaries, err := kube.FindBinaries()
	require.NoError(t, err)
	for _, values := range []string{"../../deploy/values.yaml", "../../tests/deploy/testdata/everything.yaml"} {
		t.Run(filepath.Base(values), func(t *testing.T) {
			helm := exec.CommandContext(t.Context(), filepath.Join(binaries, "helm"), "template", "wolfpack", "../../deploy/helm/wolfpack", "--values", values)
			helm.Env = append(os.Environ(), "HELM_CACHE_HOME="+t.TempDir(), "HELM_CONFIG_HOME="+t.TempDir(), "HELM_DATA_HOME="+t.TempDir())
			rendered, err := helm.Output()
			require.NoError(t, err, "run `make kube` first")
			args := argumentsIn(rendered)
			require.NotEmpty(t, args)
			command, flags, err := newRootCommand().Find(args)
			require.NoError(t, err)
			require.Equal(t, "node", command.Name())
			require.NoError(t, command.ParseFlags(flags))
			require.Empty(t, command.Flags().Args())
		})
	}
}

// argumentsIn are those of the Deployment's container.
func argumentsIn(manifest []byte) []string {
	for document := range bytes.SplitSeq(manifest, []byte("\n---\n")) {
		var deployment appsv1.Deployment
		if yaml.Unmarshal(document, &deployment) == nil && deployment.Kind == "Deployment" {
			return deployment.Spec.Template.Spec.Containers[0].Args
		}
	}
	return nil
}
