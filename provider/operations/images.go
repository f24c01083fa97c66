// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"fmt"
	"slices"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"

	"wolfpack/errs"
)

// InvalidImage is why a pod gets no VM when the image of one of its containers is no image reference. As with a kubelet the
// pod is not Failed for that: its image can be corrected.
type InvalidImage struct {
	Container string
	Image     string
	err       error
}

// Error names the container, the image, and what is wrong with it.
func (e *InvalidImage) Error() string {
	return fmt.Sprintf("image %q of container %q: %v; want one such as registry.example.com/team/app:1.2", e.Image, e.Container, e.err)
}

// Unwrap returns the parser's error.
func (e *InvalidImage) Unwrap() error { return e.err }

// CheckImage returns an InvalidImage if the container's image is no image reference, by the grammar that the kubelet uses.
func CheckImage(container corev1.Container) error {
	if _, err := reference.ParseNormalizedNamed(container.Image); err != nil {
		return &InvalidImage{Container: container.Name, Image: container.Image, err: err}
	}
	return nil
}

// checkImages checks the images of all containers.
func checkImages(pod *corev1.Pod) error {
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if err := CheckImage(container); err != nil {
			return errs.New("operations.checkImages", errs.Invalid, "%w", err)
		}
	}
	return nil
}
