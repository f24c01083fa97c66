// SPDX-License-Identifier: Apache-2.0

package vsphere

import (
	"context"
	"reflect"
	"strings"

	"github.com/vmware/govmomi/vim25/soap"
)

// Observer is told of each request: it is called with the method when the request is sent, and what it returns is called
// with the outcome. The request is made with the context that it returns. It must be safe for concurrent use.
type Observer func(ctx context.Context, method string) (context.Context, func(error))

// Observers is one Observer that tells all of them.
func Observers(all ...Observer) Observer {
	return func(ctx context.Context, method string) (context.Context, func(error)) {
		ends := make([]func(error), len(all))
		for i, observe := range all {
			ctx, ends[i] = observe(ctx, method)
		}
		return ctx, func(err error) {
			for _, end := range ends {
				end(err)
			}
		}
	}
}

func unobserved(ctx context.Context, _ string) (context.Context, func(error)) {
	return ctx, func(error) {}
}

// observed tells an Observer of each request on the wire. It is innermost, below the renewal of the session and its keeping
// alive, so that their requests and repeats are seen as what they are.
type observed struct {
	soap.RoundTripper
	observe Observer
}

// RoundTrip makes one call.
func (o *observed) RoundTrip(ctx context.Context, request, response soap.HasFault) error {
	ctx, end := o.observe(ctx, method(request))
	err := o.RoundTripper.RoundTrip(ctx, request, response)
	end(err)
	return err
}

// method is the method that a request calls, by the name of govmomi's type for it.
func method(request soap.HasFault) string {
	return strings.TrimSuffix(reflect.TypeOf(request).Elem().Name(), "Body")
}
