// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is that of the flags in --help.
const helpWidth = 120

// flagGroups are the flags of a command that has many, in the order in which --help shows them.
type flagGroups []*pflag.FlagSet

// add begins a group, whose title is its name. Its flags stay in the order in which they are added.
func (g *flagGroups) add(title string) *pflag.FlagSet {
	flags := pflag.NewFlagSet(title, pflag.ContinueOnError)
	flags.SortFlags = false
	*g = append(*g, flags)
	return flags
}

// apply gives cmd the flags, and has its --help show them by group.
func (g flagGroups) apply(cmd *cobra.Command) {
	for _, flags := range g {
		cmd.Flags().AddFlagSet(flags)
	}
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		var text strings.Builder
		fmt.Fprintf(&text, "Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(), cmd.Example)
		for _, flags := range g {
			fmt.Fprintf(&text, "\n%s:\n%s", flags.Name(), flags.FlagUsagesWrapped(helpWidth))
		}
		_, err := io.WriteString(cmd.OutOrStderr(), text.String())
		return err
	})
}
