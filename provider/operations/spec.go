// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"wolfpack/errs"
	"wolfpack/guest"
	"wolfpack/guest/contract"
	"wolfpack/provider/portlayer"
	"wolfpack/vch"
	"wolfpack/version"
)

// GuestOSAnnotation on a pod chooses its guest OS by its word, in any case; the default is photon.
const GuestOSAnnotation = "wolfpack.guest-os"

const (
	defaultGuestOS  = "photon"
	defaultMemoryMB = guest.MemoryMinMB // of a pod that says nothing
	maxVMName       = 80                // vSphere's limit on names of VMs
	uidDigits       = 8
)

// Host is what all VMs of one provider have in common.
type Host struct {
	VCH     string // name of the virtual container host
	Cluster string // identity of the cluster that the pods are of
	CA      string // PEM of the CA by which the guest shall know the provider
}

// Spec plans the VM of a pod: a pure function of the pod, the host and this build's version. It is errs.Invalid if the pod
// asks for a guest OS that does not exist.
func Spec(pod *corev1.Pod, host Host) (portlayer.Spec, error) {
	const op = "operations.Spec"
	word := pod.Annotations[GuestOSAnnotation]
	if word == "" {
		word = defaultGuestOS
	}
	os, err := guest.Lookup(word, guest.Container)
	if err != nil {
		return portlayer.Spec{}, errs.New(op, errs.Invalid, "annotation %s of pod %s/%s: %w", GuestOSAnnotation, pod.Namespace, pod.Name, err)
	}
	identity := portlayer.Identity{Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID), VCH: host.VCH, Cluster: host.Cluster, SpecHash: hash(pod.Spec)}
	payload, err := contract.EncodePod(pod)
	if err != nil {
		return portlayer.Spec{}, errs.New(op, errs.Internal, "%w", err)
	}
	stamp := version.Get()
	cpus, memoryMB := Size(pod)
	return portlayer.Spec{
		Identity: identity,
		OS:       os,
		Machine: guest.Machine{
			VMName:   VMName(pod.Name, string(pod.UID)),
			Guest:    guest.Name{Role: guest.Container, Version: stamp.Version, Build: stamp.Build, Commit: stamp.Commit},
			CPUs:     cpus,
			MemoryMB: memoryMB,
			Extra: map[string]string{
				vch.KeyNamespace:    identity.Namespace,
				vch.KeyName:         identity.Name,
				vch.KeyUID:          identity.UID,
				vch.KeyVCH:          identity.VCH,
				vch.KeyCluster:      identity.Cluster,
				vch.KeySpecHash:     identity.SpecHash,
				contract.KeyVersion: contract.Version,
				contract.KeyPod:     payload,
				contract.KeyCA:      host.CA,
			},
		},
	}, nil
}

// VMName is the pod's name and the first digits of its UID, which make it unique in the folder. A long name is cut to
// vSphere's 80 characters.
func VMName(pod, uid string) string {
	suffix := "-" + uid[:min(uidDigits, len(uid))]
	return pod[:min(len(pod), maxVMName-len(suffix))] + suffix
}

// Size is the number of CPUs, at least 1, and the memory in MB that the VM of a pod gets: the pod's limits where every
// container has one, or else its requests. A pod that says nothing gets 1 CPU and 512 MB. How init containers, sidecars
// and overhead count is Kubernetes' own rule (the resource helpers of k8s.io/component-helpers).
func Size(pod *corev1.Pod) (cpus int32, memoryMB int64) {
	cpu := amount(pod, corev1.ResourceCPU)
	memory := amount(pod, corev1.ResourceMemory)
	cpus = int32(min(max(int64(math.Ceil(float64(cpu.MilliValue())/1000)), 1), math.MaxInt32))
	memoryMB = int64(math.Ceil(float64(memory.Value()) / (1 << 20)))
	if memoryMB == 0 {
		memoryMB = defaultMemoryMB
	}
	return cpus, memoryMB
}

// amount is the larger of what the pod is promised and what it may use at most, if there is such a bound.
func amount(pod *corev1.Pod, name corev1.ResourceName) resource.Quantity {
	request := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})[name]
	if !bounded(pod, name) {
		return request
	}
	limit := resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{})[name]
	if limit.Cmp(request) < 0 {
		return request
	}
	return limit
}

// bounded says whether every container of the pod has a limit.
func bounded(pod *corev1.Pod, name corev1.ResourceName) bool {
	for _, container := range pod.Spec.Containers {
		if _, ok := container.Resources.Limits[name]; !ok {
			return false
		}
	}
	return true
}

// hash tells two specs apart.
func hash(spec corev1.PodSpec) string {
	text, err := json.Marshal(spec)
	if err != nil {
		text = fmt.Append(nil, err) // a spec that came as JSON always goes back to JSON
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
