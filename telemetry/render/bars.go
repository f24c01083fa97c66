// SPDX-License-Identifier: Apache-2.0

package render

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"wolfpack/telemetry"
)

// bars are a chart of horizontal bars.
type bars struct {
	ID, Title, Note string
	Rows            []bar
	More            string // what is not shown
	Empty           string // said instead, if there are no rows
}

type bar struct {
	Name, Full string // cut for a table, and for a tooltip
	Tip        string
	Count      string
	Raw        int
	Width      string
}

// How many bars a chart has at most: of kinds, and of objects.
const (
	shownKinds   = 8
	shownObjects = 20
)

// chart fills in the first bars of a list that is sorted, given the name of what is counted, in the singular and the plural.
func (b bars) chart(list []share, shown int, one, many string) bars {
	largest, rest := 0, 0
	for _, s := range list {
		largest = max(largest, s.Count)
	}
	for i, s := range list {
		if i >= shown && len(list) > shown+1 {
			rest += s.Count
			continue
		}
		full := named(cut(s.Word, maxMessage))
		b.Rows = append(b.Rows, bar{
			Name: named(cut(s.Word, 2*maxName)), Full: full, Tip: full + ": " + count(s.Count, one, many), Count: number(s.Count), Raw: s.Count,
			Width: percent(s.Count, largest),
		})
	}
	if hidden := len(list) - len(b.Rows); hidden > 0 {
		b.More = fmt.Sprintf("and %s more, with %s", number(hidden), count(rest, one, many))
	}
	return b
}

// percent is how much of the whole a part is, as SVG writes lengths. What is there can be seen.
func percent(part, whole int) string {
	if part <= 0 || whole <= 0 {
		return "0"
	}
	return decimalPercent(max(100*float64(part)/float64(whole), 0.8))
}

func decimalPercent(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) + "%" }

// installed are metrics 1, 2, 6 and 7.
func installed(r *telemetry.Report) []bars {
	f := figuresOf(r)
	builds := tally{}
	for _, h := range r.Hosts {
		version := cmp.Or(h.Version, unknown)
		if h.Build != "" {
			version += ", build " + h.Build
		}
		builds.add(version, 1)
	}
	return []bars{
		bars{
			ID: "chart-cluster-hosts", Title: "ESX hosts by cluster", Empty: "This vCenter has no hosts, or none may be read.",
			Note: awayNote(f.hostsAway),
		}.chart(f.hostsIn.sorted(), shownKinds, "host", "hosts"),
		bars{
			ID: "chart-host-versions", Title: "ESX hosts by version", Empty: "This vCenter has no hosts, or none may be read.",
		}.chart(builds.sorted(), shownKinds, "host", "hosts"),
		bars{
			ID: "chart-vch-versions", Title: "VCHs by version",
			Empty: "There is no VCH: no VM has a guest name such as “Photon - VCH v1.6.0, 412, 8fa3c1d”.",
		}.chart(f.vchsBy.sorted(), shownKinds, "VCH", "VCHs"),
		bars{
			ID: "chart-container-vms", Title: "Container VMs by OS and version",
			Empty: "There is no container VM: no VM has a guest name such as “Photon - Container v1.6.0, 412, 8fa3c1d”.",
		}.chart(f.containerBy.sorted(), shownKinds, "container VM", "container VMs"),
	}
}

// awayNote says how many hosts cannot be reached.
func awayNote(states tally) string {
	var texts []string
	for _, d := range away(states) {
		texts = append(texts, d.Value+" "+d.Text)
	}
	return strings.Join(texts, ", ")
}

// placed are metrics 8 and 9.
func placed(r *telemetry.Report) []bars {
	f := figuresOf(r)
	hosts := bars{ID: "chart-host-vchs", Title: "VCHs on each host", Empty: "There is no host to have a VCH on it."}
	if n := zeros(f.hostVCHs); n > 0 && f.vchs > 0 {
		hosts.Note = count(n, "host has", "hosts have") + " none."
	}
	vchs := bars{ID: "chart-vch-container-vms", Title: "Container VMs of each VCH", Empty: "There is no VCH to have container VMs."}
	var notes []string
	if n := zeros(f.vchVMs); n > 0 {
		notes = append(notes, count(n, "VCH has", "VCHs have")+" none.")
	}
	if r.Unassigned > 0 {
		notes = append(notes, count(r.Unassigned, "container VM belongs", "container VMs belong")+" to no VCH that is known.")
	}
	vchs.Note = strings.Join(notes, " ")
	return []bars{hosts.chart(f.hostVCHs, shownObjects, "VCH", "VCHs"), vchs.chart(f.vchVMs, shownObjects, "container VM", "container VMs")}
}

// list is all there is of a kind, for who looks for one in it.
type list struct {
	ID, Title string
	Head      []cell
	Rows      [][]cell
	More      string
}

type cell struct {
	Text, Full string
	Number     bool
}

// listed is how many rows a list has at most: a page is no data base.
const listed = 2000

func text(s string) cell {
	full := cut(s, maxMessage)
	return cell{Text: cut(s, 2*maxName), Full: full}
}

func figure(n int) cell { return cell{Text: number(n), Number: true} }

func heads(names ...string) []cell {
	cells := make([]cell, len(names))
	for i, name := range names {
		cells[i] = cell{Text: name, Number: i == len(names)-1}
	}
	return cells
}

// lists are all VCHs and all hosts.
func lists(r *telemetry.Report) []list {
	vchs := list{ID: "list-vchs", Title: "All " + count(len(r.VCHs), "VCH", "VCHs"), Head: heads("VCH", "Datacenter", "Cluster", "Host", "OS", "Version", "Build", "Commit", "Power", "Container VMs")}
	for _, v := range r.VCHs[:min(len(r.VCHs), listed)] {
		vchs.Rows = append(vchs.Rows, []cell{
			text(v.Name), text(v.Datacenter), text(v.Cluster), text(v.Host), text(v.OS), text(v.Version), text(v.Build), text(v.Commit), text(v.PowerState), figure(v.ContainerVMs),
		})
	}
	hosts := list{ID: "list-hosts", Title: "All " + count(len(r.Hosts), "ESX host", "ESX hosts"), Head: heads("Host", "Datacenter", "Cluster", "Version", "Build", "State", "VCHs")}
	for _, h := range r.Hosts[:min(len(r.Hosts), listed)] {
		hosts.Rows = append(hosts.Rows, []cell{text(h.Name), text(h.Datacenter), text(h.Cluster), text(h.Version), text(h.Build), text(h.State), figure(h.VCHs)})
	}
	var all []list
	for i, l := range []list{vchs, hosts} {
		if hidden := []int{len(r.VCHs), len(r.Hosts)}[i] - len(l.Rows); hidden > 0 {
			l.More = fmt.Sprintf("and %s more, which are in the CSV", number(hidden))
		}
		if len(l.Rows) > 0 {
			all = append(all, l)
		}
	}
	return all
}
