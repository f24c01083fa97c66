// SPDX-License-Identifier: Apache-2.0

// Package products asks Harbor registries and Admirals for their versions by their own HTTP APIs (metric 4), which an
// inventory alone does not always tell. It asks on request only, and nobody but the URLs that it is given: a redirect to
// another server is refused. Certificates are verified, passwords go over TLS alone, to a server that has shown itself to
// be the product that wants them, and an answer is read up to a bound and waited for briefly.
//
// A Prober is safe for concurrent use.
package products

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"wolfpack/telemetry"
)

// Names of products, as telemetry.Product has them.
const (
	Harbor  = "harbor"
	Admiral = "admiral"
)

// Sources and confidences of what a server was asked.
const (
	sourceAPI = "api"
	high      = "high"   // the server has told its version, or what only this product answers
	medium    = "medium" // it answers as this product does, or another product tells of it
)

// Prober asks the URLs of a Config.
type Prober struct {
	client  *http.Client
	targets []target
}

// target is a server to ask.
type target struct {
	url             *url.URL
	harbor, admiral Login // zero if there is none
}

// New checks the configuration and reads its files. It asks nobody yet.
func New(config Config) (*Prober, error) {
	targets, err := config.targets()
	if err != nil {
		return nil, err
	}
	transport, err := config.transport()
	if err != nil {
		return nil, err
	}
	return &Prober{client: &http.Client{Transport: transport, Timeout: patience, CheckRedirect: stay}, targets: targets}, nil
}

// patience is how long one answer is waited for.
const patience = 3 * time.Second

// Ask asks all servers at once, and returns what they are, and what is wrong with those that cannot be asked. Products are in
// the order of their URLs.
func (p *Prober) Ask(ctx context.Context) ([]telemetry.Product, []telemetry.Problem) {
	found := make([][]telemetry.Product, len(p.targets))
	failed := make([]error, len(p.targets))
	var group sync.WaitGroup
	for i, target := range p.targets {
		group.Go(func() { found[i], failed[i] = (&conversation{p.client, target}).identify(ctx) })
	}
	group.Wait()
	var problems []telemetry.Problem
	for i, err := range failed {
		if err != nil {
			problems = append(problems, telemetry.Problem{Stage: "products", Object: p.targets[i].url.String(), Message: err.Error(), Partial: true})
		}
	}
	return unique(slices.Concat(found...)), problems
}

// Close closes connections that are kept for the next time.
func (p *Prober) Close() { p.client.CloseIdleConnections() }

// unique keeps one product of a name for each server: what Harbor tells of its Admiral is less than what that tells itself.
func unique(all []telemetry.Product) []telemetry.Product {
	type key struct{ name, place string }
	kept, at := []telemetry.Product(nil), map[key]int{}
	for _, product := range all {
		self := key{product.Name, place(product.URL)}
		i, known := at[self]
		switch {
		case !known:
			at[self] = len(kept)
			kept = append(kept, product)
		case kept[i].Confidence != high:
			kept[i] = product
		}
	}
	return kept
}

// place is a URL's host and port, by which two URLs are those of one server.
func place(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		return text
	}
	return parsed.Hostname() + ":" + port(parsed)
}

func port(u *url.URL) string {
	standard := "443"
	if u.Scheme == "http" {
		standard = "80"
	}
	return cmp.Or(u.Port(), standard)
}
