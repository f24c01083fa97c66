// SPDX-License-Identifier: Apache-2.0

package guests

import (
	corev1 "k8s.io/api/core/v1"
)

// kind of an object that pods refer to.
type kind string

const (
	configMaps kind = "ConfigMap"
	secrets    kind = "Secret"
)

// key names one object.
type key struct {
	kind            kind
	namespace, name string
}

// references are the ConfigMaps and Secrets that a pod refers to by its environment, volumes and image pulls.
func references(pod *corev1.Pod) map[key]bool {
	found := refs{pod.Namespace, map[key]bool{}}
	for i := range pod.Spec.InitContainers {
		found.container(pod.Spec.InitContainers[i].Env, pod.Spec.InitContainers[i].EnvFrom)
	}
	for i := range pod.Spec.Containers {
		found.container(pod.Spec.Containers[i].Env, pod.Spec.Containers[i].EnvFrom)
	}
	for i := range pod.Spec.EphemeralContainers {
		found.container(pod.Spec.EphemeralContainers[i].Env, pod.Spec.EphemeralContainers[i].EnvFrom)
	}
	for i := range pod.Spec.Volumes {
		found.volume(&pod.Spec.Volumes[i])
	}
	for _, pull := range pod.Spec.ImagePullSecrets {
		found.add(secrets, pull.Name)
	}
	return found.keys
}

// refs are references of one namespace.
type refs struct {
	namespace string
	keys      map[key]bool
}

func (r refs) add(k kind, name string) {
	if name != "" {
		r.keys[key{k, r.namespace, name}] = true
	}
}

func (r refs) container(env []corev1.EnvVar, envFrom []corev1.EnvFromSource) {
	for i := range envFrom {
		if from := &envFrom[i]; from.ConfigMapRef != nil {
			r.add(configMaps, from.ConfigMapRef.Name)
		} else if from.SecretRef != nil {
			r.add(secrets, from.SecretRef.Name)
		}
	}
	for i := range env {
		from := env[i].ValueFrom
		switch {
		case from == nil:
		case from.ConfigMapKeyRef != nil:
			r.add(configMaps, from.ConfigMapKeyRef.Name)
		case from.SecretKeyRef != nil:
			r.add(secrets, from.SecretKeyRef.Name)
		}
	}
}

func (r refs) volume(volume *corev1.Volume) {
	switch {
	case volume.ConfigMap != nil:
		r.add(configMaps, volume.ConfigMap.Name)
	case volume.Secret != nil:
		r.add(secrets, volume.Secret.SecretName)
	case volume.Projected != nil:
		for _, part := range volume.Projected.Sources {
			if part.ConfigMap != nil {
				r.add(configMaps, part.ConfigMap.Name)
			}
			if part.Secret != nil {
				r.add(secrets, part.Secret.Name)
			}
		}
	}
}
