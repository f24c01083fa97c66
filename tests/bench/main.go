// SPDX-License-Identifier: Apache-2.0

// Command bench measures Wolfpack against a named baseline in the same run and prints one table: machines are shared and
// noisy, so that only the ratio says anything. `make bench` runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"text/tabwriter"
)

// row is one measurement: ours, the baseline's, and the ratio of the two.
type row struct {
	what, unit     string
	ours, baseline float64
	against        string // what the baseline is
}

func main() {
	pods := flag.Int("pods", 100, "pods in the throughput measurement")
	concurrency := flag.Int("concurrency", 32, "changes under way at once, ours and the baseline's")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *pods, *concurrency)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures and prints what it has, also when a later measurement fails.
func run(ctx context.Context, pods, concurrency int) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer func() { _ = table.Flush() }()
	fmt.Fprintln(table, "MEASURED\tWOLFPACK\tBASELINE\tRATIO\tUNIT\tBASELINE IS")
	for _, measure := range []func(context.Context, int, int) ([]row, error){roundTrips, throughput} {
		rows, err := measure(ctx, pods, concurrency)
		for _, r := range rows {
			fmt.Fprintf(table, "%s\t%.4g\t%.4g\t%.2f\t%s\t%s\n", r.what, r.ours, r.baseline, r.ours/r.baseline, r.unit, r.against)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
