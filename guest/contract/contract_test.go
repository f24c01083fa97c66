// SPDX-License-Identifier: Apache-2.0

package contract_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/guest/contract"
)

// The values of version 1, as they are in VMs that run. They must stay readable.
const (
	goldenPod      = "H4sIAAAAAAAA/xyLsQoEIQwF/+XVXnFt/iangRM0yiZhC/HfF7ecGWahi3NhZ9CCchcQbvkhvWCT8zH2HxMJUQsI8fliJ9iUfKY81LmqXAbSaO0kZw8Drb2fAAAA//+Ww5+TYQAAAA=="
	goldenStatus   = `{"sequence":2,"pod":{"phase":"Running","podIP":"10.0.0.7"}}`
	goldenEndpoint = `{"port":10250,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`
)

func TestKeysOfVersion1(t *testing.T) {
	require.Equal(t, "1", contract.Version)
	require.Equal(t, []string{
		"guestinfo.wolfpack.version", "guestinfo.wolfpack.pod", "guestinfo.wolfpack.ca",
		"guestinfo.wolfpack.endpoint", "guestinfo.wolfpack.status",
	}, []string{contract.KeyVersion, contract.KeyPod, contract.KeyCA, contract.KeyEndpoint, contract.KeyStatus})
}

func TestStatusGolden(t *testing.T) {
	status := contract.Status{Sequence: 2, Pod: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.7"}}
	text, err := contract.EncodeStatus(status)
	require.NoError(t, err)
	require.JSONEq(t, goldenStatus, text)
	back, err := contract.DecodeStatus(goldenStatus)
	require.NoError(t, err)
	require.Equal(t, status, back)
}

func TestEndpointGolden(t *testing.T) {
	endpoint := contract.Endpoint{Port: 10250, SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
	text, err := contract.EncodeEndpoint(endpoint)
	require.NoError(t, err)
	require.Equal(t, goldenEndpoint, text)
	back, err := contract.DecodeEndpoint(goldenEndpoint)
	require.NoError(t, err)
	require.Equal(t, endpoint, back)
}

func TestPodGolden(t *testing.T) {
	pod, err := contract.DecodePod(goldenPod)
	require.NoError(t, err)
	require.Equal(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u-1"}}, pod)
}

func TestPodRoundTrip(t *testing.T) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "web", UID: "u-1", Labels: map[string]string{"a": "b"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1"}}},
	}
	first, err := contract.EncodePod(pod)
	require.NoError(t, err)
	second, err := contract.EncodePod(pod)
	require.NoError(t, err)
	require.Equal(t, first, second, "the same pod gives the same text")
	require.NotNil(t, pod.ManagedFields, "the argument is not changed")

	back, err := contract.DecodePod(first)
	require.NoError(t, err)
	pod.ManagedFields = nil
	require.Equal(t, pod, back)
}

func TestDecodeRefuses(t *testing.T) {
	status := func(text string) error { _, err := contract.DecodeStatus(text); return err }
	endpoint := func(text string) error { _, err := contract.DecodeEndpoint(text); return err }
	pod := func(text string) error { _, err := contract.DecodePod(text); return err }
	cases := []struct {
		decode func(string) error
		text   string
		want   string
	}{
		{status, "", "guestinfo.wolfpack.status is not a status"},
		{status, "{}", "no sequence number"},
		{status, `{"sequence":1}`, "no phase"},
		{status, `{"sequence":-1}`, "is not a status"},
		{endpoint, "nonsense", "guestinfo.wolfpack.endpoint is not an endpoint"},
		{endpoint, `{"port":0}`, "port 0, want 1 to 65535"},
		{endpoint, `{"port":65536}`, "port 65536, want 1 to 65535"},
		{endpoint, `{"port":1,"sha256":"ab"}`, `sha256 "ab", want 64 hex digits`},
		{pod, "", "is not base64 of gzip"},
		{pod, "!!!!", "is not base64 of gzip"},
		{pod, zipped("{"), "is not a pod"},
		{pod, zipped("{}")[:20], "guestinfo.wolfpack.pod"},
		{pod, zipped(`"` + strings.Repeat("a", 5<<20) + `"`), "unpacks to more than 4194304 bytes"},
	}
	for _, tc := range cases {
		t.Run(tc.want, func(t *testing.T) { require.ErrorContains(t, tc.decode(tc.text), tc.want) })
	}
}

func zipped(text string) string {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	_, _ = zip.Write([]byte(text))
	_ = zip.Close()
	return base64.StdEncoding.EncodeToString(buf.Bytes())
}

func FuzzDecode(f *testing.F) {
	f.Add(goldenStatus)
	f.Add(goldenEndpoint)
	f.Add(goldenPod)
	f.Add(zipped(`{"metadata":{"name":"web"}}`))
	f.Fuzz(func(t *testing.T, text string) {
		if status, err := contract.DecodeStatus(text); err == nil {
			again, err := contract.EncodeStatus(status)
			require.NoError(t, err)
			_, err = contract.DecodeStatus(again)
			require.NoError(t, err)
		}
		if endpoint, err := contract.DecodeEndpoint(text); err == nil {
			again, err := contract.EncodeEndpoint(endpoint)
			require.NoError(t, err)
			back, err := contract.DecodeEndpoint(again)
			require.NoError(t, err)
			require.Equal(t, endpoint, back)
		}
		if pod, err := contract.DecodePod(text); err == nil {
			_, err := contract.EncodePod(pod)
			require.NoError(t, err)
		}
	})
}
