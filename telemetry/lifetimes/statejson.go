// SPDX-License-Identifier: Apache-2.0

package lifetimes

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"slices"

	"wolfpack/errs"
	"wolfpack/telemetry"
)

// stateVersion is the version of State as JSON.
const stateVersion = 1

// stateJSON is a State as JSON. Times are in microseconds since 1970. A list of times or keys holds the first one, and then
// by how much each is more than the one before.
type stateJSON struct {
	Version   int         `json:"version"`
	Instance  string      `json:"instance"`
	Taken     moment      `json:"taken"`
	Covered   moment      `json:"covered"`
	Oldest    moment      `json:"oldest"`
	LastKey   int32       `json:"lastKey"`
	LastTime  moment      `json:"lastTime"`
	Keys      []moment    `json:"recentKeys"`
	Times     []moment    `json:"recentTimes"`
	Stitched  []moment    `json:"stitched"`
	Unremoved []moment    `json:"falseRemoved"`
	Classes   []classJSON `json:"classes"`
	Living    tableJSON   `json:"living"`
	Removed   tableJSON   `json:"removed"`
	Vanished  tableJSON   `json:"vanished"`
}

type classJSON struct {
	Kind     telemetry.Kind `json:"kind"`
	OS       string         `json:"os,omitempty"`
	Inferred bool           `json:"inferred,omitempty"`
}

// tableJSON is a table of lives by its columns. A column that would be all zeros is left out.
type tableJSON struct {
	Ref   []string `json:"vm"`
	UUID  []byte   `json:"uuid,omitempty"`  // 8 bytes of a hash for each
	Place []byte   `json:"place,omitempty"` // likewise
	Class []int    `json:"class,omitempty"` // index
	Made  []moment `json:"made,omitempty"`
	Born  []moment `json:"born,omitempty"`
	Proof []moment `json:"proof,omitempty"`
	Entry []moment `json:"entry,omitempty"`
	Sign  []moment `json:"sign,omitempty"`
	Died  []moment `json:"died,omitempty"`
}

// inOrder is the order of lives in a State: those that live are last, so that they get what they have in common with one
// that died, and most differences in a column are small.
func inOrder(a, b life) int {
	if lives := a.died == 0; lives != (b.died == 0) {
		if lives {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(a.died, b.died), cmp.Compare(a.born, b.born), cmp.Compare(a.ref, b.ref))
}

// MarshalJSON implements json.Marshaler.
func (s *State) MarshalJSON() ([]byte, error) {
	out := stateJSON{
		Version: stateVersion, Instance: s.instance, Taken: s.taken, Covered: s.covered, Oldest: s.oldest,
		LastKey: s.last.key, LastTime: s.last.time,
		Stitched: differences(s.stitched), Unremoved: differences(s.unremoved),
	}
	keys, times := make([]moment, len(s.recent)), make([]moment, len(s.recent))
	for i, e := range s.recent {
		keys[i], times[i] = moment(e.key), e.time
	}
	out.Keys, out.Times = differences(keys), differences(times)
	classes := make(map[class]int)
	for i := range s.lives {
		c := s.lives[i].class
		if _, known := classes[c]; !known {
			classes[c] = len(classes)
			out.Classes = append(out.Classes, classJSON{c.kind, c.os, c.inferred})
		}
	}
	out.Living = newTable(s.lives, s.taken, classes, func(l *life) bool { return l.died == 0 })
	out.Removed = newTable(s.lives, s.taken, classes, func(l *life) bool { return l.removed })
	out.Vanished = newTable(s.lives, s.taken, classes, func(l *life) bool { return l.died != 0 && !l.removed })
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler. Its error says what is wrong with the state, and changes nothing of it.
func (s *State) UnmarshalJSON(data []byte) error {
	const op = "lifetimes.State"
	var in stateJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return errs.New(op, errs.Invalid, "state of lifetimes: %w", err)
	}
	if in.Version != stateVersion {
		return errs.New(op, errs.Invalid, "state of lifetimes has version %d; this program reads version %d", in.Version, stateVersion)
	}
	state, err := in.state()
	if err != nil {
		return errs.New(op, errs.Invalid, "state of lifetimes: %w", err)
	}
	*s = *state
	return nil
}

// newTable makes a table of some lives. Most have been seen by the last census, which is not written down for each.
func newTable(all []life, taken moment, classes map[class]int, which func(*life) bool) tableJSON {
	var some []*life
	for i := range all {
		if which(&all[i]) {
			some = append(some, &all[i])
		}
	}
	t := tableJSON{Ref: make([]string, len(some)), Class: make([]int, len(some))}
	for i, l := range some {
		t.Ref[i], t.Class[i] = l.ref, classes[l.class]
	}
	if !slices.ContainsFunc(t.Class, func(c int) bool { return c != 0 }) {
		t.Class = nil
	}
	t.UUID = hashes(some, func(l *life) id { return l.uuid })
	t.Place = hashes(some, func(l *life) id { return l.place })
	for i, column := range t.times() {
		values := make([]moment, len(some))
		for row, l := range some {
			if values[row] = *l.times()[i]; l.times()[i] == &l.sign {
				values[row] -= taken
			}
		}
		if slices.ContainsFunc(values, func(v moment) bool { return v != 0 }) {
			*column = differences(values)
		}
	}
	return t
}

// times are the columns of times; see life.times.
func (t *tableJSON) times() []*[]moment {
	return []*[]moment{&t.Made, &t.Born, &t.Proof, &t.Entry, &t.Sign, &t.Died}
}

// times are the times of a life that a State holds.
func (l *life) times() []*moment {
	return []*moment{&l.made, &l.born, &l.proof, &l.entry, &l.sign, &l.died}
}

func hashes(some []*life, of func(*life) id) (column []byte) {
	any := false
	for _, l := range some {
		column = binary.BigEndian.AppendUint64(column, uint64(of(l)))
		any = any || of(l) != 0
	}
	if !any {
		return nil
	}
	return column
}

// differences are the first value and by how much each is more than the one before.
func differences(values []moment) []moment {
	out := make([]moment, len(values))
	before := moment(0)
	for i, v := range values {
		out[i], before = v-before, v
	}
	return out
}

// sums is the reverse of differences.
func sums(values []moment) []moment {
	out := make([]moment, len(values))
	total := moment(0)
	for i, v := range values {
		total += v
		out[i] = total
	}
	return out
}
