// SPDX-License-Identifier: Apache-2.0

// Command bench measures Wolfpack against a named baseline in the same run and prints one table: machines are shared and
// noisy, so that only a ratio or a count says anything. `make bench` runs it.
//
// Counts of requests come from a stand-in in this process. Everything else is measured on a lab whose parts are processes of
// their own, as in production, so that the time and memory that each takes can be told apart. A census too is taken by a
// process of its own, of a stand-in in this one.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// row is one measurement: ours, and what it is measured against, be it a baseline of the same run or a bound.
type row struct {
	what, unit     string
	ours, baseline float64
	against        string // what the baseline is
	target         string // what issue or design ask for; "" for nothing
}

// options are the flags.
type options struct {
	pods        int    // in the throughput measurement
	idle        int    // pods at rest in the measurements of scale
	concurrency int    // changes under way at once, the baseline's
	bin         string // folder with the programs
	only        string // names of the measurements to make, comma-separated; "" for all
}

// measurement is one or more rows that are measured together.
type measurement struct {
	name    string
	measure func(context.Context, options) ([]row, error)
}

var measurements = []measurement{
	{"requests", roundTrips},
	{"throughput", throughput},
	{"scale", scale},
	{"vchs", vchs},
	{"telemetry", telemetry},
}

func main() {
	var o options
	flag.IntVar(&o.pods, "pods", 1000, "pods in the throughput measurement")
	flag.IntVar(&o.idle, "idle", 5000, "pods at rest in the measurements of scale")
	flag.IntVar(&o.concurrency, "concurrency", 32, "workers of the baseline's loop")
	flag.StringVar(&o.bin, "bin", "bin", "folder with the programs of make build kube")
	flag.StringVar(&o.only, "only", "", "measurements to make, comma-separated, of: "+names()+" (default all)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if flag.Arg(0) == takeCommand {
		err = take(ctx, flag.Arg(1), os.Stdout)
	} else {
		err = run(ctx, o, os.Stdout)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures and prints what it has, also when a later measurement fails.
func run(ctx context.Context, o options, out io.Writer) error {
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer func() { _ = table.Flush() }()
	fmt.Fprintln(table, "MEASURED\tWOLFPACK\tAGAINST\tRATIO\tUNIT\tTARGET\tAGAINST IS")
	for _, m := range chosen {
		began := time.Now()
		progress("%s", m.name)
		rows, err := m.measure(ctx, o)
		for _, r := range rows {
			fmt.Fprintf(table, "%s\t%.4g\t%.4g\t%s\t%s\t%s\t%s\n", r.what, r.ours, r.baseline, ratio(r), r.unit, r.target, r.against)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		progress("%s took %.0f s", m.name, time.Since(began).Seconds())
	}
	return nil
}

// progress tells who waits.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

func ratio(r row) string {
	if r.baseline == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", r.ours/r.baseline)
}

// choose returns the measurements of these names, or all for none.
func choose(only string) ([]measurement, error) {
	if only == "" {
		return measurements, nil
	}
	var chosen []measurement
	for name := range strings.SplitSeq(only, ",") {
		found := false
		for _, m := range measurements {
			if m.name == name {
				chosen, found = append(chosen, m), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no measurement %q; there are: %s", name, names())
		}
	}
	return chosen, nil
}

func names() string {
	var all []string
	for _, m := range measurements {
		all = append(all, m.name)
	}
	return strings.Join(all, ", ")
}
