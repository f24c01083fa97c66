// SPDX-License-Identifier: Apache-2.0

package lifetimes

import (
	"context"
	"time"

	"wolfpack/telemetry"
)

// Source is a vCenter's history of the births and deaths of its VMs.
type Source interface {
	// Instance is the instance UUID of the vCenter, or "" if it has none.
	Instance() string

	// Events hands on the events from a time on, which are all if it is zero, in the order of their time and in pages of
	// any size. An event may come again. take returns false when it wants no more.
	//
	// What vCenter does not give makes the reading partial and is no error; an error is ctx's.
	Events(ctx context.Context, from time.Time, take func(page []Event) bool) (Reading, error)
}

// Reading says how far a Source's events can be trusted.
type Reading struct {
	Pages    int  // that were asked for, the empty one at the end included
	Complete bool // to the end; what is lost in the midst is a problem
	Problems []telemetry.Problem
}

// Kind is what an event tells of a VM.
type Kind int

// The kinds of events.
const (
	BeingMade  Kind = iota + 1 // it will be there soon; alone it may say what it is for
	Made                       // it is there: created, cloned or deployed
	Registered                 // it is there: registered, or found on a host
	Removed                    // it is not there any more: destroyed, or unregistered
	Identified                 // it has this instance UUID from now on
)

// Event is what is kept of an event: enough to tell VMs and their times, and nothing that may be secret.
type Event struct {
	Key       int32 // grows with each event, until vCenter's database is made anew
	Time      time.Time
	Kind      Kind
	VM        string // reference's value, such as vm-42
	Name      string // the VM's, at the time
	Datastore string // name of the datastore with its configuration
	UUID      string // Identified: the VM's instance UUID
	Guest     *Guest // BeingMade: nil if the event does not tell
}

// Guest is what the configuration of a VM says that its guest is.
type Guest struct{ ID, Alternate string }
