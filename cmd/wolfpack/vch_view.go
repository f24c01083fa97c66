// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"wolfpack/vch"
)

// vchView is a VCH as -o json and yaml show it.
type vchView struct {
	Name       string    `json:"name"`
	ID         string    `json:"id"`
	State      string    `json:"state"`
	Version    string    `json:"version"`
	GuestName  string    `json:"guestName"`
	GuestOS    string    `json:"guestOS"`
	PodVMs     int       `json:"podVMs"`
	CPU        usageView `json:"cpu"`
	Memory     usageView `json:"memory"`
	Address    string    `json:"address,omitempty"`
	Datacenter string    `json:"datacenter"`
	Compute    string    `json:"compute"`
	Host       string    `json:"host"`
	Hosts      []string  `json:"hosts"`
	Folder     string    `json:"folder"`
	Pool       string    `json:"pool"`
	EndpointVM string    `json:"endpointVM"`
	Datastore  string    `json:"datastore"`
	Network    string    `json:"network"`
	Incomplete []string  `json:"incomplete,omitempty"`
	Problems   []string  `json:"problems,omitempty"`
}

// usageView is what is used of what there is.
type usageView struct {
	Used     int64  `json:"used"`
	Capacity int64  `json:"capacity"`
	Unit     string `json:"unit"`
}

// String is the usage for people to read.
func (u usageView) String() string {
	if u.Capacity == 0 {
		return fmt.Sprintf("%d %s", u.Used, u.Unit)
	}
	return fmt.Sprintf("%d of %d %s", u.Used, u.Capacity, u.Unit)
}

func newVCHView(v *vch.VCH) vchView {
	state := string(v.PowerState)
	if len(v.Incomplete) > 0 {
		state = "incomplete"
	}
	hosts := []string{}
	for _, host := range v.Hosts {
		hosts = append(hosts, host.Name)
	}
	return vchView{
		Name: v.Name, ID: v.ID, State: state, Version: v.Version, GuestName: v.GuestName, GuestOS: v.GuestOS, PodVMs: v.PodVMs,
		CPU: usageView{v.CPU.Used, v.CPU.Capacity, "MHz"}, Memory: usageView{v.Memory.Used, v.Memory.Capacity, "MB"},
		Address: v.Address, Datacenter: v.Datacenter.Path, Compute: v.Compute.Path, Host: v.Host.Name, Hosts: hosts,
		Folder: v.Folder.Path, Pool: v.Pool.Path, EndpointVM: v.EndpointVM.Path,
		Datastore: v.Datastore.Path, Network: v.Network.Path, Incomplete: v.Incomplete, Problems: v.Problems,
	}
}

// vchTable writes a line for each VCH, and below it one for each thing that is wrong with any.
func vchTable(w io.Writer, views ...vchView) error {
	var rows [][]string
	for _, v := range views {
		rows = append(rows, []string{
			v.Name, v.State, strconv.Itoa(v.PodVMs), v.CPU.String(), v.Memory.String(), v.GuestName, v.Pool, v.Datastore, v.Network,
		})
	}
	head := []string{"NAME", "STATE", "POD VMS", "CPU USED", "MEMORY USED", "GUEST NAME", "POOL", "DATASTORE", "NETWORK"}
	if err := table(w, head, rows); err != nil {
		return err
	}
	for _, v := range views {
		if wrong := v.wrong(); len(wrong) > 0 {
			if _, err := fmt.Fprintf(w, "%s: %s\n", v.Name, strings.Join(wrong, ", ")); err != nil {
				return err
			}
		}
	}
	return nil
}

// wrong is what is wrong with a VCH, the worst first.
func (v vchView) wrong() []string {
	return append(v.Incomplete[:len(v.Incomplete):len(v.Incomplete)], v.Problems...)
}
