// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"context"
	"time"

	"wolfpack/telemetry"
	"wolfpack/telemetry/census"
	"wolfpack/telemetry/lifetimes"
	"wolfpack/telemetry/products"
	"wolfpack/telemetry/survey"
	"wolfpack/vsphere"
)

// session is one with a vCenter, and what lives in it.
type session struct {
	began  time.Time
	client *vsphere.Client
	watch  *census.Watch
	events *lifetimes.Follower // nil if there are none
	left   []telemetry.VM      // since the census before
}

// take takes a census. An error says at which stage there was none.
func (t *target) take(ctx context.Context) (report *telemetry.Report, stage string, err error) {
	if t.session == nil || t.suspect || time.Since(t.session.began) > sessionAge {
		if err := t.renew(ctx); err != nil {
			return nil, "connect", err
		}
	}
	if err := t.remember(ctx, census.VCenterOf(t.session.client)); err != nil {
		return nil, "history", err
	}
	t.ask(ctx)
	report, state, err := t.session.survey(t.options.Since).Take(ctx, t.state)
	if err != nil {
		return nil, stageOf(err), err
	}
	t.state = state
	report.Products = products.Merge(report.Products, t.found)
	for _, problem := range t.missing {
		report.Quality.Problems = append(report.Quality.Problems, problem)
		report.Quality.Complete = report.Quality.Complete && !problem.Partial
	}
	return report, "", nil
}

// survey is what a census consists of. Products are asked more seldom.
func (s *session) survey(since time.Duration) survey.Survey {
	all := survey.Survey{Left: s.left, Requests: s.client.Requests}
	s.left = nil
	all.Census = func(ctx context.Context, see func(telemetry.VM)) (*telemetry.Report, error) {
		report, err := s.watch.Take(ctx)
		if err == nil && see != nil {
			s.watch.VMs(see)
		}
		return report, err
	}
	if s.events != nil {
		all.Events = s.events
		now, ok := s.client.Now()
		if !ok {
			now = time.Now()
		}
		all.Since = now.Add(-since)
	}
	return all
}

// ask asks registries, if it is time to.
func (t *target) ask(ctx context.Context) {
	if !t.asked.IsZero() && time.Since(t.asked) < askProducts {
		return
	}
	t.found, t.missing = t.prober.Ask(ctx)
	t.asked = time.Now()
}

// sessionAge is how long a session lasts. What is learnt at its beginning alone, such as vCenter's version, is never older, and
// all that a watch could have missed is read.
const sessionAge = time.Hour

// renew begins a new session, and then ends the old one: a vCenter that was away may still have it.
func (t *target) renew(ctx context.Context) error {
	fresh, err := t.connect(ctx)
	if err != nil {
		return err
	}
	t.session.end(ctx)
	t.session, t.suspect = fresh, false
	return nil
}

// connect logs in, with the password that there is now.
func (t *target) connect(ctx context.Context) (*session, error) {
	config := t.vc.Config
	config.Purpose = "telemetry"
	if t.vc.PasswordFile != "" {
		secret, err := t.vc.password()
		if err != nil {
			return nil, err
		}
		config.Password = secret
	}
	client, err := vsphere.Connect(ctx, config)
	if err != nil {
		return nil, err
	}
	s := &session{began: time.Now(), client: client}
	s.watch = census.NewWatch(client, census.WatchOptions{
		Datacenter: t.vc.Datacenter, PageSize: t.options.PageSize,
		Left: func(vm telemetry.VM) { s.left = append(s.left, vm) },
	})
	if t.options.NoEvents {
		return s, nil
	}
	s.events = &lifetimes.Follower{VCenter: lifetimes.VCenter{Client: client.Client}}
	if t.vc.Datacenter == "" {
		return s, nil
	}
	within, err := census.FindDatacenter(ctx, client, t.vc.Datacenter)
	if err != nil {
		s.end(ctx)
		return nil, err
	}
	s.events.Within = &within
	return s, nil
}

// end leaves nothing behind. It works after ctx is over, within some seconds.
func (s *session) end(ctx context.Context) {
	if s == nil {
		return
	}
	s.watch.Close(ctx)
	if s.events != nil {
		s.events.Close(ctx)
	}
	_ = s.client.Logout(ctx) // a session that stays is vCenter's to expire
}
