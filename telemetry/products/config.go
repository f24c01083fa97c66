// SPDX-License-Identifier: Apache-2.0

package products

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"wolfpack/errs"
)

// Config says whom to ask. There is no flag for a password: other users of a machine can see flags.
type Config struct {
	URLs        []string // servers to ask, and no others; flag --probe
	CACerts     string   // PEM file of CAs to trust besides the system's; flag --probe-ca-certs
	Credentials string   // YAML file of logins by URL; flag --probe-credentials

	Harbor  Login // for Harbors that the file does not have; HARBOR_USERNAME, HARBOR_PASSWORD
	Admiral Login // for Admirals, likewise; ADMIRAL_USERNAME, ADMIRAL_PASSWORD
}

// Login is a user of a server and its password.
type Login struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// ConfigFromEnv returns a configuration with the logins of the environment.
func ConfigFromEnv() Config {
	return Config{
		Harbor:  Login{os.Getenv("HARBOR_USERNAME"), os.Getenv("HARBOR_PASSWORD")},
		Admiral: Login{os.Getenv("ADMIRAL_USERNAME"), os.Getenv("ADMIRAL_PASSWORD")},
	}
}

// Flags adds the flags of the configuration to flags.
func (c *Config) Flags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&c.URLs, "probe", nil, "`URL` of a Harbor or an Admiral to ask for its version; can be given several times, and no other server is asked. "+
		"One that tells it to users alone, as Harbor does since 2.13: [HARBOR_USERNAME, HARBOR_PASSWORD; ADMIRAL_USERNAME, ADMIRAL_PASSWORD]")
	flags.StringVar(&c.CACerts, "probe-ca-certs", "", "PEM `file` of CAs to trust besides the system's, for --probe")
	flags.StringVar(&c.Credentials, "probe-credentials", "", "YAML `file` of logins for --probe, where there are several: lines such as https://harbor.example.com: {username: ..., password: ...}")
}

// targets are the servers to ask, each once.
func (c Config) targets() ([]target, error) {
	logins, err := c.logins()
	if err != nil {
		return nil, err
	}
	var all []target
	for _, text := range c.URLs {
		parsed, err := parse(text)
		if err != nil {
			return nil, errs.New("products.New", errs.Invalid, "probe: %w", err)
		}
		if slices.ContainsFunc(all, func(t target) bool { return t.url.String() == parsed.String() }) {
			continue
		}
		own := logins[parsed.String()]
		delete(logins, parsed.String())
		all = append(all, target{parsed, cmp.Or(own, c.Harbor), cmp.Or(own, c.Admiral)})
	}
	for _, left := range slices.Sorted(maps.Keys(logins)) {
		return nil, errs.New("products.New", errs.Invalid, "probe-credentials %s: it has a login for %s, which is not asked: add it with --probe, or correct it", c.Credentials, left)
	}
	return all, nil
}

// parse returns a server's URL in the form in which it is compared. Its errors do not repeat a password.
func parse(text string) (*url.URL, error) {
	parsed, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil:
		return nil, errors.New("a URL does not parse, want one such as https://harbor.example.com")
	case parsed.User != nil:
		return nil, errors.New("the URL for " + parsed.Host + " has a user in it: give that by HARBOR_USERNAME and HARBOR_PASSWORD, or --probe-credentials")
	case parsed.Scheme != "https" && parsed.Scheme != "http", parsed.Hostname() == "", parsed.RawQuery != "", parsed.Fragment != "":
		return nil, errors.New("\"" + text + "\" is not the URL of a server, want one such as https://harbor.example.com")
	}
	parsed.Host = strings.ToLower(parsed.Host)
	parsed.Path = strings.TrimRight(parsed.Path, "/")
	parsed.RawPath = ""
	return parsed, nil
}

// logins are those of the file, by URL.
func (c Config) logins() (map[string]Login, error) {
	const op = "products.New"
	if c.Credentials == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.Credentials)
	if err != nil {
		return nil, errs.New(op, errs.Invalid, "probe-credentials: %w", err)
	}
	var file map[string]Login
	if yaml.UnmarshalStrict(text, &file) != nil { // the error would quote the file
		return nil, errs.New(op, errs.Invalid, "probe-credentials %s: want lines such as https://harbor.example.com: {username: ..., password: ...}", c.Credentials)
	}
	byURL := map[string]Login{}
	for text, login := range file {
		parsed, err := parse(text)
		if err != nil {
			return nil, errs.New(op, errs.Invalid, "probe-credentials %s: %w", c.Credentials, err)
		}
		if login.Username == "" || login.Password == "" {
			return nil, errs.New(op, errs.Invalid, "probe-credentials %s: %s wants both username and password", c.Credentials, parsed)
		}
		byURL[parsed.String()] = login
	}
	return byURL, nil
}

// transport trusts the system's CAs and those of the file.
func (c Config) transport() (*http.Transport, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	transport.MaxResponseHeaderBytes = limit
	if c.CACerts == "" {
		return transport, nil
	}
	const op = "products.New"
	text, err := os.ReadFile(c.CACerts)
	if err != nil {
		return nil, errs.New(op, errs.Invalid, "probe-ca-certs: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, errs.New(op, errs.Invalid, "probe-ca-certs %s: no certificate in it, want a PEM file", c.CACerts)
	}
	transport.TLSClientConfig.RootCAs = pool
	return transport, nil
}
