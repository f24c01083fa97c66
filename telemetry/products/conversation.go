// SPDX-License-Identifier: Apache-2.0

package products

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"wolfpack/telemetry"
	"wolfpack/version"
)

// limit is how much of an answer is read, in bytes.
const limit = 64 << 10

// conversation is with one server.
type conversation struct {
	client *http.Client
	target target
}

// identify returns the products that the server is. It tries what each product answers to, the newest first, and ends at
// once if the server does not answer at all. Its error says that, or that the server is something else.
func (c *conversation) identify(ctx context.Context) ([]telemetry.Product, error) {
	for _, try := range []func(context.Context) ([]telemetry.Product, error){
		c.harbor2, c.harbor1, c.admiral, c.ailingHarbor,
	} {
		if found, err := try(ctx); err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, errors.New("it answers, but as neither Harbor nor Admiral does: check the URL, which is that of the server, without a path")
}

// product is what the server is.
func (c *conversation) product(name, version, problem string) telemetry.Product {
	found := telemetry.Product{Name: name, Version: version, Source: sourceAPI, Confidence: high, URL: c.target.url.String(), Problem: problem}
	if version == "" {
		found.Confidence = medium
	}
	return found
}

// answer is what a server says to one request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// decode fills value with the answer, if it is JSON with this status.
func (a answer) decode(status int, value any) bool {
	return a.status == status && json.Unmarshal(a.body, value) == nil
}

// get asks for a path below the server's URL.
func (c *conversation) get(ctx context.Context, path string, edit ...func(*http.Request)) (answer, error) {
	return c.send(ctx, http.MethodGet, path, nil, edit...)
}

func (c *conversation) send(ctx context.Context, method, path string, body io.Reader, edit ...func(*http.Request)) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.target.url.JoinPath(path).String(), body)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Accept", "application/json, text/plain")
	request.Header.Set("User-Agent", "wolfpack/"+version.Get().Version)
	for _, change := range edit {
		change(request)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return answer{}, explain(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return answer{}, explain(err)
	}
	if len(text) > limit {
		return answer{}, fmt.Errorf("its answer to %s is longer than %d bytes: this is neither Harbor nor Admiral", path, limit)
	}
	return answer{response.StatusCode, response.Header, text}, nil
}

// secure says whether a password may be sent.
func (c *conversation) secure() bool { return c.target.url.Scheme == "https" }

// stay refuses redirects that lead to another server, or away from TLS.
func stay(request *http.Request, via []*http.Request) error {
	from, to := via[len(via)-1].URL, request.URL
	same := from.Scheme == to.Scheme && port(from) == port(to)
	upgrade := from.Scheme == "http" && port(from) == "80" && to.Scheme == "https" && port(to) == "443"
	if from.Hostname() != to.Hostname() || !same && !upgrade {
		return fmt.Errorf("it redirects to %s://%s, which is not asked: give that with --probe, if it is meant", to.Scheme, to.Host)
	}
	if len(via) >= 5 {
		return errors.New("it redirects again and again")
	}
	return nil
}

// explain turns an error of the HTTP client into what to do about it.
func explain(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the URL, which the problem names anyway
	}
	var untrusted *tls.CertificateVerificationError
	var late interface{ Timeout() bool }
	switch {
	case errors.As(err, &untrusted):
		return fmt.Errorf("its certificate is not trusted: %w; give its CA with --probe-ca-certs", untrusted.Err)
	case errors.As(err, &late) && late.Timeout():
		return fmt.Errorf("it does not answer within %s", patience)
	default:
		return fmt.Errorf("it cannot be asked: %w", err)
	}
}

// told returns a version that a server tells, or "" if that is none: it ends up in labels and tables.
func told(version string) string {
	version = strings.TrimSpace(version)
	odd := func(r rune) bool { return !unicode.IsGraphic(r) }
	if len(version) > 100 || strings.ContainsFunc(version, odd) {
		return ""
	}
	return version
}
