// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/http"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"wolfpack/provider/election"
	"wolfpack/version"
)

// Requests to the API server a second: a pod's life takes about ten. client-go's default of 5 would let through one pod
// every other second.
const (
	apiQPS   = 500
	apiBurst = 1000
)

// cluster is how this process reaches Kubernetes. All its clients share their connections.
type cluster struct {
	config *rest.Config
	http   *http.Client
}

// newCluster is the cluster that kubectl would use too: that of the file, KUBECONFIG or ~/.kube/config, or else the one whose
// pod this runs in.
func newCluster(kubeconfig string) (*cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("no Kubernetes cluster given: name a configuration file with --kubeconfig or KUBECONFIG")
	}
	if err != nil {
		return nil, fmt.Errorf("kubernetes configuration: %w; name another file with --kubeconfig or KUBECONFIG", err)
	}
	config.QPS, config.Burst = apiQPS, apiBurst
	config.UserAgent = "wolfpack/" + version.Get().Version
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("kubernetes configuration: %w", err)
	}
	return &cluster{config, client}, nil
}

// client returns a client, fenced by term unless that is nil.
func (c *cluster) client(term *election.Term) (kubernetes.Interface, error) {
	shared := *c.http
	if term != nil {
		shared.Transport = term.Kubernetes(shared.Transport)
	}
	return kubernetes.NewForConfigAndClient(c.config, &shared)
}
