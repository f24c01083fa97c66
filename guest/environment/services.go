// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// apiService is the service that every pod is told of, wherever it is.
const apiService = "kubernetes"

// Concerns says whether a pod of the namespace is told of the service by its environment: of those of its own namespace,
// unless it wants no links, and always of the API server's.
func Concerns(service *corev1.Service, namespace string, links bool) bool {
	if service.Spec.ClusterIP == "" || service.Spec.ClusterIP == corev1.ClusterIPNone {
		return false
	}
	return isAPIService(service) || links && service.Namespace == namespace
}

// Links says whether the pod wants to be told of its namespace's services.
func Links(pod *corev1.Pod) bool {
	return pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks
}

func isAPIService(service *corev1.Service) bool {
	return service.Namespace == metav1.NamespaceDefault && service.Name == apiService
}

// serviceVariables are the variables of all services that concern the pod. A service of the pod's namespace that is called
// as the API server's comes before that.
func serviceVariables(source Source) map[string]string {
	byName := map[string]*corev1.Service{}
	for _, service := range source.Services {
		if !Concerns(service, source.Pod.Namespace, Links(source.Pod)) {
			continue
		}
		if _, there := byName[service.Name]; !there || !isAPIService(service) {
			byName[service.Name] = service
		}
	}
	variables := map[string]string{}
	for _, service := range byName {
		addService(variables, service)
	}
	return variables
}

// addService adds the variables of one service: its host, its ports, and what Docker's links had.
func addService(variables map[string]string, service *corev1.Service) {
	name, host := variableName(service.Name), service.Spec.ClusterIP
	variables[name+"_SERVICE_HOST"] = host
	for i, port := range service.Spec.Ports {
		number := strconv.Itoa(int(port.Port))
		protocol := port.Protocol
		if protocol == "" {
			protocol = corev1.ProtocolTCP
		}
		scheme := strings.ToLower(string(protocol))
		url := scheme + "://" + net.JoinHostPort(host, number)
		if i == 0 {
			variables[name+"_SERVICE_PORT"] = number
			variables[name+"_PORT"] = url
		}
		if port.Name != "" {
			variables[name+"_SERVICE_PORT_"+variableName(port.Name)] = number
		}
		link := name + "_PORT_" + number + "_" + strings.ToUpper(string(protocol))
		variables[link] = url
		variables[link+"_PROTO"] = scheme
		variables[link+"_PORT"] = number
		variables[link+"_ADDR"] = host
	}
}

func variableName(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// ServiceOf is what a service's variables are made from, and nothing else of it.
func ServiceOf(service *corev1.Service) *corev1.Service {
	lean := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: service.Namespace, Name: service.Name}}
	lean.Spec.ClusterIP = service.Spec.ClusterIP
	lean.Spec.Ports = slices.Clone(service.Spec.Ports)
	return lean
}
