// SPDX-License-Identifier: Apache-2.0

package vsphere

import (
	"context"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
)

// limited waits for the answer to a request no longer than its limit, unless it is one that vCenter answers when it has news.
type limited struct {
	soap.RoundTripper
	limit time.Duration
}

// RoundTrip makes one call.
func (l *limited) RoundTrip(ctx context.Context, request, response soap.HasFault) error {
	switch request.(type) {
	case *methods.WaitForUpdatesExBody, *methods.WaitForUpdatesBody:
	default:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.limit)
		defer cancel()
	}
	return l.RoundTripper.RoundTrip(ctx, request, response)
}
