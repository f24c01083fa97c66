// SPDX-License-Identifier: Apache-2.0

package products_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"wolfpack/telemetry"
	"wolfpack/telemetry/products"
)

func ovf(name, version, vm string) telemetry.Product {
	return telemetry.Product{Name: name, Version: version, Source: "ovf", Confidence: "high", VM: vm}
}

func api(name, version, url string) telemetry.Product {
	return telemetry.Product{Name: name, Version: version, Source: "api", Confidence: "high", URL: url}
}

func joined(product telemetry.Product, vm string) telemetry.Product {
	product.VM = vm
	return product
}

func TestMerge(t *testing.T) {
	silent := api("harbor", "", "https://registry.example.com")
	silent.Confidence, silent.Problem = "medium", "users alone"
	known := joined(silent, "h1")
	known.Version, known.Source, known.Confidence = "2.13.0", "ovf", "high"

	for name, tc := range map[string]struct{ inventory, asked, want []telemetry.Product }{
		"nothing": {nil, nil, nil},
		"the one of each": {
			[]telemetry.Product{ovf("harbor", "2.12.1", "h1"), ovf("vic", "v1.5.6", "vic")},
			[]telemetry.Product{api("harbor", "v2.12.1-6abb4eab", "https://registry.example.com")},
			[]telemetry.Product{joined(api("harbor", "v2.12.1-6abb4eab", "https://registry.example.com"), "h1"), ovf("vic", "v1.5.6", "vic")},
		},
		"the host is the VM": {
			[]telemetry.Product{ovf("harbor", "2.1.0", "h1"), ovf("harbor", "2.1.0", "H2")},
			[]telemetry.Product{api("harbor", "v2.12.1", "https://h2.example.com"), api("harbor", "v2.3.0", "https://h1:8443")},
			[]telemetry.Product{joined(api("harbor", "v2.12.1", "https://h2.example.com"), "H2"), joined(api("harbor", "v2.3.0", "https://h1:8443"), "h1")},
		},
		"what is left over is one": {
			[]telemetry.Product{ovf("harbor", "", "h1"), ovf("harbor", "", "h2")},
			[]telemetry.Product{api("harbor", "v2.12.1", "https://h2"), api("harbor", "v2.3.0", "https://registry")},
			[]telemetry.Product{joined(api("harbor", "v2.3.0", "https://registry"), "h1"), joined(api("harbor", "v2.12.1", "https://h2"), "h2")},
		},
		"versions say otherwise": {
			[]telemetry.Product{ovf("harbor", "2.1.0", "h1")},
			[]telemetry.Product{api("harbor", "v2.12.1", "https://registry")},
			[]telemetry.Product{api("harbor", "v2.12.1", "https://registry"), ovf("harbor", "2.1.0", "h1")},
		},
		"two could be it": {
			[]telemetry.Product{ovf("harbor", "", "h1"), ovf("harbor", "", "h2")},
			[]telemetry.Product{api("harbor", "v2.12.1", "https://registry")},
			[]telemetry.Product{api("harbor", "v2.12.1", "https://registry"), ovf("harbor", "", "h1"), ovf("harbor", "", "h2")},
		},
		"the inventory knows better than silence": {
			[]telemetry.Product{ovf("harbor", "2.13.0", "h1")}, []telemetry.Product{silent}, []telemetry.Product{known},
		},
		"another product": {
			[]telemetry.Product{ovf("vic", "v1.5.6", "vic")},
			[]telemetry.Product{api("admiral", "1.5.2 (2042)", "https://vic:8282")},
			[]telemetry.Product{api("admiral", "1.5.2 (2042)", "https://vic:8282"), ovf("vic", "v1.5.6", "vic")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, products.Merge(tc.inventory, tc.asked))
		})
	}
}

func TestMergeChangesNothingOfItsCallers(t *testing.T) {
	inventory := []telemetry.Product{ovf("harbor", "", "h1")}
	asked := []telemetry.Product{api("harbor", "v2", "https://h1"), api("admiral", "1", "https://a")}
	products.Merge(inventory, asked)
	require.Equal(t, []telemetry.Product{ovf("harbor", "", "h1")}, inventory)
	require.Equal(t, []telemetry.Product{api("harbor", "v2", "https://h1"), api("admiral", "1", "https://a")}, asked)
}
