// SPDX-License-Identifier: Apache-2.0

// Package telemetry says what is installed in a vCenter and how it is used: ten product metrics, read from the guest
// full names in its inventory and from its events, as vSphere Integrated Containers meant them to be (VIC,
// doc/design/telemetry).
//
// A Report is one census. Its packages make one, and do something with it:
//
//	census      reads the inventory and counts                 (metrics 1 to 9)
//	lifetimes   reads births and deaths from the events        (metric 10)
//	products    asks registries for their versions             (metric 4, on request)
//	history     keeps reports in a file
//	render      writes reports for people and programs
//	exporter    serves reports to Prometheus and to browsers
//	otlp        sends reports to an OpenTelemetry collector
//
// Nothing is classified by what a guest's tools report, for anyone in the guest can set that. What cannot be told is
// counted as such, never dropped, and one bad object never spoils a census.
package telemetry

import "time"

// Schema is the version of Report as JSON. It changes when a field does that a reader may rely on.
const Schema = 1

// Report is one census of one vCenter. Lists are sorted, and none is nil, so that two reports of the same inventory are equal
// as text. What may not be read has its moid for a name; a place that is not known is empty.
type Report struct {
	Schema       int                `json:"schema"`
	Taken        time.Time          `json:"taken"`        // by vCenter's clock
	VCenter      VCenter            `json:"vcenter"`      // metric 3
	Clusters     []Cluster          `json:"clusters"`     // metric 1
	Hosts        []Host             `json:"hosts"`        // metrics 2 and 8
	Products     []Product          `json:"products"`     // metric 4
	VMs          []VMCount          `json:"vms"`          // metric 5
	VCHs         []VCH              `json:"vchs"`         // metrics 6 and 9
	ContainerVMs []ContainerVMCount `json:"containerVMs"` // metric 7
	Unassigned   int                `json:"unassigned"`   // container VMs that belong to no VCH that is known
	Lifetime     *Lifetime          `json:"lifetime"`     // metric 10; nil if no events were read
	Quality      Quality            `json:"quality"`
	Inventory    []VM               `json:"inventory,omitempty"` // each VM, on request
}

// VCenter is the server that was asked, which may be a lone ESXi host.
type VCenter struct {
	Name         string `json:"name"` // host name or address by which it was reached
	FullName     string `json:"fullName"`
	Version      string `json:"version"`
	Build        string `json:"build"`
	APIVersion   string `json:"apiVersion"`
	InstanceUUID string `json:"instanceUUID"` // empty on ESXi
}

// Cluster is a cluster, or the place of a host that is in none, which has the host's name.
type Cluster struct {
	Datacenter string         `json:"datacenter"` // of all lists: its name, or its path if it is in a folder
	Name       string         `json:"name"`
	MoID       string         `json:"moid"`
	Standalone bool           `json:"standalone,omitempty"`
	Hosts      map[string]int `json:"hosts"` // by connection state: connected, disconnected, notResponding, each even if 0; unknown
}

// Host is an ESX host.
type Host struct {
	Datacenter string `json:"datacenter"`
	Cluster    string `json:"cluster"`
	Name       string `json:"name"`
	MoID       string `json:"moid"`
	State      string `json:"state"` // connected, disconnected, notResponding, or unknown
	Version    string `json:"version"`
	Build      string `json:"build"`
	VCHs       int    `json:"vchs"` // whose endpoint VM is on it
}

// Product is an installed product that belongs to the world of containers on vSphere: Harbor, Admiral, or the appliance that
// holds both.
type Product struct {
	Name       string `json:"name"`              // harbor, admiral or vic
	Version    string `json:"version"`           // empty if it is not told
	Source     string `json:"source"`            // how it was found: ovf, api or name
	Confidence string `json:"confidence"`        // high, medium or low
	VM         string `json:"vm,omitempty"`      // name of the VM that it is in
	URL        string `json:"url,omitempty"`     // that was asked
	Problem    string `json:"problem,omitempty"` // why its version is not known
}

// VMCount is how many VMs there are of a kind. Templates are counted apart.
type VMCount struct {
	Datacenter string `json:"datacenter"`
	Cluster    string `json:"cluster"`
	PowerState string `json:"powerState"` // poweredOn, poweredOff, suspended, or unknown
	Template   bool   `json:"template"`
	Count      int    `json:"count"`
}

// VCH is a virtual container host, by its endpoint VM.
type VCH struct {
	Datacenter   string `json:"datacenter"`
	Cluster      string `json:"cluster"`
	Host         string `json:"host"`
	Name         string `json:"name"`
	MoID         string `json:"moid"`
	OS           string `json:"os"`
	Version      string `json:"version"`
	Build        string `json:"build"`
	Commit       string `json:"commit"`
	PowerState   string `json:"powerState"`
	ContainerVMs int    `json:"containerVMs"`
}

// ContainerVMCount is how many container VMs there are of a kind.
type ContainerVMCount struct {
	Datacenter string `json:"datacenter"`
	Cluster    string `json:"cluster"`
	OS         string `json:"os"`
	Version    string `json:"version"`
	PowerState string `json:"powerState"`
	Count      int    `json:"count"`
}

// Kind says what a VM is for.
type Kind string

// The kinds of VMs.
const (
	OtherVM      Kind = "vm"
	EndpointVM   Kind = "vch"
	ContainerVM  Kind = "container"
	Unclassified Kind = "unclassified" // no guest name could be read
)

// VM is one VM as a census reads it.
type VM struct {
	Kind         Kind       `json:"kind"`
	Name         string     `json:"name"`
	MoID         string     `json:"moid"`
	InstanceUUID string     `json:"instanceUUID,omitempty"`
	GuestName    string     `json:"guestName"` // as it is configured
	OS           string     `json:"os,omitempty"`
	Version      string     `json:"version,omitempty"`
	Build        string     `json:"build,omitempty"`
	Commit       string     `json:"commit,omitempty"`
	Datacenter   string     `json:"datacenter,omitempty"`
	Cluster      string     `json:"cluster,omitempty"`
	Host         string     `json:"host,omitempty"`
	VCH          string     `json:"vch,omitempty"` // that a container VM belongs to
	PowerState   string     `json:"powerState"`
	Template     bool       `json:"template,omitempty"`
	Created      *time.Time `json:"created,omitempty"` // by vCenter's clock; nil if vCenter does not know
}

// Quality says how far a report can be trusted.
type Quality struct {
	Complete     bool          `json:"complete"` // all that was asked for was read
	Took         time.Duration `json:"took"`     // nanoseconds
	Requests     int           `json:"requests"` // to vCenter
	Pages        int           `json:"pages"`    // of objects and of events
	Objects      int           `json:"objects"`
	Missing      int           `json:"missing"`      // objects with properties that may not be read, or are not there
	Unclassified int           `json:"unclassified"` // VMs without a guest name
	Problems     []Problem     `json:"problems"`
}

// Problem is something that makes a report partial, or less certain.
type Problem struct {
	Stage   string `json:"stage"`  // connect, inventory, events, products or history
	Object  string `json:"object"` // that it is about, if it is about one
	Message string `json:"message"`
	Partial bool   `json:"partial"` // what was asked for is missing because of it
}
