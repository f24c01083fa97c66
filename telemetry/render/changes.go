// SPDX-License-Identifier: Apache-2.0

package render

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"wolfpack/telemetry"
)

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

// changes are the words whose count differs between two tallies, with the difference, the largest first.
func changes(now, then tally) []share {
	var list []share
	words := maps.Clone(now)
	maps.Copy(words, then)
	for word := range words {
		if d := now[word] - then[word]; d != 0 {
			list = append(list, share{word, d})
		}
	}
	slices.SortFunc(list, func(a, b share) int {
		return cmp.Or(max(b.Count, -b.Count)-max(a.Count, -a.Count), strings.Compare(a.Word, b.Word))
	})
	return list
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
