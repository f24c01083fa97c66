// SPDX-License-Identifier: Apache-2.0

package render

import (
	"cmp"
	"slices"
	"strings"

	"wolfpack/telemetry"
)

// tally counts by word.
type tally map[string]int

// share is a word and its count.
type share struct {
	Word  string
	Count int
}

func (t tally) add(word string, n int) { t[word] += n }

// sorted returns the words, the most frequent first.
func (t tally) sorted() []share {
	list := make([]share, 0, len(t))
	for word, n := range t {
		list = append(list, share{word, n})
	}
	slices.SortFunc(list, func(a, b share) int {
		return cmp.Or(b.Count-a.Count, strings.Compare(a.Word, b.Word))
	})
	return list
}

// most returns a function that returns the n most frequent words as they are, and all others as other.
func (t tally) most(n int) func(word string) string {
	list := t.sorted()
	if len(list) <= n {
		return func(word string) string { return word }
	}
	kept := map[string]bool{}
	for _, s := range list[:n] {
		kept[s.Word] = true
	}
	return func(word string) string {
		if kept[word] {
			return word
		}
		return "other"
	}
}

// figures are what table and page have to say of a report, in numbers.
type figures struct {
	hosts       int
	hostsIn     tally // by cluster
	hostsAway   tally // by connection state, the connected left out
	esx         tally // by version
	vms         int   // without templates
	templates   int
	vmsByPower  tally
	vchs        int
	vchsBy      tally // by version
	vchsOff     int
	containers  int
	containerBy tally // by OS and version
	hostVCHs    []share
	vchVMs      []share
}

func figuresOf(r *telemetry.Report) figures {
	f := figures{hostsIn: tally{}, hostsAway: tally{}, esx: tally{}, vmsByPower: tally{}, vchsBy: tally{}, containerBy: tally{}}
	named := clusterNames(r)
	for _, c := range r.Clusters {
		for state, n := range c.Hosts {
			f.hosts += n
			f.hostsIn.add(named(c), n)
			if state != "connected" && n > 0 {
				f.hostsAway.add(state, n)
			}
		}
	}
	for _, h := range r.Hosts {
		f.esx.add(cmp.Or(h.Version, unknown), 1)
		f.hostVCHs = append(f.hostVCHs, share{h.Name, h.VCHs})
	}
	for _, v := range r.VMs {
		if v.Template {
			f.templates += v.Count
			continue
		}
		f.vms += v.Count
		f.vmsByPower.add(v.PowerState, v.Count)
	}
	for _, v := range r.VCHs {
		f.vchs++
		f.vchsBy.add(cmp.Or(v.Version, unknown), 1)
		if v.PowerState != "poweredOn" {
			f.vchsOff++
		}
		f.vchVMs = append(f.vchVMs, share{v.Name, v.ContainerVMs})
	}
	for _, c := range r.ContainerVMs {
		f.containers += c.Count
		f.containerBy.add(strings.TrimSpace(c.OS+" "+cmp.Or(c.Version, unknown)), c.Count)
	}
	descending(f.hostVCHs)
	descending(f.vchVMs)
	return f
}

// clusterNames returns a function that names a cluster, with its datacenter if another one has the same name.
func clusterNames(r *telemetry.Report) func(telemetry.Cluster) string {
	times := tally{}
	for _, c := range r.Clusters {
		times.add(c.Name, 1)
	}
	return func(c telemetry.Cluster) string {
		if times[c.Name] > 1 {
			return c.Datacenter + "/" + c.Name
		}
		return c.Name
	}
}

// unknown stands for a version that is not told.
const unknown = "unknown"

func descending(list []share) {
	slices.SortStableFunc(list, func(a, b share) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Word, b.Word)) })
}

// mean is the mean count, 0 of none.
func mean(list []share) float64 {
	if len(list) == 0 {
		return 0
	}
	sum := 0
	for _, s := range list {
		sum += s.Count
	}
	return float64(sum) / float64(len(list))
}

// zeros is how many have none.
func zeros(list []share) int {
	n := 0
	for _, s := range list {
		if s.Count == 0 {
			n++
		}
	}
	return n
}

// wanted are the products whose presence metric 4 is about.
var wanted = []string{"harbor", "admiral"}

// present says whether a product was found, by itself or in the appliance that holds both.
func present(r *telemetry.Report, name string) bool {
	return slices.ContainsFunc(r.Products, func(p telemetry.Product) bool {
		return p.Name == name || p.Name == "vic" && slices.Contains(wanted, name)
	})
}

// hostStates are the connection states of a host.
var hostStates = []string{"connected", "disconnected", "notResponding"}
