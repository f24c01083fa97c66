// SPDX-License-Identifier: Apache-2.0

package vsphere

import (
	"context"
	"io"
	"net/http"
	"strings"
)

// observedREST is the way of requests to vCenter's REST interface: it tells the Observer of each, and waits for the answer
// no longer than the limit.
type observedREST struct {
	http.RoundTripper
	config Config
}

// RoundTrip makes one request. An answer that says it failed is an answer.
func (o *observedREST) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, end := o.config.Observe(r.Context(), operation(r))
	ctx, cancel := context.WithTimeout(ctx, o.config.Limit)
	answer, err := o.RoundTripper.RoundTrip(r.WithContext(ctx))
	end(err)
	if err != nil {
		cancel()
		return nil, err
	}
	answer.Body = &ending{answer.Body, cancel}
	return answer, nil
}

// ending is a body that ends its request when it is closed.
type ending struct {
	io.ReadCloser
	end context.CancelFunc
}

// Close closes the body.
func (e *ending) Close() error {
	defer e.end()
	return e.ReadCloser.Close()
}

// verbs are the operations of those requests that name none, by method and by whether they are for one thing.
var verbs = map[string][2]string{
	http.MethodGet:    {"list", "get"},
	http.MethodPost:   {"create", "call"},
	http.MethodPatch:  {"", "update"},
	http.MethodDelete: {"delete", "delete"},
}

// operation names what a request does, without the ids in it: cis.tagging.tag.create.
func operation(r *http.Request) string {
	path := strings.TrimPrefix(r.URL.Path, "/rest/com/vmware/")
	path, _, one := strings.Cut(path, "/id:")
	does := r.URL.Query().Get("~action")
	if does == "" {
		word := 0
		if one {
			word = 1
		}
		does = verbs[r.Method][word]
	}
	return strings.ReplaceAll(strings.Trim(path, "/"), "/", ".") + "." + does
}
