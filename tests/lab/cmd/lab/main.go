// SPDX-License-Identifier: Apache-2.0

// Command lab starts a whole Wolfpack environment and takes it down again; see package wolfpack/tests/lab.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"wolfpack/tests/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal takes the lab down in order; after it, a second one has its usual effect at once.
	context.AfterFunc(ctx, stop)
	err := newCommand().ExecuteContext(ctx)
	stop()
	var code exitCode
	if errors.As(err, &code) {
		os.Exit(int(code))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "lab: %v\n", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "lab",
		Short:         "A whole Wolfpack environment: control plane, vCenter stand-in, registry, VCH and node",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.AddCommand(newUp(), newExec())
	return cmd
}

// up is what `lab up` is told.
type up struct {
	lab.Options
	show, once bool
	examples   string
	report     string
	timeout    time.Duration
}

func newUp() *cobra.Command {
	var u up
	bin := lab.BinariesIn(binDir())
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a lab, stay until interrupted, and take it down again",
		Long: `Start a lab, stay until interrupted or until a part of it dies, and take it down again.

With --kubeconfig the lab uses that cluster instead of starting a control plane. With --vcenter env it uses the
vCenter that GOVC_URL, GOVC_USERNAME, GOVC_PASSWORD and the other GOVC_ variables name, and removes what it made
there when it ends.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return u.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&u.Dir, "dir", "", "folder for all state and logs, kept at the end (default a temporary one)")
	f.BoolVar(&u.Keep, "keep", false, "keep the temporary folder, too")
	f.StringVar(&u.ReadyFile, "ready-file", "", "file to write the lab's addresses and passwords to, as JSON, when it is ready")
	f.StringVar(&u.Kubeconfig, "kubeconfig", "", "use the cluster of this kubeconfig `file`")
	f.StringVar(&u.VCenter, "vcenter", lab.VCenterSim, "sim: start the stand-in; env: use the vCenter of the GOVC_ variables")
	f.StringVar(&u.Guests, "guests", lab.GuestsSim, "the stand-in's guests: sim or none")
	f.BoolVar(&u.NoRegistry, "no-registry", false, "leave out the registry")
	f.BoolVar(&u.NoVCH, "no-vch", false, "leave out the VCH and the node")
	f.BoolVar(&u.NoNode, "no-node", false, "leave out the node")
	f.StringVar(&u.VCH, "vch", "", "name of the VCH (default lab, with a random ending if vCenter or cluster are not the lab's own)")
	f.StringVar(&u.Node, "node-name", "", "name of the node (default the VCH's name)")
	f.BoolVar(&u.show, "show", false, "run the examples and show nodes, pods, VMs and telemetry")
	f.BoolVar(&u.once, "once", false, "end when ready (and shown) instead of staying")
	f.StringVar(&u.examples, "examples", "examples", "folder with the manifests that --show runs")
	f.StringVar(&u.report, "report", "", "HTML `file` that --show writes the telemetry report to")
	f.DurationVar(&u.timeout, "timeout", 5*time.Minute, "how long starting and showing may take")
	f.StringVar(&u.Binaries.Wolfpack, "wolfpack", bin.Wolfpack, "the wolfpack program")
	f.StringVar(&u.Binaries.VCSim, "vcsim", bin.VCSim, "the vCenter stand-in")
	f.StringVar(&u.Binaries.Govc, "govc", bin.Govc, "the govc program")
	f.StringVar(&u.Binaries.Kube, "kube", bin.Kube, "folder with the control plane's programs, kubectl and registry")
	return cmd
}

// binDir returns the folder of the running program: the others are beside it.
func binDir() string {
	path, err := os.Executable()
	if err != nil {
		return "bin"
	}
	return filepath.Dir(path)
}

// run starts the lab, stays, and takes it down.
func (u up) run(cmd *cobra.Command) (err error) {
	u.Progress = cmd.ErrOrStderr()
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), u.timeout, fmt.Errorf("not ready after %s", u.timeout))
	defer cancel()
	l, err := lab.Up(ctx, u.Options)
	if err != nil {
		return err
	}
	defer func() {
		fmt.Fprintln(u.Progress, "lab: taking everything down")
		ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), 2*time.Minute)
		defer cancel()
		err = errors.Join(err, l.Stop(ctx))
	}()
	if u.show {
		if err := l.Show(ctx, u.examples, u.report, cmd.OutOrStdout()); err != nil {
			return err
		}
	}
	fmt.Fprintf(u.Progress, "lab: ready after %.1f s; logs are in %s\n", time.Since(start).Seconds(), l.Info().Logs)
	if u.once {
		return nil
	}
	fmt.Fprintf(cmd.OutOrStdout(), "\n# In another terminal:\n%s", l.Info().Exports())
	fmt.Fprintln(u.Progress, "lab: Ctrl-C ends it")
	select {
	case <-cmd.Context().Done():
		return nil
	case <-l.Done():
		return l.Err()
	}
}

// exitCode is the exit code of the command that `lab exec` ran, which has said itself what is wrong.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

func newExec() *cobra.Command {
	var readyFile string
	cmd := &cobra.Command{
		Use:     "exec --ready-file FILE -- COMMAND [ARG...]",
		Short:   "Run a command in the environment of a running lab",
		Example: "  lab exec --ready-file lab.json -- kubectl get pods -A",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if readyFile == "" {
				return errors.New("exec: give the lab's --ready-file")
			}
			info, err := lab.ReadInfo(readyFile)
			if err != nil {
				return err
			}
			// The shell does what the exports say: the lab's own programs come first on PATH.
			c := exec.CommandContext(cmd.Context(), "sh", append([]string{"-c", info.Exports() + `exec "$@"`, "sh"}, args...)...)
			c.Stdin, c.Stdout, c.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			err = c.Run()
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() > 0 {
				return exitCode(exit.ExitCode())
			}
			return err
		},
	}
	cmd.Flags().StringVar(&readyFile, "ready-file", "", "the ready file of the lab")
	return cmd
}
