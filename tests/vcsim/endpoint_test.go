// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"

	"wolfpack/guest/contract"
	"wolfpack/tests/pki"
)

// reach is how the guest of a VM is reached.
type reach struct {
	testing.TB
	address string
	sha256  string
}

// reach reads where a guest listens.
func (b *guestBench) reach(vm mo.Reference) *reach {
	b.Helper()
	props := b.vm(vm, "config.extraConfig", "guest.ipAddress")
	text, _ := object.OptionValueList(props.Config.ExtraConfig).GetString(contract.KeyEndpoint)
	endpoint, err := contract.DecodeEndpoint(text)
	require.NoError(b, err)
	return &reach{TB: b.TB, address: net.JoinHostPort(props.Guest.IpAddress, strconv.Itoa(endpoint.Port)), sha256: endpoint.SHA256}
}

// get asks for a path, as the provider would: the certificate is the one that the guest announced.
func (r *reach) get(path string, certificates ...tls.Certificate) (int, []byte, error) {
	r.Helper()
	code, body, _, err := r.do(http.MethodGet, path, nil, certificates...)
	return code, body, err
}

// do makes any request.
func (r *reach) do(method, path string, content []byte, certificates ...tls.Certificate) (int, []byte, http.Header, error) {
	r.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, // the fingerprint is verified instead
		Certificates:       certificates,
		VerifyConnection: func(state tls.ConnectionState) error {
			sum := sha256.Sum256(state.PeerCertificates[0].Raw)
			if hex.EncodeToString(sum[:]) != r.sha256 {
				return errors.New("another certificate than announced")
			}
			return nil
		},
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(r.Context(), method, "https://"+r.address+path, bytes.NewReader(content))
	require.NoError(r, err)
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(r, err)
	return res.StatusCode, body, res.Header, nil
}

func TestGuestServesItsPod(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	for _, name := range []string{"one", "two"} { // both behind one socket
		pod := newPod(corev1.RestartPolicyAlways, nil)
		pod.Name = name
		vm := b.podVM(pod, nil)
		status := b.awaitStatus(vm, inPhase(corev1.PodRunning))
		guest := b.reach(vm)

		code, body, err := guest.get("/healthz")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, "ok", string(body))

		_, body, err = guest.get("/pods")
		require.NoError(t, err)
		var list corev1.PodList
		require.NoError(t, json.Unmarshal(body, &list))
		require.Len(t, list.Items, 1)
		require.Equal(t, name, list.Items[0].Name)
		require.Equal(t, status.Pod.PodIP, list.Items[0].Status.PodIP)

		code, _, err = guest.get("/nothing")
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, code)
	}
}

func TestGuestWantsItsClientsCertificate(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	certificate := func(ca *pki.CA) tls.Certificate {
		pair, err := ca.Client("provider")
		require.NoError(t, err)
		c, err := pair.TLS()
		require.NoError(t, err)
		return c
	}
	ca, err := pki.NewCA("provider")
	require.NoError(t, err)
	stranger, err := pki.NewCA("provider")
	require.NoError(t, err)
	vm := b.podVM(newPod(corev1.RestartPolicyAlways, nil), map[string]string{contract.KeyCA: string(ca.Cert)})
	b.awaitStatus(vm, inPhase(corev1.PodRunning))
	guest := b.reach(vm)

	_, body, err := guest.get("/healthz", certificate(ca))
	require.NoError(t, err)
	require.Equal(t, "ok", string(body))
	for name, certificates := range map[string][]tls.Certificate{"none": nil, "a stranger's": {certificate(stranger)}} {
		_, _, err = guest.get("/healthz", certificates...)
		require.ErrorContains(t, err, "certificate", name)
	}
}

func TestGoneGuestDoesNotAnswer(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	vm := b.podVM(newPod(corev1.RestartPolicyAlways, nil), nil)
	b.awaitStatus(vm, inPhase(corev1.PodRunning))
	guest := b.reach(vm)
	b.result(vm.PowerOff(b.ctx))
	_, _, err := guest.get("/healthz")
	require.Error(t, err)
	var unverified *tls.CertificateVerificationError
	require.NotErrorAs(t, err, &unverified, "there is nobody to have a certificate")
	var unknown x509.UnknownAuthorityError
	require.NotErrorAs(t, err, &unknown)
}

// What is under way in a guest ends when its power does, even on connections that were upgraded.
func TestACommandEndsWithItsGuest(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	pod := newPod(corev1.RestartPolicyAlways, nil)
	vm := b.podVM(pod, nil)
	b.awaitStatus(vm, inPhase(corev1.PodRunning))
	at, err := url.Parse("https://" + b.reach(vm).address + "/exec/" + pod.Namespace + "/" + pod.Name + "/" + pod.Spec.Containers[0].Name +
		"?output=1&command=sh&command=-c&command=echo+here%3Bsleep+1h")
	require.NoError(t, err)
	executor, err := remotecommand.NewSPDYExecutor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{Insecure: true}}, http.MethodPost, at)
	require.NoError(t, err)
	reader, writer := io.Pipe()
	go func() {
		_ = writer.CloseWithError(executor.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: writer}))
	}()
	line := make([]byte, len("here\n"))
	_, err = io.ReadFull(reader, line)
	require.NoError(t, err)
	b.result(vm.PowerOff(b.ctx))
	_, err = io.ReadAll(reader)
	require.NoError(t, err, "the stream has an end, and no status came")
}

// A guest keeps what it was told in memory, so that one that booted anew knows nothing.
func TestAGuestTakesItsBundle(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	ca, err := pki.NewCA("provider")
	require.NoError(t, err)
	pair, err := ca.Client("provider")
	require.NoError(t, err)
	certificate, err := pair.TLS()
	require.NoError(t, err)
	pod := newPod(corev1.RestartPolicyAlways, nil)
	vm := b.podVM(pod, map[string]string{contract.KeyCA: string(ca.Cert)})
	b.awaitStatus(vm, inPhase(corev1.PodRunning))
	send := func(method string, bundle contract.Bundle) (int, string) {
		text, digest, err := contract.EncodeBundle(bundle)
		require.NoError(t, err)
		code, _, header, err := b.reach(vm).do(method, contract.BundlePath, text, certificate)
		require.NoError(t, err)
		if header.Get("ETag") != "" {
			require.Equal(t, `"`+digest+`"`, header.Get("ETag"))
		}
		return code, header.Get("ETag")
	}
	own := contract.Bundle{UID: pod.UID, HostIPs: []string{"192.0.2.1"}}
	code, _ := send(http.MethodHead, own)
	require.Equal(t, http.StatusNotFound, code)
	code, _ = send(http.MethodPut, contract.Bundle{UID: "another"})
	require.Equal(t, http.StatusConflict, code)
	code, tag := send(http.MethodPut, own)
	require.Equal(t, http.StatusNoContent, code)
	_, same := send(http.MethodHead, own)
	require.Equal(t, tag, same)
	code, _, _, err = b.reach(vm).do(http.MethodPut, contract.BundlePath, []byte("{"), certificate)
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, code)

	before := b.reach(vm).address
	require.NoError(t, vm.RebootGuest(b.ctx))
	b.awaitStatus(vm, inPhase(corev1.PodRunning))
	require.Eventually(t, func() bool { return b.vm(vm, "guest.ipAddress").Guest.IpAddress != "" && b.reach(vm).address != before }, patience, 10*time.Millisecond)
	code, _ = send(http.MethodHead, own)
	require.Equal(t, http.StatusNotFound, code)
}
