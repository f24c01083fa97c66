// SPDX-License-Identifier: Apache-2.0

package portlayer

// Host is what the VMs of one virtual container host run on, as it was last reported. It is comparable: two that are equal
// say the same.
type Host struct {
	Product string // of who runs the VMs, such as "VMware vCenter Server 8.0.3 build-24022515"
	Version string // of the same, such as "8.0.3"

	// All is what all VMs in it may use together; Others is what VMs that are no pods' have of that, while they are on.
	All, Others Resources
	// Hosts is how many physical hosts there are, and UsableHosts how many of them run VMs now: connected, powered on and
	// not in maintenance.
	Hosts, UsableHosts int
	// ReclaimedMemory is what the hypervisor has taken back from running VMs, in bytes: by ballooning, compressing and
	// swapping.
	ReclaimedMemory int64

	Datastore Datastore
	Network   Network
}

// Resources are an amount of computing.
type Resources struct {
	CPUs        float64 // cores
	MemoryBytes int64
}

// Datastore is where the VMs' files are.
type Datastore struct {
	Name            string
	Found           bool // it exists, as far as this user may see
	Accessible      bool
	Capacity, Free  int64 // bytes; as last known if it is not accessible
	MaintenanceMode bool
}

// Network is what the VMs' cards are connected to.
type Network struct {
	Name       string
	Found      bool // it exists, as far as this user may see
	Accessible bool // from at least one physical host
}
