// SPDX-License-Identifier: Apache-2.0

package election

import "net/http"

// Kubernetes is a transport that changes nothing in the API server unless this process leads. Reading does no harm.
func (t *Term) Kubernetes(inner http.RoundTripper) http.RoundTripper { return fence{inner, t} }

type fence struct {
	inner http.RoundTripper
	term  *Term
}

// RoundTrip makes a request.
func (f fence) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodGet {
		if err := f.term.Check(); err != nil {
			return nil, err
		}
	}
	return f.inner.RoundTrip(request)
}
