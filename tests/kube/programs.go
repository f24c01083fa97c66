// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/tests/pki"
	"wolfpack/tests/process"
)

// startEtcd starts etcd and waits until it answers.
func (c *ControlPlane) startEtcd(ctx context.Context) error {
	port, err := c.startServer(ctx, "etcd", c.etcdCA, "/health", func(url string) []string {
		return []string{
			"--data-dir=" + c.path("etcd"),
			// A lab's data need not survive a power cut, and syncing each write costs seconds on a slow disk.
			"--unsafe-no-fsync",
			"--listen-client-urls=" + url,
			"--advertise-client-urls=" + url,
			"--cert-file=" + c.crt("etcd"), "--key-file=" + c.key("etcd"),
			"--trusted-ca-file=" + c.crt("etcd-ca"), "--client-cert-auth",
			// There are no peers, but a listener for them there must be; nobody needs to know its port.
			"--listen-peer-urls=https://" + net.JoinHostPort(c.opts.Address, "0"),
			"--peer-cert-file=" + c.crt("etcd"), "--peer-key-file=" + c.key("etcd"),
			"--peer-trusted-ca-file=" + c.crt("etcd-ca"), "--peer-client-cert-auth",
			"--log-level=warn",
		}
	})
	c.etcdURL = c.urlFor(port)
	return err
}

// startAPIServer starts kube-apiserver and waits until it is ready.
func (c *ControlPlane) startAPIServer(ctx context.Context) error {
	port, err := c.startServer(ctx, "kube-apiserver", c.ca, "/readyz", func(url string) []string {
		return append(c.egressArgs(),
			"--etcd-servers="+c.etcdURL,
			"--etcd-cafile="+c.crt("etcd-ca"), "--etcd-certfile="+c.crt("etcd-client"), "--etcd-keyfile="+c.key("etcd-client"),
			"--bind-address="+c.opts.Address,
			"--secure-port="+url[strings.LastIndex(url, ":")+1:],
			"--tls-cert-file="+c.crt("apiserver"), "--tls-private-key-file="+c.key("apiserver"),
			"--client-ca-file="+c.crt("ca"),
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true",
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file="+c.key("service-account"),
			"--service-account-signing-key-file="+c.key("service-account"),
			"--service-cluster-ip-range="+c.opts.ServiceCIDR,
			"--kubelet-certificate-authority="+c.crt("ca"),
			"--kubelet-client-certificate="+c.crt("kubelet-client"), "--kubelet-client-key="+c.key("kubelet-client"),
			"--kubelet-preferred-address-types=InternalIP,Hostname",
			// The endpoints of the service "kubernetes" may not be loopback addresses, so there is nothing to reconcile.
			"--advertise-address="+c.opts.Address,
			"--endpoint-reconciler-type=none",
			"--profiling=false",
		)
	})
	c.url = c.urlFor(port)
	return err
}

// startControllers starts kube-controller-manager and kube-scheduler. Neither serves anything: what they do is visible in
// the apiserver, and two ports less can collide.
func (c *ControlPlane) startControllers(context.Context) error {
	common := []string{
		"--secure-port=0", "--leader-elect=false", "--profiling=false",
		"--kube-api-qps=500", "--kube-api-burst=1000", // the defaults are for a shared, remote apiserver
	}
	for _, p := range []struct {
		name string
		args []string
	}{
		{"kube-controller-manager", []string{
			"--kubeconfig=" + c.path("controller-manager.kubeconfig"),
			"--use-service-account-credentials",
			"--service-account-private-key-file=" + c.key("service-account"),
			"--root-ca-file=" + c.crt("ca"),
			"--cluster-signing-cert-file=" + c.crt("ca"), "--cluster-signing-key-file=" + c.key("ca"),
			"--service-cluster-ip-range=" + c.opts.ServiceCIDR,
		}},
		{"kube-scheduler", []string{"--kubeconfig=" + c.path("scheduler.kubeconfig")}},
	} {
		started, err := c.run(p.name, append(p.args, common...))
		if err != nil {
			return err
		}
		c.adopt(started)
	}
	return nil
}

// waitReady waits for what the apiserver and the controllers make by themselves, and pods and nodes cannot do without.
func (c *ControlPlane) waitReady(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	err = process.Until(ctx, c, "there is a namespace for node leases", func(ctx context.Context) error {
		_, err := client.CoreV1().Namespaces().Get(ctx, corev1.NamespaceNodeLease, metav1.GetOptions{})
		return err
	})
	if err != nil {
		return err
	}
	return process.Until(ctx, c, "there is a default service account", func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts(corev1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// startServer starts a program that listens on a port and waits until it answers 200 on path. Whoever is quick can take a
// port between its choice and its use, so that is tried again with another one.
func (c *ControlPlane) startServer(
	ctx context.Context, name string, ca *pki.CA, path string, args func(url string) []string,
) (port int, err error) {
	get, err := probe(ca)
	if err != nil {
		return 0, err
	}
	for range 5 {
		if port, err = freePort(c.opts.Address); err != nil {
			return 0, err
		}
		p, startErr := c.run(name, args(c.urlFor(port)))
		if startErr != nil {
			return 0, startErr
		}
		err = process.Until(ctx, p, name+" answers", func(ctx context.Context) error { return get(ctx, c.urlFor(port)+path) })
		if err == nil {
			c.adopt(p)
			return port, nil
		}
		err = errors.Join(err, p.Stop(ctx))
		if !strings.Contains(err.Error(), "address already in use") {
			return 0, err
		}
	}
	return 0, err
}

// run starts a program of the control plane.
func (c *ControlPlane) run(name string, args []string) (*process.Process, error) {
	return process.Start(process.Spec{
		Name: name,
		Path: filepath.Join(c.opts.Binaries, name),
		Args: args,
		// Nothing else: etcd takes all its settings from ETCD_* variables too, and client-go has its own.
		Env:   []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.opts.Dir, "TMPDIR=" + os.TempDir()},
		Dir:   c.opts.Dir,
		Log:   filepath.Join(c.opts.Logs, name+".log"),
		Grace: 5 * time.Second,
	})
}

// adopt makes a program part of the control plane.
func (c *ControlPlane) adopt(p *process.Process) {
	c.group.Add(p)
	c.pids[p.Name()] = p.Pid()
}

func (c *ControlPlane) urlFor(port int) string {
	return "https://" + net.JoinHostPort(c.opts.Address, strconv.Itoa(port))
}

// freePort returns a TCP port of address that nobody listens on now.
func freePort(address string) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// probe returns a function that gets a URL as an administrator whom ca vouches for, and wants status 200.
func probe(ca *pki.CA) (func(ctx context.Context, url string) error, error) {
	pair, err := ca.Client("probe", "system:masters")
	if err != nil {
		return nil, err
	}
	cert, err := pair.TLS()
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true,
	}}
	return func(ctx context.Context, url string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, 2<<10))
		return errors.Join(fmt.Errorf("GET %s: %s: %s", url, resp.Status, body), err)
	}, nil
}
