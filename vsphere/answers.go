// SPDX-License-Identifier: Apache-2.0

package vsphere

import (
	"net/http"
	"sync/atomic"
	"time"
)

// answers counts the requests of a client and keeps the clock of whoever answers them. It is outermost of HTTP: a request of
// the API is one here, and so is each repeat of it.
type answers struct {
	http.RoundTripper
	requests atomic.Int64
	latest   atomic.Pointer[date]
}

// date is when an answer was given by the clock of who gave it, and when it came by ours.
type date struct{ theirs, ours time.Time }

// RoundTrip makes a request.
func (a *answers) RoundTrip(request *http.Request) (*http.Response, error) {
	a.requests.Add(1)
	response, err := a.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if theirs, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		a.latest.Store(&date{theirs, time.Now()})
	}
	return response, nil
}

// Requests returns how many requests the client has sent so far, the two of Connect included.
func (c *Client) Requests() int { return int(c.answers.requests.Load()) }

// Now returns the time by vCenter's clock, to the second. It asks nobody: each answer of a server has a date. It is false if
// the answers had none.
func (c *Client) Now() (time.Time, bool) {
	latest := c.answers.latest.Load()
	if latest == nil {
		return time.Time{}, false
	}
	return latest.theirs.Add(time.Since(latest.ours)).Truncate(time.Second).UTC(), true
}
