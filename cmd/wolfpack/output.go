// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// format is the value of a command's -o flag.
type format struct {
	value   string
	choices []string // the first is the default, for people to read
}

func formats(choices ...string) *format { return &format{choices[0], choices} }

// flag adds -o to cmd.
func (f *format) flag(cmd *cobra.Command) {
	cmd.Flags().VarP(f, "output", "o", "output format: "+strings.Join(f.choices, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(f.choices, cobra.ShellCompDirectiveNoFileComp))
}

// String is the format's word; a pflag.Value has it.
func (f *format) String() string { return f.value }

// Type is what --help shows for the value; a pflag.Value has it.
func (f *format) Type() string { return "format" }

// Set takes the flag's word; a pflag.Value has it.
func (f *format) Set(word string) error {
	if !slices.Contains(f.choices, word) {
		return fmt.Errorf("want one of %s", strings.Join(f.choices, ", "))
	}
	f.value = word
	return nil
}

// print writes value as JSON or YAML, or calls text for what people read.
func (f *format) print(w io.Writer, value any, text func(io.Writer) error) error {
	switch f.value {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	case "yaml":
		data, err := yaml.Marshal(value)
		if err != nil {
			return fmt.Errorf("write YAML: %w", err)
		}
		_, err = w.Write(data)
		return err
	default:
		return text(w)
	}
}

// table writes rows in columns under the titles in head.
func table(w io.Writer, head []string, rows [][]string) error {
	columns := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		if _, err := fmt.Fprintln(columns, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return columns.Flush()
}
