// SPDX-License-Identifier: Apache-2.0

package errs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
)

func taskError(f types.BaseMethodFault) error {
	return task.Error{LocalizedMethodFault: &types.LocalizedMethodFault{Fault: f, LocalizedMessage: "in words"}}
}

func soapFault(f types.AnyType) error {
	reason := &soap.Fault{Code: "ServerFaultCode", String: "in words"}
	reason.Detail.Fault = f
	return soap.WrapSoapFault(reason)
}

func TestKindOf(t *testing.T) {
	cases := map[string]struct {
		err  error
		want errs.Kind
	}{
		"our own":                       {errs.New("op", errs.Invalid, "bad"), errs.Invalid},
		"ours, wrapped":                 {fmt.Errorf("more: %w", errs.New("op", errs.Exists, "taken")), errs.Exists},
		"ours, over a fault":            {errs.New("op", errs.Invalid, "x: %w", soapFault(types.NotFound{})), errs.Invalid},
		"soap fault by value":           {soapFault(types.NoPermission{}), errs.Denied},
		"task fault":                    {fmt.Errorf("power on: %w", taskError(&types.TaskInProgress{})), errs.Unavailable},
		"duplicate name":                {taskError(&types.DuplicateName{}), errs.Exists},
		"object gone":                   {soapFault(types.ManagedObjectNotFound{}), errs.NotFound},
		"pool exhausted":                {taskError(&types.InsufficientMemoryResourcesFault{}), errs.Invalid},
		"a fault that nobody expects":   {taskError(&types.VmConfigFault{}), errs.Internal},
		"finder":                        {new(find.NotFoundError), errs.NotFound},
		"connection refused":            {&net.OpError{Op: "dial", Err: errors.New("refused")}, errs.Unavailable},
		"connection cut":                {fmt.Errorf("post: %w", io.EOF), errs.Unavailable},
		"deadline":                      {context.DeadlineExceeded, errs.Unavailable},
		"proxy":                         {errors.New("503 Service Unavailable"), errs.Unavailable},
		"anything else":                 {errors.New("odd"), errs.Internal},
		"a joined error keeps its kind": {errors.Join(errs.New("op", errs.Denied, "no"), errors.New("and more")), errs.Denied},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, errs.KindOf(tc.err))
			require.True(t, errs.Is(tc.err, tc.want))
		})
	}
	require.False(t, errs.Is(nil, errs.Internal), "no error is of no kind")
}

func TestWrapKeepsKindAndCause(t *testing.T) {
	require.NoError(t, errs.Wrap("op", nil))
	cause := taskError(&types.FileLocked{})
	err := errs.Wrap("vch.Create", fmt.Errorf("disk of %q: %w", "vm-1", cause))
	require.True(t, errs.Is(err, errs.Unavailable))
	require.ErrorIs(t, err, cause)
	require.EqualError(t, err, `disk of "vm-1": in words`)
	require.Equal(t, "vch.Create", errs.Op(fmt.Errorf("more: %w", err)))
	require.Empty(t, errs.Op(cause))
}

func TestKindString(t *testing.T) {
	for kind, want := range map[errs.Kind]string{
		errs.NotFound: "not found", errs.Exists: "already exists", errs.Invalid: "invalid",
		errs.Unavailable: "unavailable", errs.Denied: "denied", errs.Internal: "internal error",
	} {
		require.Equal(t, want, kind.String())
	}
}
