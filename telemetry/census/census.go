// SPDX-License-Identifier: Apache-2.0

// Package census reads the inventory of a vCenter, or of a lone ESXi host, and counts what is in it: metrics 1 to 9 of a
// telemetry.Report.
//
// Take asks for a handful of properties of each object, by one call that follows the inventory's own paths, and page by page.
// A page is folded into counts and forgotten, so that a census of any size takes the memory of a page and of the report. In
// all it makes one request for each page; the session costs three more.
//
// What is found is tolerated. An object with properties that may not be read, or are not there, counts as far as it is known,
// and the report says how many there are. When vCenter goes away in the middle, or answers what cannot be read, there is a
// report of what was read until then, which says that it is partial.
//
// A VM is what its configured guest name says: VCH, container VM, or any other. What its guest reports does not matter, for
// anyone in the guest can set that.
//
// Facts and Fold need no vCenter: who learns of objects in another way, such as by a watch, gets the same report of them. A
// Fold is for one goroutine at a time, as are Facts; Take may be called by several.
package census

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/vmware/govmomi/vim25/methods"

	"wolfpack/errs"
	"wolfpack/telemetry"
	"wolfpack/vsphere"
)

// Options are what Take reads, and who hears of it.
type Options struct {
	// Datacenter is the only one to read, by name or by inventory path; "" is all. It costs one more request.
	Datacenter string

	// PageSize is how many objects vCenter is to put into one answer at most; default 1,000. Unasked it is vCenter's default,
	// which is 100. vCenter may give fewer.
	PageSize int

	// Detail puts each VM into the report.
	Detail bool

	// Visit is called with each VM as it is read. Where the VM is may be known only later: Datacenter, Cluster, Host and VCH
	// are empty.
	Visit func(telemetry.VM)

	// Progress is called after each page with how many objects have been read.
	Progress func(objects int)
}

// defaultPageSize is the default of Options.PageSize.
const defaultPageSize = 1000

// Take takes a census. Its report may be partial, which Quality.Complete says; an error means that there is none.
//
// Quality.Requests counts the requests of the census itself, not the three of a session: connect, log in, log out.
func Take(ctx context.Context, client *vsphere.Client, options Options) (*telemetry.Report, error) {
	const op = "census.Take"
	began, before := time.Now(), client.Requests()
	r := &reader{client: client, size: cmp.Or(options.PageSize, defaultPageSize)}
	fold := NewFold(options.Detail)
	root, err := r.root(ctx, fold, options.Datacenter)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	r.objects, r.pages = 0, 0
	problems, err := r.read(ctx, census(root), func(facts Facts) {
		fold.Add(facts)
		if vm, ok := facts.(*VM); ok && options.Visit != nil {
			options.Visit(vm.Describe())
		}
	}, options.Progress)
	if err != nil {
		return nil, errs.Wrap(op, fmt.Errorf("read the inventory of %s: %w", client.URL().Host, err))
	}
	report := fold.Report()
	report.VCenter = VCenterOf(client)
	var late []telemetry.Problem
	report.Taken, late = now(ctx, client)
	report.Quality.Problems = append(append(report.Quality.Problems, problems...), late...)
	report.Quality.Complete = complete(report.Quality.Problems)
	report.Quality.Pages = r.pages
	report.Quality.Requests = client.Requests() - before
	report.Quality.Took = time.Since(began)
	return report, nil
}

// VCenterOf is metric 3, which comes with the first answer to any client.
func VCenterOf(client *vsphere.Client) telemetry.VCenter {
	about := client.ServiceContent.About
	return telemetry.VCenter{
		Name: client.URL().Host, FullName: about.FullName, Version: about.Version, Build: about.Build,
		APIVersion: about.ApiVersion, InstanceUUID: about.InstanceUuid,
	}
}

// now is the time by vCenter's clock: the births and deaths that it is compared with are by that one too.
func now(ctx context.Context, client *vsphere.Client) (time.Time, []telemetry.Problem) {
	if now, ok := client.Now(); ok {
		return now, nil
	}
	now, err := methods.GetCurrentTime(ctx, client)
	if err == nil {
		return now.UTC(), nil
	}
	return time.Now().UTC(), []telemetry.Problem{{
		Stage: stage, Message: fmt.Sprintf("vCenter does not tell its time (%v): ages are by the clock of this machine", err),
	}}
}

// stage is that of a census in a report.
const stage = "inventory"

func complete(problems []telemetry.Problem) bool {
	for _, problem := range problems {
		if problem.Partial {
			return false
		}
	}
	return true
}
