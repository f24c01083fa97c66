// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"wolfpack/errs"
	"wolfpack/telemetry"
	"wolfpack/telemetry/history"
	"wolfpack/telemetry/lifetimes"
	"wolfpack/telemetry/products"
	"wolfpack/telemetry/render"
)

const (
	askProducts = 15 * time.Minute // how often registries are asked: their versions change seldom
	keepReport  = time.Hour        // how often a report is added to the history
)

// Sink takes a census as soon as it has been taken, and must not wait.
type Sink interface {
	Send(render.Census)
}

// snapshot is what is known of a vCenter. One is never changed.
type snapshot struct {
	render.Census
	Earlier []*telemetry.Report // of the history, oldest first
	last    time.Time           // when the last report came, by the clock of this machine; zero if none has
}

// target is a vCenter. Only its run changes it.
type target struct {
	vc      VCenter
	options Options
	file    *history.File // nil if nothing is kept
	prober  *products.Prober
	began   time.Time

	session *session // nil before the first
	suspect bool     // something went wrong in it
	state   *lifetimes.State
	known   string // the UUID of the vCenter that state and earlier are of
	earlier []*telemetry.Report
	kept    time.Time
	asked   time.Time
	found   []telemetry.Product
	missing []telemetry.Problem // with products

	mu  sync.Mutex // guards now
	now snapshot
}

func newTarget(vc VCenter, options Options, file *history.File) (*target, error) {
	prober, err := products.New(vc.Products)
	if err != nil {
		return nil, err
	}
	t := &target{vc: vc, options: options, file: file, prober: prober, began: time.Now()}
	t.now.Census = render.Census{VCenter: vc.Name, Errors: map[string]int{}}
	return t, nil
}

// snapshot is what is known now.
func (t *target) snapshot() snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

// run takes a census at once, and then one each interval, until ctx ends.
func (t *target) run(ctx context.Context) {
	defer t.prober.Close()
	defer t.end(ctx)
	tick := time.NewTicker(t.options.Interval)
	defer tick.Stop()
	for {
		t.cycle(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// end keeps what is known, and leaves nothing behind in the vCenter.
func (t *target) end(ctx context.Context) {
	if report := t.snapshot().Report; report != nil {
		keeping, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		if problems := t.keep(keeping, report); len(problems) > 0 {
			klog.FromContext(ctx).Info("The history is not kept", "vcenter", t.vc.Name, "reason", problems[0].Message)
		}
	}
	t.session.end(ctx)
}

// cycle takes a census. Whatever goes wrong, the next one begins with a session that is new.
func (t *target) cycle(ctx context.Context) {
	report, stage, err := t.take(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		t.suspect = true
		t.failed(ctx, stage, err)
		return
	}
	t.succeeded(ctx, report)
}

// failed keeps the last report, and says that it is.
func (t *target) failed(ctx context.Context, stage string, err error) {
	now := t.snapshot()
	if now.Up || len(now.Errors) == 0 {
		klog.FromContext(ctx).Error(err, "No census; the last report stays", "vcenter", t.vc.Name, "stage", stage)
	} else {
		klog.FromContext(ctx).V(2).Info("Still no census", "vcenter", t.vc.Name, "stage", stage, "reason", err)
	}
	now.Up = false
	now.Errors = counted(now.Errors, []telemetry.Problem{{Stage: stage}})
	t.publish(now)
}

// succeeded publishes a report.
func (t *target) succeeded(ctx context.Context, report *telemetry.Report) {
	before := t.snapshot()
	if time.Since(t.kept) >= keepReport {
		problems := t.keep(ctx, report)
		report.Quality.Problems = append(report.Quality.Problems, problems...)
	}
	now := snapshot{Earlier: t.earlier, last: time.Now(), Census: render.Census{
		VCenter: t.vc.Name, Report: report, Up: true, Errors: counted(before.Errors, report.Quality.Problems),
	}}
	t.tell(ctx, before, report)
	t.publish(now)
}

// tell logs what a person wants to know: that a vCenter is back, and that its report is not whole any more.
func (t *target) tell(ctx context.Context, before snapshot, report *telemetry.Report) {
	logger := klog.FromContext(ctx).WithValues("vcenter", t.vc.Name)
	q := report.Quality
	if !before.Up {
		logger.Info("The vCenter has been counted", "version", report.VCenter.Version, "objects", q.Objects, "requests", q.Requests, "took", q.Took)
	}
	whole := before.Report == nil || before.Report.Quality.Complete
	for _, problem := range q.Problems {
		verbosity := 2
		if problem.Partial && whole {
			verbosity = 0
		}
		logger.V(verbosity).Info("The report lacks something", "stage", problem.Stage, "object", problem.Object, "reason", problem.Message)
	}
	logger.V(2).Info("Took a census", "objects", q.Objects, "requests", q.Requests, "pages", q.Pages, "took", q.Took, "complete", q.Complete)
}

func (t *target) publish(now snapshot) {
	t.mu.Lock()
	t.now = now
	t.mu.Unlock()
	if t.options.Sink != nil {
		t.options.Sink.Send(now.Census)
	}
}

// counted are the errors so far with those of a census.
func counted(before map[string]int, problems []telemetry.Problem) map[string]int {
	after := maps.Clone(before)
	for _, problem := range problems {
		after[problem.Stage]++
	}
	return after
}

// remember reads what the history has of the vCenter, once.
func (t *target) remember(ctx context.Context, of telemetry.VCenter) error {
	if t.known == identity(of) {
		return nil
	}
	t.known, t.state, t.earlier = identity(of), nil, nil
	if t.file == nil {
		return nil
	}
	past, err := t.file.Read(ctx, of)
	if err != nil {
		return err
	}
	for _, problem := range past.Problems {
		klog.FromContext(ctx).Info("The history begins anew", "vcenter", t.vc.Name, "reason", problem.Message)
	}
	t.earlier = past.Reports
	if past.Lifetimes == nil {
		return nil
	}
	state := new(lifetimes.State)
	if err := json.Unmarshal(past.Lifetimes, state); err != nil {
		klog.FromContext(ctx).Info("Lifetimes begin anew", "vcenter", t.vc.Name, "reason", err)
		return nil
	}
	t.state = state
	return nil
}

func identity(of telemetry.VCenter) string { return of.InstanceUUID + "/" + of.Name }

// keep adds a report and what is known of lifetimes to the history.
func (t *target) keep(ctx context.Context, report *telemetry.Report) []telemetry.Problem {
	if t.file == nil {
		return nil
	}
	t.kept = time.Now()
	var lives json.RawMessage
	if t.state != nil {
		var err error
		if lives, err = json.Marshal(t.state); err != nil {
			return []telemetry.Problem{lost(err)}
		}
	}
	problems, err := t.file.Add(ctx, report, lives)
	if err != nil {
		return append(problems, lost(err))
	}
	if past, err := t.file.Read(ctx, report.VCenter); err == nil {
		t.earlier = past.Reports // it keeps the old ones sparsely
	}
	return problems
}

func lost(err error) telemetry.Problem {
	return telemetry.Problem{Stage: "history", Message: fmt.Sprintf("the report is not kept: %v", err)}
}

// stageOf is what a census that failed was at: a session that cannot be renewed is a connection that cannot be made.
func stageOf(err error) string {
	var e *errs.Error
	for ; errors.As(err, &e); err = e.Err {
		if strings.HasPrefix(e.Op, "vsphere.") {
			return "connect"
		}
	}
	return "inventory"
}
