// SPDX-License-Identifier: Apache-2.0

package render

import (
	"cmp"
	"fmt"
	"strings"

	"wolfpack/telemetry"
)

// detail is a name with its count, a fact with its value, or a few words.
type detail struct {
	Text, Value string
	Fact        bool // the value belongs behind the text, such as "median 5m"
}

// String is the detail in a line.
func (d detail) String() string {
	switch {
	case d.Value == "":
		return d.Text
	case d.Fact:
		return d.Text + " " + d.Value
	default:
		return d.Text + " (" + d.Value + ")"
	}
}

func counted(name string, n int) detail { return detail{Text: name, Value: number(n)} }

func fact(text, value string) detail { return detail{Text: text, Value: value, Fact: true} }

func lines(details []detail) []string {
	list := make([]string, len(details))
	for i, d := range details {
		list[i] = d.String()
	}
	return list
}

func words(format string, args ...any) detail { return detail{Text: fmt.Sprintf(format, args...)} }

// top is how many names a tile lists.
const top = 4

func orNone(s string) string { return cmp.Or(s, unknown) }

// names lists the first words with their counts, and how many more there are.
func names(list []share) []detail {
	var details []detail
	for i, s := range list {
		if i == top && len(list) > top+1 {
			return append(details, words("and %s more", number(len(list)-top)))
		}
		details = append(details, counted(named(short(s.Word)), s.Count))
	}
	return details
}

// away says how many hosts vCenter cannot reach.
func away(states tally) []detail {
	return plain(states, map[string]string{"notResponding": "not responding"})
}

// plain lists states in plain words.
func plain(states tally, as map[string]string) []detail {
	var details []detail
	for _, s := range states.sorted()[:min(len(states), top)] {
		if s.Count > 0 {
			details = append(details, counted(cmp.Or(as[s.Word], named(short(s.Word))), s.Count))
		}
	}
	return details
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

func vcenter(v telemetry.VCenter) []detail {
	var details []detail
	if v.Build != "" {
		details = append(details, fact("build", short(v.Build)))
	}
	if v.APIVersion != "" {
		details = append(details, fact("API", short(v.APIVersion)))
	}
	return details
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

func products(list []telemetry.Product) []detail {
	var details []detail
	for i, p := range list {
		if i == top && len(list) > top+1 {
			return append(details, words("and %s more", number(len(list)-top)))
		}
		text := title(p.Name) + " " + cmp.Or(short(p.Version), "of unknown version")
		switch {
		case p.VM != "":
			text += " in " + short(p.VM)
		case p.URL != "":
			text += " at " + short(p.URL)
		}
		details = append(details, words("%s (by %s, %s confidence)", text, cut(p.Source, 12), cut(p.Confidence, 12)))
	}
	return details
}

func power(f figures) []detail {
	details := plain(f.vmsByPower, map[string]string{"poweredOn": "on", "poweredOff": "off"})
	if f.templates > 0 {
		details = append(details, counted("templates apart", f.templates))
	}
	return details
}

// some says how many there are of something, if there are any.
func some(n int, what string) []detail {
	if n == 0 {
		return nil
	}
	return []detail{counted(what, n)}
}

// spread says who has most, and how many have none.
func spread(list []share) []detail {
	details := names(list[:min(len(list)-zeros(list), top-1)])
	if rest := len(list) - zeros(list) - len(details); rest > 0 {
		details = append(details, words("and %s more", number(rest)))
	}
	return append(details, some(zeros(list), "with none")...)
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

func lifetimeUnit(t *telemetry.Lifetime) string {
	if t == nil || t.Exposure.Deaths == 0 {
		return ""
	}
	return "mean"
}

func lives(t *telemetry.Lifetime) []detail {
	if t == nil {
		return []detail{words("no events were read")}
	}
	details := []detail{counted("ended in "+lasting(t.To.Sub(t.From).Seconds()), t.Exposure.Deaths)}
	if t.Completed.Count > 0 {
		details = append(details, fact("median", lasting(t.Median)), fact("90 % within", lasting(t.P90)), fact("mean of the ended", lasting(t.Completed.Mean)))
	}
	if t.Living.Count > 0 {
		details = append(details, fact("age of the living", lasting(t.Living.Mean)))
	}
	return details
}
