// SPDX-License-Identifier: Apache-2.0

// Package portlayer is the vSphere side of the provider: it creates, starts, stops, removes and watches pod VMs. It
// knows nothing of Kubernetes' API server. Backends are named by where their VMs run: vcenter and inprocess; the suite in
// portlayertest holds for each.
package portlayer

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"wolfpack/guest"
	"wolfpack/guest/contract"
)

// ID names a VM within one backend: in vSphere the value of its managed object reference.
type ID string

// Identity says whose VM it is. It is kept in the VM itself, because vSphere is the only database.
type Identity struct {
	Namespace string
	Name      string
	UID       string // of the pod; a VM is found by this, never by name
	VCH       string
	Cluster   string // that the pod is of, by the UID of its namespace kube-system
	SpecHash  string // of the pod's spec that the VM was made from
}

// State of a VM, as far as pods care.
type State string

// The states of a VM.
const (
	Off          State = "Off"
	Running      State = "Running"
	Suspended    State = "Suspended"
	Inaccessible State = "Inaccessible" // vCenter cannot reach the VM's host or files: its power state is not known
)

// VM is one pod VM, as it was last reported. A VM is a value: nobody changes what its pointers lead to.
type VM struct {
	ID
	Identity
	VMName    string
	GuestName string
	State     State
	Outside   bool               // somebody moved it out of the virtual container host's folder
	ToolsUp   bool               // the guest can be asked to shut down
	IP        string             // the guest's first address, "" while it has none
	Payload   string             // the pod as it was when the VM was made, as contract.KeyPod has it; see Pod
	Status    *contract.Status   // what the guest last reported; nil before its first report
	Endpoint  *contract.Endpoint // where the guest listens; nil before it does
}

// Pod returns the pod as it was when the VM was made, or nil if that cannot be read. It decodes it each time: few want to
// know, and VMs are many.
func (vm *VM) Pod() *corev1.Pod {
	pod, _ := contract.DecodePod(vm.Payload)
	return pod
}

// Spec is the VM to make for a pod.
type Spec struct {
	Identity
	OS      guest.OS
	Machine guest.Machine // the backend sets the network
}

// Update is news of VMs and of what they run on, in the order in which they happened. One without news says that vSphere
// answers.
type Update struct {
	Received time.Time // when vSphere's answer came; zero if there was none

	Sync    bool // Changed is the whole set: a VM that is not in it does not exist
	Changed []VM
	Gone    []ID
	Host    *Host // what VMs run on, if it changed; never nil with Sync
	Lost    error // the watch is interrupted and will come back with a Sync; until then nothing is known to have changed
}

// Portlayer runs pod VMs in one virtual container host. All methods are safe for concurrent use. Once begun, a change is
// carried through even when ctx ends, so that its outcome is known: an error then says what happened, not that somebody
// stopped waiting. Errors are of package errs' kinds.
type Portlayer interface {
	// Create makes a VM that is off. errs.Exists: the pod has a VM already; its ID is returned.
	Create(ctx context.Context, spec Spec) (ID, error)
	// Start powers a VM on. It is no error if it is on.
	Start(ctx context.Context, id ID) error
	// Shutdown asks the guest to stop and returns at once; the VM powers off later. errs.Unavailable: the guest cannot
	// be asked. It is no error if the VM is off.
	Shutdown(ctx context.Context, id ID) error
	// Stop powers a VM off at once. It is no error if it is off.
	Stop(ctx context.Context, id ID) error
	// AwaitOff returns nil when the VM is off or gone, or ctx's error.
	AwaitOff(ctx context.Context, id ID) error
	// Remove destroys a VM that is off, with its files. errs.NotFound: it is gone.
	Remove(ctx context.Context, id ID) error
	// Find asks for the VM of the pod with that UID wherever it may be, and has Watch report it. errs.NotFound: there is none.
	Find(ctx context.Context, uid string) error
	// Watch reports all VMs and what they run on, then each change, until ctx ends, and returns ctx's error. It comes back
	// by itself after any failure of the connection. sink is called by one goroutine at a time. One Watch must be running
	// for the other methods to work. A VM that is moved to another folder is not gone: it is reported on, as Outside. A copy
	// of a VM that somebody made is no pod VM, whatever it says of itself.
	Watch(ctx context.Context, sink func(Update)) error
}
