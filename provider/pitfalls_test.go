// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/tests/vcsim"
)

// Virtual Kubelet has pitfalls that a provider must know. Here is each, with the tests that fail on code that does not, which
// `make pitfalls` proves:
//
//	 1 a deleted pod stays for its whole grace period                TestAPodsLifeWithARealAPIServer, TestDeleteRemovesVMAndPodAtOnce
//	 2 a pod without a running container is removed before its VM   TestDeletionsWithARealAPIServer, TestVirtualKubeletsForcedDeletionsAreOrderly
//	 3 the API pod goes when the timer fires, whatever its VM does   TestDeleteOfAStubbornPodEndsWithItsGracePeriod, TestDeleteIsTriedUntilItWorks
//	 4 deletions in a gap of the watch are dropped                   TestAVMWithoutAPodIsRemoved, TestAStaleListerRemovesNoVM
//	 5 a pod recreated under its name is taken for the old one       TestAnEarlierPodOfTheSameNameIsNotThisOne, TestTheVMOfAPodThatWasReplacedIsRemoved
//	 6 a restart with an empty store creates every pod again         TestRestartFindsItsPods, TestAVMThatWentWhileNoProviderRanIsNotMadeAnew
//	 7 a restart updates every pod                                   TestCreateAndUpdateAreIdempotent
//	 8 an error of UpdatePod or DeletePod ends a running pod         TestCreateAndUpdateAreIdempotent, TestDeleteIsTriedUntilItWorks
//	 9 a status carries stale metadata                               TestCreateAndUpdateAreIdempotent, TestAStatusUndoesNoLabel
//	10 an error of GetPod makes the pod anew                         TestPodsAreKnownWithoutVSphere
//	11 a pod's references to itself in its environment stop it       TestAPodMayReferToItselfWithARealAPIServer
//	12 right after a start, what pods refer to is not known yet      TestAPodWaitsForWhatItRefersTo, guests.TestCheckSaysWhatCannotBeRead
//	13 a failed create is forgotten after a while                    TestFailureThatPassesIsTriedAgain
//	14 a vCenter that is away makes the node NotReady                TestNodeStaysReadyWithoutVSphere
//	15 a slow pod blocks others                                      TestOnePodNeverWaitsForAnother
//	16 a pod that has ended is never heard of again, but deleted     TestAFinishedPodsVMIsPoweredOffAndItsStatusStays, TestFailedIsFailed

func TestDeletionsWithARealAPIServer(t *testing.T) {
	c := newCluster(t)
	stop := c.run()
	defer func() { stop() }()
	pods := c.client.CoreV1().Pods("default")
	gone := func(_ *corev1.Pod, err error) bool { return apierrors.IsNotFound(err) }

	// No container ever runs in this one, so that Virtual Kubelet would remove it from the API at once. Its guest takes a while
	// to stop, so that the VM would be there longer.
	_, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "pending", Annotations: map[string]string{
			vcsim.AnnotationHang: "true", vcsim.AnnotationStopDelay: "2s",
		}},
		Spec: corev1.PodSpec{
			NodeName: nodeName, Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers: []corev1.Container{{Name: "app", Image: "app:1"}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return c.podVMs() == 1 }, patience, 20*time.Millisecond, "its VM")
	require.NoError(t, pods.Delete(t.Context(), "pending", metav1.DeleteOptions{}))
	c.await("pending", "gone", gone)
	require.Zero(t, c.podVMs(), "the VM is gone before the pod is")

	// A finalizer sees how the pod ended, and no second VM comes of it.
	kept := c.create("kept")
	c.await("kept", "Running", running)
	patch := []byte(`{"metadata":{"finalizers":["example.com/keep"]}}`)
	_, err = pods.Patch(t.Context(), "kept", "application/merge-patch+json", patch, metav1.PatchOptions{})
	require.NoError(t, err)
	require.NoError(t, pods.Delete(t.Context(), "kept", metav1.DeleteOptions{}))
	ended := c.await("kept", "ended", func(pod *corev1.Pod, err error) bool {
		return err == nil && (pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed)
	})
	require.Equal(t, kept.UID, ended.UID)
	require.Eventually(t, func() bool { return c.podVMs() == 0 }, patience, 20*time.Millisecond, "no VM")
	_, err = pods.Patch(t.Context(), "kept", "application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	c.await("kept", "gone", gone)
	require.Zero(t, c.podVMs())

	// A pod is recreated under its name while no provider runs.
	first := c.create("web")
	c.await("web", "Running", running)
	stop()
	require.NoError(t, pods.Delete(t.Context(), "web", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	second := c.create("web")
	require.NotEqual(t, first.UID, second.UID)
	stop = c.run()
	again := c.await("web", "Running again", running)
	require.Equal(t, second.UID, again.UID)
	require.NoError(t, pods.Delete(t.Context(), "web", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	c.await("web", "gone", gone)
}

// Virtual Kubelet's own resolution refuses these before it asks the provider, without an Event or a status.
func TestAPodMayReferToItselfWithARealAPIServer(t *testing.T) {
	c := newCluster(t)
	defer c.run()()
	var env []corev1.EnvVar
	for _, path := range []string{"status.podIP", "status.podIPs", "status.hostIP", "spec.nodeName", "metadata.uid"} {
		source := &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
		env = append(env, corev1.EnvVar{Name: strings.ToUpper(strings.ReplaceAll(path, ".", "_")), ValueFrom: source})
	}
	env = append(env, corev1.EnvVar{Name: "CPUS", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}})
	_, err := c.client.CoreV1().Pods("default").Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "self"},
		Spec: corev1.PodSpec{
			NodeName: nodeName, Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers: []corev1.Container{{Name: "app", Image: "app:1", Env: env}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	c.await("self", "Running", running)
}
