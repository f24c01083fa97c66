// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/guest"
	"wolfpack/provider/portlayer"
	"wolfpack/version"
)

// The node's own labels and annotations.
const (
	LabelVCH            = "wolfpack.vch"             // name of the virtual container host
	LabelVSphereVersion = "wolfpack.vcenter-version" // of the vCenter or ESXi, such as 8.0.3
	annotationVSphere   = "wolfpack.vcenter"         // product, version and build
	annotationTaints    = "wolfpack.taints"          // the taints that are ours, so that they can be told from others' later
	annotationInstance  = "wolfpack.instance"        // the process that runs the node
)

// kubernetesVersion is that of the Kubernetes libraries that this is built with, which decide how pods are understood. A
// test holds it against go.mod.
const kubernetesVersion = "v1.35.4"

// kubeletVersion is what kubectl shows as the node's version. Kubernetes' tools parse it as a semantic version and compare
// it with the control plane's, so it begins with Kubernetes' own version, as the kubelets of other distributions do.
func kubeletVersion() string { return kubernetesVersion + "-wolfpack-" + version.Get().Version }

// nodeObject is the node for what is known: a pure function. host is nil as long as nothing is; before are the conditions of the
// time before.
func nodeObject(config NodeConfig, host *portlayer.Host, lost error, before []corev1.NodeCondition, now time.Time) *corev1.Node {
	capacity, allocatable := resources(host, config.MaxPods)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: config.Name, Labels: nodeLabels(config, host), Annotations: nodeAnnotations(config, host)},
		Spec:       corev1.NodeSpec{Taints: config.Taints},
		Status: corev1.NodeStatus{
			Capacity:    capacity,
			Allocatable: allocatable,
			Conditions:  nodeConditions(config, host, lost, before, now),
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: config.Address},
				{Type: corev1.NodeHostName, Address: config.Name},
			},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(config.KubeletPort)}},
			NodeInfo: corev1.NodeSystemInfo{
				MachineID:       strings.ReplaceAll(config.VCHID, "-", ""),
				SystemUUID:      config.VCHID,
				KubeletVersion:  kubeletVersion(),
				OperatingSystem: "linux",
				Architecture:    "amd64",
				OSImage:         guestName(),
				// The kernel is each pod's own, so there is none to name.
				ContainerRuntimeVersion: "wolfpack://" + version.Get().Version,
			},
		},
	}
}

// guestName is the guest full name that vCenter shows of a pod's VM.
func guestName() string {
	stamp := version.Get()
	name := guest.Name{OS: "Photon", Role: guest.Container, Version: stamp.Version, Build: stamp.Build, Commit: stamp.Commit}
	text, err := name.Format()
	if err != nil {
		return name.OS // a build stamp that fits into no name is a matter of the VMs, which cannot be made then
	}
	return text
}

// nodeLabels has the configured labels, and the node's own in place of those of the same key.
func nodeLabels(config NodeConfig, host *portlayer.Host) map[string]string {
	all := maps.Clone(config.Labels)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, map[string]string{
		"type":                 "virtual-kubelet",
		LabelVCH:               LabelValue(config.VCH),
		"kubernetes.io/role":   "agent",
		corev1.LabelHostname:   config.Name,
		corev1.LabelOSStable:   "linux",
		corev1.LabelArchStable: "amd64",
	})
	if host != nil && host.Version != "" {
		all[LabelVSphereVersion] = LabelValue(host.Version)
	}
	return all
}

// OwnLabel says whether a node has a label of that key of its own.
func OwnLabel(key string) bool {
	_, own := nodeLabels(NodeConfig{}, &portlayer.Host{Version: "any"})[key]
	return own
}

func nodeAnnotations(config NodeConfig, host *portlayer.Host) map[string]string {
	all := map[string]string{annotationTaints: formatTaints(config.Taints)}
	if host != nil {
		all[annotationVSphere] = host.Product
	}
	return all
}

// LabelValue makes text the value of a label: characters that no value may have become hyphens, and it is cut to 63.
func LabelValue(text string) string {
	allowed := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-_.", r):
			return r
		default:
			return '-'
		}
	}
	value := strings.TrimLeft(strings.Map(allowed, text), "-_.")
	return strings.TrimRight(value[:min(len(value), 63)], "-_.")
}

func resourceList(r portlayer.Resources, maxPods int) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(int64(r.CPUs*1000), resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(r.MemoryBytes, resource.BinarySI),
		corev1.ResourcePods:   *resource.NewQuantity(int64(maxPods), resource.DecimalSI),
	}
}
