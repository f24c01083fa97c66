// SPDX-License-Identifier: Apache-2.0

package vsphere

import (
	"context"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
)

// Guarded is a client of the same session that calls check before it sends a request, and sends none when that returns an
// error, which is the request's then.
func (c *Client) Guarded(check func() error) *vim25.Client {
	client := *c.Client
	client.RoundTripper = guard{c.RoundTripper, check}
	return &client
}

type guard struct {
	soap.RoundTripper
	check func() error
}

// RoundTrip makes a request.
func (g guard) RoundTrip(ctx context.Context, request, response soap.HasFault) error {
	if err := g.check(); err != nil {
		return err
	}
	return g.RoundTripper.RoundTrip(ctx, request, response)
}
