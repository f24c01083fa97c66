// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"wolfpack/version"
)

func newVersionCommand() *cobra.Command {
	format := formats("text", "json", "yaml")
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show version, build number and commit",
		Long: `Show the version stamp of this binary: the version as git describe prints it, the number
of the CI run that built it (0 for a local build) and the commit. The guest names of the
VMs that it creates carry the same stamp.`,
		Example: `  wolfpack version
  wolfpack version -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info := version.Get()
			return format.print(cmd.OutOrStdout(), info, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, "wolfpack", info)
				return err
			})
		},
	}
	format.flag(cmd)
	return cmd
}
