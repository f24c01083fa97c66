// SPDX-License-Identifier: Apache-2.0

package operations_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"wolfpack/guest/contract"
	"wolfpack/provider/operations"
	"wolfpack/provider/portlayer"
)

var update = flag.Bool("update", false, "write the golden files anew")

func spec(t *testing.T, pod *corev1.Pod) portlayer.Spec {
	t.Helper()
	s, err := operations.Spec(pod, operations.Host{VCH: "v", Cluster: "6b5e0c4a-1111-2222-3333-444455556666", CA: "(PEM of the CA)\n"})
	require.NoError(t, err)
	return s
}

// Each testdata/NAME.pod.yaml is a pod, and NAME.vm.yaml the VM that is made for it.
func TestSpecGolden(t *testing.T) {
	pods, err := filepath.Glob("testdata/*.pod.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, pods)
	for _, path := range pods {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			pod := new(corev1.Pod)
			require.NoError(t, yaml.UnmarshalStrict(text, pod))
			got := spec(t, pod)
			payload, err := contract.DecodePod(got.Machine.Extra[contract.KeyPod])
			require.NoError(t, err)
			require.Equal(t, pod, payload, "the guest gets the pod as it is")
			got.Machine.Extra[contract.KeyPod] = "(the pod)"

			shown, err := yaml.Marshal(got)
			require.NoError(t, err)
			golden := strings.Replace(path, ".pod.", ".vm.", 1)
			if *update {
				require.NoError(t, os.WriteFile(golden, shown, 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), string(shown))
		})
	}
}

func TestSpecHoldsNoSecret(t *testing.T) {
	secretive := pod()
	secretive.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "PASSWORD", ValueFrom: &corev1.EnvVarSource{
		SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}, Key: "password"},
	}}}
	payload, err := contract.DecodePod(spec(t, secretive).Machine.Extra[contract.KeyPod])
	require.NoError(t, err)
	require.Empty(t, payload.Spec.Containers[0].Env[0].Value, "a reference stays a reference")
	require.Equal(t, "db", payload.Spec.Containers[0].Env[0].ValueFrom.SecretKeyRef.Name)
}

func TestVMName(t *testing.T) {
	uid := "0f5e0c4a-1111-2222-3333-444455556666"
	require.Equal(t, "web-0f5e0c4a", operations.VMName("web", uid))
	long := operations.VMName(strings.Repeat("w", 253), uid)
	require.Len(t, long, 80)
	require.True(t, strings.HasSuffix(long, "w-0f5e0c4a"))
	require.Equal(t, "web-abc", operations.VMName("web", "abc"))
}

func TestSize(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		l := corev1.ResourceList{}
		if cpu != "" {
			l[corev1.ResourceCPU] = resource.MustParse(cpu)
		}
		if memory != "" {
			l[corev1.ResourceMemory] = resource.MustParse(memory)
		}
		return l
	}
	container := func(requests, limits corev1.ResourceList) corev1.Container {
		return corev1.Container{Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}}
	}
	always := corev1.ContainerRestartPolicyAlways
	sidecar := container(list("500m", "100Mi"), nil)
	sidecar.RestartPolicy = &always
	cases := map[string]struct {
		spec     corev1.PodSpec
		cpus     int32
		memoryMB int64
	}{
		"nothing said":               {corev1.PodSpec{Containers: []corev1.Container{container(nil, nil)}}, 1, 512},
		"requests":                   {corev1.PodSpec{Containers: []corev1.Container{container(list("1500m", "1Gi"), nil)}}, 2, 1024},
		"limits above requests":      {corev1.PodSpec{Containers: []corev1.Container{container(list("1", "1Gi"), list("3", "2Gi"))}}, 3, 2048},
		"one container is unbounded": {corev1.PodSpec{Containers: []corev1.Container{container(list("1", "1Gi"), list("4", "4Gi")), container(list("1", "1Gi"), nil)}}, 2, 2048},
		"containers add up":          {corev1.PodSpec{Containers: []corev1.Container{container(list("600m", "300Mi"), nil), container(list("600m", "300Mi"), nil)}}, 2, 600},
		"an init container is larger": {corev1.PodSpec{
			InitContainers: []corev1.Container{container(list("4", "3Gi"), nil)},
			Containers:     []corev1.Container{container(list("1", "1Gi"), nil)},
		}, 4, 3072},
		"a sidecar adds up":           {corev1.PodSpec{InitContainers: []corev1.Container{sidecar}, Containers: []corev1.Container{container(list("700m", "100Mi"), nil)}}, 2, 200},
		"overhead of a runtime class": {corev1.PodSpec{Overhead: list("", "200Mi"), Containers: []corev1.Container{container(list("1", "1Gi"), nil)}}, 1, 1224},
		"a part of a megabyte":        {corev1.PodSpec{Containers: []corev1.Container{container(list("", "1"), nil)}}, 1, 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cpus, memory := operations.Size(&corev1.Pod{Spec: tc.spec})
			require.Equal(t, tc.cpus, cpus)
			require.Equal(t, tc.memoryMB, memory)
		})
	}
}
