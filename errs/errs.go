// SPDX-License-Identifier: Apache-2.0

// Package errs gives an error an operation and one of six kinds, which is all that a caller of Wolfpack's packages can
// act on. Causes are kept with %w semantics, so errors.Is and errors.As see through it.
package errs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/vim25/types"
)

// Kind says what a caller can do about an error.
type Kind int

// The kinds of error. Only Unavailable is worth a retry with the same input.
const (
	Internal    Kind = iota // ours or vSphere's fault, nothing for the caller to do
	NotFound                // the thing named does not exist
	Exists                  // the name is taken by something else
	Invalid                 // the input is wrong: the message says what would be right
	Unavailable             // vCenter cannot do it now: down, busy, session expired, object locked
	Denied                  // the user may not do it
)

// String is the kind's name as it appears in messages.
func (k Kind) String() string {
	switch k {
	case NotFound:
		return "not found"
	case Exists:
		return "already exists"
	case Invalid:
		return "invalid"
	case Unavailable:
		return "unavailable"
	case Denied:
		return "denied"
	default:
		return "internal error"
	}
}

// Error is an operation that failed, the kind of failure, and why.
type Error struct {
	Op   string // package and function, such as "vch.Create"
	Kind Kind
	Err  error
}

// Error is the cause's own words, which name the thing and the value. The operation is for logs: see Op.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns an Error with a message made as by fmt.Errorf.
func New(op string, kind Kind, format string, args ...any) error {
	return &Error{Op: op, Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Wrap gives err the operation op and the kind that KindOf finds. It returns nil for a nil err.
func Wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Kind: KindOf(err), Err: err}
}

// Op returns the operation of the outermost Error in err's tree, for logs, or "" if there is none.
func Op(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Op
	}
	return ""
}

// Is says whether err is of the given kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// KindOf returns the kind of the outermost Error in err's tree, or else the kind of the vSphere fault or network error
// at its bottom. An error of neither is Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	var notFound *find.NotFoundError
	if errors.As(err, &notFound) {
		return NotFound
	}
	if f := vimFault(err); f != nil {
		return kindOfFault(f)
	}
	if unavailable(err) {
		return Unavailable
	}
	return Internal
}

// vimFault returns the vSphere fault that err carries, be it a task's or a SOAP response's, or nil.
func vimFault(err error) types.BaseMethodFault {
	var carrier interface {
		Fault() types.BaseMethodFault
	}
	if errors.As(err, &carrier) {
		return carrier.Fault()
	}
	return nil
}

// kindOfFault sorts the faults that the vSphere API reference lists for the methods used here. What an admin or time can
// mend is Unavailable: a pod that meets it waits, as it would for a kubelet's disk or for a node.
func kindOfFault(f types.BaseMethodFault) Kind {
	switch f := f.(type) {
	case *types.ManagedObjectNotFound:
		if sessionsOwn(f.Obj) {
			return Unavailable
		}
		return NotFound
	case *types.NotFound, *types.FileNotFound:
		return NotFound
	case *types.DuplicateName, *types.AlreadyExists, *types.FileAlreadyExists:
		return Exists
	case *types.InvalidArgument, *types.InvalidName, *types.InvalidVmConfig:
		return Invalid
	case *types.NoPermission, *types.InvalidLogin, *types.RestrictedVersion:
		return Denied
	case *types.GenericVmConfigFault:
		if strings.Contains(strings.ToLower(f.Reason), "lock") { // a disk that another host, or a backup, has open
			return Unavailable
		}
		return Internal
	}
	if passes(f) {
		return Unavailable
	}
	return Internal
}

// passes says whether the cause of a fault passes without a change of what was asked for.
func passes(f types.BaseMethodFault) bool {
	switch f.(type) {
	case // vCenter is busy, restarts, or has lost the session.
		*types.NotAuthenticated, *types.SystemError, *types.LimitExceeded, *types.RequestCanceled, *types.Timedout:
		return true
	case // Somebody else works on the object.
		*types.TaskInProgress, *types.VAppTaskInProgress, *types.ConcurrentAccess, *types.ResourceInUse, *types.MethodDisabled,
		*types.FileLocked, *types.CannotAccessFile:
		return true
	case // The host is away, or in maintenance.
		*types.HostCommunication, *types.HostNotConnected, *types.HostNotReachable, *types.NoHost, *types.NoActiveHostInCluster,
		*types.InvalidHostState, *types.InvalidHostConnectionState:
		return true
	case // The datastore is away, in maintenance or full.
		*types.InaccessibleDatastore, *types.InvalidDatastoreState, *types.NoDiskSpace, *types.InsufficientStorageSpace,
		*types.InsufficientDisks:
		return true
	case // The hosts or the pool are full: what others use now may become free.
		*types.InsufficientResourcesFault, *types.InsufficientCpuResourcesFault, *types.InsufficientMemoryResourcesFault,
		*types.InsufficientHostCapacityFault, *types.InsufficientHostCpuCapacityFault, *types.InsufficientHostMemoryCapacityFault,
		*types.InsufficientFailoverResourcesFault, *types.InsufficientStandbyResource, *types.InsufficientStandbyCpuResource,
		*types.InsufficientStandbyMemoryResource, *types.InsufficientAgentVmsDeployed:
		return true
	default:
		return false
	}
}

// sessionsOwn says whether an object ends with its session, or is forgotten when vCenter restarts: that one is gone says
// nothing of what lasts.
func sessionsOwn(ref types.ManagedObjectReference) bool {
	switch ref.Type {
	case "PropertyCollector", "PropertyFilter", "ContainerView", "ListView", "Task":
		return true
	default:
		return false
	}
}

// proxyWords are how govmomi reports that vCenter's proxy has nobody to ask, or is asked too much.
var proxyWords = []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

// unavailable says whether err is a network failure, be it of the connection, of TLS or of HTTP, or an expired deadline.
func unavailable(err error) bool {
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	for _, cut := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.ECONNREFUSED, syscall.ECONNABORTED, syscall.EPIPE} {
		if errors.Is(err, cut) {
			return true
		}
	}
	return slices.ContainsFunc(proxyWords, func(status int) bool {
		return strings.Contains(err.Error(), fmt.Sprintf("%d %s", status, http.StatusText(status)))
	})
}
