// SPDX-License-Identifier: Apache-2.0

// Package simkubelet is the kubelet endpoint of simulated guests: what `kubectl logs`, exec, attach, port-forward and top
// ask for, and the path of the guest contract that takes the pod's bundle. It runs nothing: what a container has logged
// and used follows from its status and the time, and a command is one of these, which need no image:
//
//	env              prints the container's environment, resolved from the bundle, a NAME=value each line
//	echo WORD...     prints the words
//	cat              copies its input to its output
//	stty size        prints rows and columns of the terminal, as it was last resized
//	sleep N          waits N seconds, or a duration such as 1m
//	exit N           ends with code N
//	sh -c TEXT       runs the commands in TEXT one after another, divided by ; or a new line; $NAME is replaced by the
//	                 variable, and a command that ends in >&2 prints to standard error
//	sh               runs the commands that it reads
//
// Any other ends with code 127 and a message. These annotations of the pod say what its containers log and serve:
//
//	sim.wolfpack/log         text that each container logs when it starts, after a first line of its own
//	sim.wolfpack/log-every   duration after which it logs a further line, again and again
//	sim.wolfpack/forward     where port-forward leads, such as "8080=127.0.0.1:3000,9090=127.0.0.1:3001"; other ports that
//	                         the containers declare answer HTTP, or, if the port's name is echo, return what they get
//
// There is no goroutine but for requests under way.
package simkubelet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"wolfpack/guest/contract"
)

// Guest is a simulated guest at one moment. It is never changed.
type Guest struct {
	Pod      *corev1.Pod       // nil if it has none
	Status   *corev1.PodStatus // nil before its first report
	Booted   time.Time
	CPUs     int32
	MemoryMB int32
	Memory   *Memory
}

// Memory is what a guest was told since it booted. The zero value is that of a guest that has just booted.
type Memory struct {
	mu     sync.Mutex // guards all below
	bundle *contract.Bundle
	digest string
	pushes int
}

// Bundle returns the last bundle, or nil, and how many there were.
func (m *Memory) Bundle() (_ *contract.Bundle, pushes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bundle, m.pushes
}

// Find returns the guest that a request is for, as it is now. If there is none, it answers the request itself and returns
// false.
type Find func(w http.ResponseWriter, r *http.Request) (Guest, bool)

// kubelet serves all guests.
type kubelet struct{ find Find }

// New returns the handler of all guests' endpoints.
func New(find Find) http.Handler {
	k := &kubelet{find: find}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", k.guest(healthz))
	mux.HandleFunc("GET /pods", k.guest(pods))
	mux.HandleFunc("GET /stats/summary", k.guest(summary))
	mux.HandleFunc("GET /metrics/resource", k.guest(resourceMetrics))
	mux.HandleFunc("GET /metrics/probes", k.guest(probeMetrics))
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.container(k.logs))
	for _, method := range []string{"GET", "POST"} {
		mux.HandleFunc(method+" /exec/{namespace}/{pod}/{container}", k.container(k.exec))
		mux.HandleFunc(method+" /exec/{namespace}/{pod}/{uid}/{container}", k.container(k.exec))
		mux.HandleFunc(method+" /attach/{namespace}/{pod}/{container}", k.container(k.attach))
		mux.HandleFunc(method+" /attach/{namespace}/{pod}/{uid}/{container}", k.container(k.attach))
		mux.HandleFunc(method+" /portForward/{namespace}/{pod}", k.pod(k.portForward))
		mux.HandleFunc(method+" /portForward/{namespace}/{pod}/{uid}", k.pod(k.portForward))
	}
	mux.HandleFunc("HEAD "+contract.BundlePath, k.guest(headBundle))
	mux.HandleFunc("PUT "+contract.BundlePath, k.guest(putBundle))
	return mux
}

// guest is a handler that needs a guest.
func (k *kubelet) guest(serve func(http.ResponseWriter, *http.Request, Guest)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if g, ok := k.find(w, r); ok {
			serve(w, r, g)
		}
	}
}

// pod is a handler for the pod that the path names.
func (k *kubelet) pod(serve func(http.ResponseWriter, *http.Request, Guest)) http.HandlerFunc {
	return k.guest(func(w http.ResponseWriter, r *http.Request, g Guest) {
		namespace, name, uid := r.PathValue("namespace"), r.PathValue("pod"), types.UID(r.PathValue("uid"))
		if g.Pod == nil || g.Pod.Namespace != namespace || g.Pod.Name != name || uid != "" && g.Pod.UID != uid {
			http.Error(w, fmt.Sprintf("pod %q not found", name), http.StatusNotFound)
			return
		}
		serve(w, r, g)
	})
}

// container is a handler for the container that the path names.
func (k *kubelet) container(serve func(http.ResponseWriter, *http.Request, Guest, *corev1.Container)) http.HandlerFunc {
	return k.pod(func(w http.ResponseWriter, r *http.Request, g Guest) {
		name := r.PathValue("container")
		container := find(g.Pod, name)
		if container == nil {
			http.Error(w, fmt.Sprintf("container %q not found in pod %q", name, g.Pod.Name), http.StatusNotFound)
			return
		}
		serve(w, r, g, container)
	})
}

// find returns a container of any kind by name, or nil.
func find(pod *corev1.Pod, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// status returns the status of a container.
func (g Guest) status(name string) corev1.ContainerStatus {
	if g.Status != nil {
		for _, list := range [][]corev1.ContainerStatus{g.Status.ContainerStatuses, g.Status.InitContainerStatuses} {
			for i := range list {
				if list[i].Name == name {
					return list[i]
				}
			}
		}
	}
	return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}}
}

func healthz(w http.ResponseWriter, _ *http.Request, _ Guest) {
	_, _ = w.Write([]byte("ok")) // a client that has left needs no answer, here and below
}

// pods answers as the kubelet does: the pods of the node, which are one.
func pods(w http.ResponseWriter, _ *http.Request, g Guest) {
	list := corev1.PodList{}
	list.Kind, list.APIVersion = "PodList", "v1"
	if g.Pod != nil {
		pod := g.Pod.DeepCopy()
		if g.Status != nil {
			pod.Status = *g.Status
		}
		list.Items = append(list.Items, *pod)
	}
	writeJSON(w, list)
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}
