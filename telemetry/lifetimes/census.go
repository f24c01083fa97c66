// SPDX-License-Identifier: Apache-2.0

package lifetimes

import "wolfpack/telemetry"

// See tells the study of a VM that is there, by a census that was begun after the events were read. Each VM is told once.
func (s *Study) See(vm telemetry.VM) {
	l := s.seen(&vm)
	l.seen = true
	if !s.knewBefore(l, &vm) {
		l.entry = never // until Finish knows when this was
	}
	if c := classOfVM(&vm); c.known() {
		l.class = c
	}
	if vm.Created == nil {
		return
	}
	created := momentOf(*vm.Created)
	if l.proof == 0 || created <= l.proof { // or else the VM got a new one when it was registered again
		l.born = earliest(l.born, created)
	}
	s.compare(l, created)
}

// seen finds or begins the life of a VM.
func (s *Study) seen(vm *telemetry.VM) *life {
	uuid := idOf(vm.InstanceUUID)
	l, known := s.byRef[vm.MoID], s.byUUID[uuid]
	if l != nil && (l.ref != vm.MoID || l.uuid != 0 && uuid != 0 && l.uuid != uuid) {
		l = nil // the reference has become another VM's
	}
	if known != nil && known.seen { // an instance UUID that is not unique tells nothing
		known, uuid = nil, 0
	}
	switch {
	case l == nil && known == nil:
		l = &life{ref: vm.MoID}
	case l == nil: // no event told that it was registered again
		l = &life{ref: vm.MoID}
		s.stitch(known, l, max(known.died, known.sign))
	case l.uuid == 0 && known != nil && !l.fresh:
		s.stitch(known, l, earliest(l.born, l.sign))
	}
	if l.died != 0 {
		s.revive(l)
	}
	if l.uuid == 0 {
		l.uuid = uuid
	}
	return s.add(l)
}

// told says whether anything told of a VM before this census.
func (s *Study) told(l *life) bool { return l.before || l.sign != 0 }

// knewBefore says whether it would have been known what the VM was, had it died before the census.
func (s *Study) knewBefore(l *life, vm *telemetry.VM) bool {
	return s.told(l) && (l.class.known() || classOfName(vm.Name).known())
}

// compare counts whether events tell of a VM that was made in the time of which they were read. If they do not, the account
// may not read them.
func (s *Study) compare(l *life, created moment) {
	if created <= max(s.covered, s.taken(), s.gap) || created >= s.read.time {
		return
	}
	if s.told(l) {
		s.loud++
	} else {
		s.mute++
	}
}

// Left tells the study of a VM that is not there any more, as it was when it was last seen, by a watch that was running
// since the census before. It need not be told if that census saw it.
func (s *Study) Left(vm telemetry.VM) {
	l := s.byRef[vm.MoID]
	if l == nil || l.ref != vm.MoID {
		return // no event told that it was there, or that it went: nobody would know when
	}
	l.class = classOfVM(&vm).or(l.class)
	if vm.Created != nil && l.born == 0 {
		l.born = momentOf(*vm.Created)
	}
}

// Partial tells the study that the census did not see all VMs. That one was not seen proves nothing then.
func (s *Study) Partial() { s.partial = true }
