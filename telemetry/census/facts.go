// SPDX-License-Identifier: Apache-2.0

package census

import (
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// Facts are what is known of one object: a *VM, *Host, *Compute, *Datacenter or *Folder. What is not known is zero.
type Facts interface {
	// Set takes the value of one of the Properties; nil is none. It ignores other paths, and values of another type.
	Set(path string, value types.AnyType)

	object() *Object
}

// Object is what all facts have.
type Object struct {
	Ref    Ref
	Name   string
	Parent Ref // a folder, but of a host: its compute resource

	// Missing is the fault because of which a property is not known, such as NoPermission; "" if all are that there are.
	Missing string
}

func (o *Object) object() *Object { return o }

// set takes the properties that all objects have.
func (o *Object) set(path string, value types.AnyType) {
	switch path {
	case "name":
		o.Name = text(value)
	case "parent":
		o.Parent, _ = value.(Ref)
	}
}

// label is the name to count an object by. There is always one, for several without would look like one.
func (o *Object) label() string {
	if o.Name != "" {
		return o.Name
	}
	return o.Ref.Value
}

// VM is what is known of a virtual machine. In a vApp it has no parent.
type VM struct {
	Object
	FullName      string // of the guest, as vCenter shows it
	AlternateName string // of the guest, as it is configured
	Host, Pool    Ref
	InstanceUUID  string
	Created       *time.Time
	PowerState    string
	Product       *types.VAppProductInfo
	Template      bool
}

// Set takes a property.
func (v *VM) Set(path string, value types.AnyType) {
	switch path {
	case "summary.config.guestFullName":
		v.FullName = text(value)
	case "config.alternateGuestName":
		v.AlternateName = text(value)
	case "runtime.host":
		v.Host, _ = value.(Ref)
	case "resourcePool":
		v.Pool, _ = value.(Ref)
	case "config.instanceUuid":
		v.InstanceUUID = text(value)
	case "config.createDate":
		v.Created = birth(value)
	case "runtime.powerState":
		v.PowerState = text(value)
	case "summary.config.product":
		v.Product = nil
		if product, ok := value.(types.VAppProductInfo); ok {
			v.Product = &product
		}
	case "summary.config.template":
		v.Template, _ = value.(bool)
	default:
		v.set(path, value)
	}
}

// birth is when a VM was created. vCenter says 1970 of those that it has from before it kept that.
func birth(value types.AnyType) *time.Time {
	created, ok := value.(time.Time)
	if !ok || created.Year() <= 1970 {
		return nil
	}
	created = created.UTC()
	return &created
}

// Host is what is known of an ESX host.
type Host struct {
	Object
	State, Version, Build string
}

// Set takes a property.
func (h *Host) Set(path string, value types.AnyType) {
	switch path {
	case "runtime.connectionState":
		h.State = text(value)
	case "summary.config.product.version":
		h.Version = text(value)
	case "summary.config.product.build":
		h.Build = text(value)
	default:
		h.set(path, value)
	}
}

// Compute is what is known of a cluster, or of the place of a lone host.
type Compute struct{ Object }

// Set takes a property.
func (c *Compute) Set(path string, value types.AnyType) { c.set(path, value) }

// Datacenter is what is known of a datacenter.
type Datacenter struct {
	Object
	VMFolder Ref // the root of its VM folders
}

// Set takes a property.
func (d *Datacenter) Set(path string, value types.AnyType) {
	if path == "vmFolder" {
		d.VMFolder, _ = value.(Ref)
	}
	d.set(path, value)
}

// Folder is what is known of a folder.
type Folder struct{ Object }

// Set takes a property.
func (f *Folder) Set(path string, value types.AnyType) { f.set(path, value) }

// NewFacts returns the facts of an object of which nothing is known yet, or nil if a census has no use for its kind.
func NewFacts(ref Ref) Facts {
	object := Object{Ref: ref}
	switch ref.Type {
	case "VirtualMachine":
		return &VM{Object: object}
	case "HostSystem":
		return &Host{Object: object}
	case clusterType, "ComputeResource":
		return &Compute{object}
	case "Datacenter":
		return &Datacenter{Object: object}
	case "Folder":
		return &Folder{object}
	default:
		return nil
	}
}

const clusterType = "ClusterComputeResource"

// Read returns the facts in an answer about an object. They are nil for an object that a census has no use for, and for one
// that went while it was looked at.
func Read(content *types.ObjectContent) Facts {
	facts := NewFacts(content.Obj)
	if facts == nil {
		return nil
	}
	for _, property := range content.PropSet {
		facts.Set(property.Name, property.Val)
	}
	for _, missing := range content.MissingSet {
		if _, gone := missing.Fault.Fault.(*types.ManagedObjectNotFound); gone {
			return nil
		}
		facts.object().Missing = faultName(missing.Fault.Fault)
	}
	return facts
}

// text is the value of a property that is a string or an enumeration.
func text(value types.AnyType) string {
	switch v := value.(type) {
	case string:
		return v
	case types.VirtualMachinePowerState:
		return string(v)
	case types.HostSystemConnectionState:
		return string(v)
	default:
		return ""
	}
}
