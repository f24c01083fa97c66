// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wolfpack/tests/pki"
)

// presented is the certificate that the endpoint presents.
func presented(t *testing.T, s *Server) (*x509.Certificate, error) {
	t.Helper()
	connection, err := tls.Dial("tcp", s.listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0], nil
}

func TestCertificateFilesAreReadAgain(t *testing.T) {
	w := newWorld(t)
	<-w.server.Ready()
	first, err := presented(t, w.server)
	require.NoError(t, err)
	w.writeServingCertificate()
	require.Eventually(t, func() bool {
		now, err := presented(t, w.server)
		return err == nil && now.SerialNumber.Cmp(first.SerialNumber) != 0
	}, patience, 20*time.Millisecond, "the new certificate is presented")
	status, _ := w.ask("admin-token", http.MethodGet, "/pods")
	require.Equal(t, http.StatusOK, status)
}

func TestClientCAFileIsReadAgain(t *testing.T) {
	w := newWorld(t)
	next, err := pki.NewCA("next")
	require.NoError(t, err)
	admin := clientCertificate(t, next, "admin")
	status, _ := ask(t, w.tls(admin), "", http.MethodGet, w.url("/pods"))
	require.Equal(t, http.StatusUnauthorized, status)
	require.NoError(t, next.WriteFiles(w.file("ca.crt"), ""))
	require.Eventually(t, func() bool {
		status, _ := ask(t, w.tls(admin), "", http.MethodGet, w.url("/pods"))
		return status == http.StatusOK
	}, patience, 20*time.Millisecond, "the new authority's clients are believed")
}

func TestSelfSignedCertificate(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CertFile, c.KeyFile, c.SelfSigned = "", "", true })
	<-w.server.Ready()
	found, err := presented(t, w.server)
	require.NoError(t, err)
	require.NoError(t, found.VerifyHostname("n1"))
	require.NoError(t, found.VerifyHostname("127.0.0.1"))
	again, err := presented(t, w.server)
	require.NoError(t, err)
	require.Equal(t, found.SerialNumber, again.SerialNumber, "one is enough")

	own := w.server.serving.(*selfSignedCertificate)
	own.mu.Lock()
	expiring := *own.current
	leaf := *expiring.Leaf
	leaf.NotAfter = time.Now().Add(time.Hour)
	expiring.Leaf, own.current = &leaf, &expiring
	own.mu.Unlock()
	renewed, err := presented(t, w.server)
	require.NoError(t, err)
	require.NotEqual(t, found.SerialNumber, renewed.SerialNumber, "it is renewed before it expires")
}

func TestRenewal(t *testing.T) {
	ca, err := pki.NewCA("cluster")
	require.NoError(t, err)
	pair, err := ca.Server("system:node:n1", "n1", "127.0.0.1")
	require.NoError(t, err)
	signed, err := pair.TLS()
	require.NoError(t, err)
	leaf := signed.Leaf
	cases := map[string]struct {
		template x509.CertificateRequest
		fits     bool
	}{
		"as signed":       {x509.CertificateRequest{Subject: leaf.Subject, DNSNames: []string{"n1"}, IPAddresses: leaf.IPAddresses}, true},
		"fewer addresses": {x509.CertificateRequest{Subject: leaf.Subject, IPAddresses: leaf.IPAddresses}, true},
		"another node":    {x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:n2"}, IPAddresses: leaf.IPAddresses}, false},
		"another address": {x509.CertificateRequest{Subject: leaf.Subject, IPAddresses: []net.IP{net.IPv6loopback}}, false},
		"another name":    {x509.CertificateRequest{Subject: leaf.Subject, DNSNames: []string{"n2"}}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			due := renewal(leaf, &tc.template)
			if !tc.fits {
				require.Zero(t, due, "at once")
				return
			}
			life := leaf.NotAfter.Sub(leaf.NotBefore)
			require.True(t, due.After(leaf.NotBefore.Add(life*69/100)), "%v", due)
			require.True(t, due.Before(leaf.NotBefore.Add(life*91/100)), "%v", due)
		})
	}
}

func TestTLSHasALowerBound(t *testing.T) {
	w := newWorld(t)
	_, err := tls.Dial("tcp", w.server.listener.Addr().String(), &tls.Config{RootCAs: w.ca.Pool(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	require.ErrorContains(t, err, "protocol version")
	connection, err := tls.Dial("tcp", w.server.listener.Addr().String(), &tls.Config{RootCAs: w.ca.Pool(), NextProtos: []string{"h2", "http/1.1"}})
	require.NoError(t, err)
	defer connection.Close()
	require.Equal(t, "http/1.1", connection.ConnectionState().NegotiatedProtocol)
}
