// SPDX-License-Identifier: Apache-2.0

package vcenter

import "time"

// Limits are how long a backend waits for vCenter; what is 0 stays as it is.
type Limits struct{ Request, Task, Slot, Abandon, Settle, AskAfter time.Duration }

// Hurry sets the limits, and makes polls and the pauses of the watch short: tests do not want to wait for minutes until
// nothing happens. It is for before Watch.
func (v *VCenter) Hurry(l Limits) {
	for limit, to := range map[*time.Duration]time.Duration{
		&v.limits.request: l.Request, &v.limits.task: l.Task, &v.limits.slot: l.Slot, &v.limits.abandon: l.Abandon,
		&v.limits.settle: l.Settle, &v.tasks.askAfter: l.AskAfter,
	} {
		if to != 0 {
			*limit = to
		}
	}
	v.limits.poll, v.limits.silence = time.Second, time.Second
	v.limits.rewatch.Cap = v.limits.rewatch.Duration
}
