// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	resourcehelper "k8s.io/component-helpers/resource"
)

// field is the value of a field of the pod.
func field(source Source, ref *corev1.ObjectFieldSelector) (string, error) {
	if ref.APIVersion != "" && ref.APIVersion != "v1" {
		return "", fmt.Errorf("unsupported pod version: %s", ref.APIVersion)
	}
	if path, key, ok := subscript(ref.FieldPath); ok {
		return entry(source.Pod, path, key)
	}
	pod := source.Pod
	switch ref.FieldPath {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "spec.nodeName", "spec.host":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.podIP":
		return first(source.PodIPs), nil
	case "status.podIPs":
		return strings.Join(source.PodIPs, ","), nil
	case "status.hostIP":
		return first(source.HostIPs), nil
	case "status.hostIPs":
		return strings.Join(source.HostIPs, ","), nil
	default:
		return "", fmt.Errorf("unsupported fieldPath: %s", ref.FieldPath)
	}
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// subscript takes PATH['KEY'] apart.
func subscript(path string) (before, key string, ok bool) {
	inner, ok := strings.CutSuffix(path, "']")
	if !ok {
		return "", "", false
	}
	before, key, ok = strings.Cut(inner, "['")
	return before, key, ok && before != ""
}

// entry is one label or annotation. One that is not there is empty.
func entry(pod *corev1.Pod, path, key string) (string, error) {
	values, name := pod.Labels, key
	switch path {
	case "metadata.labels":
	case "metadata.annotations":
		values, name = pod.Annotations, strings.ToLower(key)
	default:
		return "", fmt.Errorf("fieldPath %q does not support subscript", path)
	}
	if wrong := validation.IsQualifiedName(name); len(wrong) > 0 {
		return "", fmt.Errorf("invalid key subscript in %s['%s']: %s", path, key, strings.Join(wrong, ";"))
	}
	return values[key], nil
}

// resourceField is a resource that a container asks for or is limited to, in units of the divisor and rounded up. A limit
// that is not set is the pod's, or else what is allocatable.
func resourceField(source Source, container *corev1.Container, ref *corev1.ResourceFieldSelector) (string, error) {
	bounded := true
	if ref.ContainerName != "" {
		if container, bounded = find(source.Pod, ref.ContainerName); container == nil {
			return "", fmt.Errorf("container %s not found", ref.ContainerName)
		}
	}
	kind, resourceName, _ := strings.Cut(ref.Resource, ".")
	name := corev1.ResourceName(resourceName)
	var quantity resource.Quantity
	switch {
	case !supported(name):
		return "", fmt.Errorf("unsupported container resource: %s", ref.Resource)
	case kind == "requests":
		quantity = container.Resources.Requests[name]
	case kind == "limits":
		if quantity = container.Resources.Limits[name]; quantity.IsZero() && bounded {
			quantity = limit(source, name)
		}
	default:
		return "", fmt.Errorf("unsupported container resource: %s", ref.Resource)
	}
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	return divide(name, quantity, divisor), nil
}

// supported says whether there is a variable for the resource.
func supported(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		return true
	default:
		return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
	}
}

// find returns a container of the pod by name, and whether a limit that it has not is the pod's or the machine's: the
// kubelet knows no such limit for an init container that another one asks for.
func find(pod *corev1.Pod, name string) (_ *corev1.Container, bounded bool) {
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == name {
			return &pod.Spec.Containers[i], true
		}
	}
	for i := range pod.Spec.InitContainers {
		if pod.Spec.InitContainers[i].Name == name {
			return &pod.Spec.InitContainers[i], false
		}
	}
	return nil, false
}

// limit is what a container without a limit may use. Huge pages always have a limit.
func limit(source Source, name corev1.ResourceName) resource.Quantity {
	allocatable, there := source.Allocatable[name]
	if !there || strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
		return resource.Quantity{}
	}
	if resourcehelper.IsPodLevelLimitsSet(source.Pod) && resourcehelper.IsSupportedPodLevelResource(name) {
		if whole, ok := source.Pod.Spec.Resources.Limits[name]; ok && !whole.IsZero() {
			return whole
		}
	}
	return allocatable
}

func divide(name corev1.ResourceName, quantity, divisor resource.Quantity) string {
	value, unit := quantity.Value(), divisor.Value()
	if name == corev1.ResourceCPU {
		value, unit = quantity.MilliValue(), divisor.MilliValue()
	}
	return strconv.FormatInt(int64(math.Ceil(float64(value)/float64(unit))), 10)
}
