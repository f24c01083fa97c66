// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"wolfpack/errs"
	"wolfpack/telemetry"
	"wolfpack/telemetry/products"
	"wolfpack/telemetry/render"
	"wolfpack/tests/pki"
	"wolfpack/vsphere"
)

func TestConfigOfSeveral(t *testing.T) {
	t.Setenv("HARBOR_USERNAME", "h")
	file := filepath.Join(t.TempDir(), "vcenters.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`
vcenters:
  - {url: vc-east.example.com, username: u, passwordFile: east, caCerts: ca.pem, probe: [https://h], probeCACerts: h.pem, probeCredentials: h.yaml}
  - {name: west, url: https://vc-west.example.com/sdk, username: v, passwordFile: west, insecure: true, datacenter: DC1}
`), 0o600))
	all, err := ReadConfig(file)
	require.NoError(t, err)
	require.Equal(t, []VCenter{
		{
			Config: vsphere.Config{URL: "vc-east.example.com", Username: "u", CACerts: "ca.pem"}, Name: "vc-east.example.com", PasswordFile: "east",
			Products: products.Config{URLs: []string{"https://h"}, CACerts: "h.pem", Credentials: "h.yaml", Harbor: products.Login{Username: "h"}},
		},
		{
			Config: vsphere.Config{URL: "https://vc-west.example.com/sdk", Username: "v", Insecure: true, Datacenter: "DC1"}, Name: "west", PasswordFile: "west",
			Products: products.Config{Harbor: products.Login{Username: "h"}},
		},
	}, all)
}

func TestConfigThatCannotWork(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"no list":         {`{}`, "no vCenter in it; want a list vcenters"},
		"not YAML":        {`vcenters: [`, "want a list vcenters, of which each has url, username, passwordFile"},
		"a password":      {`vcenters: [{url: h, username: u, password: s3cret}]`, `unknown field "password"`},
		"no passwordFile": {`vcenters: [{url: h, username: u}]`, "vcenters[0] has no passwordFile"},
		"no url":          {`vcenters: [{username: u, passwordFile: p}]`, "vcenters[0]: no url; want one such as https://vc.example.com/sdk"},
		"a bad url":       {`vcenters: [{url: "ftp://h", username: u, passwordFile: p}]`, "vcenters[0]: the url does not parse"},
		"two passwords":   {`vcenters: [{url: "https://u:s3cret@h/sdk", passwordFile: p}]`, "the url of h has a password in it, and there is a password file too"},
		"no username":     {`vcenters: [{url: h, passwordFile: p}]`, "vcenters[0]: no username for h"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseConfig([]byte(tc.text))
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "s3cret")
		})
	}
	_, err := ReadConfig("/no/such/file")
	require.True(t, errs.Is(err, errs.Invalid))
}

func FuzzConfig(f *testing.F) {
	for _, seed := range []string{`vcenters: [{url: h, username: u, passwordFile: p}]`, `vcenters: [{}]`, `{`, "vcenters:\n- url: https://[::1]/sdk"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseConfig([]byte(text))
		if err != nil {
			return
		}
		for _, vc := range all {
			require.NotEmpty(t, vc.Name)
			require.NotEmpty(t, vc.PasswordFile)
		}
	})
}

func TestTwoOfOneName(t *testing.T) {
	vc := VCenter{Config: vsphere.Config{URL: "https://vc", Username: "u"}}
	_, err := New(Options{VCenters: []VCenter{vc, vc}, Listen: "127.0.0.1:0"})
	require.EqualError(t, err, `two vCenters are called "vc": give one of them another name`)
}

func TestServingWithTLS(t *testing.T) {
	ca, err := pki.NewCA("monitoring")
	require.NoError(t, err)
	folder := t.TempDir()
	cert, key := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	renew := func() *x509.Certificate {
		pair, err := ca.Server("127.0.0.1")
		require.NoError(t, err)
		require.NoError(t, pair.WriteFiles(cert, key))
		certificate, err := pair.TLS()
		require.NoError(t, err)
		return certificate.Leaf
	}
	first := renew()
	e, err := New(Options{
		VCenters: []VCenter{{Config: vsphere.Config{URL: "https://127.0.0.1:1/sdk", Username: "u"}}}, Listen: "127.0.0.1:0", CertFile: cert, KeyFile: key,
	})
	require.NoError(t, err)
	server := &http.Server{Handler: e.Handler()} //nolint:gosec // of a test
	done := make(chan error, 1)
	go func() { done <- server.Serve(e.listener) }()
	defer func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	}()
	served := func() *x509.Certificate {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}
		defer transport.CloseIdleConnections()
		answer, err := (&http.Client{Transport: transport}).Get("https://" + e.Addr().String() + "/")
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.TLS.PeerCertificates[0]
	}
	require.Equal(t, first.SerialNumber, served().SerialNumber)
	second := renew()
	require.Equal(t, second.SerialNumber, served().SerialNumber, "one that was renewed is used")
}

// sink keeps what it is sent.
type sink []render.Census

// Send takes a census; a Sink has it.
func (s *sink) Send(census render.Census) { *s = append(*s, census) }

func TestASinkGetsEachCensus(t *testing.T) {
	w := newWorld(t)
	got := &sink{}
	e := w.export(func(o *Options) { o.Sink = got })
	w.cycle(e)
	e.targets[0].failed(t.Context(), "inventory", errs.New("test", errs.Unavailable, "away"))
	require.Len(t, *got, 2)
	require.True(t, (*got)[0].Up)
	require.False(t, (*got)[1].Up)
	require.Same(t, (*got)[0].Report, (*got)[1].Report)
}

// Products that were asked are those of the report, and are not asked again each time.
func TestProductsThatCannotBeAsked(t *testing.T) {
	w := newWorld(t)
	e := w.export(func(o *Options) { o.VCenters[0].Products.URLs = []string{"http://127.0.0.1:1"} })
	for range 2 {
		now := w.cycle(e)
		require.True(t, now.Up)
		require.False(t, now.Report.Quality.Complete)
		problems := now.Report.Quality.Problems
		require.Len(t, problems, 1)
		require.Equal(t, telemetry.Problem{Stage: "products", Object: "http://127.0.0.1:1", Message: problems[0].Message, Partial: true}, problems[0])
	}
	asked := e.targets[0].asked
	w.cycle(e)
	require.Equal(t, asked, e.targets[0].asked)
}
