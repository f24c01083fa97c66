// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/cert"

	"wolfpack/tests/kube"
	"wolfpack/tests/process"
)

// waitNode waits until the virtual node is ready.
func (l *Lab) waitNode(ctx context.Context) error {
	client, done, err := l.client()
	if err != nil {
		return err
	}
	defer done()
	return process.Until(ctx, &l.group, "node "+l.opts.Node+" is Ready", func(ctx context.Context) error {
		node, err := client.CoreV1().Nodes().Get(ctx, l.opts.Node, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range node.Status.Conditions {
			if c.Type != corev1.NodeReady {
				continue
			}
			if c.Status == corev1.ConditionTrue {
				return nil
			}
			return fmt.Errorf("condition Ready is %s: %s: %s", c.Status, c.Reason, c.Message)
		}
		return fmt.Errorf("no condition Ready among %d", len(node.Status.Conditions))
	})
}

// waitEndpoint waits until the node's kubelet endpoint, if it has one, has the certificate that the cluster's CA signed.
func (l *Lab) waitEndpoint(ctx context.Context) error {
	client, done, err := l.client()
	if err != nil {
		return err
	}
	defer done()
	node, err := client.CoreV1().Nodes().Get(ctx, l.opts.Node, metav1.GetOptions{})
	if err != nil {
		return err
	}
	port := node.Status.DaemonEndpoints.KubeletEndpoint.Port
	if port == 0 {
		return nil
	}
	authorities, err := cert.NewPool(l.kube.ClientCA())
	if err != nil {
		return err
	}
	address := net.JoinHostPort(localhost, strconv.Itoa(int(port)))
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}}
	return process.Until(ctx, &l.group, "the kubelet endpoint "+address+" has its certificate", func(ctx context.Context) error {
		connection, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return connection.Close()
	})
}

// approveCertificates begins to approve the certificates of kubelet endpoints: of all nodes in a cluster of the lab's own,
// in a foreign one of the lab's node only.
func (l *Lab) approveCertificates(context.Context) error {
	client, done, err := l.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- kube.ApproveKubeletCertificates(ctx, client, func(node string) bool { return l.kube != nil || node == l.opts.Node })
	}()
	l.group.Add(newUndo(func(context.Context) error {
		cancel()
		defer done()
		return <-ended
	}))
	return nil
}

// deleteNode removes the virtual node's object from a cluster that outlives the lab.
func (l *Lab) deleteNode(ctx context.Context) error {
	client, done, err := l.client()
	if err != nil {
		return err
	}
	defer done()
	err = client.CoreV1().Nodes().Delete(ctx, l.opts.Node, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete node %s: %w", l.opts.Node, err)
	}
	return nil
}

// client returns a clientset for the lab's cluster, and a function that ends its connections.
func (l *Lab) client() (client *kubernetes.Clientset, done func(), err error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.info.Kubeconfig)
	if err != nil {
		return nil, nil, fmt.Errorf("use kubeconfig: %w", err)
	}
	http, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, nil, fmt.Errorf("use kubeconfig: %w", err)
	}
	if client, err = kubernetes.NewForConfigAndClient(config, http); err != nil {
		return nil, nil, fmt.Errorf("use kubeconfig: %w", err)
	}
	return client, http.CloseIdleConnections, nil
}
