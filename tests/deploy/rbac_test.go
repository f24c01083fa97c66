// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"wolfpack/tests/kube"
)

// rights are single permissions, such as "get pods" or "create leases.coordination.k8s.io in kube-node-lease".
type rights map[string]bool

func (r rights) add(rules []rbacv1.PolicyRule, where string) {
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					for _, name := range append(slices.Clone(rule.ResourceNames), "")[:max(1, len(rule.ResourceNames))] {
						r[right(verb, group, resource, name, where)] = true
					}
				}
			}
		}
	}
}

// cover says whether the right is among those asked for, everywhere or in some namespace.
func (r rights) cover(right string) bool {
	for asked := range r {
		if asked == right || strings.HasPrefix(asked, right+" in ") {
			return true
		}
	}
	return false
}

func right(verb, group, resource, name, where string) string {
	text := verb + " " + resource
	if group != "" {
		text += "." + group
	}
	if name != "" {
		text += " " + name
	}
	if where != "" {
		text += " in " + where
	}
	return text
}

// rightsIn are those that the roles of a manifest give.
func rightsIn(t *testing.T, manifest string) rights {
	t.Helper()
	all := rights{}
	for document := range strings.SplitSeq(manifest, "\n---\n") {
		var role rbacv1.Role // a ClusterRole has the same fields, and no namespace
		require.NoError(t, yaml.Unmarshal([]byte(document), &role))
		if role.Kind == "Role" || role.Kind == "ClusterRole" {
			all.add(role.Rules, role.Namespace)
		}
	}
	require.NotEmpty(t, all)
	return all
}

// The lab's node, which all other tests use, may do what an installed one may, and no more.
func TestTheChartsRulesAreTheLabs(t *testing.T) {
	chart, lab := rightsIn(t, render(t, values[0])), rightsIn(t, kube.NodeRBAC)
	for right := range chart {
		require.Contains(t, lab, right, "it is in deploy/helm/wolfpack/templates/rbac.yaml and not in tests/kube/node-rbac.yaml: change both")
	}
	for right := range lab {
		require.Contains(t, chart, right, "it is in tests/kube/node-rbac.yaml and not in deploy/helm/wolfpack/templates/rbac.yaml: change both")
	}
}

func TestNoRuleIsAWildcardAndEachHasItsReason(t *testing.T) {
	for right := range rightsIn(t, render(t, values[0])) {
		require.NotContains(t, right, "*")
	}
	text, err := os.ReadFile(chart + "/templates/rbac.yaml")
	require.NoError(t, err)
	require.NotContains(t, string(text), "cluster-admin")
	explained := false
	for line := range strings.SplitSeq(string(text), "\n") {
		switch trimmed := strings.TrimSpace(line); {
		case strings.HasPrefix(trimmed, "# "):
			explained = true
		case trimmed == "rules:":
			explained = false
		case strings.HasPrefix(trimmed, "- apiGroups:"):
			require.True(t, explained, "a rule without a comment above it that says what it is for: %s", line)
		}
	}
}
