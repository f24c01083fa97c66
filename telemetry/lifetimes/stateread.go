// SPDX-License-Identifier: Apache-2.0

package lifetimes

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// state checks what was read, for it may have been written by anyone.
func (in *stateJSON) state() (*State, error) {
	s := &State{
		instance: in.Instance, taken: in.Taken, covered: in.Covered, oldest: in.Oldest, last: mark{in.LastKey, in.LastTime},
		stitched: sums(in.Stitched), unremoved: sums(in.Unremoved),
	}
	var err error
	if s.recent, err = in.recent(); err != nil {
		return nil, err
	}
	times := slices.Concat([]moment{s.taken, s.covered, s.oldest, s.last.time}, sums(in.Times), s.stitched, s.unremoved)
	if at := slices.IndexFunc(times, func(t moment) bool { return !t.isTime() }); at >= 0 {
		return nil, fmt.Errorf("there is a time of %d", times[at])
	}
	for _, table := range []struct {
		name          string
		rows          *tableJSON
		died, removed bool
	}{{"living", &in.Living, false, false}, {"removed", &in.Removed, true, true}, {"vanished", &in.Vanished, true, false}} {
		lives, err := in.lives(table.rows)
		if err != nil {
			return nil, fmt.Errorf("%s VMs: %w", table.name, err)
		}
		for i := range lives {
			l := &lives[i]
			if l.removed = table.removed; table.died != (l.died != 0) {
				return nil, fmt.Errorf("%s VMs: %q died at %d", table.name, l.ref, l.died)
			}
		}
		s.lives = append(s.lives, lives...)
	}
	slices.SortFunc(s.lives, inOrder)
	return s, nil
}

func (in *stateJSON) recent() ([]mark, error) {
	if len(in.Keys) != len(in.Times) {
		return nil, fmt.Errorf("recent events: %d keys and %d times", len(in.Keys), len(in.Times))
	}
	recent := make([]mark, len(in.Keys))
	times := sums(in.Times)
	for i, key := range sums(in.Keys) {
		if key < math.MinInt32 || key > math.MaxInt32 {
			return nil, fmt.Errorf("recent events: %d is no key", key)
		}
		recent[i] = mark{int32(key), times[i]}
	}
	return recent, nil
}

// lives are those of a table.
func (in *stateJSON) lives(t *tableJSON) ([]life, error) {
	lives := make([]life, len(t.Ref))
	for i, ref := range t.Ref {
		if ref == "" {
			return nil, fmt.Errorf("number %d has no reference", i+1)
		}
		lives[i] = life{ref: ref, before: true}
	}
	if err := in.classes(t, lives); err != nil {
		return nil, err
	}
	for name, column := range map[string]struct {
		hashes []byte
		of     func(*life) *id
	}{
		"uuid":  {t.UUID, func(l *life) *id { return &l.uuid }},
		"place": {t.Place, func(l *life) *id { return &l.place }},
	} {
		if n := len(column.hashes); n != 0 && n != 8*len(lives) {
			return nil, fmt.Errorf("%s has %d bytes for %d VMs, want 8 for each", name, n, len(lives))
		}
		for i := 0; i < len(column.hashes); i += 8 {
			*column.of(&lives[i/8]) = id(binary.BigEndian.Uint64(column.hashes[i:]))
		}
	}
	return lives, in.times(t, lives)
}

func (in *stateJSON) classes(t *tableJSON, lives []life) error {
	if n := len(t.Class); n != 0 && n != len(lives) {
		return fmt.Errorf("class has %d values for %d VMs", n, len(lives))
	}
	for i := range lives {
		number := 0
		if len(t.Class) > 0 {
			number = t.Class[i]
		}
		if number < 0 || number >= len(in.Classes) {
			return fmt.Errorf("%q is of the class %d, of %d that there are", lives[i].ref, number, len(in.Classes))
		}
		c := in.Classes[number]
		lives[i].class = class{c.Kind, c.OS, c.Inferred}
	}
	return nil
}

func (in *stateJSON) times(t *tableJSON, lives []life) error {
	for n, column := range t.times() {
		values := sums(*column)
		if len(values) == 0 {
			values = make([]moment, len(lives))
		}
		if len(values) != len(lives) {
			return fmt.Errorf("%d times for %d VMs", len(values), len(lives))
		}
		for i, value := range values {
			l := &lives[i]
			at := l.times()[n]
			if at == &l.sign {
				value += in.Taken
			}
			if *at = value; !value.isTime() {
				return fmt.Errorf("%q has a time of %d", l.ref, value)
			}
		}
	}
	return nil
}
