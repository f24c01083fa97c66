// SPDX-License-Identifier: Apache-2.0

package contract_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/guest/contract"
)

const (
	goldenBundle = `{"uid":"u-1","hostIPs":["192.0.2.1"],` +
		`"configMaps":[{"metadata":{"name":"a","namespace":"shop"},"data":{"k":"v"}},{"metadata":{"name":"b","namespace":"shop"}}],` +
		`"secrets":[{"metadata":{"name":"db","namespace":"shop"},"data":{"password":"aHVudGVyMg=="},"type":"Opaque"}],` +
		`"services":[{"metadata":{"name":"kubernetes","namespace":"default"},"spec":{"ports":[{"port":443,"targetPort":0}],"clusterIP":"10.96.0.1"},"status":{"loadBalancer":{}}}]}`
	goldenDigest = "203096aecfa1da249fda7a432b74af1968fa5632fa18572e1ad9d9bf637af2ec"
)

func bundle() contract.Bundle {
	meta := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	return contract.Bundle{
		UID: "u-1", HostIPs: []string{"192.0.2.1"},
		ConfigMaps: []corev1.ConfigMap{{ObjectMeta: meta("shop", "b")}, {ObjectMeta: meta("shop", "a"), Data: map[string]string{"k": "v"}}},
		Secrets:    []corev1.Secret{{ObjectMeta: meta("shop", "db"), Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"password": []byte("hunter2")}}},
		Services: []corev1.Service{{
			ObjectMeta: meta("default", "kubernetes"),
			Spec:       corev1.ServiceSpec{ClusterIP: "10.96.0.1", Ports: []corev1.ServicePort{{Port: 443}}},
		}},
	}
}

func TestBundleGolden(t *testing.T) {
	b := bundle()
	text, digest, err := contract.EncodeBundle(b)
	require.NoError(t, err)
	require.Equal(t, goldenBundle, string(text))
	require.Equal(t, goldenDigest, digest)
	require.Equal(t, "b", b.ConfigMaps[0].Name, "the argument is not changed")

	back, digest, err := contract.DecodeBundle(strings.NewReader(goldenBundle))
	require.NoError(t, err)
	require.Equal(t, goldenDigest, digest)
	b.ConfigMaps[0], b.ConfigMaps[1] = b.ConfigMaps[1], b.ConfigMaps[0]
	require.Equal(t, &b, back)
	same, _, err := contract.EncodeBundle(b)
	require.NoError(t, err)
	require.Equal(t, text, same, "the order does not matter")
}

// The pod as it is now and its tokens came to version 1 later: a bundle without them has the text that it always had.
func TestBundleWithPodAndTokens(t *testing.T) {
	token := func(audience string, seconds int64, value string) authenticationv1.TokenRequest {
		request := authenticationv1.TokenRequest{
			Spec:   authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds},
			Status: authenticationv1.TokenRequestStatus{Token: value},
		}
		if audience != "" {
			request.Spec.Audiences = []string{audience}
		}
		return request
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "web", UID: "u-1", ResourceVersion: "7", Labels: map[string]string{"a": "b"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}}
	b := bundle()
	b.Pod = pod
	b.Tokens = []authenticationv1.TokenRequest{token("vault", 600, "hunter4"), token("", 3600, "hunter3"), token("", 600, "hunter5")}
	text, digest, err := contract.EncodeBundle(b)
	require.NoError(t, err)
	require.Equal(t, "7", pod.ResourceVersion, "the argument is not changed")
	require.NotContains(t, string(text), "kubectl")

	again := b
	again.Pod = pod.DeepCopy()
	again.Pod.ResourceVersion, again.Pod.Status.Phase = "8", corev1.PodRunning
	again.Tokens = []authenticationv1.TokenRequest{b.Tokens[1], b.Tokens[2], b.Tokens[0]}
	_, same, err := contract.EncodeBundle(again)
	require.NoError(t, err)
	require.Equal(t, digest, same, "neither what the guest reported nor the order is news")

	back, _, err := contract.DecodeBundle(bytes.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "b"}, back.Pod.Labels)
	require.Equal(t, []string{"hunter5", "hunter3", "hunter4"},
		[]string{back.Tokens[0].Status.Token, back.Tokens[1].Status.Token, back.Tokens[2].Status.Token})
	require.NotContains(t, fmt.Sprintf("%+v %#v", b, b), "hunter")
}

func TestBundleWithRegistries(t *testing.T) {
	mirrors := []string{"https://second.example.com", "https://first.example.com/v2"}
	b := contract.Bundle{UID: "u-1", Registries: []contract.Registry{
		{Host: "registry.example.com", Mirrors: mirrors, CA: "pem"}, {Host: "localhost:5000", Insecure: true},
	}}
	text, _, err := contract.EncodeBundle(b)
	require.NoError(t, err)
	require.Equal(t, `{"uid":"u-1","registries":[{"host":"localhost:5000","insecure":true},`+
		`{"host":"registry.example.com","mirrors":["https://second.example.com","https://first.example.com/v2"],"ca":"pem"}]}`, string(text),
		"the order of hosts does not matter, that of mirrors does")
	require.Equal(t, "registry.example.com", b.Registries[0].Host, "the argument is not changed")
	back, _, err := contract.DecodeBundle(bytes.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, mirrors, back.Registries[1].Mirrors)
}

func TestBundleRefuses(t *testing.T) {
	for want, text := range map[string]string{
		"is not the JSON of one":       `{"uid":"u-1","secrets":[{"data":{"password":"hunter2!"}}]}`,
		"has no uid of a pod":          `{}`,
		"has more than 16777216 bytes": strings.Repeat(" ", contract.MaxBundleSize+1),
	} {
		_, _, err := contract.DecodeBundle(strings.NewReader(text))
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hunter2")
	}
	large := bundle()
	large.Secrets[0].Data["password"] = bytes.Repeat([]byte("x"), contract.MaxBundleSize)
	_, _, err := contract.EncodeBundle(large)
	require.ErrorContains(t, err, "more than the 16777216 that a guest takes")
	require.NotContains(t, err.Error(), "xxx")
}

func TestBundleIsNotPrinted(t *testing.T) {
	b := bundle()
	for _, format := range []string{"%v", "%+v", "%s", "%#v"} {
		require.Equal(t, "bundle of pod u-1: 2 ConfigMaps, 1 Secrets, 1 Services, 0 tokens", fmt.Sprintf(format, b))
		require.NotContains(t, fmt.Sprintf(format, &b), "hunter2")
	}
}

func FuzzDecodeBundle(f *testing.F) {
	f.Add([]byte(goldenBundle))
	f.Add([]byte(`{"uid":"u"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, _, err := contract.DecodeBundle(bytes.NewReader(text))
		if err != nil {
			return
		}
		once, digest, err := contract.EncodeBundle(*b)
		require.NoError(t, err)
		again, _, err := contract.DecodeBundle(bytes.NewReader(once))
		require.NoError(t, err)
		twice, same, err := contract.EncodeBundle(*again)
		require.NoError(t, err)
		require.Equal(t, string(once), string(twice))
		require.Equal(t, digest, same)
	})
}
