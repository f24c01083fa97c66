// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// statistics are what the pods use, from their guests, and what the node uses, which is their sum.
type statistics struct {
	node  string
	start time.Time
	pods  *gatherer[stats.PodStats]

	// The gatherer's turn guards these, which make the node's processor time a counter: it keeps the time of pods that
	// have ended.
	used    uint64               // nanoseconds, of all pods since start
	counted map[types.UID]uint64 // each pod's, as contained in used
}

func newStatistics(pods Pods, node string, start time.Time) *statistics {
	return &statistics{
		node: node, start: start,
		pods: newGatherer(pods, "/stats/summary", parseSummary),
	}
}

// parseSummary takes the pod's own numbers from a guest's summary. It is the pod that names them: a guest speaks for no
// other.
func parseSummary(pod *corev1.Pod, body io.Reader) (stats.PodStats, error) {
	var summary stats.Summary
	if err := json.NewDecoder(body).Decode(&summary); err != nil {
		return stats.PodStats{}, fmt.Errorf("decode: %w", err)
	}
	for _, found := range summary.Pods {
		if found.PodRef.UID == string(pod.UID) {
			found.PodRef = stats.PodReference{Name: pod.Name, Namespace: pod.Namespace, UID: string(pod.UID)}
			return found, nil
		}
	}
	return stats.PodStats{}, fmt.Errorf("nothing on the pod with UID %s", pod.UID)
}

// summarize is the summary of the guests that answered, and the number of those that did not.
func (s *statistics) summarize(r *http.Request) (summary stats.Summary, silent int, err error) {
	err = s.pods.collect(r.Context(), func(answers []answer[stats.PodStats]) {
		summary.Pods = make([]stats.PodStats, 0, len(answers))
		for _, a := range answers {
			if a.err == nil {
				summary.Pods = append(summary.Pods, a.value)
			}
		}
		silent = len(answers) - len(summary.Pods)
		summary.Node = s.sum(answers)
	})
	return summary, silent, err
}

// sum is what the node uses, as of the latest answer.
func (s *statistics) sum(answers []answer[stats.PodStats]) stats.NodeStats {
	var nanoCores, usage, workingSet uint64
	var latest time.Time
	counted := make(map[types.UID]uint64, len(answers))
	for i := range answers {
		a := &answers[i]
		if a.err != nil {
			counted[a.pod.UID] = s.counted[a.pod.UID] // it may answer again
			continue
		}
		cpu, memory := podCPU(&a.value), podMemory(&a.value)
		nanoCores += value(cpu.UsageNanoCores)
		usage += value(memory.UsageBytes)
		workingSet += value(memory.WorkingSetBytes)
		counted[a.pod.UID] = value(cpu.UsageCoreNanoSeconds)
		s.used += increase(s.counted[a.pod.UID], counted[a.pod.UID])
		if a.at.After(latest) {
			latest = a.at
		}
	}
	s.counted = counted
	if latest.IsZero() {
		latest = time.Now()
	}
	used := s.used
	return stats.NodeStats{
		NodeName:  s.node,
		StartTime: metav1.NewTime(s.start),
		CPU:       &stats.CPUStats{Time: metav1.NewTime(latest), UsageNanoCores: &nanoCores, UsageCoreNanoSeconds: &used},
		Memory:    &stats.MemoryStats{Time: metav1.NewTime(latest), UsageBytes: &usage, WorkingSetBytes: &workingSet},
	}
}

// increase of a counter, which begins anew when the VM was reset.
func increase(before, now uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// podCPU is the pod's processor use, or the sum of its containers' if there is none.
func podCPU(pod *stats.PodStats) *stats.CPUStats {
	if pod.CPU != nil {
		return pod.CPU
	}
	var cores, time uint64
	for _, c := range pod.Containers {
		if c.CPU != nil {
			cores += value(c.CPU.UsageNanoCores)
			time += value(c.CPU.UsageCoreNanoSeconds)
		}
	}
	return &stats.CPUStats{UsageNanoCores: &cores, UsageCoreNanoSeconds: &time}
}

// podMemory is the pod's memory, or the sum of its containers' if there is none.
func podMemory(pod *stats.PodStats) *stats.MemoryStats {
	if pod.Memory != nil {
		return pod.Memory
	}
	var usage, workingSet uint64
	for _, c := range pod.Containers {
		if c.Memory != nil {
			usage += value(c.Memory.UsageBytes)
			workingSet += value(c.Memory.WorkingSetBytes)
		}
	}
	return &stats.MemoryStats{UsageBytes: &usage, WorkingSetBytes: &workingSet}
}

func value(p *uint64) uint64 {
	if p == nil {
		return 0
	}
	return *p
}

// serveSummary answers /stats/summary.
func (s *statistics) serveSummary(w http.ResponseWriter, r *http.Request) {
	summary, _, err := s.summarize(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if r.FormValue("only_cpu_and_memory") == "true" {
		summary.Pods = onlyCPUAndMemory(summary.Pods)
	}
	writeJSON(w, r, summary)
}

// onlyCPUAndMemory leaves out what metrics-server did not ask for.
func onlyCPUAndMemory(pods []stats.PodStats) []stats.PodStats {
	less := make([]stats.PodStats, len(pods))
	for i, pod := range pods {
		less[i] = stats.PodStats{PodRef: pod.PodRef, StartTime: pod.StartTime, CPU: pod.CPU, Memory: pod.Memory, Containers: []stats.ContainerStats{}}
		for _, c := range pod.Containers {
			less[i].Containers = append(less[i].Containers, stats.ContainerStats{Name: c.Name, StartTime: c.StartTime, CPU: c.CPU, Memory: c.Memory})
		}
	}
	return less
}
