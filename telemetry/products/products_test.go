// SPDX-License-Identifier: Apache-2.0

package products_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wolfpack/errs"
	"wolfpack/telemetry"
	"wolfpack/telemetry/products"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serverTLS(certificate tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
}

var login = products.Login{Username: user, Password: password}

// ask asks servers, by a configuration that edit may change, and returns what there is without the URLs.
func ask(t *testing.T, config products.Config) ([]telemetry.Product, []telemetry.Problem) {
	t.Helper()
	prober, err := products.New(config)
	require.NoError(t, err)
	defer prober.Close()
	return prober.Ask(t.Context())
}

// askOne asks one server that is one product.
func askOne(t *testing.T, s *server, edit ...func(*products.Config)) telemetry.Product {
	t.Helper()
	config := products.Config{URLs: []string{s.URL}, CACerts: s.caFile}
	for _, change := range edit {
		change(&config)
	}
	found, problems := ask(t, config)
	require.Empty(t, problems)
	require.Len(t, found, 1)
	require.Equal(t, s.URL, found[0].URL)
	require.Equal(t, "api", found[0].Source)
	return found[0]
}

func withLogin(c *products.Config) { c.Harbor, c.Admiral = login, login }

func withWrongLogin(c *products.Config) {
	c.Harbor, c.Admiral = products.Login{Username: user, Password: "wrong"}, products.Login{Username: user, Password: "wrong"}
}

func TestHarborThatTellsAnybody(t *testing.T) {
	s := serve(t, harbor("v2.12.1-6abb4eab", false))
	found := askOne(t, s, withLogin)
	require.Equal(t, "harbor", found.Name)
	require.Equal(t, "v2.12.1-6abb4eab", found.Version)
	require.Equal(t, "high", found.Confidence)
	require.Empty(t, found.Problem)
	require.Equal(t, []string{"GET /api/v2.0/systeminfo"}, s.requests(), "one request is enough")
	require.Zero(t, s.passwords(), "who need not log in, does not")
}

func TestHarborThatTellsUsers(t *testing.T) {
	const version = "v2.13.0-351783ae"
	t.Run("nobody", func(t *testing.T) {
		found := askOne(t, serve(t, harbor(version, true)))
		require.Equal(t, "harbor", found.Name)
		require.Empty(t, found.Version)
		require.Equal(t, "medium", found.Confidence)
		require.Contains(t, found.Problem, "since 2.13 Harbor tells its version to users alone: set HARBOR_USERNAME and HARBOR_PASSWORD")
	})
	t.Run("a user", func(t *testing.T) {
		found := askOne(t, serve(t, harbor(version, true)), withLogin)
		require.Equal(t, telemetry.Product{Name: "harbor", Version: version, Source: "api", Confidence: "high", URL: found.URL}, found)
	})
	t.Run("a user by the file", func(t *testing.T) {
		s := serve(t, harbor(version, true))
		found := askOne(t, s, withWrongLogin, func(c *products.Config) {
			c.Credentials = credentials(t, fmt.Sprintf("%s/: {username: %s, password: %s}\n", s.URL, user, password))
		})
		require.Equal(t, version, found.Version)
	})
	t.Run("a user that it does not know", func(t *testing.T) {
		found := askOne(t, serve(t, harbor(version, true)), withWrongLogin)
		require.Empty(t, found.Version)
		require.Equal(t, `it does not tell user "`+user+`" its version (HTTP 200): check HARBOR_USERNAME and HARBOR_PASSWORD, or --probe-credentials`, found.Problem)
	})
	t.Run("a user without TLS", func(t *testing.T) {
		s := serveHTTP(t, harbor(version, true))
		found := askOne(t, s, withLogin)
		require.Contains(t, found.Problem, "no password is sent without TLS")
		require.Zero(t, s.passwords())
	})
}

func credentials(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "logins.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestHarborWhoseDatabaseIsAway(t *testing.T) {
	for name, tc := range map[string]struct {
		health, ping http.HandlerFunc
		problem      string
	}{
		"it tells its health": {
			func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, healthOf("unhealthy")) },
			http.NotFound, "it cannot tell its version; not healthy: database",
		},
		"it lives": {http.NotFound, pong, "it answers, but cannot tell its version"},
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, `{"errors":[]}`, http.StatusInternalServerError)
			})
			mux.HandleFunc("/api/v2.0/health", tc.health)
			mux.HandleFunc("/api/v2.0/ping", tc.ping)
			found := askOne(t, serve(t, mux), withLogin)
			require.Equal(t, "harbor", found.Name)
			require.Equal(t, "medium", found.Confidence)
			require.Equal(t, tc.problem, found.Problem)
		})
	}
}

func TestHarbor1(t *testing.T) {
	found := askOne(t, serve(t, harbor1("v1.10.1-8cb3cb6e", "")))
	require.Equal(t, "harbor", found.Name)
	require.Equal(t, "v1.10.1-8cb3cb6e", found.Version)
	require.Equal(t, "high", found.Confidence)
}

func TestHarbor1TellsOfAdmiral(t *testing.T) {
	second := serve(t, &admiral{build: "1.5.2 (2042)"})
	first := serve(t, harbor1("v1.5.2-8e61deae", second.URL))
	found, problems := ask(t, products.Config{URLs: []string{first.URL}, CACerts: first.caFile})
	require.Empty(t, problems)
	require.Len(t, found, 2)
	require.Equal(t, telemetry.Product{
		Name: "admiral", Source: "api", Confidence: "medium", URL: second.URL,
		Problem: "Harbor " + strings.TrimPrefix(first.URL, "https://") + " tells of it: give " + second.URL + " with --probe to ask for its version",
	}, found[1])
	require.Empty(t, second.requests(), "only the URLs given are asked")

	both := filepath.Join(t.TempDir(), "cas.pem")
	var cas []byte
	for _, s := range []*server{first, second} {
		text, err := os.ReadFile(s.caFile)
		require.NoError(t, err)
		cas = append(cas, text...)
	}
	require.NoError(t, os.WriteFile(both, cas, 0o600))
	for _, urls := range [][]string{{first.URL, second.URL}, {second.URL, first.URL}} {
		found, problems = ask(t, products.Config{URLs: urls, CACerts: both})
		require.Empty(t, problems)
		require.Len(t, found, 2, "Admiral is there once: %v", found)
		i := slices.IndexFunc(found, func(p telemetry.Product) bool { return p.Name == "admiral" })
		require.Equal(t, "1.5.2 (2042)", found[i].Version)
	}
}

func TestAdmiral(t *testing.T) {
	const build = "1.5.2 (2042)"
	t.Run("without users", func(t *testing.T) {
		s := serve(t, &admiral{build: build})
		found := askOne(t, s, withLogin)
		require.Equal(t, telemetry.Product{Name: "admiral", Version: build, Source: "api", Confidence: "high", URL: s.URL}, found)
		require.Zero(t, s.passwords())
	})
	t.Run("with users, to a guest", func(t *testing.T) {
		found := askOne(t, serve(t, &admiral{build: build, users: true}))
		require.Equal(t, "admiral", found.Name)
		require.Equal(t, "medium", found.Confidence)
		require.Contains(t, found.Problem, "set ADMIRAL_USERNAME and ADMIRAL_PASSWORD")
	})
	t.Run("with users, to a user", func(t *testing.T) {
		a := &admiral{build: build, users: true}
		found := askOne(t, serve(t, a), withLogin)
		require.Equal(t, build, found.Version)
		require.Zero(t, a.sessions, "no session stays")
	})
	t.Run("with users, to one that it does not know", func(t *testing.T) {
		found := askOne(t, serve(t, &admiral{build: build, users: true}), withWrongLogin)
		require.Contains(t, found.Problem, `it refuses user "`+user+`" (HTTP 403)`)
		require.NotContains(t, found.Problem, "wrong", "no password is shown")
	})
	t.Run("with users, without TLS", func(t *testing.T) {
		s := serveHTTP(t, &admiral{build: build, users: true})
		found := askOne(t, s, withLogin)
		require.Contains(t, found.Problem, "no password is sent without TLS")
		require.Zero(t, s.passwords())
	})
	t.Run("a build of one's own", func(t *testing.T) {
		require.Equal(t, "it has no build number", askOne(t, serve(t, &admiral{})).Problem)
	})
}

// askProblem asks one server that cannot be told.
func askProblem(t *testing.T, config products.Config) string {
	t.Helper()
	found, problems := ask(t, config)
	require.Empty(t, found)
	require.Len(t, problems, 1)
	require.Equal(t, "products", problems[0].Stage)
	require.Equal(t, config.URLs[0], problems[0].Object)
	require.True(t, problems[0].Partial)
	return problems[0].Message
}

func TestServersThatCannotBeAsked(t *testing.T) {
	t.Run("something else", func(t *testing.T) {
		s := serve(t, http.HandlerFunc(portal))
		require.Contains(t, askProblem(t, products.Config{URLs: []string{s.URL}, CACerts: s.caFile}), "as neither Harbor nor Admiral does")
	})
	t.Run("a gate that refuses everything", func(t *testing.T) {
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "{}", http.StatusForbidden) }))
		config := products.Config{URLs: []string{s.URL}, CACerts: s.caFile, Harbor: login, Admiral: login}
		require.Contains(t, askProblem(t, config), "as neither Harbor nor Admiral does")
		require.Zero(t, s.passwords(), "whoever is neither gets no password")
	})
	t.Run("an unknown CA", func(t *testing.T) {
		s := serve(t, harbor("v2.12.1", false))
		message := askProblem(t, products.Config{URLs: []string{s.URL}, Harbor: login})
		require.Contains(t, message, "its certificate is not trusted: x509: certificate signed by unknown authority; give its CA with --probe-ca-certs")
		require.Empty(t, s.requests())
	})
	t.Run("a certificate for another name", func(t *testing.T) {
		s := serve(t, harbor("v2.12.1", false))
		elsewhere := strings.Replace(s.URL, "127.0.0.1", "127.0.0.2", 1)
		listener, err := net.Listen("tcp", strings.TrimPrefix(elsewhere, "https://"))
		require.NoError(t, err)
		other := &http.Server{Handler: http.NotFoundHandler(), TLSConfig: s.TLS} //nolint:gosec // of a test
		done := make(chan error, 1)
		go func() { done <- other.ServeTLS(listener, "", "") }()
		defer func() {
			require.NoError(t, other.Close())
			require.ErrorIs(t, <-done, http.ErrServerClosed)
		}()
		require.Contains(t, askProblem(t, products.Config{URLs: []string{elsewhere}, CACerts: s.caFile}), "its certificate is not trusted")
	})
	t.Run("nobody there", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, listener.Close())
		require.Contains(t, askProblem(t, products.Config{URLs: []string{"https://" + listener.Addr().String()}}), "connection refused")
	})
	t.Run("silence", func(t *testing.T) {
		silent := make(chan struct{})
		s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-silent:
			case <-r.Context().Done():
			}
		}))
		defer close(silent)
		require.Equal(t, "it does not answer within 3s", askProblem(t, products.Config{URLs: []string{s.URL}, CACerts: s.caFile}))
	})
	t.Run("an answer without end", func(t *testing.T) {
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for w.Header().Set("Content-Type", "application/json"); ; {
				if _, err := w.Write([]byte(strings.Repeat("{", 4096))); err != nil {
					return
				}
			}
		}))
		require.Contains(t, askProblem(t, products.Config{URLs: []string{s.URL}, CACerts: s.caFile}), "longer than 65536 bytes")
	})
	t.Run("a redirect to itself", func(t *testing.T) {
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }))
		require.Contains(t, askProblem(t, products.Config{URLs: []string{s.URL}, CACerts: s.caFile}), "again and again")
	})
	t.Run("one of two", func(t *testing.T) {
		s := serve(t, harbor("v2.12.1", false))
		found, problems := ask(t, products.Config{URLs: []string{"http://127.0.0.1:1", s.URL}, CACerts: s.caFile})
		require.Len(t, found, 1)
		require.Len(t, problems, 1, "the other does not spoil it")
	})
}

func TestRedirects(t *testing.T) {
	other := serve(t, harbor("v2.12.1", false))
	plain := serveHTTP(t, harbor("v2.12.1", false))
	for name, to := range map[string]string{
		"another port": other.URL, "another host": strings.Replace(other.URL, "127.0.0.1", "localhost", 1), "away from TLS": plain.URL,
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to+r.URL.Path, http.StatusFound) }))
			message := askProblem(t, products.Config{URLs: []string{s.URL}, CACerts: s.caFile, Harbor: login})
			require.Contains(t, message, "it redirects to "+to+", which is not asked: give that with --probe")
		})
	}
	require.Empty(t, other.requests())
	require.Empty(t, plain.requests())

	t.Run("on the same server", func(t *testing.T) {
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if inner, ok := strings.CutPrefix(r.URL.Path, "/moved"); ok {
				r.URL.Path = inner
				harbor("v2.13.0", true).ServeHTTP(w, r)
				return
			}
			http.Redirect(w, r, "/moved"+r.URL.Path, http.StatusPermanentRedirect)
		}))
		require.Equal(t, "v2.13.0", askOne(t, s, withLogin).Version)
	})
}

func TestConfigurationThatCannotWork(t *testing.T) {
	empty := credentials(t, "")
	for name, tc := range map[string]struct {
		config products.Config
		want   string
	}{
		"no URL":           {products.Config{URLs: []string{"harbor.example.com"}}, `probe: "harbor.example.com" is not the URL of a server, want one such as https://harbor.example.com`},
		"another scheme":   {products.Config{URLs: []string{"ftp://harbor.example.com"}}, `"ftp://harbor.example.com" is not the URL of a server`},
		"a query":          {products.Config{URLs: []string{"https://h/?a=b"}}, "is not the URL of a server"},
		"a password":       {products.Config{URLs: []string{"https://me:" + password + "@h"}}, "the URL for h has a user in it: give that by HARBOR_USERNAME"},
		"odd characters":   {products.Config{URLs: []string{"https://h\x00/" + password}}, "a URL does not parse"},
		"no CA file":       {products.Config{CACerts: "/no/such/file"}, "probe-ca-certs: open /no/such/file: "},
		"no CA in it":      {products.Config{CACerts: empty}, "no certificate in it, want a PEM file"},
		"no login file":    {products.Config{Credentials: "/no/such/file"}, "probe-credentials: open /no/such/file: "},
		"not YAML":         {products.Config{Credentials: credentials(t, "{"+password)}, "want lines such as https://harbor.example.com: {username: ..., password: ...}"},
		"another field":    {products.Config{Credentials: credentials(t, "https://h: {user: u, password: "+password+"}")}, "want lines such as"},
		"half a login":     {products.Config{Credentials: credentials(t, "https://h: {username: u}")}, "https://h wants both username and password"},
		"no URL in it":     {products.Config{Credentials: credentials(t, "h: {username: u, password: p}")}, `"h" is not the URL of a server`},
		"a login too many": {products.Config{URLs: []string{"https://h"}, Credentials: credentials(t, "https://g: {username: u, password: p}")}, "it has a login for https://g, which is not asked"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := products.New(tc.config)
			require.True(t, errs.Is(err, errs.Invalid))
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), password)
		})
	}
}

func TestAServerIsAskedOnce(t *testing.T) {
	s := serve(t, harbor("v2.12.1", false))
	found, problems := ask(t, products.Config{URLs: []string{s.URL, s.URL + "/", " " + s.URL}, CACerts: s.caFile})
	require.Empty(t, problems)
	require.Len(t, found, 1)
	require.Len(t, s.requests(), 1)
}

func TestNobodyIsAskedUnlessToldTo(t *testing.T) {
	found, problems := ask(t, products.Config{Harbor: login})
	require.Empty(t, found)
	require.Empty(t, problems)
}

func TestFlags(t *testing.T) {
	t.Setenv("HARBOR_USERNAME", user)
	t.Setenv("HARBOR_PASSWORD", password)
	t.Setenv("ADMIRAL_USERNAME", "a")
	t.Setenv("ADMIRAL_PASSWORD", "b")
	config := products.ConfigFromEnv()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.Flags(flags)
	require.NoError(t, flags.Parse([]string{"--probe", "https://a,https://b", "--probe=https://c", "--probe-ca-certs", "ca.pem", "--probe-credentials", "logins.yaml"}))
	require.Equal(t, products.Config{
		URLs: []string{"https://a", "https://b", "https://c"}, CACerts: "ca.pem", Credentials: "logins.yaml",
		Harbor: login, Admiral: products.Login{Username: "a", Password: "b"},
	}, config)
	require.NotContains(t, flags.FlagUsages(), password)
}
