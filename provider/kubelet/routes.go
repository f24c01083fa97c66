// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

// routes are the paths that are answered: a kubelet's, as far as they mean something for a virtual node. There are no
// /metrics/cadvisor and no /logs: this node has neither containers nor a system log of its own.
func (s *Server) routes(start time.Time) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+healthPath, healthy)
	mux.HandleFunc("GET "+healthPath+"/ping", healthy)
	mux.HandleFunc("GET /configz", s.configuration)

	mux.HandleFunc("GET /pods", s.pods(everyPod))
	mux.HandleFunc("GET /runningpods", s.pods(runningPod))
	mux.HandleFunc("GET /runningpods/{$}", s.pods(runningPod)) // as the kubelet writes it

	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.passThrough)
	for _, stream := range []string{
		"/exec/{namespace}/{pod}/{container}", "/exec/{namespace}/{pod}/{uid}/{container}",
		"/attach/{namespace}/{pod}/{container}", "/attach/{namespace}/{pod}/{uid}/{container}",
		"/portForward/{namespace}/{pod}", "/portForward/{namespace}/{pod}/{uid}",
	} {
		mux.HandleFunc("GET "+stream, s.passThrough)  // WebSocket
		mux.HandleFunc("POST "+stream, s.passThrough) // SPDY
	}
	mux.HandleFunc("POST /run/{namespace}/{pod}/{container}", s.passThrough)
	mux.HandleFunc("POST /run/{namespace}/{pod}/{uid}/{container}", s.passThrough)

	statistics := newStatistics(s.config.Pods, s.config.NodeName, start)
	mux.HandleFunc("GET /stats/summary", statistics.serveSummary)
	mux.HandleFunc("GET /metrics/resource", statistics.serveResource)
	mux.HandleFunc("GET /metrics/probes", newProbes(s.config.Pods).serve)
	if s.config.Metrics != nil {
		mux.Handle("GET /metrics", s.config.Metrics)
	}
	if s.config.Profiling {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// healthy says that this program answers. What vSphere and the guests do is told by the node's and the pods' conditions:
// a restart of the provider would mend neither.
func healthy(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }

// configuration tells the settings that a kubelet has too, under the kubelet's names.
func (s *Server) configuration(w http.ResponseWriter, r *http.Request) {
	tls := map[string]any{"serverTLSBootstrap": s.config.CertFile == "" && !s.config.SelfSigned}
	if s.config.CertFile != "" {
		tls = map[string]any{"tlsCertFile": s.config.CertFile, "tlsPrivateKeyFile": s.config.KeyFile}
	}
	settings := map[string]any{
		"kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1",
		"address": s.config.Address, "port": s.Port(), "tlsMinVersion": "VersionTLS12",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true, "cacheTTL": tokenTTL.String()},
			"x509":      map[string]any{"clientCAFile": s.config.ClientCAFile},
		},
		"authorization": map[string]any{"mode": "Webhook", "webhook": map[string]any{
			"cacheAuthorizedTTL": allowedTTL.String(), "cacheUnauthorizedTTL": deniedTTL.String(),
		}},
		"enableProfilingHandler": s.config.Profiling,
	}
	for name, value := range tls {
		settings[name] = value
	}
	writeJSON(w, r, map[string]any{"kubeletconfig": settings})
}

// pods answers with those of the node's pods that are wanted.
func (s *Server) pods(wanted func(*corev1.Pod) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		pods, err := s.config.Pods.GetPods(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{}}
		for _, pod := range pods {
			if wanted(pod) {
				list.Items = append(list.Items, *pod)
			}
		}
		writeJSON(w, r, list)
	}
}

func everyPod(*corev1.Pod) bool { return true }

// runningPod says whether the pod's containers run and shall go on. One that is being deleted is on its way out, however
// long its VM takes to shut down.
func runningPod(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil
}

func writeJSON(w http.ResponseWriter, r *http.Request, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		klog.FromContext(r.Context()).V(2).Info("Cannot answer", "path", r.URL.Path, "err", err)
	}
}
