// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"strings"

	"github.com/go-logr/logr"
	"github.com/virtual-kubelet/virtual-kubelet/errdefs"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"wolfpack/errs"
)

// passThrough hands a request for a pod to the kubelet inside its VM, and the connection with it if it becomes a stream.
func (s *Server) passThrough(w http.ResponseWriter, r *http.Request) {
	namespace, name := r.PathValue("namespace"), r.PathValue("pod")
	pod, err := s.config.Pods.GetPod(r.Context(), namespace, name)
	if err == nil {
		err = names(pod, r)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	target, transport, err := s.config.Pods.Guest(r.Context(), namespace, name)
	if err != nil {
		refuse(w, err)
		return
	}
	logger := klog.FromContext(r.Context()).WithValues("pod", klog.KObj(pod))
	logger.V(2).Info("Request is passed to the pod's guest", "method", r.Method, "path", r.URL.Path)
	proxy := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			withoutCredentials(p.Out.Header)
		},
		Transport:      transport,
		FlushInterval:  -1, // followed logs appear line by line
		ModifyResponse: distrust,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil { // else the client has gone, or this server is going
				logger.Error(err, "The pod's guest does not answer", "path", r.URL.Path)
			}
			http.Error(w, fmt.Sprintf("the guest of pod %s/%s does not answer: %v", namespace, name, err), http.StatusBadGateway)
		},
		ErrorLog: slog.NewLogLogger(logr.ToSlogHandler(logger.V(2)), slog.LevelInfo),
	}
	proxy.ServeHTTP(w, r)
}

// names says whether the request's UID and container, where it names them, are the pod's. The words are the kubelet's.
func names(pod *corev1.Pod, r *http.Request) error {
	if uid := r.PathValue("uid"); uid != "" && uid != string(pod.UID) {
		return errs.New("kubelet.names", errs.NotFound, "pod not found")
	}
	if container := r.PathValue("container"); container != "" && !hasContainer(&pod.Spec, container) {
		return errs.New("kubelet.names", errs.NotFound, "container %q not found in pod %q", container, pod.Name)
	}
	return nil
}

func hasContainer(spec *corev1.PodSpec, name string) bool {
	for i := range spec.Containers {
		if spec.Containers[i].Name == name {
			return true
		}
	}
	for i := range spec.InitContainers {
		if spec.InitContainers[i].Name == name {
			return true
		}
	}
	for i := range spec.EphemeralContainers {
		if spec.EphemeralContainers[i].Name == name {
			return true
		}
	}
	return false
}

// refuse answers with an error's status.
func refuse(w http.ResponseWriter, err error) {
	switch {
	case errdefs.IsNotFound(err), errs.Is(err, errs.NotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errs.Is(err, errs.Unavailable):
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// withoutCredentials drops what says who the client is: it is this server that the guest knows, and a guest is its
// tenant's, who shall not get hold of an admin's token. Hop-by-hop headers httputil drops itself.
func withoutCredentials(header http.Header) {
	for name := range header {
		switch {
		case name == "Authorization", name == "Cookie",
			strings.HasPrefix(name, "Impersonate-"), strings.HasPrefix(name, "X-Remote-"):
			header.Del(name)
		}
	}
}

// distrust turns a guest's refusal of this server into an error of its own. Passed on, it would tell the client that it is
// the client who lacks a permission. To an upgrade, 403 is a WebSocket server's word for a protocol that it does not speak.
func distrust(response *http.Response) error {
	upgrade := response.Request.Header.Get("Upgrade") != ""
	if response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden && !upgrade {
		return errors.New("it refuses the provider: " + response.Status)
	}
	return nil
}
