// SPDX-License-Identifier: Apache-2.0

// Package kube runs a real Kubernetes control plane for tests and the lab: etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler as `make kube` builds them, on free ports of one address, with certificates that are verified everywhere,
// RBAC on, and working service accounts, garbage collection and workload controllers. There is no node, no kube-proxy and
// no DNS: nodes are what is under test.
//
// A ControlPlane is its caller's to Stop; its methods are safe for concurrent use. All it writes is below Options.Dir, so
// any number of them can run side by side.
package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"wolfpack/tests/pki"
	"wolfpack/tests/process"
)

// Options says where a control plane runs. Dir is required.
type Options struct {
	// Dir is the folder for its data, certificates and kubeconfigs. It is made when missing, and is not removed by Stop.
	Dir string
	// Logs is the folder for the logs, a file for each program. Default: logs in Dir.
	Logs string
	// Binaries is the folder with the programs. Default: FindBinaries.
	Binaries string
	// Address is the IP address that everything listens on. Default: 127.0.0.1.
	Address string
	// ServiceCIDR is the range of the services' cluster IPs. Default: 10.96.0.0/16, of which 10.96.0.1 is the apiserver's.
	ServiceCIDR string
	// Egress, if set, is the Unix socket of an HTTP proxy whose CONNECT the apiserver uses for all its connections to nodes
	// and pods, so that their addresses need not exist.
	Egress string
}

// ControlPlane is a running control plane.
type ControlPlane struct {
	opts    Options
	ca      *pki.CA // signs what the apiserver, its clients and kubelets present
	etcdCA  *pki.CA // signs what etcd and its one client present
	etcdURL string
	url     string
	admin   *rest.Config
	pids    map[string]int
	group   process.Group
}

// Start starts a control plane and returns when it answers /readyz and its controllers run, seen by the namespaces and the
// default service account being there. When it fails nothing is left running. Until then the wait is bounded by ctx only;
// afterwards ctx has no effect.
func Start(ctx context.Context, opts Options) (*ControlPlane, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("start control plane: %w", err)
	}
	c := &ControlPlane{opts: opts, pids: map[string]int{}}
	for _, step := range []func(context.Context) error{
		c.makeCertificates, c.writeEgress, c.startEtcd, c.startAPIServer, c.writeKubeconfigs, c.startControllers, c.waitReady, c.allowKubeletClient, c.allowNodes,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("start control plane: %w", err), c.Stop(context.WithoutCancel(ctx)))
		}
	}
	return c, nil
}

func (o Options) withDefaults() (Options, error) {
	if o.Binaries == "" {
		var err error
		if o.Binaries, err = FindBinaries(); err != nil {
			return o, err
		}
	}
	if o.Address == "" {
		o.Address = "127.0.0.1"
	}
	if o.ServiceCIDR == "" {
		o.ServiceCIDR = "10.96.0.0/16"
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return o, err
	}
	if o.Logs == "" {
		o.Logs = filepath.Join(o.Dir, "logs")
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, "pki"), 0o700); err != nil {
		return o, err
	}
	return o, checkBinaries(o.Binaries)
}

// Kubeconfig returns the administrator's kubeconfig file (user kubernetes-admin, group system:masters).
func (c *ControlPlane) Kubeconfig() string { return c.path("admin.kubeconfig") }

// Config returns a new client configuration for the administrator, without client-side rate limits.
func (c *ControlPlane) Config() *rest.Config { return rest.CopyConfig(c.admin) }

// UserKubeconfig writes a kubeconfig file for a user in groups, who can do what RBAC lets them. NodeUser and NodeGroup are
// what a virtual node wants to be.
func (c *ControlPlane) UserKubeconfig(path, user string, groups ...string) error {
	pair, err := c.ca.Client(user, groups...)
	if err != nil {
		return fmt.Errorf("make kubeconfig for %s: %w", user, err)
	}
	if err := clientcmd.WriteToFile(kubeconfig(c.url, user, c.ca.Cert, pair), path); err != nil {
		return fmt.Errorf("make kubeconfig for %s: %w", user, err)
	}
	return nil
}

// KubeletCertificate makes a serving certificate for a node's kubelet endpoint, which the apiserver verifies.
func (c *ControlPlane) KubeletCertificate(host string, more ...string) (pki.Pair, error) {
	return c.ca.Server(host, more...)
}

// ClientCA returns the file with the CA of the client certificates, the apiserver's own towards kubelets among them.
func (c *ControlPlane) ClientCA() string { return c.path("pki", "ca.crt") }

// Pids returns the process ids by program name.
func (c *ControlPlane) Pids() map[string]int { return maps.Clone(c.pids) }

// Done is closed when the first of the programs ends by itself, and by Stop.
func (c *ControlPlane) Done() <-chan struct{} { return c.group.Done() }

// Err says which program ended by itself and how, or nil.
func (c *ControlPlane) Err() error { return c.group.Err() }

// Stop ends the programs, clients before servers. What they wrote stays.
func (c *ControlPlane) Stop(ctx context.Context) error { return c.group.Stop(ctx) }

// path returns a path below the control plane's folder.
func (c *ControlPlane) path(elem ...string) string {
	return filepath.Join(append([]string{c.opts.Dir}, elem...)...)
}

// client returns a clientset for the administrator.
func (c *ControlPlane) client() (*kubernetes.Clientset, error) {
	return kubernetes.NewForConfig(c.Config())
}
