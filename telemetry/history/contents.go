// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"wolfpack/telemetry"
)

// schema is the version of the file. That of the reports in it is telemetry.Schema.
const schema = 1

// contents are what is in a file. Reports stay the text that they are, so that adding one leaves the others alone.
type contents struct {
	Schema   int               `json:"schema"`
	VCenters map[string]*shelf `json:"vcenters"` // by instance UUID
}

// shelf is what there is of one vCenter.
type shelf struct {
	Name      string          `json:"name"` // by which it was last reached, for people
	Reports   []entry         `json:"reports"`
	Lifetimes json.RawMessage `json:"lifetimes,omitempty"`
}

// entry is a report as text, and its time.
type entry struct {
	text  json.RawMessage
	taken time.Time
}

func empty() *contents { return &contents{Schema: schema, VCenters: map[string]*shelf{}} }

// unreadable says why a file cannot be read, though it is there.
type unreadable struct{ kind, why string }

func (u *unreadable) Error() string { return u.why }

// The kinds of unreadable.
const (
	corrupt = "corrupt"
	older   = "older"
	newer   = "newer"
)

// version says what is wrong with a schema, if anything is.
func version(what string, is, want int) error {
	switch {
	case is <= 0:
		return &unreadable{corrupt, what + " says no schema"}
	case is < want:
		return &unreadable{older, fmt.Sprintf("%s has schema %d of an older Wolfpack, this one reads %d", what, is, want)}
	case is > want:
		return &unreadable{newer, fmt.Sprintf("%s has schema %d of a newer Wolfpack, this one reads %d", what, is, want)}
	default:
		return nil
	}
}

// parse reads the text of a file. Its error is an *unreadable.
func parse(data []byte) (*contents, error) {
	var head struct {
		Schema int `json:"schema"`
	}
	if err := decode(data, &head); err != nil {
		return nil, &unreadable{corrupt, "it is no JSON of a history: " + err.Error()}
	}
	if err := version("it", head.Schema, schema); err != nil {
		return nil, err
	}
	all := empty()
	if err := decode(data, all); err != nil {
		if bad := (*unreadable)(nil); errors.As(err, &bad) {
			return nil, bad
		}
		return nil, &unreadable{corrupt, "it is no JSON of a history: " + err.Error()}
	}
	for key, s := range all.VCenters {
		if s == nil {
			return nil, &unreadable{corrupt, fmt.Sprintf("it has nothing under %q", key)}
		}
		s.sort()
	}
	if all.VCenters == nil {
		all.VCenters = map[string]*shelf{}
	}
	return all, nil
}

// decode reads one JSON value and nothing after it.
func decode(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows its end")
	}
	return nil
}

// UnmarshalJSON keeps the text and reads what is needed to put reports in order.
func (e *entry) UnmarshalJSON(data []byte) error {
	var head struct {
		Schema int       `json:"schema"`
		Taken  time.Time `json:"taken"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return err
	}
	if err := version("a report in it", head.Schema, telemetry.Schema); err != nil {
		return err
	}
	*e = entry{text: bytes.Clone(data), taken: head.Taken}
	return nil
}

// MarshalJSON is the text.
func (e entry) MarshalJSON() ([]byte, error) { return e.text, nil }

func (s *shelf) sort() {
	slices.SortStableFunc(s.Reports, func(a, b entry) int { return a.taken.Compare(b.taken) })
}

// past reads the reports of one vCenter.
func (c *contents) past(key string) (Past, error) {
	s := c.VCenters[key]
	if s == nil {
		return Past{}, nil
	}
	past := Past{Lifetimes: s.Lifetimes}
	for _, e := range s.Reports {
		report := &telemetry.Report{}
		if err := json.Unmarshal(e.text, report); err != nil {
			return Past{}, &unreadable{corrupt, fmt.Sprintf("its report of %s is none: %v", e.taken.Format(time.RFC3339), err)}
		}
		past.Reports = append(past.Reports, report)
	}
	return past, nil
}

// add adds a report to those of its vCenter. When another run that began later has been faster, what that knows of lifetimes
// is the newer and stays.
func (c *contents) add(report *telemetry.Report, lifetimes json.RawMessage) error {
	lean := *report
	lean.Inventory = nil
	text, err := json.Marshal(&lean)
	if err != nil {
		return err
	}
	if lifetimes != nil && !json.Valid(lifetimes) {
		return errors.New("the state of the lifetimes is no JSON")
	}
	s := c.VCenters[key(report.VCenter)]
	if s == nil {
		s = &shelf{}
		c.VCenters[key(report.VCenter)] = s
	}
	s.Reports = slices.DeleteFunc(s.Reports, func(e entry) bool { return e.taken.Equal(report.Taken) })
	s.Reports = append(s.Reports, entry{text: text, taken: report.Taken})
	s.sort()
	if last := s.Reports[len(s.Reports)-1]; last.taken.Equal(report.Taken) {
		s.Name = report.VCenter.Name
		if lifetimes != nil {
			s.Lifetimes = lifetimes
		}
	}
	for len(s.Reports) > MaxReports {
		s.thin()
	}
	return nil
}

// thin drops the report that is missed least: the one whose neighbours are closest to each other for its age. Thus the older,
// the sparser, and the oldest and the newest stay. There must be three.
func (s *shelf) thin() {
	newest := s.Reports[len(s.Reports)-1].taken
	least, at := 0.0, 0
	for i := 1; i < len(s.Reports)-1; i++ {
		gap := s.Reports[i+1].taken.Sub(s.Reports[i-1].taken)
		age := max(newest.Sub(s.Reports[i].taken), time.Second)
		if missed := float64(gap) / float64(age); at == 0 || missed < least {
			least, at = missed, i
		}
	}
	s.Reports = slices.Delete(s.Reports, at, at+1)
}

// encode writes the text of a file. If it is longer than bytes, the vCenter with the longest loses reports until it is not.
func (c *contents) encode(bytes int) ([]byte, error) {
	for {
		data, err := json.Marshal(c)
		if err != nil || len(data) <= bytes {
			return data, err
		}
		excess := len(data) - bytes
		for excess > 0 {
			s := c.longest()
			if s == nil {
				return nil, fmt.Errorf("with two reports of each vCenter it has %d bytes already, at most %d may be kept", len(data), bytes)
			}
			before := s.size()
			s.thin()
			excess -= before - s.size()
		}
	}
}

// longest is the vCenter whose reports are the longest text, of those that have some to spare.
func (c *contents) longest() *shelf {
	var longest *shelf
	for _, s := range c.VCenters {
		if len(s.Reports) > 2 && (longest == nil || s.size() > longest.size()) {
			longest = s
		}
	}
	return longest
}

func (s *shelf) size() int {
	n := 0
	for _, e := range s.Reports {
		n += len(e.text)
	}
	return n
}
