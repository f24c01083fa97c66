// SPDX-License-Identifier: Apache-2.0

package lifetimes

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/soap"
)

// kinds are the events that are asked for, by vCenter's name for them. A change of a VM's configuration is not among them:
// there are very many, and what a VM is for does not change.
var kinds = map[string]Kind{
	"VmBeingCreatedEvent":         BeingMade,
	"VmCreatedEvent":              Made,
	"VmClonedEvent":               Made,
	"VmDeployedEvent":             Made,
	"VmRegisteredEvent":           Registered,
	"VmDiscoveredEvent":           Registered,
	"VmRemovedEvent":              Removed,
	"VmInstanceUuidAssignedEvent": Identified,
	"VmInstanceUuidChangedEvent":  Identified,
}

// pageBody is the answer to ReadNextEvents, of which nothing is decoded but what an Event holds. A configuration has keys,
// certificates and passwords in its extraConfig: they never become values of this program. An event of a type that nobody
// knows is no obstacle either, as it is for govmomi's own types.
type pageBody struct {
	Res    *pageResponse `xml:"ReadNextEventsResponse,omitempty"`
	Fault_ *soap.Fault   `xml:"http://schemas.xmlsoap.org/soap/envelope/ Fault,omitempty"`
}

// Fault implements soap.HasFault.
func (b *pageBody) Fault() *soap.Fault { return b.Fault_ }

type pageResponse struct {
	Events []wireEvent `xml:"returnval"`
}

type wireEvent struct {
	//lint:ignore SA5008 it is an option of govmomi's XML, and says that this is XML Schema's type and not a reference's
	Type string `xml:"type,attr,typeattr"`
	Key  int32  `xml:"key"`
	Time string `xml:"createdTime"` // text, so that one that cannot be read spoils one event and not its page
	VM   struct {
		Name string `xml:"name"`
		Ref  string `xml:"vm"`
	} `xml:"vm"`
	Datastore struct {
		Name string `xml:"name"`
	} `xml:"ds"`
	UUID       string `xml:"instanceUuid"`
	NewUUID    string `xml:"newInstanceUuid"`
	ConfigSpec *struct {
		GuestID   string `xml:"guestId"`
		Alternate string `xml:"alternateGuestName"`
	} `xml:"configSpec"`
}

// event is what is kept of it, or nothing if nobody asked for it. It is an error, which tells the event, if it does not say
// when, or of which VM.
func (w *wireEvent) event() (*Event, error) {
	kind, known := kinds[w.Type[strings.LastIndex(w.Type, ":")+1:]] // the type may have a prefix
	if !known {
		return nil, nil
	}
	created, err := time.Parse(time.RFC3339, w.Time)
	if err != nil {
		return nil, fmt.Errorf("event %d (%s) has the time %q, which is none", w.Key, w.Type, w.Time)
	}
	if w.VM.Ref == "" {
		return nil, fmt.Errorf("event %d (%s) of %s does not say which VM it is about", w.Key, w.Type, w.Time)
	}
	e := &Event{
		Key: w.Key, Time: created, Kind: kind, VM: w.VM.Ref, Name: w.VM.Name, Datastore: w.Datastore.Name,
		UUID: w.UUID + w.NewUUID, // an event has one of them
	}
	if spec := w.ConfigSpec; spec != nil {
		e.Guest = &Guest{ID: spec.GuestID, Alternate: spec.Alternate}
	}
	return e, nil
}

// page is a page as it was read.
type page struct {
	size   int // events in it, also those that nobody asked for or can read
	events []Event
	bad    []error
}

func (b *pageBody) page() (page, error) {
	if b.Res == nil {
		return page{}, errors.New("the answer to ReadNextEvents has no page in it")
	}
	p := page{size: len(b.Res.Events), events: make([]Event, 0, len(b.Res.Events))}
	for i := range b.Res.Events {
		event, err := b.Res.Events[i].event()
		if err != nil {
			p.bad = append(p.bad, err)
		} else if event != nil {
			p.events = append(p.events, *event)
		}
	}
	return p, nil
}
