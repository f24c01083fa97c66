// SPDX-License-Identifier: Apache-2.0

package errs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"syscall"
	"testing"
	"time"

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

// TestFaultsThatPass has each fault that a pod waits for, as a task's and as a call's, and those that only look like one.
func TestFaultsThatPass(t *testing.T) {
	for name, fault := range map[string]types.BaseMethodFault{
		"session expired":              &types.NotAuthenticated{},
		"vCenter restarts":             &types.SystemError{Reason: "vpxd is shutting down"},
		"too many sessions or tasks":   &types.LimitExceeded{},
		"cancelled by vCenter":         &types.RequestCanceled{},
		"timed out":                    &types.Timedout{},
		"another task of the object":   &types.TaskInProgress{},
		"another task of its vApp":     &types.VAppTaskInProgress{},
		"changed by somebody else":     &types.ConcurrentAccess{},
		"in use":                       &types.ResourceInUse{},
		"a backup is on":               &types.MethodDisabled{},
		"file locked":                  &types.FileLocked{},
		"file out of reach":            &types.CannotAccessFile{},
		"disk locked":                  &types.GenericVmConfigFault{Reason: "Failed to lock the file"},
		"host does not answer vCenter": &types.HostCommunication{},
		"host disconnected":            &types.HostNotConnected{},
		"host not reachable":           &types.HostNotReachable{},
		"no host":                      &types.NoHost{},
		"no host is on":                &types.NoActiveHostInCluster{},
		"host in maintenance":          &types.InvalidHostState{},
		"host connection in flux":      &types.InvalidHostConnectionState{},
		"datastore away":               &types.InaccessibleDatastore{},
		"datastore in maintenance":     &types.InvalidDatastoreState{},
		"disk full":                    &types.NoDiskSpace{},
		"storage full":                 &types.InsufficientStorageSpace{},
		"disks short":                  &types.InsufficientDisks{},
		"pool full":                    &types.InsufficientResourcesFault{},
		"pool's CPU used up":           &types.InsufficientCpuResourcesFault{},
		"pool's memory used up":        &types.InsufficientMemoryResourcesFault{},
		"hosts full":                   &types.InsufficientHostCapacityFault{},
		"hosts' CPU used up":           &types.InsufficientHostCpuCapacityFault{},
		"hosts' memory used up":        &types.InsufficientHostMemoryCapacityFault{},
		"no spare for failover":        &types.InsufficientFailoverResourcesFault{},
		"no host wakes up":             &types.InsufficientStandbyResource{},
		"not enough CPU wakes up":      &types.InsufficientStandbyCpuResource{},
		"not enough memory wakes up":   &types.InsufficientStandbyMemoryResource{},
		"agents are not up yet":        &types.InsufficientAgentVmsDeployed{},
		"collector gone":               gone("PropertyCollector"),
		"filter gone":                  gone("PropertyFilter"),
		"view gone":                    gone("ContainerView"),
		"list gone":                    gone("ListView"),
		"task forgotten":               gone("Task"),
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, errs.Unavailable, errs.KindOf(taskError(fault)))
			value := reflect.ValueOf(fault).Elem().Interface() // as govmomi decodes a SOAP fault
			require.Equal(t, errs.Unavailable, errs.KindOf(fmt.Errorf("call: %w", soapFault(value))))
		})
	}
	for name, row := range map[string]struct {
		fault types.BaseMethodFault
		want  errs.Kind
	}{
		"VM gone":                {gone("VirtualMachine"), errs.NotFound},
		"folder gone":            {gone("Folder"), errs.NotFound},
		"no permission":          {&types.NoPermission{}, errs.Denied},
		"another config trouble": {&types.GenericVmConfigFault{Reason: "no such device"}, errs.Internal},
		"bad config":             {&types.InvalidVmConfig{}, errs.Invalid},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, row.want, errs.KindOf(taskError(row.fault))) })
	}
}

func gone(kind string) types.BaseMethodFault {
	return &types.ManagedObjectNotFound{Obj: types.ManagedObjectReference{Type: kind, Value: "x-1"}}
}

// TestTheNetworkPasses makes each failure as net/http and govmomi report it.
func TestTheNetworkPasses(t *testing.T) {
	posted := func(err error) error {
		return fmt.Errorf("x: %w", &url.Error{Op: "Post", URL: "https://vc/sdk", Err: err})
	}
	for name, err := range map[string]error{
		"reset":              posted(&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}),
		"reset, bare":        fmt.Errorf("x: %w", syscall.ECONNRESET),
		"refused, bare":      fmt.Errorf("x: %w", syscall.ECONNREFUSED),
		"aborted, bare":      fmt.Errorf("x: %w", syscall.ECONNABORTED),
		"broken pipe, bare":  fmt.Errorf("x: %w", syscall.EPIPE),
		"no such name":       posted(&net.DNSError{Err: "no such host", Name: "vc"}),
		"EOF":                posted(io.EOF),
		"EOF, bare":          io.EOF,
		"EOF in the answer":  fmt.Errorf("x: %w", io.ErrUnexpectedEOF),
		"deadline":           fmt.Errorf("x: %w", context.DeadlineExceeded),
		"socket's deadline":  os.ErrDeadlineExceeded,
		"429":                errors.New("upload: 429 Too Many Requests"),
		"502":                errors.New("upload: 502 Bad Gateway"),
		"503":                errors.New("upload: 503 Service Unavailable"),
		"504":                errors.New("upload: 504 Gateway Timeout"),
		"TLS handshake slow": handshakeTimeout(t),
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, errs.Unavailable, errs.KindOf(err), "%v", err) })
	}
	require.Equal(t, errs.Internal, errs.KindOf(errors.New("500 Internal Server Error")))
}

// handshakeTimeout is the error of a client whose server accepts and then says nothing.
func handshakeTimeout(t *testing.T) error {
	t.Helper()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	client := http.Client{Transport: &http.Transport{TLSHandshakeTimeout: time.Millisecond}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+silent.Addr().String(), nil)
	require.NoError(t, err)
	_, err = client.Do(req) //nolint:bodyclose // there is none
	require.ErrorContains(t, err, "TLS handshake timeout")
	return err
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
