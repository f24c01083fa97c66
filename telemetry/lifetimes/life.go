// SPDX-License-Identifier: Apache-2.0

package lifetimes

import (
	"hash/fnv"

	"wolfpack/telemetry"
)

// id stands for a text that tells VMs apart, such as an instance UUID. 0 is none.
type id uint64

func idOf(texts ...string) id {
	hash := fnv.New64a()
	empty := true
	for _, text := range texts {
		empty = empty && text == ""
		_, _ = hash.Write([]byte(text)) // a hash takes everything
		_, _ = hash.Write([]byte{0})
	}
	if empty {
		return 0
	}
	return id(hash.Sum64())
}

// life is one VM, under all its references.
type life struct {
	ref   string // its last reference
	uuid  id
	place id // its name and datastore, by which it is known when it is registered again
	class class

	made  moment // it was being made: a sign that it will be there
	born  moment // 0: nobody knows
	proof moment // it is sure to have been there since, though it may be older
	died  moment // 0: it lives, or nobody knows
	sign  moment // last sign of life

	// entry is when it came to be counted in the exposure: 0 is as soon as it was there. A VM counts there only from when
	// its death would have counted too. Otherwise those whom the census saw would be in it, and those who died before not.
	entry moment

	seen    bool // by this census
	fresh   bool // it is known to have been made, and so is no VM that was there before
	removed bool // an event told so; without one, died is the latest time at which it may have
	before  bool // the run before knew it
}

// class is what a VM is.
type class struct {
	kind     telemetry.Kind // "": nobody knows
	os       string
	inferred bool // by its name
}

func (c class) known() bool { return c.kind != "" }

func (c class) isContainer() bool { return c.kind == telemetry.ContainerVM }

// lives are all VMs that are known, each once.
type lives struct {
	all     map[*life]bool
	byRef   map[string]*life
	byUUID  map[id]*life
	byPlace map[id]*life // those that were removed

	stitched, unremoved []moment // when a VM turned out to live on, under another reference and under its own
}

func newLives() lives {
	return lives{all: make(map[*life]bool), byRef: make(map[string]*life), byUUID: make(map[id]*life), byPlace: make(map[id]*life)}
}

// add makes a VM known; it takes the reference from whoever has had it.
func (ls *lives) add(l *life) *life {
	ls.all[l] = true
	ls.byRef[l.ref] = l
	if has := ls.byUUID[l.uuid]; l.uuid != 0 && (has == nil || has.died != 0) {
		ls.byUUID[l.uuid] = l
	}
	if l.place != 0 && l.died != 0 {
		ls.byPlace[l.place] = l
	}
	return l
}

// stitch makes two lives one: the VM that was old is now l.
func (ls *lives) stitch(old, l *life, at moment) {
	if old.born == 0 && old.existed() {
		l.born, l.proof = 0, earliest(earliest(old.proof, old.died), l.proof) // its birth is the old one's
	} else {
		l.born = earliest(old.born, l.born)
	}
	l.entry, l.made, l.before = old.entry, earliest(old.made, l.made), l.before || old.before
	l.sign = max(l.sign, old.sign)
	if old.class.known() && (!l.class.known() || l.class.inferred) {
		l.class = old.class
	}
	if old.uuid != 0 {
		l.uuid = old.uuid
	}
	ls.forget(old)
	ls.add(l)
	ls.byRef[old.ref] = l // what is told of the old reference late is no news
	ls.stitched = append(ls.stitched, at)
}

// existed says whether the VM was ever there, and not only about to be.
func (l *life) existed() bool { return l.born != 0 || l.proof != 0 || l.died != 0 }

// forget removes a VM that is known by another life from now on.
func (ls *lives) forget(l *life) {
	delete(ls.all, l)
	if ls.byUUID[l.uuid] == l {
		delete(ls.byUUID, l.uuid)
	}
	if ls.byPlace[l.place] == l {
		delete(ls.byPlace, l.place)
	}
	if ls.byRef[l.ref] == l {
		delete(ls.byRef, l.ref)
	}
}

// revive takes back a removal that was none.
func (ls *lives) revive(l *life) {
	if l.removed {
		ls.unremoved = append(ls.unremoved, l.died)
	}
	if ls.byPlace[l.place] == l {
		delete(ls.byPlace, l.place)
	}
	l.died, l.removed = 0, false
}
