// SPDX-License-Identifier: Apache-2.0

package products

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"wolfpack/telemetry"
)

// Merge returns the products that an inventory has together with those that were asked, each once. The two are one product
// if the URL's host is the VM's name; or if there is one of the name on each side alone, and the versions do not say
// otherwise. The one that was asked knows better: an appliance that was updated in place keeps the version it was deployed
// with in the inventory.
func Merge(inventory, asked []telemetry.Product) []telemetry.Product {
	all, left := slices.Clone(inventory), slices.Clone(asked)
	join := func(same func(found, told telemetry.Product) bool) {
		for _, told := range slices.Clone(left) {
			i := slices.IndexFunc(all, func(found telemetry.Product) bool {
				return found.URL == "" && found.Name == told.Name && same(found, told)
			})
			if i < 0 {
				continue
			}
			all[i] = joined(all[i], told)
			left = slices.DeleteFunc(left, func(other telemetry.Product) bool { return other == told })
		}
	}
	join(sameHost)
	join(func(found, told telemetry.Product) bool {
		return unasked(all, found.Name) == 1 && named(left, told.Name) == 1 && alike(found.Version, told.Version)
	})
	all = append(all, left...)
	slices.SortStableFunc(all, func(a, b telemetry.Product) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.VM, b.VM), strings.Compare(a.URL, b.URL))
	})
	return all
}

// joined is the product that told is the API of.
func joined(found, told telemetry.Product) telemetry.Product {
	told.VM = found.VM
	if told.Version == "" && found.Version != "" {
		told.Version, told.Source = found.Version, found.Source
		told.Confidence = found.Confidence
	}
	return told
}

func sameHost(found, told telemetry.Product) bool {
	parsed, err := url.Parse(told.URL)
	if err != nil || found.VM == "" {
		return false
	}
	host := parsed.Hostname()
	first, _, _ := strings.Cut(host, ".")
	return strings.EqualFold(found.VM, host) || strings.EqualFold(found.VM, first)
}

// named is how many of the products have the name.
func named(all []telemetry.Product, name string) (count int) {
	for _, product := range all {
		if product.Name == name {
			count++
		}
	}
	return count
}

// unasked is how many of the products have the name and are known by the inventory alone.
func unasked(all []telemetry.Product, name string) (count int) {
	return named(slices.DeleteFunc(slices.Clone(all), func(p telemetry.Product) bool { return p.URL != "" }), name)
}

// numbers is the part of a version that inventory and API have in common: v2.12.1-6abb4eab is 2.12.1.
var numbers = regexp.MustCompile(`[0-9]+(\.[0-9]+)*`)

func alike(a, b string) bool {
	return a == "" || b == "" || numbers.FindString(a) == numbers.FindString(b)
}
