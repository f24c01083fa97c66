// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"wolfpack/vch"
	"wolfpack/vsphere"
)

// defaultRole is the name of the role that --create-role makes without a value.
const defaultRole = "Wolfpack"

func newVCHPrivilegesCommand(conn *connection) *cobra.Command {
	var role string
	format := formats("table", "json", "yaml")
	cmd := &cobra.Command{
		Use:   "privileges",
		Short: "Print the privileges that are needed, or make a role of them",
		Long: `Print what a user must be allowed to do to create and delete virtual container hosts and to
run pods in them, and on which things. It is not much: no host, no user and no setting of
vCenter is ever touched.

With --create-role it makes a role with these privileges, or gives a role of that name the
ones that it lacks. It gives the role to nobody; the lines of govc that do so it prints.`,
		Example: `  wolfpack vch privileges

  # make the role, as an administrator, and give it to the user who creates VCHs
  wolfpack vch privileges --create-role
  govc permissions.set -principal ops@vsphere.local -role Wolfpack -propagate=false /
  govc permissions.set -principal ops@vsphere.local -role Wolfpack /DC0/vm /DC0/host/C0/Resources
  govc permissions.set -principal ops@vsphere.local -role Wolfpack -propagate=false \
    /DC0/datastore/ssd /DC0/network/pods`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if role == "" {
				views := needViews()
				return format.print(cmd.OutOrStdout(), views, func(w io.Writer) error { return needTable(w, views) })
			}
			return conn.do(cmd.Context(), func(ctx context.Context, client *vsphere.Client) error {
				added, err := vch.CreateRole(ctx, client, role)
				if err != nil {
					return err
				}
				view := roleView{Role: role, Added: added}
				return format.print(cmd.OutOrStdout(), view, view.text)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&role, "create-role", "", "make a role of that name (default "+defaultRole+"), or complete it")
	flags.Lookup("create-role").NoOptDefVal = defaultRole
	format.flag(cmd)
	return cmd
}

// needView is a vch.Need as -o json and yaml show it.
type needView struct {
	On         string   `json:"on"`
	Propagate  bool     `json:"propagate"`
	Privileges []string `json:"privileges"`
}

func needViews() []needView {
	var views []needView
	for _, need := range vch.Needs() {
		views = append(views, needView(need))
	}
	return views
}

func needTable(w io.Writer, views []needView) error {
	var rows [][]string
	for _, view := range views {
		reach := "it alone"
		if view.Propagate {
			reach = "and in it"
		}
		for i, privilege := range view.Privileges {
			if i > 0 {
				view.On, reach = "", ""
			}
			rows = append(rows, []string{privilege, view.On, reach})
		}
	}
	return table(w, []string{"PRIVILEGE", "ON", "REACH"}, rows)
}

// roleView is what became of a role.
type roleView struct {
	Role  string   `json:"role"`
	Added []string `json:"added"`
}

func (v roleView) text(w io.Writer) error {
	if len(v.Added) == 0 {
		_, err := fmt.Fprintf(w, "role %s has all privileges that are needed\n", v.Role)
		return err
	}
	_, err := fmt.Fprintf(w, `role %[1]s has got %[2]d privileges; give it to the user who creates VCHs:
  govc permissions.set -principal USER -role %[1]s -propagate=false /
  govc permissions.set -principal USER -role %[1]s FOLDER POOL
  govc permissions.set -principal USER -role %[1]s -propagate=false DATASTORE NETWORK
`, v.Role, len(v.Added))
	return err
}
