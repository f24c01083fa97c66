// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// JournalSize is how many requests the journal holds. When there are more, the oldest are dropped; see Server.Dropped.
const JournalSize = 1 << 14

// Request is an entry of the journal: one request to the vSphere API.
type Request struct {
	Number  uint64    `json:"number"`            // from 1, in the order in which requests arrived
	Time    time.Time `json:"time"`              // of its arrival
	Method  string    `json:"method"`            // such as PowerOnVM_Task; "" if the request cannot be read
	Object  string    `json:"object"`            // reference of the object called, such as VirtualMachine:vm-42
	Name    string    `json:"name,omitempty"`    // of that object, if it has one
	Makes   string    `json:"makes,omitempty"`   // name of the object to be made, if it is about that
	Session string    `json:"session,omitempty"` // stands for the session, and is not its key; a login has that of its answer
	Agent   string    `json:"agent,omitempty"`   // the client's User-Agent
	Faults  []string  `json:"faults,omitempty"`  // the rules that struck

	// Outcome is what the client was told, or could have been: "ok"; "fault" with the fault's type; "HTTP" with the status;
	// "reset" and "answer lost"; "" as long as the request is under way. That a task was begun is "ok", whatever its end.
	Outcome  string        `json:"outcome"`
	Duration time.Duration `json:"duration"` // in nanoseconds
}

// journal keeps the last requests, and counts all.
type journal struct {
	mu      sync.Mutex // guards the fields below and the entries
	entries []*Request // the oldest at next, once it is full
	next    int
	number  uint64
	dropped int
	counts  map[string]int // by method
}

// Journal returns the requests since the start or ResetJournal, but for those dropped, in the order of their arrival.
func (s *Server) Journal() []Request { return s.journal.all() }

// Dropped returns how many requests since the start or ResetJournal the journal could not hold.
func (s *Server) Dropped() int {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.dropped
}

// ResetJournal empties the journal and sets all counts to zero. Numbers go on.
func (s *Server) ResetJournal() { s.journal.reset() }

// Calls returns how many requests there were by method since the start or ResetJournal; none of them is dropped.
func (s *Server) Calls() map[string]int {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return maps.Clone(s.journal.counts)
}

// ResetCalls is ResetJournal.
func (s *Server) ResetCalls() { s.ResetJournal() }

// begin enters a request and completes it with its number and time.
func (j *journal) begin(r *Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.number++
	r.Number, r.Time = j.number, time.Now()
	if j.counts == nil {
		j.counts = make(map[string]int)
	}
	j.counts[r.Method]++
	if len(j.entries) < JournalSize {
		j.entries = append(j.entries, r)
		return
	}
	j.entries[j.next] = r
	j.next = (j.next + 1) % JournalSize
	j.dropped++
}

// change changes an entry, or reads it whole.
func (j *journal) change(r *Request, how func(*Request)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	how(r)
}

func (j *journal) all() []Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := make([]Request, 0, len(j.entries))
	for i := range j.entries {
		r := *j.entries[(j.next+i)%len(j.entries)]
		r.Faults = slices.Clone(r.Faults)
		all = append(all, r)
	}
	return all
}

func (j *journal) reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries, j.next, j.dropped, j.counts = nil, 0, 0, nil
}
