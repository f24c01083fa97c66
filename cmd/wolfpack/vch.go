// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"wolfpack/vch"
	"wolfpack/vsphere"
)

const (
	vchTimeout      = 10 * time.Minute
	completeTimeout = 5 * time.Second // of shell completion: a person waits
)

const vchHelp = `A virtual container host (VCH) is the place that a virtual node's pods run in: a VM folder,
a resource pool, which limits what all of its pods together get, and an endpoint VM, all
of one name. On a lone ESXi host there is no folder.`

func newVCHCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vch",
		Short: "Create, list, inspect and delete virtual container hosts",
		Long:  vchHelp,
		Example: `  wolfpack vch create web --compute C0 --datastore ssd --network pods
  wolfpack vch ls
  wolfpack vch delete web`,
	}
	conn := newConnection(cmd, vchTimeout)
	cmd.AddCommand(
		newVCHCreateCommand(conn), newVCHListCommand(conn), newVCHInspectCommand(conn), newVCHDeleteCommand(conn), newVCHPrivilegesCommand(conn),
	)
	return cmd
}

func newVCHCreateCommand(conn *connection) *cobra.Command {
	var spec vch.Spec
	var dryRun bool
	format := formats("table", "json", "yaml")
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a virtual container host, or complete one that is there in part",
		Long: `Create the VM folder, the resource pool and the endpoint VM of a virtual container host.

Everything is checked before anything is changed, the user's privileges too, and all that
is wrong is reported at once. --dry-run stops there and prints what would be done. If a
later step fails, or on Ctrl-C, what was made is removed again. Run on a VCH that is there,
it completes what is missing and changes nothing else.`,
		Example: `  # where there is one cluster, one datastore and one network
  wolfpack vch create web

  # what that would do, for an admin to look at first
  wolfpack vch create web --dry-run

  # pods get at most 8 GHz and 16 GB together, and 4 GB for certain
  wolfpack vch create web --compute /DC0/host/C0 --datastore ssd --network pods \
    --cpu-limit 8000 --memory-limit 16384 --memory-reservation 4096

  # in a resource pool and a folder that are there
  wolfpack vch create web --compute C0/Resources/team-a --folder team-a`,
		Args: oneName("create"),
		RunE: func(cmd *cobra.Command, args []string) error {
			spec.Name = args[0]
			spec.Progress = progress(cmd.ErrOrStderr())
			return conn.do(cmd.Context(), func(ctx context.Context, client *vsphere.Client) error {
				if dryRun {
					plan, err := vch.DryRun(ctx, client, spec)
					if err != nil {
						return err
					}
					view := newPlanView(plan, client.URL().Host)
					return format.print(cmd.OutOrStdout(), view, view.text)
				}
				made, err := vch.Create(ctx, client, spec)
				if err != nil {
					return err
				}
				view := newVCHView(made)
				return format.print(cmd.OutOrStdout(), view, func(w io.Writer) error { return vchTable(w, view) })
			})
		},
	}
	specFlags(cmd, &spec)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "check everything, print what would be done, and change nothing")
	format.flag(cmd)
	return cmd
}

// specFlags adds a flag for each field of spec. The places fall back to govc's variables.
func specFlags(cmd *cobra.Command, spec *vch.Spec) {
	flags := cmd.Flags()
	flags.StringVar(&spec.Compute, "compute", os.Getenv("GOVC_RESOURCE_POOL"), "cluster, host or resource pool, by name or path (default the only one) [GOVC_RESOURCE_POOL]")
	flags.StringVar(&spec.Datastore, "datastore", os.Getenv("GOVC_DATASTORE"), "datastore, by name or path (default the only one) [GOVC_DATASTORE]")
	flags.StringVar(&spec.Network, "network", os.Getenv("GOVC_NETWORK"), `network, by name or path (default the only one, or "VM Network") [GOVC_NETWORK]`)
	flags.StringVar(&spec.Folder, "folder", os.Getenv("GOVC_FOLDER"), "VM folder to put the VCH's own into (default the datacenter's) [GOVC_FOLDER]")
	flags.StringVar(&spec.GuestOS, "guest-os", "", "guest OS of the endpoint VM (default "+vch.DefaultGuestOS+")")
	flags.Int32Var(&spec.EndpointCPUs, "endpoint-cpus", vch.DefaultEndpointCPUs, "virtual CPUs of the endpoint VM")
	flags.Int64Var(&spec.EndpointMemoryMB, "endpoint-memory", vch.DefaultEndpointMemoryMB, "memory of the endpoint VM, in MB")
	allocationFlags(cmd, &spec.CPU, "cpu", "MHz")
	allocationFlags(cmd, &spec.Memory, "memory", "MB")
}

func allocationFlags(cmd *cobra.Command, allocation *vch.Allocation, what, unit string) {
	flags := cmd.Flags()
	flags.Int64Var(&allocation.Limit, what+"-limit", 0, "most "+what+" that the pods get together, in "+unit+"; 0 or -1 for no limit")
	flags.Int64Var(&allocation.Reservation, what+"-reservation", 0, what+" that they get for certain, in "+unit)
	flags.StringVar(&allocation.Shares, what+"-shares", "", "weight for "+what+" against others: low, normal, high or a number (default normal)")
}

func newVCHListCommand(conn *connection) *cobra.Command {
	format := formats("table", "json", "yaml")
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the virtual container hosts of all datacenters",
		Long: `List the virtual container hosts of all datacenters: their state, how many VMs of pods they
have, what these use of what they may, and where they are. What is wrong with one is printed
below. vCenter keeps an index of them as tags of category wolfpack-vch, so this takes no
longer where there are many other VMs.`,
		Example: `  wolfpack vch ls

  # with versions, hosts, addresses and what is wrong, for a program
  wolfpack vch ls -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return conn.do(cmd.Context(), func(ctx context.Context, client *vsphere.Client) error {
				all, err := vch.List(ctx, client)
				if err != nil {
					return err
				}
				views := make([]vchView, len(all))
				for i, v := range all {
					views[i] = newVCHView(v)
				}
				return format.print(cmd.OutOrStdout(), views, func(w io.Writer) error { return vchTable(w, views...) })
			})
		},
	}
	format.flag(cmd)
	return cmd
}

func newVCHDeleteCommand(conn *connection) *cobra.Command {
	var opts vch.DeleteOptions
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a virtual container host",
		Long: `Delete the endpoint VM, the VM folder and the resource pool of a virtual container host.

A VCH that still has VMs of pods is left alone, unless --force says to delete these too.
VMs that others have put into its folder or pool are never touched: the folder or pool is
kept, and they are listed. A delete that failed can be run again.`,
		Example: `  wolfpack vch delete web

  # with all of its pods' VMs
  wolfpack vch delete web --force`,
		Args:              oneName("delete"),
		ValidArgsFunction: conn.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Progress = progress(cmd.ErrOrStderr())
			return conn.do(cmd.Context(), func(ctx context.Context, client *vsphere.Client) error {
				return vch.Delete(ctx, client, args[0], opts)
			})
		},
	}
	cmd.Flags().BoolVar(&opts.Force, "force", false, "power off and delete the VMs of its pods too")
	return cmd
}

// completeNames offers the names of VCHs to the shell.
func (c *connection) completeNames(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	quick := *c
	quick.timeout = completeTimeout
	var names []cobra.Completion
	err := quick.do(cmd.Context(), func(ctx context.Context, client *vsphere.Client) error {
		all, err := vch.List(ctx, client)
		for _, one := range all {
			names = append(names, cobra.CompletionWithDesc(one.Name, one.GuestName))
		}
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// oneName is the argument rule of commands on one VCH.
func oneName(verb string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("vch %s wants one VCH name, got %d; for example: wolfpack vch %s web", verb, len(args), verb)
		}
		return nil
	}
}

// progress writes one short line for each step.
func progress(w io.Writer) func(string) {
	return func(step string) { _, _ = fmt.Fprintln(w, "·", step) }
}
