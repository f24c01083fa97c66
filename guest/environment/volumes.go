// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// ReasonFailedMount is the reason of a volume that cannot be made.
const ReasonFailedMount = "FailedMount"

// Volumes returns what keeps the pod's volumes from being made of ConfigMaps and Secrets. What is optional and missing is
// no problem: the volume has no file of it.
func Volumes(source Source) []Problem {
	var problems []Problem
	for i := range source.Pod.Spec.Volumes {
		volume := &source.Pod.Spec.Volumes[i]
		if err := source.volume(volume); err != nil {
			message := fmt.Sprintf("MountVolume.SetUp failed for volume %q : %s", volume.Name, err)
			problems = append(problems, Problem{Reason: ReasonFailedMount, Message: message, Mandatory: true})
		}
	}
	return problems
}

// volume is what is wrong with a volume, or nil.
func (s Source) volume(volume *corev1.Volume) error {
	switch {
	case volume.ConfigMap != nil:
		return s.configMapItems(volume.ConfigMap.Name, volume.ConfigMap.Items, volume.ConfigMap.Optional)
	case volume.Secret != nil:
		return s.secretItems(volume.Secret.SecretName, volume.Secret.Items, volume.Secret.Optional)
	case volume.Projected != nil:
		for _, part := range volume.Projected.Sources {
			var err error
			switch {
			case part.ConfigMap != nil:
				err = s.configMapItems(part.ConfigMap.Name, part.ConfigMap.Items, part.ConfigMap.Optional)
			case part.Secret != nil:
				err = s.secretItems(part.Secret.Name, part.Secret.Items, part.Secret.Optional)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (s Source) configMapItems(name string, items []corev1.KeyToPath, optional *bool) error {
	object := s.ConfigMaps[name]
	return check(configMap, name, object != nil, items, optional, func(key string) bool {
		_, text := object.Data[key]
		_, binary := object.BinaryData[key]
		return text || binary
	})
}

func (s Source) secretItems(name string, items []corev1.KeyToPath, optional *bool) error {
	object := s.Secrets[name]
	return check(secret, name, object != nil, items, optional, func(key string) bool {
		_, ok := object.Data[key]
		return ok
	})
}

// check says what is missing of an object whose items are wanted.
func check(k kind, name string, there bool, items []corev1.KeyToPath, optional *bool, has func(key string) bool) error {
	if optional != nil && *optional {
		return nil
	}
	if !there {
		return fmt.Errorf("%s", missing(k, name, nil).Message)
	}
	for _, item := range items {
		if !has(item.Key) {
			return fmt.Errorf("%s references non-existent key: %s", k.word(), item.Key)
		}
	}
	return nil
}
