// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"wolfpack/telemetry"
	"wolfpack/telemetry/census"
	"wolfpack/telemetry/history"
	"wolfpack/telemetry/lifetimes"
	"wolfpack/telemetry/products"
	"wolfpack/telemetry/render"
	"wolfpack/telemetry/survey"
	"wolfpack/vsphere"
)

const (
	telemetryTimeout = 10 * time.Minute
	exitPartial      = 3 // of a report that lacks something that was asked for
)

const telemetryReportHelp = `Read the inventory of a vCenter once, and its events, and print the ten figures.

Formats: table, for people; html, one file for the browser that needs no network; json, everything;
csv, one row for each host and VM; openmetrics, for Prometheus and what reads the same.

Lifetimes are those of container VMs that were removed in the last --since, as far as vCenter
remembers: 30 days by default. With --history FILE, what one report has read is there for the
next, so that nothing is lost that vCenter forgets, and the report shows what changed.

A census reads all datacenters, whatever GOVC_DATACENTER says; --datacenter restricts it to one.

Exit code 0 is a whole report. With 3 the report is printed, and lacks something that standard
error and the report itself name; with 1 there is none.`

const telemetryReportExamples = `  # ten figures on a screen
  wolfpack telemetry report

  # every week: what changed since the last time, for the browser
  wolfpack telemetry report -o html --history ~/vcenter.history >telemetry.html

  # how many VMs of which guest name and owner, in a spreadsheet
  wolfpack telemetry report -o csv --no-events >vms.csv

  # ask a registry for its version, too
  wolfpack telemetry report --probe https://harbor.example.com`

// reportOptions are the flags of wolfpack telemetry report.
type reportOptions struct {
	since    time.Duration
	noEvents bool
	detail   bool
	pageSize int
	history  string
	probe    products.Config
}

func newTelemetryReportCommand() *cobra.Command {
	o := reportOptions{probe: products.ConfigFromEnv()}
	var words []string
	for _, f := range render.Formats {
		words = append(words, string(f))
	}
	format := formats(words...)
	cmd := &cobra.Command{
		Use:     "report",
		Short:   "Take one report of a vCenter and print it",
		Long:    telemetryReportHelp,
		Example: telemetryReportExamples,
		Args:    cobra.NoArgs,
	}
	conn := newConnection(cmd, telemetryTimeout)
	conn.Purpose = "telemetry"
	flags := cmd.Flags()
	format.flag(cmd)
	flags.DurationVar(&o.since, "since", lifetimes.Window, "how far back to look at lifetimes, such as 168h")
	flags.BoolVar(&o.noEvents, "no-events", false, "leave lifetimes out: events are not read")
	flags.BoolVar(&o.detail, "detail", false, "put each VM into the JSON")
	flags.IntVar(&o.pageSize, "page-size", 0, "how many objects vCenter puts into one answer at most (default 1000)")
	flags.StringVar(&o.history, "history", "", "`file` that keeps earlier reports; it is made if there is none")
	o.probe.Flags(flags)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed("datacenter") {
			conn.Datacenter = ""
		}
		return o.run(cmd, conn, render.Format(format.value))
	}
	return cmd
}

// check says what is wrong with the flags.
func (o *reportOptions) check() error {
	switch {
	case o.since <= 0:
		return fmt.Errorf("--since %s is no time to look back; give one such as 168h", o.since)
	case o.pageSize < 0:
		return fmt.Errorf("--page-size %d is no number of objects; give one such as 1000", o.pageSize)
	}
	return nil
}

// run takes the report and prints it.
func (o *reportOptions) run(cmd *cobra.Command, conn *connection, format render.Format) error {
	if err := o.check(); err != nil {
		return err
	}
	prober, err := products.New(o.probe)
	if err != nil {
		return err
	}
	defer prober.Close()
	o.detail = o.detail || format.NeedsInventory()
	var report *telemetry.Report
	var earlier []*telemetry.Report
	err = conn.do(cmd.Context(), func(ctx context.Context, client *vsphere.Client) error {
		s, err := o.survey(ctx, client, prober, conn.Datacenter)
		if err != nil {
			return err
		}
		if o.history == "" {
			report, _, err = s.Take(ctx, nil)
		} else {
			report, earlier, err = s.Keep(ctx, history.At(o.history), census.VCenterOf(client))
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := render.Write(cmd.OutOrStdout(), format, report, earlier); err != nil {
		return err
	}
	return partial(report)
}

// survey is what the flags ask for.
func (o *reportOptions) survey(ctx context.Context, client *vsphere.Client, prober *products.Prober, datacenter string) (survey.Survey, error) {
	s := survey.Survey{Products: prober, Requests: client.Requests}
	s.Census = func(ctx context.Context, see func(telemetry.VM)) (*telemetry.Report, error) {
		return census.Take(ctx, client, census.Options{Datacenter: datacenter, PageSize: o.pageSize, Detail: o.detail, Visit: see})
	}
	if o.noEvents {
		return s, nil
	}
	events := &lifetimes.VCenter{Client: client.Client}
	if datacenter != "" {
		within, err := census.FindDatacenter(ctx, client, datacenter)
		if err != nil {
			return s, err
		}
		events.Within = &within
	}
	s.Events = events
	if now, ok := client.Now(); ok {
		s.Since = now.Add(-o.since)
	} else {
		s.Since = time.Now().Add(-o.since)
	}
	return s, nil
}

// partial is an error if the report lacks something that was asked for: it has been printed, but a script must know.
func partial(report *telemetry.Report) error {
	if report.Quality.Complete {
		return nil
	}
	var missing []string
	for _, p := range report.Quality.Problems {
		if p.Partial {
			missing = append(missing, strings.TrimSuffix(p.Stage+": "+strings.TrimPrefix(p.Object+": ", ": ")+p.Message, "."))
		}
	}
	return &exitError{exitPartial, fmt.Errorf("the report of %s is partial: %s", report.VCenter.Name, strings.Join(missing, "; "))}
}
