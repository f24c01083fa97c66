// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// serve runs a server that presents a certificate for hosts and wants clients that ca vouches for. It answers with the
// client's name and organizations.
func serve(t *testing.T, ca *CA, host string, more ...string) *httptest.Server {
	t.Helper()
	pair, err := ca.Server(host, more...)
	require.NoError(t, err)
	cert, err := pair.TLS()
	require.NoError(t, err)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := r.TLS.PeerCertificates[0].Subject
		slices.Sort(who.Organization) // a set: its order in a certificate is by encoding
		fmt.Fprint(w, who.CommonName, " ", who.Organization)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// get gets url as the client of pair, trusting ca.
func get(t *testing.T, url string, ca *CA, pair Pair) (string, error) {
	t.Helper()
	cert, err := pair.TLS()
	require.NoError(t, err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{cert}}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestMutualTLS(t *testing.T) {
	ca, err := NewCA("one")
	require.NoError(t, err)
	other, err := NewCA("two")
	require.NoError(t, err)
	client, err := ca.Client("alice", "admins", "users")
	require.NoError(t, err)
	s := serve(t, ca, "127.0.0.1", "localhost")

	who, err := get(t, s.URL, ca, client)
	require.NoError(t, err)
	require.Equal(t, "alice [admins users]", who)

	_, err = get(t, s.URL, other, client)
	require.True(t, errors.As(err, new(x509.UnknownAuthorityError)), "a client that trusts another CA: %v", err)

	stranger, err := other.Client("mallory")
	require.NoError(t, err)
	_, err = get(t, s.URL, ca, stranger)
	require.Error(t, err, "a client of another CA")

	server, err := ca.Server("127.0.0.1")
	require.NoError(t, err)
	_, err = get(t, s.URL, ca, server)
	require.Error(t, err, "a server's certificate used as a client's")

	elsewhere := serve(t, ca, "example.com", "192.0.2.1")
	_, err = get(t, elsewhere.URL, ca, client)
	require.True(t, errors.As(err, new(x509.HostnameError)), "a server with another one's certificate: %v", err)
}

func TestWriteFiles(t *testing.T) {
	ca, err := NewCA("ca")
	require.NoError(t, err)
	crt, key := filepath.Join(t.TempDir(), "crt"), filepath.Join(t.TempDir(), "key")
	require.NoError(t, ca.WriteFiles(crt, key))
	_, err = tls.LoadX509KeyPair(crt, key)
	require.NoError(t, err)
	info, err := os.Stat(key)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	only := filepath.Join(t.TempDir(), "crt")
	require.NoError(t, ca.WriteFiles(only, ""))
	require.FileExists(t, only)
	require.ErrorIs(t, ca.WriteFiles(filepath.Join(t.TempDir(), "missing", "crt"), ""), os.ErrNotExist)
}
