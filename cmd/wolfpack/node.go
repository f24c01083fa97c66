// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"wolfpack/errs"
	"wolfpack/provider"
	"wolfpack/provider/kubelet"
	"wolfpack/provider/logging"
	"wolfpack/provider/metrics"
	"wolfpack/provider/portlayer/vcenter"
	"wolfpack/provider/tracing"
	"wolfpack/vch"
	"wolfpack/version"
	"wolfpack/vsphere"
)

// Requests to the API server a second: a pod's life takes about ten. client-go's default of 5 would let through one pod
// every other second.
const (
	apiQPS   = 500
	apiBurst = 1000
)

// nodeOptions are the flags of wolfpack node.
type nodeOptions struct {
	vch, name, address, kubeconfig string
	maxPods                        int
	systemNamespace                string
	kubelet                        kubelet.Options
	log                            logging.Config
	health                         string
}

func newNodeCommand() *cobra.Command {
	o := nodeOptions{kubelet: kubelet.Options{Port: kubelet.DefaultPort}}
	conn := &connection{Config: vsphere.ConfigFromEnv()}
	cmd := &cobra.Command{
		Use:   "node --vch NAME",
		Short: "Run the virtual node of a virtual container host",
		Long: `Register a virtual node with Kubernetes and run each pod that is put on it as a VM of its own
in the virtual container host. The node has the taint ` + provider.Taint.ToString() + `,
which pods must tolerate, and the labels type=virtual-kubelet and wolfpack.vch=NAME. Its capacity
is what the VCH's resource pool may use.

It runs until it is interrupted. Its pods run on without it; when it is started again, it finds
them by what their VMs say of themselves.

It serves kubectl logs, exec, attach and port-forward, and metrics, on the node's kubelet endpoint.
The cluster signs its certificate; unless something in the cluster approves such requests, an admin
does: kubectl get csr, kubectl certificate approve NAME.

Where OTEL_EXPORTER_OTLP_ENDPOINT names an OpenTelemetry collector, it sends traces there; all of
OpenTelemetry's standard variables are heeded.`,
		Example: `  wolfpack node --vch web --kubeconfig ~/.kube/config

  # in a pod of the cluster, with its service account
  wolfpack node --vch web --node-name web-node --address 10.0.0.7`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runNode(cmd.Context(), conn.Config, o) },
	}
	conn.Flags(cmd.Flags())
	o.log.Flags(cmd.Flags())
	cmd.Flags().StringVar(&o.health, "health-address", "", "where to answer /healthz over plain HTTP, such as :8081, for whoever restarts what has died (default nowhere)")
	o.kubelet.Flags(cmd.Flags())
	flags := cmd.Flags()
	flags.StringVar(&o.vch, "vch", "", "virtual container host to run pods in (required)")
	flags.StringVar(&o.name, "node-name", "", "name of the node in Kubernetes (default wolfpack-NAME)")
	flags.StringVar(&o.address, "address", "", "IP address of the node, which its pods report as hostIP (default this machine's first)")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "Kubernetes configuration file (default ~/.kube/config, or the cluster of the pod it runs in) [KUBECONFIG]")
	flags.StringVar(&o.systemNamespace, "system-namespace", provider.DefaultSystemNamespace, "namespace for what is the node's own, such as the Secret with the CA of its guests")
	flags.IntVar(&o.maxPods, "max-pods", 250, "most pods that the node takes")
	_ = cmd.RegisterFlagCompletionFunc("vch", conn.completeNames)
	return cmd
}

// runNode runs the node until ctx ends, which is no error. The steps: find the VCH; reach Kubernetes; run.
func runNode(ctx context.Context, config vsphere.Config, o nodeOptions) error {
	if err := o.log.Apply(); err != nil {
		return err
	}
	defer logging.Flush()
	stopHealth, err := serveHealth(o.health)
	if err != nil {
		return err
	}
	defer stopHealth()
	options, err := o.complete()
	if err != nil {
		return err
	}
	options.Metrics = metrics.New()
	options.Kubelet.Metrics = options.Metrics.Handler()
	if options.Traces, err = tracing.Start(ctx, options.NodeName); err != nil {
		return err
	}
	defer options.Traces.Stop(ctx)
	config.Observe = vsphere.Observers(options.Metrics.Request, options.Traces.Request)
	config.Purpose = "node " + options.NodeName
	client, err := vsphere.Connect(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = client.Logout(ctx) }() // a session that stays is vCenter's to expire
	host, err := vch.Find(ctx, client, o.vch)
	if err != nil {
		return err
	}
	options.Portlayer = vcenter.New(client.Client, vcenter.TargetOf(host))
	klog.FromContext(ctx).Info("Starting the virtual node", "node", options.NodeName, "vch", host.Name, "version", version.Get().String())
	err = provider.Run(ctx, options)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// complete fills in the defaults and connects to nothing yet.
func (o nodeOptions) complete() (provider.Options, error) {
	const op = "node"
	if o.vch == "" {
		return provider.Options{}, errs.New(op, errs.Invalid, "no virtual container host given: name one with --vch; wolfpack vch ls shows them")
	}
	if o.name == "" {
		o.name = "wolfpack-" + o.vch
	}
	if o.address == "" {
		o.address = firstAddress()
	}
	if net.ParseIP(o.address) == nil {
		return provider.Options{}, errs.New(op, errs.Invalid, "address %q is no IP address, want one such as 10.0.0.7", o.address)
	}
	if o.maxPods < 1 {
		return provider.Options{}, errs.New(op, errs.Invalid, "max-pods is %d, want at least 1", o.maxPods)
	}
	if err := o.kubelet.Validate(); err != nil {
		return provider.Options{}, err
	}
	client, err := o.kubernetes()
	if err != nil {
		return provider.Options{}, errs.New(op, errs.Invalid, "%w", err)
	}
	return provider.Options{
		NodeName: o.name, VCH: o.vch, Address: o.address, MaxPods: o.maxPods, Client: client, SystemNamespace: o.systemNamespace,
		Kubelet: &o.kubelet,
	}, nil
}

// kubernetes is a client of the cluster that kubectl would use too: that of the flag, KUBECONFIG or ~/.kube/config, or else
// the one whose pod this runs in.
func (o nodeOptions) kubernetes() (kubernetes.Interface, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("no Kubernetes cluster given: name a configuration file with --kubeconfig or KUBECONFIG")
	}
	if err != nil {
		return nil, fmt.Errorf("kubernetes configuration: %w; name another file with --kubeconfig or KUBECONFIG", err)
	}
	config.QPS, config.Burst = apiQPS, apiBurst
	config.UserAgent = "wolfpack/" + version.Get().Version
	return kubernetes.NewForConfig(config)
}

// firstAddress is this machine's first address that others can reach, or else the loopback one.
func firstAddress() string {
	addresses, _ := net.InterfaceAddrs()
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
			return network.IP.String()
		}
	}
	return "127.0.0.1"
}
