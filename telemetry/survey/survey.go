// SPDX-License-Identifier: Apache-2.0

// Package survey takes a whole telemetry report: the parts of one that are asked for, in the order in which they must be
// read. Events come before the census, which confirms the deaths that they tell of; products are asked meanwhile.
package survey

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"wolfpack/errs"
	"wolfpack/telemetry"
	"wolfpack/telemetry/history"
	"wolfpack/telemetry/lifetimes"
	"wolfpack/telemetry/products"
)

// Survey is what to read. Only Census is needed.
type Survey struct {
	// Census counts what there is, and calls see with each VM, if see is not nil.
	Census func(ctx context.Context, see func(telemetry.VM)) (*telemetry.Report, error)

	Events   lifetimes.Source // of births and deaths
	Since    time.Time        // that lives are looked at; the zero time is the default of lifetimes
	Left     []telemetry.VM   // VMs that a watch saw leave since the survey before
	Products *products.Prober // registries to ask
	Requests func() int       // that were sent to vCenter so far; without it only the census's are counted
}

// Take takes the survey. State is what the one before left, or nil; what this one leaves is nil without Events. The report may
// be partial, as its Quality says; an error means that there is none.
func (s Survey) Take(ctx context.Context, state *lifetimes.State) (*telemetry.Report, *lifetimes.State, error) {
	began, sent := time.Now(), s.sent()
	asked := s.ask(ctx)
	defer asked.Wait()

	study, err := s.readEvents(ctx, state)
	if err != nil {
		return nil, nil, errs.Wrap("survey.Take", err)
	}
	report, err := s.takeCensus(ctx, study)
	if err != nil {
		return nil, nil, errs.Wrap("survey.Take", err)
	}
	next := finish(study, report)
	asked.Wait()
	report.Products = products.Merge(report.Products, asked.products)
	note(report, asked.problems)

	if s.Requests != nil {
		report.Quality.Requests = s.sent() - sent
	}
	report.Quality.Took = time.Since(began)
	return report, next, nil
}

// Keep takes the survey with what a history has of the vCenter, and keeps it there. It also returns the earlier reports. A
// history that cannot be written makes the report partial; one that cannot be read is an error, before anything is asked.
func (s Survey) Keep(ctx context.Context, file *history.File, of telemetry.VCenter) (*telemetry.Report, []*telemetry.Report, error) {
	const op = "survey.Keep"
	past, err := file.Read(ctx, of)
	if err != nil {
		return nil, nil, errs.Wrap(op, err)
	}
	state, doubts := stateOf(past)
	report, next, err := s.Take(ctx, state)
	if err != nil {
		return nil, nil, errs.Wrap(op, err)
	}
	note(report, append(past.Problems, doubts...))
	problems, err := add(ctx, file, report, next)
	if err != nil {
		problems = append(problems, lost("the report is not kept", err))
	}
	note(report, problems)
	return report, past.Reports, nil
}

// stateOf is the state of the survey before, if it can be read.
func stateOf(past history.Past) (*lifetimes.State, []telemetry.Problem) {
	if past.Lifetimes == nil {
		return nil, nil
	}
	state := new(lifetimes.State)
	if err := json.Unmarshal(past.Lifetimes, state); err != nil {
		return nil, []telemetry.Problem{lost("what it knows of lifetimes cannot be read; they begin anew", err)}
	}
	return state, nil
}

func add(ctx context.Context, file *history.File, report *telemetry.Report, state *lifetimes.State) ([]telemetry.Problem, error) {
	if state == nil {
		return file.Add(ctx, report, nil)
	}
	text, err := json.Marshal(state)
	if err != nil {
		return nil, err
	}
	return file.Add(ctx, report, text)
}

// lost is a problem of the history.
func lost(what string, err error) telemetry.Problem {
	return telemetry.Problem{Stage: "history", Message: fmt.Sprintf("%s: %v", what, err), Partial: true}
}

func (s Survey) sent() int {
	if s.Requests == nil {
		return 0
	}
	return s.Requests()
}

// answers are those of the registries, once they are waited for.
type answers struct {
	sync.WaitGroup
	products []telemetry.Product
	problems []telemetry.Problem
}

func (s Survey) ask(ctx context.Context) *answers {
	a := new(answers)
	if s.Products != nil {
		a.Go(func() { a.products, a.problems = s.Products.Ask(ctx) })
	}
	return a
}

func (s Survey) readEvents(ctx context.Context, state *lifetimes.State) (*lifetimes.Study, error) {
	if s.Events == nil {
		return nil, nil
	}
	study, err := lifetimes.Read(ctx, s.Events, state, s.Since)
	if err != nil {
		return nil, err
	}
	for _, vm := range s.Left {
		study.Left(vm)
	}
	return study, nil
}

func (s Survey) takeCensus(ctx context.Context, study *lifetimes.Study) (*telemetry.Report, error) {
	if study == nil {
		return s.Census(ctx, nil)
	}
	return s.Census(ctx, study.See)
}

// finish adds metric 10.
func finish(study *lifetimes.Study, report *telemetry.Report) *lifetimes.State {
	if study == nil {
		return nil
	}
	if !report.Quality.Complete {
		study.Partial()
	}
	lifetime, next := study.Finish(report.Taken)
	report.Lifetime = lifetime
	report.Quality.Pages += study.Pages
	note(report, study.Problems)
	return next
}

// note adds problems to the report.
func note(report *telemetry.Report, problems []telemetry.Problem) {
	q := &report.Quality
	q.Problems = append(q.Problems, problems...)
	q.Complete = q.Complete && !slices.ContainsFunc(problems, func(p telemetry.Problem) bool { return p.Partial })
}
