// SPDX-License-Identifier: Apache-2.0

package products_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"wolfpack/tests/pki"
)

const (
	user     = "robot$telemetry"
	password = "s3cret"
)

// server is an HTTP server that keeps a list of what it was asked.
type server struct {
	*httptest.Server
	caFile string // "" without TLS

	mu      sync.Mutex // guards all below
	asked   []string   // method and path
	secrets int        // requests with a password or a token
}

// serve starts a server with TLS, whose CA nobody knows but by its file.
func serve(t *testing.T, handler http.Handler) *server {
	t.Helper()
	ca, err := pki.NewCA("registries")
	require.NoError(t, err)
	s := &server{caFile: filepath.Join(t.TempDir(), "ca.pem")}
	require.NoError(t, os.WriteFile(s.caFile, ca.Cert, 0o600))
	pair, err := ca.Server("127.0.0.1", "localhost")
	require.NoError(t, err)
	certificate, err := pair.TLS()
	require.NoError(t, err)
	s.Server = httptest.NewUnstartedServer(s.journal(handler))
	s.TLS = serverTLS(certificate)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// serveHTTP starts one without TLS.
func serveHTTP(t *testing.T, handler http.Handler) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(s.journal(handler))
	t.Cleanup(s.Close)
	return s
}

func (s *server) journal(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Method+" "+r.URL.Path)
		if r.Header.Get("Authorization") != "" || r.Header.Get("X-Xenon-Auth-Token") != "" {
			s.secrets++
		}
		s.mu.Unlock()
		handler.ServeHTTP(w, r)
	})
}

// requests are those so far.
func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// passwords is how many requests had one.
func (s *server) passwords() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

// harbor is a Harbor 2. Until 2.12 it tells anybody its version, since then users.
func harbor(version string, usersOnly bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v2.0/systeminfo", func(w http.ResponseWriter, r *http.Request) {
		info := map[string]any{"auth_mode": "db_auth", "self_registration": false, "primary_auth_mode": false, "banner_message": ""}
		name, secret, _ := r.BasicAuth() // a wrong one makes the caller anonymous
		known := name == user && secret == password
		if known || !usersOnly {
			info["harbor_version"] = version
		}
		if known {
			info["external_url"], info["registry_url"], info["read_only"] = "https://harbor.example.com", "harbor.example.com", false
		}
		writeJSON(w, http.StatusOK, info)
	})
	mux.HandleFunc("GET /api/v2.0/health", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, healthOf("healthy")) })
	mux.HandleFunc("GET /api/v2.0/ping", pong)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusNotFound, map[string]any{"errors": []any{map[string]string{"code": "NOT_FOUND", "message": "path not found"}}})
	})
	mux.HandleFunc("/", portal)
	return mux
}

func healthOf(database string) map[string]any {
	return map[string]any{"status": "unhealthy", "components": []any{
		map[string]string{"name": "core", "status": "healthy"}, map[string]string{"name": "database", "status": database},
	}}
}

func pong(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "Pong") }

// portal answers with a page whatever it is asked, as single-page applications do.
func portal(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, "<!doctype html><title>Harbor</title>")
}

// harbor1 is a Harbor 1, as the VIC appliance has it.
func harbor1(version string, admiralEndpoint string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/systeminfo", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{
			"with_notary": true, "with_clair": true, "with_admiral": admiralEndpoint != "", "admiral_endpoint": admiralEndpoint, "auth_mode": "db_auth",
			"registry_url": "vic.example.com:443", "project_creation_restriction": "everyone", "self_registration": false, "has_ca_root": false,
			"harbor_version": version, "next_scan_all": 0, "clair_vulnerability_status": nil,
		})
	})
	mux.HandleFunc("/", http.NotFound)
	return mux
}

const token = "eyJhbGciOiJIUzI1NiJ9.session"

// admiral is an Admiral, whose host answers as Xenon does. With users it refuses guests.
type admiral struct {
	build string
	users bool

	mu       sync.Mutex // guards sessions
	sessions int
}

// ServeHTTP answers a request; an http.Handler has it.
func (a *admiral) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	known := !a.users || r.Header.Get("X-Xenon-Auth-Token") == token
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/core/authn/basic":
		a.authenticate(w, r)
	case !known:
		xenonError(w, http.StatusForbidden, "forbidden")
	case r.URL.Path == "/config/props/__build.number":
		writeJSON(w, http.StatusOK, map[string]any{
			"key": "__build.number", "value": a.build, "documentVersion": 0, "documentKind": "com:vmware:admiral:common:ConfigurationService:ConfigurationState",
			"documentSelfLink": r.URL.Path,
		})
	default:
		xenonError(w, http.StatusNotFound, "Service not found: http://127.0.0.1:8282"+r.URL.Path)
	}
}

func (a *admiral) authenticate(w http.ResponseWriter, r *http.Request) {
	var body struct {
		RequestType string `json:"requestType"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		xenonError(w, http.StatusBadRequest, "bad body")
		return
	}
	name, secret, _ := r.BasicAuth()
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case body.RequestType == "LOGIN" && name == user && secret == password:
		a.sessions++
		w.Header().Set("X-Xenon-Auth-Token", token)
		w.WriteHeader(http.StatusOK)
	case body.RequestType == "LOGOUT" && r.Header.Get("X-Xenon-Auth-Token") == token:
		a.sessions--
		w.WriteHeader(http.StatusOK)
	default:
		xenonError(w, http.StatusForbidden, "forbidden")
	}
}

func xenonError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]any{
		"message": message, "statusCode": status, "errorCode": 0, "documentKind": "com:vmware:xenon:common:ServiceErrorResponse",
	})
}
