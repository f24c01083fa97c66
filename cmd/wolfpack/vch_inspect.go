// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"wolfpack/vch"
	"wolfpack/vsphere"
)

func newVCHInspectCommand(conn *connection) *cobra.Command {
	var config bool
	format := formats("table", "json", "yaml")
	cmd := &cobra.Command{
		Use:   "inspect NAME",
		Short: "Show all about a virtual container host, or the command that would make it again",
		Long: `Show what a virtual container host is, where its things are, what it uses, which VMs of pods
it has, what others have put into its folder or pool, and what is wrong with it.

With --config it prints the command that would make it again: to keep it in a script, or to
make another one like it.`,
		Example: `  wolfpack vch inspect web

  # make one like it under another name
  wolfpack vch inspect web --config | sed 's/create web/create db/' | sh`,
		Args:              oneName("inspect"),
		ValidArgsFunction: conn.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return conn.do(cmd.Context(), func(ctx context.Context, client *vsphere.Client) error {
				detail, err := vch.Inspect(ctx, client, args[0])
				if err != nil {
					return err
				}
				if config {
					_, err := fmt.Fprintln(cmd.OutOrStdout(), createCommand(detail))
					return err
				}
				view := newDetailView(detail)
				return format.print(cmd.OutOrStdout(), view, view.text)
			})
		},
	}
	cmd.Flags().BoolVar(&config, "config", false, "print the create command that would make it again")
	format.flag(cmd)
	cmd.MarkFlagsMutuallyExclusive("config", "output")
	return cmd
}

// detailView is a vch.Detail as -o json and yaml show it.
type detailView struct {
	vchView   `json:",inline"`
	Pods      []podView `json:"pods"`
	Strangers []string  `json:"strangers"`
}

type podView struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	VM        string `json:"vm"`
	State     string `json:"state"`
	GuestName string `json:"guestName"`
}

func newDetailView(detail *vch.Detail) detailView {
	view := detailView{vchView: newVCHView(detail.VCH), Pods: []podView{}, Strangers: []string{}}
	for _, pod := range detail.Pods {
		view.Pods = append(view.Pods, podView{
			Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, VM: pod.VM.Path, State: string(pod.PowerState), GuestName: pod.GuestName,
		})
	}
	for _, stranger := range detail.Strangers {
		view.Strangers = append(view.Strangers, stranger.Path)
	}
	return view
}

func (v detailView) text(w io.Writer) error {
	rows := [][]string{
		{"State", v.State},
		{"Guest name", v.GuestName},
		{"ID", v.ID},
		{"Address", v.Address},
		{"Datacenter", v.Datacenter},
		{"Cluster or host", v.Compute},
		{"Hosts", strings.Join(v.Hosts, ", ")},
		{"Resource pool", v.Pool},
		{"Folder", v.Folder},
		{"Endpoint VM", v.EndpointVM + " on " + v.Host},
		{"Datastore", v.Datastore},
		{"Network", v.Network},
		{"CPU used", v.CPU.String()},
		{"Memory used", v.Memory.String()},
		{"VMs of pods", strconv.Itoa(len(v.Pods))},
	}
	for _, wrong := range v.wrong() {
		rows = append(rows, []string{"Wrong", wrong})
	}
	for _, stranger := range v.Strangers {
		rows = append(rows, []string{"Not its own", stranger})
	}
	if err := table(w, []string{"Name", v.Name}, rows); err != nil {
		return err
	}
	if len(v.Pods) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	rows = nil
	for _, pod := range v.Pods {
		rows = append(rows, []string{pod.Namespace, pod.Name, pod.State, pod.VM, pod.GuestName})
	}
	return table(w, []string{"NAMESPACE", "POD", "STATE", "VM", "GUEST NAME"}, rows)
}

// createCommand is the command that makes a VCH like the one inspected.
func createCommand(detail *vch.Detail) string {
	spec := detail.Spec
	words := []string{"wolfpack vch create " + quote(spec.Name)}
	text := func(flag, value string) {
		if value != "" {
			words = append(words, "--"+flag+" "+quote(value))
		}
	}
	number := func(flag string, value int64) {
		if value != 0 {
			words = append(words, "--"+flag+" "+strconv.FormatInt(value, 10))
		}
	}
	text("datacenter", detail.Datacenter.Path)
	text("compute", spec.Compute)
	text("datastore", spec.Datastore)
	text("network", spec.Network)
	text("folder", spec.Folder)
	text("guest-os", spec.GuestOS)
	number("endpoint-cpus", int64(spec.EndpointCPUs))
	number("endpoint-memory", spec.EndpointMemoryMB)
	for _, of := range []struct {
		what string
		vch.Allocation
	}{{"cpu", spec.CPU}, {"memory", spec.Memory}} {
		number(of.what+"-limit", of.Limit)
		number(of.what+"-reservation", of.Reservation)
		text(of.what+"-shares", of.Shares)
	}
	return strings.Join(words, " \\\n  ")
}

// plain are the characters that mean nothing to a shell.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+=,"

// quote makes a shell take text as it is.
func quote(text string) string {
	if text != "" && strings.Trim(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
