// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Kubernetes tells taints of a node apart by key and effect: there are no two with the same.
func taintID(t corev1.Taint) string { return t.Key + ":" + string(t.Effect) }

// formatTaints is the ids of taints, for annotationTaints.
func formatTaints(taints []corev1.Taint) string {
	var ids []string
	for _, t := range taints {
		ids = append(ids, taintID(t))
	}
	return strings.Join(ids, ",")
}

// keepTaints is what a node's taints shall be: a pure function. Those that the node shall have are there, those that it had
// of us, by the record of annotationTaints, and shall have no longer are not, and those of others are left alone.
func keepTaints(there []corev1.Taint, record string, shall []corev1.Taint) []corev1.Taint {
	ours := strings.Split(record, ",")
	var kept []corev1.Taint
	for _, t := range there {
		i := slices.IndexFunc(shall, func(s corev1.Taint) bool { return taintID(s) == taintID(t) })
		switch {
		case i >= 0 && shall[i].Value != t.Value:
			kept = append(kept, shall[i])
		case i >= 0 || !slices.Contains(ours, taintID(t)):
			kept = append(kept, t)
		}
	}
	for _, s := range shall {
		if !slices.ContainsFunc(kept, func(t corev1.Taint) bool { return taintID(t) == taintID(s) }) {
			kept = append(kept, s)
		}
	}
	return kept
}
