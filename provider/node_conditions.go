// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/provider/portlayer"
)

// ConditionVSphereReachable is the node condition that says whether vSphere answers. The node stays Ready without it:
// its pods run on, and Kubernetes would evict them from a node that is not Ready.
const ConditionVSphereReachable corev1.NodeConditionType = "VSphereReachable"

const (
	// reclaimPercent of the memory that the virtual container host may use is what the hypervisor may have taken back from
	// running VMs before it counts as pressure. It takes back nothing while there is enough; a little stays swapped out for
	// long after the need has passed.
	reclaimPercent = 5
	// A datastore is full at the kubelet's threshold for its own disk, freePercent of its capacity, but at freeBytes at the
	// most: a tenth of a large shared datastore is room for thousands of VMs.
	freePercent = 10
	freeBytes   = 50 << 30
)

// nodeConditions are the node's conditions: a pure function. What vSphere last said stays while it does not answer. Each keeps
// the time of its last transition from before. Kubernetes taints the node by them.
func nodeConditions(config NodeConfig, host *portlayer.Host, lost error, before []corev1.NodeCondition, now time.Time) []corev1.NodeCondition {
	all := []corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "wolfpack is running"},
		unknown(corev1.NodeMemoryPressure),
		unknown(corev1.NodeDiskPressure),
		{
			Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse, Reason: "NoSharedProcessIDs",
			Message: "each pod has a VM, and so process IDs, of its own",
		},
		unknown(corev1.NodeNetworkUnavailable),
		reachable(host, lost),
	}
	if host != nil {
		all[1], all[2], all[4] = memoryPressure(config, host), diskPressure(host.Datastore), networkUnavailable(host.Network)
	}
	for i := range all {
		all[i].LastTransitionTime = metav1.NewTime(now.Truncate(time.Second))
		for _, old := range before {
			if old.Type == all[i].Type && old.Status == all[i].Status {
				all[i].LastTransitionTime = old.LastTransitionTime
			}
		}
	}
	return all
}

func unknown(kind corev1.NodeConditionType) corev1.NodeCondition {
	return corev1.NodeCondition{Type: kind, Status: corev1.ConditionUnknown, Reason: "VSphereNotAskedYet", Message: "vSphere has not answered yet"}
}

func reachable(host *portlayer.Host, lost error) corev1.NodeCondition {
	switch {
	case lost != nil:
		return corev1.NodeCondition{
			Type: ConditionVSphereReachable, Status: corev1.ConditionFalse, Reason: "VSphereUnavailable",
			Message: "pods run on, but nothing is known of them and none can be started or stopped: " + lost.Error(),
		}
	case host == nil:
		return unknown(ConditionVSphereReachable)
	default:
		return corev1.NodeCondition{
			Type: ConditionVSphereReachable, Status: corev1.ConditionTrue, Reason: "VSphereAnswers", Message: host.Product + " answers",
		}
	}
}

func memoryPressure(config NodeConfig, host *portlayer.Host) corev1.NodeCondition {
	c := corev1.NodeCondition{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue}
	switch {
	case host.UsableHosts == 0:
		c.Reason = "NoUsableHost"
		c.Message = fmt.Sprintf("none of the %d hosts of VCH %s runs VMs: each is disconnected, powered off or in maintenance", host.Hosts, config.VCH)
	case host.All.MemoryBytes == 0:
		c.Reason, c.Message = "NoMemory", fmt.Sprintf("VCH %s may use no memory: see the limits of its resource pool and what is reserved beside it", config.VCH)
	case host.ReclaimedMemory > host.All.MemoryBytes/100*reclaimPercent:
		c.Reason = "HypervisorReclaimsMemory"
		c.Message = fmt.Sprintf("vSphere has taken back %s from running VMs, more than %d %% of the %s that VCH %s may use",
			bytes(host.ReclaimedMemory), reclaimPercent, bytes(host.All.MemoryBytes), config.VCH)
	default:
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "KubeletHasSufficientMemory", "VMs have the memory that they were given"
	}
	return c
}

func diskPressure(store portlayer.Datastore) corev1.NodeCondition {
	c := corev1.NodeCondition{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue}
	least := min(store.Capacity/100*freePercent, freeBytes)
	switch {
	case !store.Found:
		c.Reason, c.Message = "DatastoreNotFound", fmt.Sprintf("datastore %s does not exist, or this user may not see it", store.Name)
	case !store.Accessible:
		c.Reason, c.Message = "DatastoreNotAccessible", fmt.Sprintf("no host reaches datastore %s", store.Name)
	case store.MaintenanceMode:
		c.Reason, c.Message = "DatastoreInMaintenance", fmt.Sprintf("datastore %s is in maintenance mode", store.Name)
	case store.Free < least:
		c.Reason = "KubeletHasDiskPressure"
		c.Message = fmt.Sprintf("datastore %s has %s left, less than %s", store.Name, bytes(store.Free), bytes(least))
	default:
		c.Status, c.Reason = corev1.ConditionFalse, "KubeletHasNoDiskPressure"
		c.Message = fmt.Sprintf("datastore %s has more than %s left", store.Name, bytes(least))
	}
	return c
}

func networkUnavailable(network portlayer.Network) corev1.NodeCondition {
	c := corev1.NodeCondition{Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionTrue}
	switch {
	case !network.Found:
		c.Reason, c.Message = "NetworkNotFound", "the network of the VCH does not exist, or this user may not see it"
	case !network.Accessible:
		c.Reason, c.Message = "NetworkNotAccessible", fmt.Sprintf("no host provides network %s", network.Name)
	default:
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "NetworkAvailable", fmt.Sprintf("network %s is provided", network.Name)
	}
	return c
}

// bytes is a number of bytes for people.
func bytes(n int64) string {
	return resource.NewQuantity(n>>20<<20, resource.BinarySI).String()
}
