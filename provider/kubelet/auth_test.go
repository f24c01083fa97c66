// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"wolfpack/tests/pki"
)

const (
	tokenReviews  = "v1.TokenReview"
	accessReviews = "v1.SubjectAccessReview"
)

// clientCertificate is one that the authority signed.
func clientCertificate(t *testing.T, ca *pki.CA, user string) tls.Certificate {
	t.Helper()
	pair, err := ca.Client(user)
	require.NoError(t, err)
	certificate, err := pair.TLS()
	require.NoError(t, err)
	return certificate
}

func TestNothingIsAnonymousButHealth(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Profiling = true })
	w.pods.add(newPod("shop", "web"), newGuest(t))
	status, body := w.ask("", http.MethodGet, "/healthz")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "ok", body)
	for _, path := range []string{
		"/healthz/ping", "/pods", "/runningpods/", "/configz", "/stats/summary", "/metrics", "/metrics/resource", "/metrics/probes",
		"/containerLogs/shop/web/app", "/exec/shop/web/app", "/attach/shop/web/app", "/portForward/shop/web", "/run/shop/web/app",
		"/debug/pprof/", "/no/such/path", "/healthz/../pods", "//healthz",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
			for _, token := range []string{"", "unknown-token"} {
				status, body := w.ask(token, method, path)
				require.Equal(t, http.StatusUnauthorized, status, "%s %s", method, path)
				require.Equal(t, "Unauthorized", body)
			}
		}
	}
	require.Empty(t, w.pods.guests["shop/web"].requests())
}

func TestWhoMayWhat(t *testing.T) {
	w := newWorld(t)
	w.pods.add(newPod("shop", "web"), newGuest(t))
	w.api.set(func() {
		w.api.may["podlister"] = []string{"get pods"}
		w.api.may["configurer"] = []string{"get configz"}
		w.api.may["checker"] = []string{"get healthz"}
		w.api.may["reader"] = []string{"get proxy"}
		for user := range w.api.may {
			w.api.users[user+"-token"] = user
		}
	})
	cases := []struct {
		user, method, path string
		status             int
	}{
		{"admin", "GET", "/pods", 200},
		{"admin", "GET", "/metrics", 200},
		{"admin", "GET", "/metrics/resource", 200},
		{"admin", "GET", "/configz", 200},
		{"admin", "GET", "/containerLogs/shop/web/app", 200},
		{"scraper", "GET", "/stats/summary", 200},
		{"scraper", "GET", "/metrics/probes", 200},
		{"scraper", "GET", "/pods", 200},
		{"scraper", "GET", "/configz", 403},
		{"scraper", "GET", "/containerLogs/shop/web/app", 403},
		{"scraper", "POST", "/exec/shop/web/app", 403},
		{"scraper", "GET", "/stats/../exec/shop/web/app", 307},     // to where it may not
		{"scraper", "GET", "/stats/%2e%2e/exec/shop/web/app", 404}, // taken as it is written
		{"scraper", "GET", "/metricsfoo", 403},
		{"podlister", "GET", "/pods", 200},
		{"podlister", "GET", "/runningpods/", 200},
		{"podlister", "GET", "/metrics", 403},
		{"configurer", "GET", "/configz", 200},
		{"checker", "GET", "/healthz/ping", 200},
		{"checker", "GET", "/pods", 403},
		{"reader", "GET", "/containerLogs/shop/web/app", 200},
		{"reader", "GET", "/stats/summary", 403},
		{"reader", "POST", "/exec/shop/web/app", 403},
		{"eve", "GET", "/pods", 403},
		{"eve", "POST", "/portForward/shop/web", 403},
	}
	for _, tc := range cases {
		t.Run(tc.user+" "+tc.method+" "+tc.path, func(t *testing.T) {
			status, body := w.ask(tc.user+"-token", tc.method, tc.path)
			require.Equal(t, tc.status, status, body)
		})
	}
	_, body := w.ask("eve-token", http.MethodPost, "/portForward/shop/web")
	require.Equal(t, "Forbidden (user=eve, verb=create, resource=nodes, name=n1, subresource(s)=[proxy])", body)
}

func TestClientCertificates(t *testing.T) {
	w := newWorld(t)
	stranger, err := pki.NewCA("stranger")
	require.NoError(t, err)
	server, err := w.ca.Server("admin")
	require.NoError(t, err)
	notForClients, err := server.TLS()
	require.NoError(t, err)
	cases := map[string]struct {
		certificate tls.Certificate
		token       string
		status      int
	}{
		"the cluster's":                          {clientCertificate(t, w.ca, "admin"), "", 200},
		"of one who may not":                     {clientCertificate(t, w.ca, "eve"), "", 403},
		"a stranger's":                           {clientCertificate(t, stranger, "admin"), "", 401},
		"a server's":                             {notForClients, "", 401},
		"a stranger's, with a good bearer token": {clientCertificate(t, stranger, "admin"), "admin-token", 200},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			status, _ := ask(t, w.tls(tc.certificate), tc.token, http.MethodGet, w.url("/pods"))
			require.Equal(t, tc.status, status)
		})
	}
}

func TestReviewsAreRemembered(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		status, _ := w.ask("admin-token", http.MethodGet, "/metrics")
		require.Equal(t, http.StatusOK, status)
		status, _ = w.ask("eve-token", http.MethodGet, "/metrics")
		require.Equal(t, http.StatusForbidden, status)
	}
	require.Equal(t, 2, w.api.asked(tokenReviews))
	require.Equal(t, 2, w.api.asked(accessReviews))
}

func TestAnAPIServerThatFailsLetsNobodyIn(t *testing.T) {
	w := newWorld(t)
	w.api.set(func() { w.api.broken = true })
	status, _ := w.ask("admin-token", http.MethodGet, "/pods")
	require.Equal(t, http.StatusUnauthorized, status)
	status, _ = ask(t, w.tls(clientCertificate(t, w.ca, "admin")), "", http.MethodGet, w.url("/pods"))
	require.Equal(t, http.StatusInternalServerError, status)
}
