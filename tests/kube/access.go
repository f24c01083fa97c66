// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"wolfpack/tests/pki"
)

// NodeGroup is the group of virtual nodes. The manifest NodeRBAC says what it may do.
const NodeGroup = "wolfpack:nodes"

// NodeUser returns the user name of the virtual node called node.
//
// It is not system:node:<name>, because the node authorizer would let it read only the objects that its own pods refer to,
// one by one, while Virtual Kubelet's pod controller lists and watches ConfigMaps, Secrets and Services.
func NodeUser(node string) string { return "wolfpack:node:" + node }

// NodeRBAC is the manifest of the role that a virtual node needs and its binding to NodeGroup.
//
//go:embed node-rbac.yaml
var NodeRBAC string

// writeKubeconfigs makes the kubeconfig files of the administrator and of the control plane's own clients. Kubernetes has
// roles for the latter by their names.
func (c *ControlPlane) writeKubeconfigs(context.Context) error {
	for _, u := range []struct {
		file, user string
		groups     []string
	}{
		{"admin.kubeconfig", "kubernetes-admin", []string{"system:masters"}},
		{"controller-manager.kubeconfig", "system:kube-controller-manager", nil},
		{"scheduler.kubeconfig", "system:kube-scheduler", nil},
	} {
		if err := c.UserKubeconfig(c.path(u.file), u.user, u.groups...); err != nil {
			return err
		}
	}
	var err error
	if c.admin, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig()); err != nil {
		return fmt.Errorf("read the kubeconfig just written: %w", err)
	}
	c.admin.QPS = -1 // no limit on this side: the apiserver's priority and fairness is the limit
	return nil
}

// kubeconfig returns the kubeconfig of one user of the apiserver at url.
func kubeconfig(url, user string, ca []byte, pair pki.Pair) clientcmdapi.Config {
	const cluster = "wolfpack"
	config := clientcmdapi.NewConfig()
	config.Clusters[cluster] = &clientcmdapi.Cluster{Server: url, CertificateAuthorityData: ca}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.Cert, ClientKeyData: pair.Key}
	config.Contexts[cluster] = &clientcmdapi.Context{Cluster: cluster, AuthInfo: user}
	config.CurrentContext = cluster
	return *config
}

// makeCertificates makes the control plane's certificates. etcd has a CA of its own: it lets every certificate of its CA
// do everything, and no Kubernetes user may go around the apiserver.
func (c *ControlPlane) makeCertificates(context.Context) error {
	var err error
	if c.ca, err = pki.NewCA("wolfpack kubernetes"); err != nil {
		return err
	}
	if c.etcdCA, err = pki.NewCA("wolfpack etcd"); err != nil {
		return err
	}
	serviceIP, err := firstIP(c.opts.ServiceCIDR)
	if err != nil {
		return err
	}
	server := func(ca *pki.CA, hosts ...string) func() (pki.Pair, error) {
		return func() (pki.Pair, error) { return ca.Server(c.opts.Address, hosts...) }
	}
	client := func(ca *pki.CA, user string, groups ...string) func() (pki.Pair, error) {
		return func() (pki.Pair, error) { return ca.Client(user, groups...) }
	}
	for _, f := range []struct {
		name string
		make func() (pki.Pair, error)
	}{
		{"ca", func() (pki.Pair, error) { return c.ca.Pair, nil }},
		{"etcd-ca", func() (pki.Pair, error) { return c.etcdCA.Pair, nil }},
		{"etcd", server(c.etcdCA)},
		{"etcd-client", client(c.etcdCA, "kube-apiserver")},
		{"apiserver", server(c.ca, "localhost", serviceIP,
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")},
		{"kubelet-client", client(c.ca, kubeletClient)},
		{"service-account", client(c.ca, "service-account")}, // only its key is used
	} {
		pair, err := f.make()
		if err != nil {
			return err
		}
		if err := pair.WriteFiles(c.crt(f.name), c.key(f.name)); err != nil {
			return err
		}
	}
	return nil
}

// crt and key return the files of the certificate called name.
func (c *ControlPlane) crt(name string) string { return c.path("pki", name+".crt") }
func (c *ControlPlane) key(name string) string { return c.path("pki", name+".key") }

// firstIP returns the first address of a range after its network address, which Kubernetes gives to its own service.
func firstIP(cidr string) (string, error) {
	_, ipnet, err := net.ParseCIDR(cidr)
	if err != nil {
		return "", fmt.Errorf("service range: %w", err)
	}
	ip := ipnet.IP
	ip[len(ip)-1]++
	return ip.String(), nil
}

// kubeletClient is the user that the apiserver is towards kubelets.
const kubeletClient = "kube-apiserver-kubelet-client"

// allowKubeletClient lets the apiserver use kubelets, by the role that Kubernetes has for it and binds to nobody.
func (c *ControlPlane) allowKubeletClient(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return fmt.Errorf("allow the apiserver to use kubelets: %w", err)
	}
	_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: kubeletClient},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:kubelet-api-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: kubeletClient}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("allow the apiserver to use kubelets: %w", err)
	}
	return nil
}

// allowNodes applies NodeRBAC.
func (c *ControlPlane) allowNodes(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return fmt.Errorf("apply node RBAC: %w", err)
	}
	for doc := range strings.SplitSeq(NodeRBAC, "\n---\n") {
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode([]byte(doc), nil, nil)
		if err != nil {
			return fmt.Errorf("apply node RBAC: %w", err)
		}
		switch o := object.(type) {
		case *corev1.Namespace:
			_, err = client.CoreV1().Namespaces().Create(ctx, o, metav1.CreateOptions{})
		case *rbacv1.ClusterRole:
			_, err = client.RbacV1().ClusterRoles().Create(ctx, o, metav1.CreateOptions{})
		case *rbacv1.ClusterRoleBinding:
			_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, o, metav1.CreateOptions{})
		case *rbacv1.Role:
			_, err = client.RbacV1().Roles(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
		case *rbacv1.RoleBinding:
			_, err = client.RbacV1().RoleBindings(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
		default:
			err = fmt.Errorf("a %T has no place in node-rbac.yaml", o)
		}
		if err != nil {
			return fmt.Errorf("apply node RBAC: %w", err)
		}
	}
	return nil
}
