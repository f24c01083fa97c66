// SPDX-License-Identifier: Apache-2.0

package sweep

import (
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"wolfpack/tests/vcsim"
)

// outcome is how a world is after the script, whatever went wrong on the way.
var outcome = state{
	Pods: []string{
		"done Succeeded Ready=False restarts=0 exit=0 labels=map[]",
		"forced Running Ready=True restarts=0 labels=map[]",
		"graceful Running Ready=True restarts=0 labels=map[]",
		"kept Running Ready=True restarts=0 labels=map[by:user]",
	},
	VMs: []string{
		"done of done poweredOn",
		"forced of forced poweredOn",
		"graceful of graceful poweredOn",
		"kept of kept poweredOn",
	},
}

// script is what a user does to pods. Each step waits for what it needs, so that it is the same script whatever happens to
// the provider meanwhile.
func (w *world) script() {
	w.Helper()
	w.awaitReady()
	for name, annotations := range map[string]map[string]string{
		"kept":     nil,
		"graceful": {vcsim.AnnotationStopDelay: "50ms"},
		"forced":   nil,
		"stubborn": {vcsim.AnnotationStopDelay: "1h"}, // its VM must be powered off
		"early":    nil,
		"done":     {vcsim.AnnotationExitAfter: "0s"},
	} {
		w.create(name, annotations)
	}
	for _, name := range []string{"kept", "graceful", "forced", "stubborn"} {
		w.awaitPod(name, "Running", isRunning)
	}
	w.awaitPod("done", "Succeeded", func(p *corev1.Pod) bool { return p != nil && p.Status.Phase == corev1.PodSucceeded })
	w.label("kept")

	w.delete("stubborn", 1)
	w.delete("graceful", 30)
	forced := w.pod("forced").UID
	w.delete("forced", 0)
	w.create("forced", nil) // while the VM of the one before is there
	w.awaitPod("forced", "another, Running", func(p *corev1.Pod) bool { return isRunning(p) && p.UID != forced })
	w.awaitPod("graceful", "gone", isGone)
	w.create("graceful", nil)
	w.awaitPod("graceful", "Running", isRunning)
	w.awaitPod("early", "gone", isGone)
	w.awaitPod("stubborn", "gone", isGone)
}

func isGone(p *corev1.Pod) bool    { return p == nil }
func isRunning(p *corev1.Pod) bool { return p != nil && p.Status.Phase == corev1.PodRunning }

// create creates a pod. One that has an end has a VM that is not started again.
func (w *world) create(name string, annotations map[string]string) {
	w.Helper()
	policy := corev1.RestartPolicyAlways
	if _, ends := annotations[vcsim.AnnotationExitAfter]; ends {
		policy = corev1.RestartPolicyNever
	}
	automount := false
	_, err := w.api().Create(w.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: w.full(name), Annotations: annotations},
		Spec: corev1.PodSpec{
			NodeName:                     w.node,
			RestartPolicy:                policy,
			AutomountServiceAccountToken: &automount,
			Tolerations:                  []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers:                   []corev1.Container{{Name: "app", Image: "app:1"}},
		},
	}, metav1.CreateOptions{})
	require.NoError(w, err)
}

func (w *world) delete(name string, grace int64) {
	w.Helper()
	require.NoError(w, w.api().Delete(w.Context(), w.full(name), *metav1.NewDeleteOptions(grace)))
}

// deleteWhileStarting has a pod deleted in the moment at which vCenter is asked to power its VM on. It is for before other
// faults, which may strike that request too.
func (w *world) deleteWhileStarting(name string) {
	w.vcenter.Inject(vcsim.Fault{Method: "PowerOnVM_Task", Object: w.full(name) + "-*", Count: 1, Before: func(vcsim.Request) {
		if err := w.api().Delete(w.Context(), w.full(name), *metav1.NewDeleteOptions(30)); err != nil {
			w.Errorf("delete pod %s: %v", name, err)
		}
	}})
}

// label labels a pod, and expects the provider to leave that alone.
func (w *world) label(name string) {
	w.Helper()
	_, err := w.api().Patch(w.Context(), w.full(name), types.MergePatchType, []byte(`{"metadata":{"labels":{"by":"user"}}}`), metav1.PatchOptions{})
	require.NoError(w, err)
}

// awaitReady waits until the node is Ready.
func (w *world) awaitReady() {
	w.Helper()
	w.await("its node is Ready", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.ready
	})
}

func isReady(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
