// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
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

const nodeHelp = `Register a virtual node with Kubernetes, and run each pod that is put on it as a VM of its own in the
virtual container host that --vch names. With several --vch, each has a node of its own in this
process; when one of them fails, all end.

It runs until it is interrupted. Its pods run on without it; when it is started again, it finds
them by what their VMs say of themselves. The node stays in Kubernetes as well. What it may do there
is listed in deploy/wolfpack.yaml, which also runs it in the cluster itself.

Capacity is what the VCH's resource pool may use: what the usable hosts have (connected, powered
on, not in maintenance), within the limits of the pool and those above it, less what is reserved
for others. Allocatable is that less the endpoint VM and other VMs in the pool that are on and no
pods'. Both follow vSphere within moments.

Conditions: the node is Ready while this program runs, with or without vSphere, because
Kubernetes evicts pods from a node that is not; VSphereReachable says whether vSphere answers.
MemoryPressure means that hypervisors take memory back from the VMs, or that there is no usable
host; DiskPressure, that the VCH's datastore is full (less than 10 % or 50 GiB left), gone or not
accessible; NetworkUnavailable, that no host provides the VCH's network.

Finished pods: the VM of a pod that has Succeeded or Failed is powered off after --keep-finished-vms,
and gives its CPU and memory back; until then kubectl logs works. It is removed with its pod.
`

const endpointHelp = `
Kubelet endpoint: each node serves kubectl logs, exec, attach and port-forward, and metrics, at its
--address. The cluster signs its certificate; unless something in the cluster approves such requests,
an admin does at each start, or at the first alone with --cert-dir, until it is renewed. A certificate
of your own (--tls-cert-file) needs no approval. Of several nodes, each has the next port after
--kubelet-port, and a folder of its name in --cert-dir. A kubelet on the same machine has port 10250
already.

Traces: where OTEL_EXPORTER_OTLP_ENDPOINT names an OpenTelemetry collector, it gets them; all of
OpenTelemetry's standard variables are heeded.`

func newNodeCommand() *cobra.Command {
	o := nodeOptions{kubelet: kubelet.Options{Port: kubelet.DefaultPort}}
	conn := &connection{Config: vsphere.ConfigFromEnv()}
	cmd := &cobra.Command{
		Use:   "node --vch NAME...",
		Short: "Run the virtual nodes of virtual container hosts",
		Long:  nodeHelp + fmt.Sprintf(labelHelp, provider.Taint.ToString()) + electionHelp + endpointHelp,
		Example: `  # a node called wolfpack-web for the VCH web
  export GOVC_URL=https://vc.example.com/sdk GOVC_USERNAME=wolfpack GOVC_PASSWORD=...
  wolfpack node --vch web --kubeconfig ~/.kube/config

  # let the API server trust its kubelet endpoint, for kubectl logs and exec
  kubectl get csr
  kubectl certificate approve csr-8x2lq

  # the nodes wolfpack-web and wolfpack-db; the same once more on another machine stands by
  wolfpack node --vch web --vch db --leader-elect

  # in a pod of the cluster, with its service account
  wolfpack node --vch web --node-name web-node --address 10.0.0.7

  # for pods that tolerate dedicated=db alone
  wolfpack node --vch db --no-default-taint --node-taints dedicated=db:NoSchedule`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runNode(cmd.Context(), conn.Config, o) },
	}
	o.flags(conn).apply(cmd)
	_ = cmd.RegisterFlagCompletionFunc("vch", func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		names, directive := conn.completeNames(cmd, args, begun)
		return slices.DeleteFunc(names, func(name cobra.Completion) bool {
			name, _, _ = strings.Cut(name, "\t") // from its description
			return slices.Contains(o.vchs, name)
		}), directive
	})
	_ = cmd.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions(logging.Formats(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.MarkFlagDirname("cert-dir")
	return cmd
}

// flags are those of the options and of the connection to vSphere.
func (o *nodeOptions) flags(conn *connection) flagGroups {
	var groups flagGroups
	node := groups.add("The node")
	node.StringSliceVar(&o.vchs, "vch", nil, "virtual container host to run pods in (required); can be given several times, each for a node")
	node.StringVar(&o.name, "node-name", "", "name of the node in Kubernetes, with one --vch (default wolfpack-NAME)")
	node.StringVar(&o.address, "address", "", "IP address of the node, which its pods report as hostIP (default this machine's first)")
	node.IntVar(&o.maxPods, "max-pods", 250, "most pods that a node takes")
	node.DurationVar(&o.keepFinished, "keep-finished-vms", 5*time.Minute, "how long the VM of a pod that has ended stays powered on, for its logs")
	o.labels.flags(node)
	conn.Flags(groups.add("vSphere"))
	kubernetes := groups.add("Kubernetes")
	kubernetes.StringVar(&o.kubeconfig, "kubeconfig", "", "Kubernetes configuration file (default ~/.kube/config, or the cluster of the pod it runs in) [KUBECONFIG]")
	kubernetes.StringVar(&o.systemNamespace, "system-namespace", provider.DefaultSystemNamespace, "namespace, which must exist, for what is the node's own: the Secret with the CA of its guests, and its Lease")
	o.kubelet.Flags(groups.add("Kubelet endpoint"))
	o.election.flags(groups.add("Standbys"))
	process := groups.add("This process")
	o.log.Flags(process)
	process.StringVar(&o.health, "health-address", "", "where to answer /healthz over plain HTTP, such as :8081, for whoever restarts what has died (default nowhere)")
	return groups
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
	go giveMemoryBack(running) // which ends when the group does
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
	if err := o.checkEndpoints(); err != nil {
		return nil, err
	}
	if wrong := validation.IsDNS1123Label(o.systemNamespace); len(wrong) > 0 {
		return nil, errs.New(op, errs.Invalid, "system-namespace is %q: %s", o.systemNamespace, strings.Join(wrong, "; "))
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
		if err := vch.CheckName(name); err != nil {
			return nil, errs.New(op, errs.Invalid, "vch: %w; wolfpack vch ls shows them", err)
		}
		nodeName := cmp.Or(o.name, "wolfpack-"+name)
		if wrong := validation.IsDNS1123Subdomain(nodeName); len(wrong) > 0 {
			return nil, errs.New(op, errs.Invalid, "%q is no name of a node: %s; choose one with --node-name, which takes one --vch alone", nodeName, strings.Join(wrong, "; "))
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

// checkEndpoints says what is wrong with the kubelet endpoints, of which each has a port of its own.
func (o *nodeOptions) checkEndpoints() error {
	if err := o.kubelet.Validate(); err != nil {
		return err
	}
	if last := o.kubelet.Port + len(o.vchs) - 1; o.kubelet.Port != 0 && last > math.MaxUint16 {
		return errs.New("node", errs.Invalid, "kubelet-port is %d, and %d nodes have the ports up to %d: want no more than %d, or 0 for free ones",
			o.kubelet.Port, len(o.vchs), last, math.MaxUint16+1-len(o.vchs))
	}
	return nil
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
