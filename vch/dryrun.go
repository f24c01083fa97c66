// SPDX-License-Identifier: Apache-2.0

package vch

import (
	"context"
	"fmt"

	"wolfpack/errs"
	"wolfpack/vsphere"
)

// Plan is what Create would do, for an admin to look at first.
type Plan struct {
	Name       string
	Datacenter string
	Steps      []PlannedStep // in order; none for a VCH that is there and whole
	Compute    string        // where pods run: the path of a resource pool
	Folder     string        // where the VMs of pods go
	Datastore  string        // what they are on
	Network    string        // and what their cards connect to
	Limits     string        // what pods get together, in words
}

// PlannedStep is a change.
type PlannedStep struct {
	Step string // its name, which progress shows
	What string // what it makes or changes, and how
}

// DryRun checks all that Create checks, with the same errors, and returns what Create would do. It changes nothing.
func DryRun(ctx context.Context, client *vsphere.Client, spec Spec) (*Plan, error) {
	c, s, err := prepare(ctx, client, spec)
	if err != nil {
		return nil, errs.Wrap("vch.DryRun", err)
	}
	defer s.end()
	plan := &Plan{
		Name: c.spec.Name, Datacenter: c.datacenter.Path, Datastore: c.datastore.Path, Network: c.network.Path,
		Compute: c.parentPool.Path + "/" + c.spec.Name, Folder: c.parentFolder.Path + "/" + c.spec.Name, Limits: c.spec.limits(),
	}
	if !c.foldered {
		plan.Folder = c.folder.Path
	}
	for _, step := range c.steps() {
		if step.needed {
			plan.Steps = append(plan.Steps, PlannedStep{Step: step.name, What: step.what})
		}
	}
	return plan, nil
}

// limits says in words what pods get together.
func (s Spec) limits() string {
	return s.CPU.words("CPU", "MHz") + "; " + s.Memory.words("memory", "MB")
}

func (a Allocation) words(what, unit string) string {
	limit := "no limit"
	if a.Limit > 0 {
		limit = fmt.Sprintf("a limit of %d %s", a.Limit, unit)
	}
	shares := "normal"
	if a.Shares != "" {
		shares = a.Shares
	}
	return fmt.Sprintf("%s: %s, %d %s reserved, shares %s", what, limit, a.Reservation, unit, shares)
}
