// SPDX-License-Identifier: Apache-2.0

package vsphere

import (
	"context"
	"reflect"
	"sync"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
)

// renewal logs in again when vCenter answers NotAuthenticated, and repeats the call. vCenter refuses such a call before
// it does anything, so the repeat is safe for every method.
type renewal struct {
	soap.RoundTripper
	login func(context.Context) error

	mu         sync.Mutex // guards generation, and is held across a login so that many callers make one
	generation int        // grows with each login
}

// RoundTrip makes one call, with at most one login and one repeat.
func (r *renewal) RoundTrip(ctx context.Context, request, response soap.HasFault) error {
	if isSessionCall(request) {
		return r.RoundTripper.RoundTrip(ctx, request, response)
	}
	before := r.current()
	err := r.RoundTripper.RoundTrip(ctx, request, response)
	if !unauthenticated(err, response) {
		return err
	}
	if loginErr := r.renew(ctx, before); loginErr != nil {
		return loginErr
	}
	reflect.ValueOf(response).Elem().SetZero() // or the first answer's fault would be read again
	err = r.RoundTripper.RoundTrip(ctx, request, response)
	if err == nil && unauthenticated(err, response) {
		return errs.New("vsphere.renew", errs.Unavailable, "%s: the session ended as soon as it was renewed", method(request))
	}
	return err
}

// unauthenticated says whether vCenter did nothing about a call, for want of a session. A call that reads properties it does
// not refuse: it answers that every property is missing, and why, which would be taken for a thing that has none.
func unauthenticated(err error, response soap.HasFault) bool {
	if err != nil {
		return fault.Is(err, new(types.NotAuthenticated))
	}
	var objects []types.ObjectContent
	switch r := response.(type) {
	case *methods.RetrievePropertiesBody:
		objects = r.Res.Returnval
	case *methods.RetrievePropertiesExBody:
		if found := r.Res.Returnval; found != nil {
			objects = found.Objects
		}
	}
	for _, object := range objects {
		for _, missing := range object.MissingSet {
			if _, ok := missing.Fault.Fault.(*types.NotAuthenticated); ok {
				return true
			}
		}
	}
	return false
}

func (r *renewal) current() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.generation
}

// renew logs in, unless another caller has done so since generation before.
func (r *renewal) renew(ctx context.Context, before int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.generation != before {
		return nil
	}
	if err := r.login(ctx); err != nil {
		// The user and password were good once, so whatever is wrong with them now is for an admin to mend.
		return errs.New("vsphere.renew", errs.Unavailable, "the session has expired, and a new login fails: %w", err)
	}
	r.generation++
	return nil
}

// isSessionCall says whether the request is part of logging in or out: it must not log in again, and a login that renews
// holds the lock.
func isSessionCall(request soap.HasFault) bool {
	switch request.(type) {
	case *methods.LoginBody, *methods.LogoutBody:
		return true
	default:
		return false
	}
}
