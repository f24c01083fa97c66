// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// listener is a simulator.RegisterObject that hears every change of the registry and does nothing. Embed it and override
// what is of interest. The simulator calls it in the goroutine that made the change, mostly with the object locked.
type listener struct{ self types.ManagedObjectReference }

// newListener returns a listener; name must be its own in the registry.
func newListener(name string) listener {
	return listener{self: types.ManagedObjectReference{Type: "StandInListener", Value: name}}
}

func (l listener) Reference() types.ManagedObjectReference                             { return l.self }
func (listener) PutObject(*simulator.Context, mo.Reference)                            {}
func (listener) UpdateObject(*simulator.Context, mo.Reference, []types.PropertyChange) {}
func (listener) RemoveObject(*simulator.Context, types.ManagedObjectReference)         {}

// changed reports whether changes has the property name.
func changed(changes []types.PropertyChange, name string) bool {
	for i := range changes {
		if changes[i].Name == name {
			return true
		}
	}
	return false
}
