// SPDX-License-Identifier: Apache-2.0

// Package environment resolves the environment of a container as the kubelet of Kubernetes 1.35 does: variables that are
// declared, taken from ConfigMaps, Secrets, fields of the pod and its resources, those of services, and references among
// them. It is pure: what the result depends on is all in Source. The provider asks it what is missing before it makes a
// VM; a guest asks it for the variables.
package environment

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Variable is one variable of an environment.
type Variable struct{ Name, Value string }

// Source is what an environment is made from. A ConfigMap, Secret or Service that is not in it does not exist.
type Source struct {
	Pod         *corev1.Pod
	PodIPs      []string            // the first is status.podIP
	HostIPs     []string            // the first is status.hostIP
	Allocatable corev1.ResourceList // what a container without a limit may use
	ConfigMaps  map[string]*corev1.ConfigMap
	Secrets     map[string]*corev1.Secret
	Services    []*corev1.Service
	// File reads the variable key from a file in a volume. If it is nil, no volume is mounted yet: variables from files are
	// left out, which is no problem.
	File func(volume, path, key string) (string, error)
}

// Resolve returns the environment of a container of the source's pod, sorted by name, and what is wrong with it. With a
// mandatory problem the container cannot be made.
//
// Declared variables come before those of envFrom, the later before the earlier, and all before those of services. In a
// declared value $(NAME) is replaced by a variable that was set before it, or by one of a service; what is unknown stays
// as it is, and $$ is a $. A key of envFrom may be any name, since Kubernetes 1.34 lets it.
func Resolve(container *corev1.Container, source Source) ([]Variable, []Problem) {
	r := resolver{Source: source, container: container, values: map[string]string{}, services: serviceVariables(source)}
	for i := range container.EnvFrom {
		r.from(&container.EnvFrom[i])
	}
	for i := range container.Env {
		r.declare(&container.Env[i])
	}
	for name, value := range r.services {
		if _, set := r.values[name]; !set {
			r.values[name] = value
		}
	}
	var all []Variable
	for _, name := range slices.Sorted(maps.Keys(r.values)) {
		all = append(all, Variable{name, r.values[name]})
	}
	return all, r.problems
}

// resolver is an environment in the making.
type resolver struct {
	Source
	container *corev1.Container
	values    map[string]string
	services  map[string]string
	problems  []Problem
}

// lookup is what $(name) stands for.
func (r *resolver) lookup(name string) (string, bool) {
	if value, ok := r.values[name]; ok {
		return value, true
	}
	value, ok := r.services[name]
	return value, ok
}

// from takes all keys of an object.
func (r *resolver) from(source *corev1.EnvFromSource) {
	switch {
	case source.ConfigMapRef != nil:
		if object := r.configMap(source.ConfigMapRef.Name, source.ConfigMapRef.Optional); object != nil {
			for key, value := range object.Data {
				r.values[source.Prefix+key] = value
			}
		}
	case source.SecretRef != nil:
		if object := r.secret(source.SecretRef.Name, source.SecretRef.Optional); object != nil {
			for key, value := range object.Data {
				r.values[source.Prefix+key] = string(value)
			}
		}
	}
}

// declare takes one declared variable. One whose optional source is missing is as if it were not declared.
func (r *resolver) declare(variable *corev1.EnvVar) {
	if variable.Value != "" || variable.ValueFrom == nil {
		r.values[variable.Name] = expand(variable.Value, r.lookup)
		return
	}
	if value, ok := r.value(variable.ValueFrom); ok {
		r.values[variable.Name] = value
	}
}

// value is what a source gives.
func (r *resolver) value(source *corev1.EnvVarSource) (string, bool) {
	switch {
	case source.FieldRef != nil:
		return r.check(field(r.Source, source.FieldRef))
	case source.ResourceFieldRef != nil:
		return r.check(resourceField(r.Source, r.container, source.ResourceFieldRef))
	case source.ConfigMapKeyRef != nil:
		return r.configMapKey(source.ConfigMapKeyRef)
	case source.SecretKeyRef != nil:
		return r.secretKey(source.SecretKeyRef)
	case source.FileKeyRef != nil:
		return r.file(source.FileKeyRef)
	default:
		return "", true
	}
}

func (r *resolver) check(value string, err error) (string, bool) {
	if err != nil {
		r.problem(Problem{Reason: ReasonInvalidReference, Message: err.Error(), Mandatory: true})
	}
	return value, err == nil
}

func (r *resolver) configMap(name string, optional *bool) *corev1.ConfigMap {
	if object := r.ConfigMaps[name]; object != nil {
		return object
	}
	r.problem(missing(configMap, name, optional))
	return nil
}

func (r *resolver) secret(name string, optional *bool) *corev1.Secret {
	if object := r.Secrets[name]; object != nil {
		return object
	}
	r.problem(missing(secret, name, optional))
	return nil
}

func (r *resolver) configMapKey(ref *corev1.ConfigMapKeySelector) (string, bool) {
	object := r.configMap(ref.Name, ref.Optional)
	if object == nil {
		return "", false
	}
	value, ok := object.Data[ref.Key]
	if !ok {
		r.problem(missingKey(configMap, r.Pod.Namespace, ref.Name, ref.Key, ref.Optional))
	}
	return value, ok
}

func (r *resolver) secretKey(ref *corev1.SecretKeySelector) (string, bool) {
	object := r.secret(ref.Name, ref.Optional)
	if object == nil {
		return "", false
	}
	value, ok := object.Data[ref.Key]
	if !ok {
		r.problem(missingKey(secret, r.Pod.Namespace, ref.Name, ref.Key, ref.Optional))
	}
	return string(value), ok
}

// file reads a variable from a file. An empty one counts as missing.
func (r *resolver) file(ref *corev1.FileKeySelector) (string, bool) {
	if r.File == nil {
		return "", false
	}
	value, err := r.File(ref.VolumeName, ref.Path, ref.Key)
	optional := ref.Optional != nil && *ref.Optional
	switch {
	case err != nil:
		return r.check("", fmt.Errorf("couldn't parse env file"))
	case value == "" && !optional:
		return r.check("", fmt.Errorf("environment variable key %q not found in file %q", ref.Key, ref.Path))
	default:
		return value, value != ""
	}
}

// problem notes a problem once.
func (r *resolver) problem(p Problem) {
	if !slices.Contains(r.problems, p) {
		r.problems = append(r.problems, p)
	}
}
