// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strconv"

	"wolfpack/vch"
)

// planView is what a create would do, as -o json and yaml show it.
type planView struct {
	Name       string     `json:"name"`
	VCenter    string     `json:"vCenter"`
	Datacenter string     `json:"datacenter"`
	Steps      []stepView `json:"steps"`
	Pool       string     `json:"pool"`
	Limits     string     `json:"limits"`
	Folder     string     `json:"folder"`
	Datastore  string     `json:"datastore"`
	Network    string     `json:"network"`
}

type stepView struct {
	Step string `json:"step"`
	What string `json:"what"`
}

func newPlanView(plan *vch.Plan, vcenter string) planView {
	view := planView{
		Name: plan.Name, VCenter: vcenter, Datacenter: plan.Datacenter, Steps: []stepView{}, Pool: plan.Compute, Limits: plan.Limits,
		Folder: plan.Folder, Datastore: plan.Datastore, Network: plan.Network,
	}
	for _, step := range plan.Steps {
		view.Steps = append(view.Steps, stepView(step))
	}
	return view
}

// text is the plan for somebody to sign.
func (v planView) text(w io.Writer) error {
	head := fmt.Sprintf("Plan for VCH %s in datacenter %s of vCenter %s. Nothing has been changed.\n\n", v.Name, v.Datacenter, v.VCenter)
	if len(v.Steps) == 0 {
		head = fmt.Sprintf("VCH %s in datacenter %s of vCenter %s is there and whole: there is nothing to do.\n\n", v.Name, v.Datacenter, v.VCenter)
	}
	if _, err := io.WriteString(w, head); err != nil {
		return err
	}
	var rows [][]string
	for i, step := range v.Steps {
		rows = append(rows, []string{strconv.Itoa(i + 1), step.Step, step.What})
	}
	if len(rows) > 0 {
		if err := table(w, []string{"", "STEP", "WHAT"}, rows); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, `
Pods then run as VMs
  in the resource pool  %s
  which gets            %s
  in the folder         %s
  on the datastore      %s
  on the network        %s
`, v.Pool, v.Limits, v.Folder, v.Datastore, v.Network)
	return err
}
