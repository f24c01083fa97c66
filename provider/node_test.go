// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	utilversion "k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/yaml"

	"wolfpack/provider/portlayer"
)

var update = flag.Bool("update", false, "write golden files anew")

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// testHost is what the tests' VMs run on.
func testHost() portlayer.Host {
	return portlayer.Host{
		Product: "VMware vCenter Server 8.0.3 build-24022515", Version: "8.0.3",
		All: portlayer.Resources{CPUs: 4.5, MemoryBytes: 8 << 30}, Others: portlayer.Resources{CPUs: 1, MemoryBytes: 2 << 30},
		Hosts: 3, UsableHosts: 3,
		Datastore: portlayer.Datastore{Name: "ssd", Found: true, Accessible: true, Capacity: 100 << 30, Free: 50 << 30},
		Network:   portlayer.Network{Name: "pods", Found: true, Accessible: true},
	}
}

func testConfig() NodeConfig {
	return NodeConfig{
		Name: "n", VCH: "v", VCHID: "4c4c4544-0042-3010-8035-b4c04f4d4132", Address: "192.0.2.1", MaxPods: 7,
		Labels: map[string]string{"tier": "gold", LabelVCH: "not mine to say"}, Taints: []corev1.Taint{Taint},
	}
}

// newTestNode is a node that has been told of host.
func newTestNode(t *testing.T, host portlayer.Host) *Node {
	t.Helper()
	n := NewNode(testConfig())
	n.Observe(portlayer.Update{Sync: true, Host: &host})
	return n
}

func nodeCondition(node *corev1.Node, kind corev1.NodeConditionType) corev1.NodeCondition {
	for _, c := range node.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return corev1.NodeCondition{}
}

// The whole object, for a reader.
func TestNodeObject(t *testing.T) {
	host := testHost()
	node := nodeObject(testConfig(), &host, nil, nil, noon)
	text, err := yaml.Marshal(node)
	require.NoError(t, err)
	text = regexp.MustCompile(regexp.QuoteMeta(strings.TrimPrefix(kubeletVersion(), kubernetesVersion+"-wolfpack-"))).ReplaceAll(text, []byte("VERSION"))
	text = regexp.MustCompile(`osImage: .*`).ReplaceAll(text, []byte("osImage: GUEST NAME"))
	golden := filepath.Join("testdata", "node.yaml")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, text, 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(text))
	require.Equal(t, guestName(), node.Status.NodeInfo.OSImage)
}

func TestKubeletVersionIsComparable(t *testing.T) {
	parsed, err := utilversion.ParseSemantic(kubeletVersion())
	require.NoError(t, err)
	require.EqualValues(t, 1, parsed.Major())
	mod, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	require.Regexp(t, `k8s.io/api v0`+regexp.QuoteMeta(strings.TrimPrefix(kubernetesVersion, "v1")), string(mod),
		"the version that the node reports is that of the Kubernetes libraries")
}

func TestNodeBeforeVSphereAnswers(t *testing.T) {
	node := NewNode(testConfig()).Object()
	require.True(t, node.Status.Capacity.Cpu().IsZero())
	for _, kind := range []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodeNetworkUnavailable, ConditionVSphereReachable} {
		require.Equal(t, corev1.ConditionUnknown, nodeCondition(node, kind).Status, kind)
	}
}

func TestAllocatableIsNeverNegative(t *testing.T) {
	host := testHost()
	host.Others = portlayer.Resources{CPUs: 99, MemoryBytes: 1 << 40}
	_, allocatable := resources(&host, 7)
	require.True(t, allocatable.Cpu().IsZero())
	require.True(t, allocatable.Memory().IsZero())
}

func TestNodeConditions(t *testing.T) {
	cases := []struct {
		name   string
		change func(*portlayer.Host)
		kind   corev1.NodeConditionType
		status corev1.ConditionStatus
		reason string
		says   string
	}{
		{"memory", func(*portlayer.Host) {}, corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", ""},
		{"a little reclaimed", func(h *portlayer.Host) { h.ReclaimedMemory = 300 << 20 }, corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", ""},
		{"much reclaimed", func(h *portlayer.Host) { h.ReclaimedMemory = 500 << 20 }, corev1.NodeMemoryPressure, corev1.ConditionTrue, "HypervisorReclaimsMemory", "500Mi from running VMs, more than 5 % of the 8Gi that VCH v may use"},
		{"no usable host", func(h *portlayer.Host) { h.UsableHosts, h.All = 0, portlayer.Resources{} }, corev1.NodeMemoryPressure, corev1.ConditionTrue, "NoUsableHost", "none of the 3 hosts of VCH v"},
		{"no memory", func(h *portlayer.Host) { h.All.MemoryBytes = 0 }, corev1.NodeMemoryPressure, corev1.ConditionTrue, "NoMemory", "limits of its resource pool"},
		{"disk", func(*portlayer.Host) {}, corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "datastore ssd has more than 10Gi left"},
		{"a tenth left", func(h *portlayer.Host) { h.Datastore.Free = 11 << 30 }, corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", ""},
		{"less than a tenth left", func(h *portlayer.Host) { h.Datastore.Free = 9 << 30 }, corev1.NodeDiskPressure, corev1.ConditionTrue, "KubeletHasDiskPressure", "datastore ssd has 9Gi left, less than 10Gi"},
		{"little left of a large one", func(h *portlayer.Host) { h.Datastore.Capacity, h.Datastore.Free = 50<<40, 60<<30 }, corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "more than 50Gi"},
		{"datastore gone", func(h *portlayer.Host) { h.Datastore = portlayer.Datastore{Name: "ssd"} }, corev1.NodeDiskPressure, corev1.ConditionTrue, "DatastoreNotFound", "datastore ssd does not exist"},
		{"datastore not accessible", func(h *portlayer.Host) { h.Datastore.Accessible = false }, corev1.NodeDiskPressure, corev1.ConditionTrue, "DatastoreNotAccessible", "no host reaches datastore ssd"},
		{"datastore in maintenance", func(h *portlayer.Host) { h.Datastore.MaintenanceMode = true }, corev1.NodeDiskPressure, corev1.ConditionTrue, "DatastoreInMaintenance", "ssd"},
		{"network", func(*portlayer.Host) {}, corev1.NodeNetworkUnavailable, corev1.ConditionFalse, "NetworkAvailable", "pods"},
		{"network gone", func(h *portlayer.Host) { h.Network.Found = false }, corev1.NodeNetworkUnavailable, corev1.ConditionTrue, "NetworkNotFound", "does not exist"},
		{"network not accessible", func(h *portlayer.Host) { h.Network.Accessible = false }, corev1.NodeNetworkUnavailable, corev1.ConditionTrue, "NetworkNotAccessible", "no host provides network pods"},
		{"process IDs", func(*portlayer.Host) {}, corev1.NodePIDPressure, corev1.ConditionFalse, "NoSharedProcessIDs", "of its own"},
		{"vSphere", func(*portlayer.Host) {}, ConditionVSphereReachable, corev1.ConditionTrue, "VSphereAnswers", "VMware vCenter Server 8.0.3"},
		{"ready", func(h *portlayer.Host) { *h = portlayer.Host{} }, corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			host := testHost()
			tc.change(&host)
			c := nodeCondition(newTestNode(t, host).Object(), tc.kind)
			require.Equal(t, tc.status, c.Status)
			require.Equal(t, tc.reason, c.Reason)
			require.Contains(t, c.Message, tc.says)
		})
	}
}

func TestNodeStaysReadyWithoutVSphere(t *testing.T) {
	n := newTestNode(t, testHost())
	n.Observe(portlayer.Update{Lost: errors.New("no answer")})
	object := n.Object()
	require.Equal(t, corev1.ConditionTrue, nodeCondition(object, corev1.NodeReady).Status)
	require.Equal(t, corev1.ConditionFalse, nodeCondition(object, ConditionVSphereReachable).Status)
	require.Contains(t, nodeCondition(object, ConditionVSphereReachable).Message, "no answer")
	require.Equal(t, "8Gi", object.Status.Capacity.Memory().String(), "what is known stays")
	require.Equal(t, corev1.ConditionFalse, nodeCondition(object, corev1.NodeDiskPressure).Status, "what is known stays")
	require.NoError(t, n.Ping(t.Context()))

	host := testHost()
	host.All.CPUs = 9
	n.Observe(portlayer.Update{Sync: true, Host: &host})
	require.Equal(t, "9", n.Object().Status.Capacity.Cpu().String())
	require.Equal(t, corev1.ConditionTrue, nodeCondition(n.Object(), ConditionVSphereReachable).Status)
}

func TestNodeConditionsKeepTheirTime(t *testing.T) {
	host := testHost()
	before := nodeConditions(testConfig(), &host, nil, nil, noon)
	after := nodeConditions(testConfig(), &host, errors.New("gone"), before, noon.Add(time.Hour))
	for i := range after {
		want := noon
		if after[i].Type == ConditionVSphereReachable {
			want = noon.Add(time.Hour)
		}
		require.Equal(t, metav1.NewTime(want), after[i].LastTransitionTime, after[i].Type)
	}
}

func TestNodeRemembersConditionsOverARestart(t *testing.T) {
	n := newTestNode(t, testHost())
	n.remember([]corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(noon)},
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(noon)},
	})
	require.Equal(t, metav1.NewTime(noon), nodeCondition(n.Object(), corev1.NodeReady).LastTransitionTime)
	require.NotEqual(t, metav1.NewTime(noon), nodeCondition(n.Object(), corev1.NodeDiskPressure).LastTransitionTime, "it changed meanwhile")
}

func TestNodeIsReportedWhenItChanges(t *testing.T) {
	n := newTestNode(t, testHost())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reports := make(chan *corev1.Node)
	n.NotifyNodeStatus(ctx, func(node *corev1.Node) { reports <- node })
	require.Equal(t, "4500m", (<-reports).Status.Capacity.Cpu().String())

	same := testHost()
	n.Observe(portlayer.Update{Host: &same})
	n.Observe(portlayer.Update{Changed: []portlayer.VM{{ID: "vm-1"}}})
	host := testHost()
	host.All.CPUs = 2
	n.Observe(portlayer.Update{Host: &host})
	require.Equal(t, "2", (<-reports).Status.Capacity.Cpu().String(), "what did not change is not reported")
}

func TestAdmit(t *testing.T) {
	host := testHost()
	n := newTestNode(t, host)
	asks := func(cpu, memory string) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)},
		}}}}}
	}
	require.NoError(t, n.Admit(asks("3500m", "6Gi")))

	var rejected *Rejection
	require.ErrorAs(t, n.Admit(asks("4", "1Gi")), &rejected)
	require.Equal(t, "OutOfcpu", rejected.Reason)
	require.EqualError(t, rejected, "The pod asks for 4 of cpu, and VCH v has 3500m in all")
	require.ErrorAs(t, n.Admit(asks("1", "7Gi")), &rejected)
	require.Equal(t, "OutOfmemory", rejected.Reason)

	host.UsableHosts, host.All = 0, portlayer.Resources{}
	n.Observe(portlayer.Update{Host: &host})
	require.NoError(t, n.Admit(asks("4", "1Gi")), "what the node will have is not known")
}

func TestRejectedPodFailsWithTheKubeletsReason(t *testing.T) {
	w := newWorld(t)
	w.Provider.config.Admit = newTestNode(t, testHost()).Admit
	pod := w.apply("u-1", func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Ti")}
	})
	s := w.awaitPhase(pod.UID, corev1.PodFailed)
	require.Equal(t, "OutOfmemory", s.Reason)
	require.Empty(t, w.host.VMs())
}

func TestLabelValue(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "web": "web", "8.0.3": "8.0.3", "a b/c": "a-b-c", "--x--": "x", "é": "", "ünder": "nder",
		strings.Repeat("a", 80): strings.Repeat("a", 63), strings.Repeat("a", 62) + "-b": strings.Repeat("a", 62),
	} {
		require.Equal(t, want, LabelValue(text), text)
	}
}

func FuzzLabelValue(f *testing.F) {
	f.Add("a b")
	f.Fuzz(func(t *testing.T, text string) {
		require.Empty(t, validation.IsValidLabelValue(LabelValue(text)), text)
	})
}

func TestKeepTaints(t *testing.T) {
	taint := func(key, value string) corev1.Taint {
		return corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffectNoSchedule}
	}
	cordon := taint(corev1.TaintNodeUnschedulable, "")
	cases := []struct {
		name        string
		there       []corev1.Taint
		record      string
		shall, want []corev1.Taint
	}{
		{"all there", []corev1.Taint{Taint}, formatTaints([]corev1.Taint{Taint}), []corev1.Taint{Taint}, []corev1.Taint{Taint}},
		{"removed by somebody", []corev1.Taint{cordon}, "", []corev1.Taint{Taint}, []corev1.Taint{cordon, Taint}},
		{"value changed by somebody", []corev1.Taint{{Key: Taint.Key, Value: "x", Effect: Taint.Effect}}, "", []corev1.Taint{Taint}, []corev1.Taint{Taint}},
		{"no longer ours", []corev1.Taint{cordon, taint("old", "1")}, "old:NoSchedule", []corev1.Taint{Taint}, []corev1.Taint{cordon, Taint}},
		{"never ours", []corev1.Taint{taint("theirs", "1")}, "old:NoSchedule", []corev1.Taint{Taint}, []corev1.Taint{taint("theirs", "1"), Taint}},
		{"none wanted", []corev1.Taint{Taint, cordon}, formatTaints([]corev1.Taint{Taint}), nil, []corev1.Taint{cordon}},
		{"another effect is another taint", []corev1.Taint{{Key: Taint.Key, Effect: corev1.TaintEffectNoExecute}}, "", []corev1.Taint{Taint}, []corev1.Taint{{Key: Taint.Key, Effect: corev1.TaintEffectNoExecute}, Taint}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, keepTaints(tc.there, tc.record, tc.shall))
		})
	}
}
