// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"wolfpack/version"
	"wolfpack/vsphere"
)

const rootHelp = `Wolfpack runs every Kubernetes pod as a virtual machine of its own on vSphere.

An admin creates a virtual container host (VCH) on a cluster or host, and starts a
virtual node for it. Pods that Kubernetes puts on that node become VMs in the VCH.

The connection to vSphere is set like govc's: GOVC_URL, GOVC_USERNAME, GOVC_PASSWORD,
GOVC_TLS_CA_CERTS, GOVC_DATACENTER and so on, each also a flag.`

const rootExamples = `  # a place for pods, on cluster C0, and the virtual node that fills it
  export GOVC_URL=https://vc.example.com/sdk GOVC_USERNAME=admin GOVC_PASSWORD=...
  wolfpack vch create web --compute C0 --datastore ssd
  wolfpack node --vch web --kubeconfig ~/.kube/config

  # what there is, and how it is used
  wolfpack vch ls
  wolfpack telemetry report`

// newRootCommand is the whole program. Each command is made by one function, in a file of its own.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "wolfpack",
		Short:         "Kubernetes pods as virtual machines on vSphere",
		Long:          rootHelp,
		Example:       rootExamples,
		Version:       version.Get().Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		newVCHCommand(),
		newNodeCommand(),
		newTelemetryCommand(),
		newVersionCommand(),
	)
	return root
}

// connection is how a command reaches vSphere, from govc's variables and its own flags.
type connection struct {
	vsphere.Config
	timeout time.Duration
}

// newConnection adds the connection's flags to cmd and all commands below it. A command gives up after timeout, unless
// its user says otherwise.
func newConnection(cmd *cobra.Command, timeout time.Duration) *connection {
	c := &connection{Config: vsphere.ConfigFromEnv()}
	flags := cmd.PersistentFlags()
	c.Flags(flags)
	flags.DurationVar(&c.timeout, "timeout", timeout, "give up after this long")
	return c
}

// do calls work with a session, which ends with it.
func (c *connection) do(ctx context.Context, work func(context.Context, *vsphere.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	client, err := vsphere.Connect(ctx, c.Config)
	if err != nil {
		return err
	}
	defer func() { _ = client.Logout(ctx) }() // a session that stays is vCenter's to expire
	return work(ctx, client)
}
