// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/klog/v2"

	"wolfpack/errs"
	"wolfpack/provider"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

// labelOptions are the flags of wolfpack node for its node's labels and taints.
type labelOptions struct {
	labels                       map[string]string
	taints                       []string
	noDefaultTaint               bool
	zoneCategory, regionCategory string
}

const labelHelp = `
Labels and taints: the node has the taint %s, which
pods must tolerate (--no-default-taint leaves it out), those of --node-taints, and the labels
type=virtual-kubelet, wolfpack.vch=NAME and wolfpack.vcenter-version. They are put back when somebody
removes them; taints of others, such as those of kubectl cordon, are left alone. The labels
topology.kubernetes.io/zone and region are the vSphere tags of the categories k8s-zone and k8s-region
that the VCH's cluster, or else the nearest folder or datacenter above it, has when the node starts.
`

func (o *labelOptions) flags(flags *pflag.FlagSet) {
	flags.StringToStringVar(&o.labels, "node-labels", nil, "labels of the node, as key=value,...")
	flags.StringSliceVar(&o.taints, "node-taints", nil, "taints of the node, as key=value:Effect,...; Effect is NoSchedule, PreferNoSchedule or NoExecute")
	flags.BoolVar(&o.noDefaultTaint, "no-default-taint", false, "leave out the taint "+provider.Taint.ToString()+": pods of all kinds are put on the node")
	flags.StringVar(&o.zoneCategory, "zone-category", "k8s-zone", `category of the vSphere tag that names the zone; "" for no zone`)
	flags.StringVar(&o.regionCategory, "region-category", "k8s-region", `category of the vSphere tag that names the region; "" for no region`)
}

// check returns the taints that the node shall have.
func (o *labelOptions) check() ([]corev1.Taint, error) {
	for _, key := range slices.Sorted(maps.Keys(o.labels)) {
		if err := checkLabel(key, o.labels[key]); err != nil {
			return nil, err
		}
	}
	taints := []corev1.Taint{}
	if !o.noDefaultTaint {
		taints = append(taints, provider.Taint)
	}
	for _, text := range o.taints {
		taint, err := parseTaint(text)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(taints, func(t corev1.Taint) bool { return t.MatchTaint(&taint) }) {
			return nil, errs.New("node", errs.Invalid, "node-taints: there is already a taint %s:%s", taint.Key, taint.Effect)
		}
		taints = append(taints, taint)
	}
	return taints, nil
}

func checkLabel(key, value string) error {
	const op = "node"
	if provider.OwnLabel(key) {
		return errs.New(op, errs.Invalid, "node-labels: %s is what wolfpack itself says of the node; choose another label", key)
	}
	if wrong := validation.IsQualifiedName(key); len(wrong) > 0 {
		return errs.New(op, errs.Invalid, "node-labels: %q is no label: %s", key, strings.Join(wrong, "; "))
	}
	if wrong := validation.IsValidLabelValue(value); len(wrong) > 0 {
		return errs.New(op, errs.Invalid, "node-labels: %q is no value of label %s: %s", value, key, strings.Join(wrong, "; "))
	}
	return nil
}

// parseTaint reads a taint as kubectl writes it: key=value:Effect or key:Effect.
func parseTaint(text string) (corev1.Taint, error) {
	const op = "node"
	rest, effect, _ := strings.Cut(text, ":")
	key, value, _ := strings.Cut(rest, "=")
	taint := corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)}
	effects := []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}
	if !slices.Contains(effects, taint.Effect) {
		return taint, errs.New(op, errs.Invalid, "node-taints: %q has the effect %q, want NoSchedule, PreferNoSchedule or NoExecute, as in dedicated=db:NoSchedule", text, effect)
	}
	if wrong := validation.IsQualifiedName(key); len(wrong) > 0 {
		return taint, errs.New(op, errs.Invalid, "node-taints: %q has the key %q: %s", text, key, strings.Join(wrong, "; "))
	}
	if wrong := validation.IsValidLabelValue(value); len(wrong) > 0 {
		return taint, errs.New(op, errs.Invalid, "node-taints: %q has the value %q: %s", text, value, strings.Join(wrong, "; "))
	}
	return taint, nil
}

// topology returns the configured labels with those that vSphere tags say. A label that is configured is not looked for.
func (o *labelOptions) topology(ctx context.Context, client *vsphere.Client, host *vch.VCH) (map[string]string, error) {
	labels := maps.Clone(o.labels)
	if labels == nil {
		labels = map[string]string{}
	}
	wanted := map[string]string{} // labels by category
	for label, category := range map[string]string{corev1.LabelTopologyZone: o.zoneCategory, corev1.LabelTopologyRegion: o.regionCategory} {
		if _, configured := labels[label]; !configured && category != "" {
			wanted[category] = label
		}
	}
	tags, err := client.NearestTags(ctx, host.Pool.Ref, slices.Sorted(maps.Keys(wanted))...)
	if errs.Is(err, errs.Denied) {
		klog.FromContext(ctx).Info("vSphere tags may not be read, so the node has no zone and no region", "reason", err)
		return labels, nil
	}
	if err != nil {
		return nil, fmt.Errorf("zone and region of VCH %s: %w", host.Name, err)
	}
	for category, tag := range tags {
		if wrong := validation.IsValidLabelValue(tag); len(wrong) > 0 {
			return nil, errs.New("node", errs.Invalid, "tag %q of category %s cannot be the value of label %s: %s; rename the tag, or set the label with --node-labels",
				tag, category, wanted[category], strings.Join(wrong, "; "))
		}
		labels[wanted[category]] = tag
	}
	return labels, nil
}
