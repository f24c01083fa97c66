// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// The operator's own types say which fields there are.
func TestServiceMonitor(t *testing.T) {
	var monitor monitoringv1.ServiceMonitor
	var service corev1.Service
	for document := range strings.SplitSeq(render(t, "testdata/monitored.yaml"), "\n---\n") {
		switch {
		case strings.Contains(document, "\nkind: ServiceMonitor\n"):
			require.NoError(t, yaml.UnmarshalStrict([]byte(document), &monitor))
		case strings.Contains(document, "\nkind: Service\n"):
			require.NoError(t, yaml.UnmarshalStrict([]byte(document), &service))
		}
	}
	require.Equal(t, service.Labels, monitor.Spec.Selector.MatchLabels, "it finds the Service")
	require.Equal(t, service.Spec.Ports[0].Name, monitor.Spec.Endpoints[0].Port)
	require.Equal(t, "prometheus", monitor.Labels["release"])
	require.NotContains(t, render(t, values[0]), "ServiceMonitor", "unless it is asked for there is none")
}
