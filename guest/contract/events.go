// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// EventsPath is where a guest answers a GET with the Events that the kubelet has made of the pod, on the port of its
// Endpoint: the JSON of a v1.EventList in the order in which they were made or last counted up. The parameter "after" is
// the number of the newest event that the provider has seen; those after it are the answer. An event's number is its
// resourceVersion; numbers only grow, and Status.Events tells of new ones. A guest keeps the last MaxEvents, and begins to
// count anew when it boots.
//
// Events go this way and not through guestinfo, which everyone may read: they quote what probes and hooks printed.
const EventsPath = "/wolfpack/v1/events"

// MaxEvents is how many events a guest keeps.
const MaxEvents = 256

// maxEventsSize bounds an answer, in bytes: a kubelet cuts an event's message at 1 KiB.
const maxEventsSize = 1 << 20

// EventsAfter is the path and query for the events after one.
func EventsAfter(number uint64) string {
	return EventsPath + "?" + url.Values{"after": {strconv.FormatUint(number, 10)}}.Encode()
}

// DecodeEvents reads an answer. It refuses one that is too large, and an event without a number.
func DecodeEvents(r io.Reader) (*corev1.EventList, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxEventsSize+1))
	if err != nil {
		return nil, fmt.Errorf("read the guest's events: %w", err)
	}
	if len(text) > maxEventsSize {
		return nil, fmt.Errorf("the guest's events have more than %d bytes", maxEventsSize)
	}
	list := new(corev1.EventList)
	if err := json.Unmarshal(text, list); err != nil {
		return nil, fmt.Errorf("the guest's events are not the JSON of a list of events: %w", err)
	}
	for i := range list.Items {
		if _, err := EventNumber(&list.Items[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// EventNumber is the number that the guest gave an event.
func EventNumber(event *corev1.Event) (uint64, error) {
	number, err := strconv.ParseUint(event.ResourceVersion, 10, 64)
	if err != nil || number == 0 {
		return 0, fmt.Errorf("event %s has resourceVersion %q, want the number of an event, from 1", event.Name, event.ResourceVersion)
	}
	return number, nil
}
