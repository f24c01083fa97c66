// SPDX-License-Identifier: Apache-2.0

package render

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"wolfpack/telemetry"
)

// tile is one of the ten metrics in words. Table and page say the same.
type tile struct {
	N       int
	ID      string // stable, for those who look for it in the page
	Title   string
	Value   string
	Unit    string   // of the value, if it needs one
	Change  string   // since the last report; empty if there is none
	Details []string // most important first; safe to write
}

// top is how many names a tile lists.
const top = 4

// tiles are the ten metrics in their order. Last is the report before, or nil.
func tiles(r, last *telemetry.Report) []tile {
	now := figuresOf(r)
	list := []tile{
		{ID: "hosts", Title: "ESX hosts", Value: number(now.hosts), Details: append(names(now.hostsIn.sorted()), away(now.hostsAway)...)},
		{ID: "host-versions", Title: "ESX versions", Value: versions(now.esx), Details: names(now.esx.sorted())},
		{ID: "vcenter", Title: "vCenter version", Value: orNone(short(r.VCenter.Version)), Details: vcenter(r.VCenter)},
		{ID: "products", Title: "Harbor, Admiral", Value: found(r), Details: products(r.Products)},
		{ID: "vms", Title: "VMs", Value: number(now.vms), Details: power(now)},
		{ID: "vchs", Title: "VCHs", Value: number(now.vchs), Details: append(names(now.vchsBy.sorted()), some(now.vchsOff, "not running", "not running")...)},
		{ID: "container-vms", Title: "Container VMs", Value: number(now.containers), Details: names(now.containerBy.sorted())},
		{ID: "host-vchs", Title: "VCHs per host", Value: decimal(mean(now.hostVCHs)), Details: spread(now.hostVCHs)},
		{ID: "vch-container-vms", Title: "Container VMs per VCH", Value: decimal(mean(now.vchVMs)), Details: append(spread(now.vchVMs), some(r.Unassigned, "of no VCH that is known", "of no VCH that is known")...)},
		{ID: "lifetime", Title: "Container VM lifetime", Value: lifetimeOf(r.Lifetime), Details: lives(r.Lifetime)},
	}
	if last != nil {
		for i, change := range changed(r, last, now, figuresOf(last)) {
			list[i].Change = change
		}
	}
	for i := range list {
		list[i].N = i + 1
	}
	return list
}

// changed says of each of the ten what is different from the last report.
func changed(r, last *telemetry.Report, now, then figures) []string {
	return []string{
		signed(now.hosts - then.hosts),
		differences(changes(now.esx, then.esx)),
		was(r.VCenter.Version, last.VCenter.Version),
		was(found(r)+versionsOf(r.Products), found(last)+versionsOf(last.Products)),
		signed(now.vms - then.vms),
		signed(now.vchs - then.vchs),
		signed(now.containers - then.containers),
		signedDecimal(mean(now.hostVCHs) - mean(then.hostVCHs)),
		signedDecimal(mean(now.vchVMs) - mean(then.vchVMs)),
		signedLasting(r.Lifetime, last.Lifetime),
	}
}

func orNone(s string) string { return cmp.Or(s, unknown) }

// names lists the first words with their counts, and how many more there are.
func names(list []share) []string {
	var texts []string
	for i, s := range list {
		if i == top && len(list) > top+1 {
			return append(texts, fmt.Sprintf("and %s more", number(len(list)-top)))
		}
		texts = append(texts, short(s.Word)+" ("+number(s.Count)+")")
	}
	return texts
}

// away says how many hosts vCenter cannot reach.
func away(states tally) []string {
	words := map[string]string{"disconnected": "disconnected", "notResponding": "not responding"}
	var texts []string
	for _, s := range states.sorted()[:min(len(states), top)] {
		texts = append(texts, number(s.Count)+" "+cmp.Or(words[s.Word], short(s.Word)))
	}
	return texts
}

func versions(t tally) string {
	switch len(t) {
	case 0:
		return none
	case 1:
		return short(t.sorted()[0].Word)
	default:
		return number(len(t)) + " versions"
	}
}

// none stands for a value that there is not.
const none = "none"

func vcenter(v telemetry.VCenter) []string {
	var texts []string
	if v.Build != "" {
		texts = append(texts, "build "+short(v.Build))
	}
	if v.APIVersion != "" {
		texts = append(texts, "API "+short(v.APIVersion))
	}
	return texts
}

// titles are the products' names as their makers write them.
var titles = map[string]string{"harbor": "Harbor", "admiral": "Admiral", "vic": "VIC appliance"}

func title(product string) string { return cmp.Or(titles[product], short(product)) }

// found names the products that are there.
func found(r *telemetry.Report) string {
	var texts []string
	for _, name := range wanted {
		if present(r, name) {
			texts = append(texts, titles[name])
		}
	}
	return cmp.Or(strings.Join(texts, ", "), none)
}

func products(list []telemetry.Product) []string {
	var texts []string
	for i, p := range list {
		if i == top && len(list) > top+1 {
			return append(texts, fmt.Sprintf("and %s more", number(len(list)-top)))
		}
		text := title(p.Name) + " " + cmp.Or(short(p.Version), "of unknown version")
		switch {
		case p.VM != "":
			text += " in " + short(p.VM)
		case p.URL != "":
			text += " at " + short(p.URL)
		}
		texts = append(texts, text+" (by "+short(p.Source)+", "+short(p.Confidence)+" confidence)")
	}
	return texts
}

// versionsOf are the products' versions as one text, to compare.
func versionsOf(list []telemetry.Product) string {
	var texts []string
	for _, p := range list {
		if p.Version != "" {
			texts = append(texts, p.Version)
		}
	}
	slices.Sort(texts)
	texts = slices.Compact(texts)
	if len(texts) == 0 {
		return ""
	}
	return " " + strings.Join(texts, " ")
}

func power(f figures) []string {
	words := map[string]string{"poweredOn": "on", "poweredOff": "off"}
	var texts []string
	for _, s := range f.vmsByPower.sorted()[:min(len(f.vmsByPower), top)] {
		if s.Count > 0 {
			texts = append(texts, number(s.Count)+" "+cmp.Or(words[s.Word], short(s.Word)))
		}
	}
	if f.templates > 0 {
		texts = append(texts, count(f.templates, "template", "templates")+" apart")
	}
	return texts
}

// some says how many there are of something, if there are any.
func some(n int, one, many string) []string {
	if n == 0 {
		return nil
	}
	return []string{count(n, one, many)}
}

// spread says who has most, and how many have none.
func spread(list []share) []string {
	var texts []string
	for i, s := range list {
		if s.Count == 0 || i == top-1 {
			break
		}
		texts = append(texts, short(s.Word)+" ("+number(s.Count)+")")
	}
	if rest := len(list) - zeros(list) - len(texts); rest > 0 {
		texts = append(texts, fmt.Sprintf("and %s more", number(rest)))
	}
	return append(texts, some(zeros(list), "with none", "with none")...)
}

// lifetimeOf is the estimate that errs least.
func lifetimeOf(t *telemetry.Lifetime) string {
	switch {
	case t == nil:
		return "not read"
	case t.Exposure.Deaths > 0:
		return lasting(t.Exposure.Mean)
	default:
		return "none ended"
	}
}

func lives(t *telemetry.Lifetime) []string {
	if t == nil {
		return []string{"no events were read"}
	}
	texts := []string{"last " + lasting(t.To.Sub(t.From).Seconds())}
	if t.Exposure.Deaths > 0 {
		texts = append(texts, number(t.Exposure.Deaths)+" ended")
	}
	if t.Completed.Count > 0 {
		texts = append(texts, "these lived "+lasting(t.Completed.Mean)+" on average", "median "+lasting(t.Median), "90 % under "+lasting(t.P90))
	}
	if t.Living.Count > 0 {
		texts = append(texts, number(t.Living.Count)+" live, "+lasting(t.Living.Mean)+" old on average")
	}
	return texts
}

// differences lists what became more and what less.
func differences(list []share) string {
	if len(list) == 0 {
		return same
	}
	var texts []string
	for i, s := range list {
		if i == 2 && len(list) > 3 {
			texts = append(texts, "…")
			break
		}
		texts = append(texts, short(s.Word)+" "+signed(s.Count))
	}
	return strings.Join(texts, ", ")
}

func was(now, then string) string {
	if now == then {
		return same
	}
	return "was " + orNone(short(then))
}

func signedDecimal(d float64) string {
	switch text := decimal(d); {
	case text == "0":
		return same
	case d > 0:
		return "+" + text
	default:
		return text
	}
}

// signedLasting compares two mean lifetimes, if there are two.
func signedLasting(now, then *telemetry.Lifetime) string {
	if now == nil || then == nil || now.Exposure.Deaths == 0 || then.Exposure.Deaths == 0 {
		return ""
	}
	d := now.Exposure.Mean - then.Exposure.Mean
	switch {
	case math.Abs(d) < 1:
		return same
	case d > 0:
		return "+" + lasting(d)
	default:
		return "−" + lasting(-d)
	}
}
