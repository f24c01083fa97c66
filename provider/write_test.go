// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A user labels the pod after Virtual Kubelet was told of its status, and before it writes that.
func TestAStatusUndoesNoLabel(t *testing.T) {
	w := newWorld(t)
	pod := w.apply("u-1")
	w.awaitPhase(pod.UID, corev1.PodRunning)
	told, err := w.GetPod(t.Context(), "shop", "web")
	require.NoError(t, err)
	labelled := w.change(pod.UID, func(p *corev1.Pod) { p.Labels = map[string]string{"by": "user"} })
	told.ResourceVersion = labelled.ResourceVersion // as Virtual Kubelet does
	_, err = orderly{w.client.CoreV1(), w.Provider}.Pods("shop").UpdateStatus(t.Context(), told, metav1.UpdateOptions{})
	require.NoError(t, err)
	written, err := w.client.CoreV1().Pods("shop").Get(t.Context(), "web", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, corev1.PodRunning, written.Status.Phase)
	require.Equal(t, labelled.Labels, written.Labels)
}
