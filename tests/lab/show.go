// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"wolfpack/tests/process"
)

// Show runs the manifests in a folder as an example, waits until what they ask for runs, and writes what there is then to
// w: nodes, pods, virtual machines with their guests' full names, and the telemetry of the vCenter, which it also writes to
// the HTML file report, unless that is "". It needs a lab with a node.
func (l *Lab) Show(ctx context.Context, examples, report string, w io.Writer) error {
	if l.info.Node == "" {
		return errors.New("show: a lab without a node has nothing to show")
	}
	ctx, cancel := process.Bind(ctx, &l.group)
	defer cancel()
	err := l.do(ctx, []step{
		{"examples applied", false, func(ctx context.Context) error { return l.applyExamples(ctx, examples) }},
		{"examples run", false, func(ctx context.Context) error { return l.waitExamples(ctx, examples) }},
	})
	if err != nil {
		return fmt.Errorf("show: %w", err)
	}
	for _, args := range [][]string{{"get", "nodes"}, {"get", "deployments"}, {"get", "pods", "-A", "-o", "wide"}} {
		out, err := l.output(ctx, l.opts.Binaries.kubectl(), args...)
		if err != nil {
			return fmt.Errorf("show: %w", err)
		}
		fmt.Fprintf(w, "\n$ kubectl %s\n%s", strings.Join(args, " "), shorten(out))
	}
	if err := l.showVMs(ctx, w); err != nil {
		return fmt.Errorf("show: %w", err)
	}
	if err := l.showTelemetry(ctx, report, w); err != nil {
		return fmt.Errorf("show: %w", err)
	}
	return nil
}

// applyExamples applies the manifests. In a cluster or vCenter that outlives the lab they are deleted again at its end.
func (l *Lab) applyExamples(ctx context.Context, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		return errors.Join(fmt.Errorf("no *.yaml in %q", dir), err)
	}
	if l.opts.Kubeconfig != "" || l.opts.VCenter == VCenterEnv {
		l.group.Add(newUndo(func(ctx context.Context) error {
			_, err := l.output(ctx, l.opts.Binaries.kubectl(), "delete", "--ignore-not-found", "--cascade=foreground", "-f", dir)
			return err
		}))
	}
	_, err = l.output(ctx, l.opts.Binaries.kubectl(), "apply", "-f", dir)
	return err
}

// waitExamples waits until the pods among the examples run, and the workloads have as many as they want.
func (l *Lab) waitExamples(ctx context.Context, dir string) error {
	return process.Until(ctx, &l.group, "the examples run", func(ctx context.Context) error {
		out, err := l.output(ctx, l.opts.Binaries.kubectl(), "get", "-o", "json", "-f", dir)
		if err != nil {
			return err
		}
		return examplesRun([]byte(out))
	})
}

// examplesRun says what of a `kubectl get -o json` does not run yet, or nil.
func examplesRun(data []byte) error {
	type object struct {
		Kind     string
		Metadata struct{ Name string }
		Spec     struct{ Replicas *int }
		Status   struct {
			Phase, Message string
			ReadyReplicas  int
		}
	}
	var list struct {
		object
		Items []object
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("read kubectl's answer: %w", err)
	}
	items := list.Items
	if list.Kind != "List" { // kubectl gives a lone object as itself
		items = []object{list.object}
	}
	var errs []error
	for _, o := range items {
		switch {
		case o.Kind == "Pod" && !slices.Contains([]string{"Running", "Succeeded"}, o.Status.Phase):
			errs = append(errs, fmt.Errorf("pod %s is %s %s", o.Metadata.Name, o.Status.Phase, o.Status.Message))
		case o.Spec.Replicas != nil && o.Status.ReadyReplicas < *o.Spec.Replicas:
			errs = append(errs, fmt.Errorf("%s %s has %d of %d pods ready", o.Kind, o.Metadata.Name, o.Status.ReadyReplicas, *o.Spec.Replicas))
		}
	}
	return errors.Join(errs...)
}

// showVMs writes a table of the VCH's virtual machines, as govc sees them.
func (l *Lab) showVMs(ctx context.Context, w io.Writer) error {
	folders, err := l.output(ctx, l.opts.Binaries.Govc, "find", "/", "-type", "f", "-name", l.info.VCH)
	if err != nil {
		return err
	}
	folder := strings.TrimSpace(folders)
	if folder == "" || strings.Contains(folder, "\n") {
		return fmt.Errorf("there is not one folder %q, but: %q", l.info.VCH, folder)
	}
	paths, err := l.output(ctx, l.opts.Binaries.Govc, "find", folder, "-type", "m")
	if err != nil {
		return err
	}
	out, err := l.output(ctx, l.opts.Binaries.Govc, append([]string{"vm.info", "-json"}, strings.Fields(paths)...)...)
	if err != nil {
		return err
	}
	var table strings.Builder
	if err := vmTable([]byte(out), &table); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n$ govc find %s -type m | xargs govc vm.info\n%s", folder, shorten(table.String()))
	return nil
}

// showTelemetry writes what is installed in the vCenter and how it is used, as a table and as an HTML file.
func (l *Lab) showTelemetry(ctx context.Context, file string, w io.Writer) error {
	table, err := l.output(ctx, l.opts.Binaries.Wolfpack, "telemetry", "report")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n$ wolfpack telemetry report\n%s", table)
	if file == "" {
		return nil
	}
	page, err := l.output(ctx, l.opts.Binaries.Wolfpack, "telemetry", "report", "-o", "html")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n$ wolfpack telemetry report -o html >%s\n", file)
	return nil
}

// shown is how many rows of a table are.
const shown = 8

// shorten returns the heading and the first rows of a table, and how many more there are.
func shorten(table string) string {
	rows := slices.Collect(strings.Lines(table))
	if len(rows) <= 1+shown {
		return table
	}
	return strings.Join(rows[:1+shown], "") + fmt.Sprintf("… and %d more\n", len(rows)-1-shown)
}

// vmTable writes what a `govc vm.info -json` says as a table.
func vmTable(data []byte, w io.Writer) error {
	var info struct {
		VirtualMachines []struct {
			Summary struct {
				Config struct {
					Name, GuestFullName  string
					NumCPU, MemorySizeMB int
				}
				Runtime struct{ PowerState string }
				Guest   struct{ IPAddress string }
			}
		}
	}
	if err := json.Unmarshal(data, &info); err != nil {
		return fmt.Errorf("read govc's answer: %w", err)
	}
	table := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprintln(table, "VM\tGUEST NAME\tCPU\tMEMORY\tPOWER\tIP")
	for _, vm := range info.VirtualMachines {
		s := vm.Summary
		fmt.Fprintf(table, "%s\t%s\t%d\t%d MB\t%s\t%s\n",
			s.Config.Name, s.Config.GuestFullName, s.Config.NumCPU, s.Config.MemorySizeMB, s.Runtime.PowerState, s.Guest.IPAddress)
	}
	return table.Flush()
}

// output runs a client of the lab and returns what it prints.
func (l *Lab) output(ctx context.Context, path string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = l.env()
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(path), strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// Exports returns shell commands that point another terminal to the lab.
func (i Info) Exports() string {
	var b strings.Builder
	for _, kv := range i.Env() {
		k, v, _ := strings.Cut(kv, "=")
		fmt.Fprintf(&b, "export %s='%s'\n", k, strings.ReplaceAll(v, "'", `'\''`))
	}
	if kubectl, govc := i.Binaries["kubectl"], i.Binaries["govc"]; kubectl != "" && govc != "" {
		fmt.Fprintf(&b, "export PATH='%s%c%s':\"$PATH\"\n", filepath.Dir(govc), os.PathListSeparator, filepath.Dir(kubectl))
	}
	return b.String()
}
