// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/spf13/cobra"

const telemetryHelp = `Say what is installed in a vCenter, and how it is used: ten figures, read from the guest names
in its inventory and from its events.

   1  ESX hosts in each cluster            6  virtual container hosts (VCHs), by version
   2  versions of the ESX hosts            7  container VMs, by OS and version
   3  version of the vCenter               8  VCHs on each host
   4  Harbor and Admiral, with version     9  container VMs of each VCH
   5  VMs in all                          10  how long container VMs live

Nothing is changed in vCenter, and a role with Read-only on its root, propagated, is enough.
What cannot be read or told is counted and reported, never left out in silence.`

func newTelemetryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "telemetry",
		Short: "Say what is installed in a vCenter, and how it is used",
		Long:  telemetryHelp,
		Example: `  wolfpack telemetry report
  wolfpack telemetry report -o html >telemetry.html
  wolfpack telemetry serve --listen localhost:9272`,
	}
	cmd.AddCommand(newTelemetryReportCommand(), newTelemetryServeCommand())
	return cmd
}
