// SPDX-License-Identifier: Apache-2.0

// Package election lets one of several processes run a node while the others stand by, by a Lease in Kubernetes.
//
// The process that holds the Lease leads. It acts on nothing but by clients that ask Term before each request: when the time is over for which
// it last renewed the Lease, they refuse every request before it is sent, even if the process was frozen meanwhile and knows
// of nothing yet. Nobody else takes over before that, so no two processes act at once. What a request that was on its way had
// begun, the next leader finds: every create is idempotent.
package election

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"

	"wolfpack/errs"
)

// Config says which Lease, who wants it, and for how long. The times mean what they mean for kube-scheduler.
type Config struct {
	Client          kubernetes.Interface // not fenced
	Namespace, Name string               // of the Lease
	Identity        string               // of this process: no other has it
	LeaseDuration   time.Duration        // how long others wait after the last renewal until they take over
	RenewDeadline   time.Duration        // how long the leader tries to renew until it gives up; less than LeaseDuration
	RetryPeriod     time.Duration        // between two tries; less than RenewDeadline
}

// The defaults are kube-scheduler's.
const (
	DefaultLeaseDuration = 15 * time.Second
	DefaultRenewDeadline = 10 * time.Second
	DefaultRetryPeriod   = 2 * time.Second
)

// Check says what is wrong with the times.
func (c Config) Check() error {
	const op = "election.Check"
	switch {
	case c.RetryPeriod <= 0:
		return errs.New(op, errs.Invalid, "the retry period is %s, want more than 0", c.RetryPeriod)
	case float64(c.RenewDeadline) <= leaderelection.JitterFactor*float64(c.RetryPeriod):
		return errs.New(op, errs.Invalid, "the renew deadline is %s, want more than %.1f times the retry period of %s",
			c.RenewDeadline, leaderelection.JitterFactor, c.RetryPeriod)
	case c.LeaseDuration <= c.RenewDeadline:
		return errs.New(op, errs.Invalid, "the lease duration is %s, want more than the renew deadline of %s", c.LeaseDuration, c.RenewDeadline)
	case c.LeaseDuration < time.Second:
		return errs.New(op, errs.Invalid, "the lease duration is %s, want at least 1s: a Lease counts in seconds", c.LeaseDuration)
	}
	return nil
}

// Run waits for the Lease and calls lead with it. When ctx ends, so does the context of lead; once lead has returned, the Lease
// is given back, so that another process can go on at once. When the Lease is lost, the context of lead ends too, and Run
// returns an error: what this process knows may be out of date, so it should end. Otherwise Run returns lead's error.
func Run(ctx context.Context, c Config, lead func(context.Context, *Term) error) error {
	const op = "election.Run"
	if err := c.Check(); err != nil {
		return err
	}
	term := &Term{duration: c.LeaseDuration, what: c.Namespace + "/" + c.Name}
	electing, giveBack := context.WithCancel(context.WithoutCancel(ctx))
	defer giveBack()
	elected := make(chan context.Context, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &lock{term: term, Interface: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name},
			Client:     c.Client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: c.Identity},
		}},
		Name:          term.what,
		LeaseDuration: c.LeaseDuration, RenewDeadline: c.RenewDeadline, RetryPeriod: c.RetryPeriod,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leading context.Context) { elected <- leading },
			OnStoppedLeading: func() {},
			OnNewLeader: func(identity string) {
				klog.FromContext(ctx).Info("The node has a leader", "lease", term.what, "leader", identity, "self", identity == c.Identity)
			},
		},
	})
	if err != nil {
		return errs.New(op, errs.Invalid, "%w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		elector.Run(electing)
	}()
	var leading context.Context
	select {
	case <-ctx.Done():
	case leading = <-elected:
		err = term.serve(ctx, leading, lead)
	}
	giveBack()
	<-done
	return err
}

// serve calls lead until ctx or leading ends, or lead returns.
func (t *Term) serve(ctx, leading context.Context, lead func(context.Context, *Term) error) error {
	working, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(leading, stop)()
	err := lead(working, t)
	if leading.Err() != nil {
		return errs.New("election.Run", errs.Unavailable, "lease %s was lost to another process or could not be renewed in time", t.what)
	}
	return err
}

// Term is the time for which a process leads.
type Term struct {
	duration time.Duration
	what     string       // the Lease
	renewed  atomic.Int64 // when the last renewal that succeeded was begun, since start
}

// start is what times are counted from: differences of times that were taken so do not depend on what the clock is set to.
var start = time.Now()

// Check returns an error of kind errs.Unavailable unless this process leads now.
func (t *Term) Check() error {
	if renewed := t.renewed.Load(); renewed != 0 && time.Since(start)-time.Duration(renewed) < t.duration {
		return nil
	}
	return errs.New("election.Check", errs.Unavailable, "this process does not lead: its lease %s is over", t.what)
}

// lock notes when the Lease was renewed: before the request was sent, because that is the earliest that others may count
// from.
type lock struct {
	resourcelock.Interface
	term *Term
}

// Create makes the Lease.
func (l *lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	began := time.Since(start)
	err := l.Interface.Create(ctx, record)
	if err == nil {
		l.term.renewed.Store(int64(began))
	}
	return err
}

// Update renews the Lease, or gives it back. It is given back only in time: later it may be another's.
func (l *lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	began := time.Since(start)
	back := record.HolderIdentity == ""
	if back {
		if err := l.term.Check(); err != nil {
			return fmt.Errorf("give back: %w", err)
		}
		l.term.renewed.Store(0)
	}
	err := l.Interface.Update(ctx, record)
	if err == nil && !back {
		l.term.renewed.Store(int64(began))
	}
	return err
}
