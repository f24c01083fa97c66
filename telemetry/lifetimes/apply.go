// SPDX-License-Identifier: Apache-2.0

package lifetimes

// apply takes an event, whatever has been missed before it: events get lost, come late, and tell of what is not so.
func (s *Study) apply(e Event) {
	at := momentOf(e.Time)
	l := s.byRef[e.VM]
	if l != nil && l.ref != e.VM { // the VM has another reference now
		if e.Kind == Removed {
			return
		}
		l = nil
	}
	switch e.Kind {
	case BeingMade:
		l = s.beingMade(l, e.VM, at)
		made := classOfGuest(e.Guest)
		l.class, l.fresh = l.class.or(made), l.fresh || made.known()
	case Made:
		l = s.made(l, e.VM, at)
	case Registered:
		l = s.registered(l, e, at)
	case Identified:
		l = s.identified(l, e, at)
	case Removed:
		s.removed(l, e, at)
		return
	}
	l.class = l.class.or(classOfName(e.Name))
	l.sign = max(l.sign, at)
}

// beingMade begins a life. If there was one of that reference before, the reference is given anew.
func (s *Study) beingMade(l *life, ref string, at moment) *life {
	if l == nil || l.died != 0 && l.died <= at || l.existed() && l.sign < at {
		l = s.add(&life{ref: ref})
	}
	l.made = earliest(l.made, at)
	return l
}

// made gives a life its birth. vCenter tells of some births twice, as of a VM that is deployed by being cloned.
func (s *Study) made(l *life, ref string, at moment) *life {
	if l == nil || l.died != 0 && l.died <= at || l.existed() && l.sign < at-hour {
		l = s.add(&life{ref: ref})
	}
	l.born = earliest(l.born, at)
	return l
}

// registered takes back the removal of the VM, or else begins its life: it may be older, but nobody can know.
func (s *Study) registered(l *life, e Event, at moment) *life {
	if l != nil {
		if l.died != 0 && l.died <= at {
			s.revive(l)
		}
		if !l.existed() {
			l.born = at
		}
		return l
	}
	old := s.byPlace[idOf(e.Name, e.Datastore)]
	l = s.add(&life{ref: e.VM, born: at})
	if old != nil && old.died <= at {
		s.stitch(old, l, at)
	}
	return l
}

// identified tells the instance UUID of a VM, by which it may be one that is known.
func (s *Study) identified(l *life, e Event, at moment) *life {
	if l == nil {
		l = s.add(&life{ref: e.VM, made: at})
	}
	uuid := idOf(e.UUID)
	old := s.byUUID[uuid]
	switch {
	case uuid == 0 || old == l:
	case old != nil && l.uuid == 0 && !l.fresh:
		s.stitch(old, l, at)
	default:
		if s.byUUID[l.uuid] == l {
			delete(s.byUUID, l.uuid)
		}
		l.uuid = uuid
		s.byUUID[uuid] = l
	}
	return l
}

// removed ends a life, until it shows that the VM lives on. Of two removals the first was none.
func (s *Study) removed(l *life, e Event, at moment) {
	if l == nil {
		l = s.add(&life{ref: e.VM, proof: at, entry: at}) // nothing told of it before
	}
	l.class = l.class.or(classOfName(e.Name))
	switch {
	case at < l.sign-moment(slack.Microseconds()): // it has been seen since
		s.unremoved = append(s.unremoved, at)
		return
	case l.removed && at < l.died+second: // the same again
		return
	case l.removed:
		s.revive(l)
	}
	l.died, l.removed = at, true
	l.proof = earliest(l.proof, at)
	l.place = idOf(e.Name, e.Datastore)
	s.add(l)
}
