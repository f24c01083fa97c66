// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

// The manifest of deploy/ calls this very program.
func TestTheManifestsArgumentsAreTaken(t *testing.T) {
	text, err := os.ReadFile("../../deploy/wolfpack.yaml")
	require.NoError(t, err)
	var args []string
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var deployment appsv1.Deployment
		if yaml.Unmarshal(document, &deployment) == nil && deployment.Kind == "Deployment" {
			args = deployment.Spec.Template.Spec.Containers[0].Args
		}
	}
	require.NotEmpty(t, args)
	command, flags, err := newRootCommand().Find(args)
	require.NoError(t, err)
	require.Equal(t, "node", command.Name())
	require.NoError(t, command.ParseFlags(flags))
	require.Empty(t, command.Flags().Args())
}
