// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// TestAsTheKubelet compares with what the kubelet's own code made of the same: testdata/record.go.txt says how that was recorded.
func TestAsTheKubelet(t *testing.T) {
	var recorded struct {
		Variables, Expansions, OfServices, Fields map[string]string
		Services                                  []*corev1.Service
		Pod                                       *corev1.Pod
		Resources                                 []struct{ Resource, Divisor, Value string }
	}
	text, err := os.ReadFile("testdata/kubelet.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &recorded))
	require.NotEmpty(t, recorded.Expansions)
	for text, want := range recorded.Expansions {
		require.Equal(t, want, expand(text, func(name string) (string, bool) {
			value, ok := recorded.Variables[name]
			return value, ok
		}), "%q", text)
	}
	source := Source{Pod: recorded.Pod, Services: recorded.Services}
	require.NotEmpty(t, recorded.OfServices)
	require.Equal(t, recorded.OfServices, serviceVariables(source))
	require.NotEmpty(t, recorded.Fields)
	for path, want := range recorded.Fields {
		value, err := field(source, &corev1.ObjectFieldSelector{FieldPath: path})
		require.NoError(t, err, path)
		require.Equal(t, want, value, path)
	}
	require.NotEmpty(t, recorded.Resources)
	for _, r := range recorded.Resources {
		ref := &corev1.ResourceFieldSelector{Resource: r.Resource}
		if r.Divisor != "" {
			ref.Divisor = resource.MustParse(r.Divisor)
		}
		value, err := resourceField(source, &recorded.Pod.Spec.Containers[0], ref)
		require.NoError(t, err, r)
		require.Equal(t, r.Value, value, r)
	}
}
