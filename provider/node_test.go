// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/errs"
	"wolfpack/provider/portlayer"
	"wolfpack/provider/portlayer/inprocess"
)

func newTestNode(t *testing.T) (*Node, *inprocess.Host) {
	t.Helper()
	host := inprocess.New()
	host.Has = portlayer.Capacity{CPUs: 4.5, MemoryBytes: 8 << 30}
	node, err := NewNode(t.Context(), "n", "v", "192.0.2.1", 7, host.Capacity)
	require.NoError(t, err)
	return node, host
}

func nodeCondition(node *corev1.Node, kind corev1.NodeConditionType) corev1.NodeCondition {
	for _, c := range node.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return corev1.NodeCondition{}
}

func TestNodeShowsTheCapacityOfTheVCH(t *testing.T) {
	node, _ := newTestNode(t)
	object := node.Object()
	require.Equal(t, "4500m", object.Status.Capacity.Cpu().String())
	require.Equal(t, "8Gi", object.Status.Allocatable.Memory().String())
	require.Equal(t, "7", object.Status.Allocatable.Pods().String())
	require.Equal(t, []corev1.Taint{Taint}, object.Spec.Taints)
	require.Equal(t, "v", object.Labels["wolfpack.vch"])
	require.Equal(t, corev1.ConditionTrue, nodeCondition(object, corev1.NodeReady).Status)
	require.Equal(t, corev1.ConditionTrue, nodeCondition(object, ConditionVSphereReachable).Status)
	require.Equal(t, "192.0.2.1", object.Status.Addresses[0].Address)
}

func TestNodeNeedsVSphereToBegin(t *testing.T) {
	host := inprocess.New()
	host.Before = func(string, portlayer.ID) error { return errs.New("test", errs.Unavailable, "no answer") }
	_, err := NewNode(t.Context(), "n", "v", "192.0.2.1", 7, host.Capacity)
	require.ErrorContains(t, err, "no answer")
}

func TestNodeStaysReadyWithoutVSphere(t *testing.T) {
	node, host := newTestNode(t)
	require.False(t, node.refresh(t.Context()), "nothing changed")

	host.Before = func(string, portlayer.ID) error { return errs.New("test", errs.Unavailable, "no answer") }
	require.True(t, node.refresh(t.Context()))
	object := node.Object()
	require.Equal(t, corev1.ConditionTrue, nodeCondition(object, corev1.NodeReady).Status)
	reachable := nodeCondition(object, ConditionVSphereReachable)
	require.Equal(t, corev1.ConditionFalse, reachable.Status)
	require.Equal(t, "no answer", reachable.Message)
	require.Equal(t, "8Gi", object.Status.Capacity.Memory().String(), "the last known capacity stays")
	require.NoError(t, node.Ping(t.Context()))

	host.Before = func(string, portlayer.ID) error { return nil }
	host.Has.CPUs = 9
	require.True(t, node.refresh(t.Context()))
	require.Equal(t, "9", node.Object().Status.Capacity.Cpu().String())
	require.Equal(t, corev1.ConditionTrue, nodeCondition(node.Object(), ConditionVSphereReachable).Status)
}

func TestNodeConditionsKeepTheirTime(t *testing.T) {
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	before := nodeConditions(nil, nil, first)
	after := nodeConditions(errs.New("test", errs.Unavailable, "gone"), before, first.Add(time.Hour))
	for i := range after {
		want := first
		if after[i].Type == ConditionVSphereReachable {
			want = first.Add(time.Hour)
		}
		require.Equal(t, metav1.NewTime(want), after[i].LastTransitionTime, after[i].Type)
	}
}

func TestAdmit(t *testing.T) {
	node, _ := newTestNode(t)
	asks := func(cpu, memory string) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)},
		}}}}}
	}
	require.NoError(t, node.Admit(asks("4500m", "8Gi")))

	var rejected *Rejection
	require.ErrorAs(t, node.Admit(asks("5", "1Gi")), &rejected)
	require.Equal(t, "OutOfcpu", rejected.Reason)
	require.EqualError(t, rejected, "The pod asks for 5 of cpu, and VCH v has 4500m in all")
	require.ErrorAs(t, node.Admit(asks("1", "9Gi")), &rejected)
	require.Equal(t, "OutOfmemory", rejected.Reason)
}

func TestRejectedPodFailsWithTheKubeletsReason(t *testing.T) {
	node, _ := newTestNode(t)
	w := newWorld(t)
	w.Provider.config.Admit = node.Admit
	pod := w.apply("u-1", func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Ti")}
	})
	s := w.awaitPhase(pod.UID, corev1.PodFailed)
	require.Equal(t, "OutOfmemory", s.Reason)
	require.Empty(t, w.host.VMs())
}

func TestNodeStatusIsReportedUntilTheContextEnds(t *testing.T) {
	node, _ := newTestNode(t)
	ctx, cancel := context.WithCancel(t.Context())
	node.NotifyNodeStatus(ctx, func(*corev1.Node) {})
	cancel()
	require.ErrorIs(t, node.Ping(ctx), context.Canceled)
}
