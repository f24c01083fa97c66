// SPDX-License-Identifier: Apache-2.0

package lifetimes

import (
	"math"
	"time"
)

// moment is a time in microseconds since 1970, as fine as vCenter tells it. 0 is an unknown time.
type moment int64

const (
	never  moment = math.MaxInt64
	second moment = 1_000_000
	hour          = 3600 * second
)

// oldestTime is the time before which none is believed: vCenter shows 1970 for VMs that are older than its notion of it.
var oldestTime = time.Date(1999, time.January, 1, 0, 0, 0, 0, time.UTC)

func momentOf(t time.Time) moment {
	if t.Before(oldestTime) {
		return 0
	}
	return moment(t.UnixMicro())
}

func (m moment) time() time.Time { return time.UnixMicro(int64(m)).UTC() }

func (m moment) String() string { return m.time().Format(time.RFC3339) }

// isTime says whether it can be a time, or an unknown one: no later than those that can be written down.
func (m moment) isTime() bool { return m >= 0 && m.time().Year() < 9999 }

// seconds is a length of time.
func (m moment) seconds() float64 { return float64(m) / float64(second) }

// earliest is the earlier of two times that may be unknown.
func earliest(a, b moment) moment {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// mark is what tells events apart: their keys alone would not, as they start anew with vCenter's database.
type mark struct {
	key  int32
	time moment
}

// recent are the last events that were read, so that none is taken twice.
type recent struct {
	order []mark // as they were read
	known map[mark]bool
}

// add notes an event, and says whether it was there already, and whether since the run before.
func (r *recent) add(e mark) (again, before bool) {
	if before, again = r.known[e]; again {
		return again, before
	}
	r.put(e, false)
	old := 0
	for r.order[old].time < e.time-moment(slack.Microseconds()) {
		delete(r.known, r.order[old])
		old++
	}
	r.order = r.order[old:]
	return false, false
}

func (r *recent) put(e mark, before bool) {
	if r.known == nil {
		r.known = make(map[mark]bool)
	}
	r.known[e] = before
	r.order = append(r.order, e)
}
