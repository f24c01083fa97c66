// SPDX-License-Identifier: Apache-2.0

package election

import (
	"context"
	"net/http"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
)

// Kubernetes is a transport that changes nothing in the API server unless this process leads. Reading does no harm.
func (t *Term) Kubernetes(inner http.RoundTripper) http.RoundTripper { return kubernetesFence{inner, t} }

type kubernetesFence struct {
	inner http.RoundTripper
	term  *Term
}

// RoundTrip makes a request.
func (f kubernetesFence) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodGet {
		if err := f.term.Check(); err != nil {
			return nil, err
		}
	}
	return f.inner.RoundTrip(request)
}

// VSphere is a client of the same session that asks vSphere for nothing unless this process leads.
func (t *Term) VSphere(client *vim25.Client) *vim25.Client {
	fenced := *client
	fenced.RoundTripper = vsphereFence{client.RoundTripper, t}
	return &fenced
}

type vsphereFence struct {
	inner soap.RoundTripper
	term  *Term
}

// RoundTrip makes a request.
func (f vsphereFence) RoundTrip(ctx context.Context, request, response soap.HasFault) error {
	if err := f.term.Check(); err != nil {
		return err
	}
	return f.inner.RoundTrip(ctx, request, response)
}
