// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/klog/v2"

	"wolfpack/errs"
	"wolfpack/provider"
	"wolfpack/provider/election"
	"wolfpack/provider/kubelet"
	"wolfpack/provider/logging"
	"wolfpack/provider/metrics"
	"wolfpack/provider/portlayer/vcenter"
	"wolfpack/provider/tracing"
	"wolfpack/vch"
	"wolfpack/version"
	"wolfpack/vsphere"
)

// nodeOptions are the flags of wolfpack node.
type nodeOptions struct {
	vchs                      []string
	name, address, kubeconfig string
	maxPods                   int
	kubelet                   kubelet.Options
	systemNamespace           string
	log                       logging.Config
	health                    string
	keepFinished              time.Duration
	labels                    labelOptions
	election                  electionOptions
}

func newNodeCommand() *cobra.Command {
	o := nodeOptions{kubelet: kubelet.Options{Port: kubelet.DefaultPort}}
	conn := &connection{Config: vsphere.ConfigFromEnv()}
	cmd := &cobra.Command{
		Use:   "node --vch NAME...",
		Short: "Run the virtual nodes of virtual container hosts",
		Long: `Register a virtual node with Kubernetes and run each pod that is put on it as a VM of its own
in the virtual container host. With several --vch, each has a node of its own in this process;
when one of them fails, all end.

It runs until it is interrupted. Its pods run on without it; when it is started again, it finds
them by what their VMs say of themselves. The node stays in Kubernetes as well.

Capacity is what the VCH's resource pool may use: what the usable hosts have (connected, powered
on, not in maintenance), within the limits of the pool and those above it, less what is reserved
for others. Allocatable is that less the endpoint VM and other VMs in the pool that are on and no
pods'. Both follow vSphere within moments.

Conditions: the node is Ready while this program runs, with or without vSphere, because
Kubernetes evicts pods from a node that is not; VSphereReachable says whether vSphere answers.
MemoryPressure means that hypervisors take memory back from the VMs, or that there is no usable
host; DiskPressure, that the VCH's datastore is full (less than 10 % or 50 GiB left), gone or not
accessible; NetworkUnavailable, that no host provides the VCH's network.
` + fmt.Sprintf(labelHelp, provider.Taint.ToString()) + `
` + electionHelp + `

It serves kubectl logs, exec, attach and port-forward, and metrics, on the node's kubelet endpoint.
The cluster signs its certificate; unless something in the cluster approves such requests, an admin
does: kubectl get csr, kubectl certificate approve NAME. Of several nodes, each has the next port
after --kubelet-port.

The VM of a pod that has Succeeded or Failed is powered off after --keep-finished-vms, and gives its
CPU and memory back; until then kubectl logs works. It is removed with its pod.

Where OTEL_EXPORTER_OTLP_ENDPOINT names an OpenTelemetry collector, it sends traces there; all of
OpenTelemetry's standard variables are heeded.`,
		Example: `  wolfpack node --vch web --kubeconfig ~/.kube/config

  # in a pod of the cluster, with its service account
  wolfpack node --vch web --node-name web-node --address 10.0.0.7

  # the nodes wolfpack-web and wolfpack-db; the same once more on another machine stands by
  wolfpack node --vch web --vch db --leader-elect

  # for pods that tolerate dedicated=db alone
  wolfpack node --vch db --no-default-taint --node-taints dedicated=db:NoSchedule`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runNode(cmd.Context(), conn.Config, o) },
	}
	conn.Flags(cmd.Flags())
	o.log.Flags(cmd.Flags())
	cmd.Flags().StringVar(&o.health, "health-address", "", "where to answer /healthz over plain HTTP, such as :8081, for whoever restarts what has died (default nowhere)")
	o.kubelet.Flags(cmd.Flags())
	flags := cmd.Flags()
	flags.StringSliceVar(&o.vchs, "vch", nil, "virtual container host to run pods in (required); can be given several times")
	flags.StringVar(&o.name, "node-name", "", "name of the node in Kubernetes, with one --vch (default wolfpack-NAME)")
	flags.StringVar(&o.address, "address", "", "IP address of the node, which its pods report as hostIP (default this machine's first)")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "Kubernetes configuration file (default ~/.kube/config, or the cluster of the pod it runs in) [KUBECONFIG]")
	flags.StringVar(&o.systemNamespace, "system-namespace", provider.DefaultSystemNamespace, "namespace for what is the node's own, such as the Secret with the CA of its guests")
	flags.IntVar(&o.maxPods, "max-pods", 250, "most pods that a node takes")
	flags.DurationVar(&o.keepFinished, "keep-finished-vms", 5*time.Minute, "how long the VM of a pod that has ended stays powered on, for its logs")
	o.labels.flags(flags)
	o.election.flags(flags)
	_ = cmd.RegisterFlagCompletionFunc("vch", conn.completeNames)
	return cmd
}

// runNode runs the nodes until ctx ends, which is no error. The steps: check the flags; connect to vSphere; find each VCH; run
// a node for each.
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
	nodes, err := o.complete()
	if err != nil {
		return err
	}
	cluster, err := newCluster(o.kubeconfig)
	if err != nil {
		return errs.New("node", errs.Invalid, "%w", err)
	}
	measured := metrics.New()
	traces, err := tracing.Start(ctx, nodeNames(nodes)...)
	if err != nil {
		return err
	}
	defer traces.Stop(ctx)
	config.Observe = vsphere.Observers(measured.Request, traces.Request)
	config.Purpose = "node " + strings.Join(nodeNames(nodes), ",")
	client, err := vsphere.Connect(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = client.Logout(ctx) }() // a session that stays is vCenter's to expire
	for _, options := range nodes {
		if _, err := vch.Find(ctx, client, options.VCH); err != nil {
			return err
		}
	}
	group, running := errgroup.WithContext(ctx)
	for _, options := range nodes {
		options.Metrics, options.Traces, options.Kubelet.Metrics = measured, traces, measured.Handler()
		one := nodeRun{o, options, client, cluster}
		group.Go(func() error {
			if err := one.run(running); err != nil && ctx.Err() == nil {
				return fmt.Errorf("node %s: %w", options.NodeName, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// nodeRun is one node's part of the process.
type nodeRun struct {
	nodeOptions
	options provider.Options
	client  *vsphere.Client
	cluster *cluster
}

// run runs the node until ctx ends, as soon as it is this process's to run.
func (r nodeRun) run(ctx context.Context) error {
	if !r.election.elect {
		return r.lead(ctx, nil)
	}
	client, err := r.cluster.client(nil)
	if err != nil {
		return err
	}
	return election.Run(ctx, r.election.config(client, r.systemNamespace, r.options.NodeName), r.lead)
}

// lead runs the node until ctx ends, fenced by term unless that is nil. It looks for the VCH again: a standby may have waited
// for long.
func (r nodeRun) lead(ctx context.Context, term *election.Term) error {
	host, err := vch.Find(ctx, r.client, r.options.VCH)
	if err != nil {
		return err
	}
	options := r.options
	if options.Labels, err = r.labels.topology(ctx, r.client, host); err != nil {
		return err
	}
	if options.Client, err = r.cluster.client(term); err != nil {
		return err
	}
	fenced := r.client.Client
	if term != nil {
		fenced = r.client.Guarded(term.Check)
	}
	options.VCHID, options.Portlayer = host.ID, vcenter.New(fenced, vcenter.TargetOf(host))
	klog.FromContext(ctx).Info("Starting the virtual node", "node", options.NodeName, "vch", host.Name, "version", version.Get().String())
	return provider.Run(ctx, options)
}

// complete fills in the defaults, for each node, and connects to nothing yet.
func (o *nodeOptions) complete() ([]provider.Options, error) {
	const op = "node"
	if len(o.vchs) == 0 {
		return nil, errs.New(op, errs.Invalid, "no virtual container host given: name one with --vch; wolfpack vch ls shows them")
	}
	if o.name != "" && len(o.vchs) > 1 {
		return nil, errs.New(op, errs.Invalid, "node-name is %q, but there are %d VCHs: leave it out, and each node is called after its VCH", o.name, len(o.vchs))
	}
	if o.address == "" {
		o.address = firstAddress()
	}
	if net.ParseIP(o.address) == nil {
		return nil, errs.New(op, errs.Invalid, "address %q is no IP address, want one such as 10.0.0.7", o.address)
	}
	if o.maxPods < 1 {
		return nil, errs.New(op, errs.Invalid, "max-pods is %d, want at least 1", o.maxPods)
	}
	if o.keepFinished < 0 {
		return nil, errs.New(op, errs.Invalid, "keep-finished-vms is %s, want at least 0s", o.keepFinished)
	}
	if err := o.kubelet.Validate(); err != nil {
		return nil, err
	}
	taints, err := o.labels.check()
	if err != nil {
		return nil, err
	}
	if err := o.election.check(); err != nil {
		return nil, err
	}
	var nodes []provider.Options
	for i, name := range o.vchs {
		if slices.Contains(o.vchs[:i], name) {
			return nil, errs.New(op, errs.Invalid, "VCH %q is given twice", name)
		}
		nodeName := cmp.Or(o.name, "wolfpack-"+name)
		if wrong := validation.IsDNS1123Subdomain(nodeName); len(wrong) > 0 {
			return nil, errs.New(op, errs.Invalid, "%q is no name of a node: %s; choose one with --node-name", nodeName, strings.Join(wrong, "; "))
		}
		nodes = append(nodes, provider.Options{
			NodeName: nodeName, VCH: name, Address: o.address, MaxPods: o.maxPods, Taints: taints, Keep: o.keepFinished, SystemNamespace: o.systemNamespace,
			Kubelet: o.endpoint(i, nodeName),
		})
	}
	return nodes, nil
}

// nodeNames are the names of the nodes of this process.
func nodeNames(nodes []provider.Options) []string {
	var names []string
	for _, node := range nodes {
		names = append(names, node.NodeName)
	}
	return names
}

// endpoint is the kubelet endpoint of one of the nodes. Each has a port and, where there are several, a folder for its
// certificate of its own.
func (o *nodeOptions) endpoint(i int, node string) *kubelet.Options {
	own := o.kubelet
	if own.Port != 0 {
		own.Port += i
	}
	if own.CertDir != "" && len(o.vchs) > 1 {
		own.CertDir = filepath.Join(own.CertDir, node)
	}
	return &own
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
