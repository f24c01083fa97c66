// SPDX-License-Identifier: Apache-2.0

// Package lab starts a whole environment: a Kubernetes control plane, a vCenter stand-in, a container registry, a virtual
// container host and its virtual node. `make up` runs one, and so does each worker of the Robot suites.
//
// Parts can be left out or replaced: by the cluster of a kubeconfig, and by the vCenter that the GOVC_ variables name. The
// lab uses nothing of a foreign vCenter but what `wolfpack` uses, gives its own things unique names there, and removes them
// at its end.
//
// A Lab is its caller's to Stop. It lives and dies as a whole: when the first of its parts ends by itself, Done is closed
// and Err says which. Everything it writes is below one folder, so any number of labs can run side by side. Its methods
// are safe for concurrent use.
package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"wolfpack/tests/kube"
	"wolfpack/tests/pki"
	"wolfpack/tests/process"
)

// The kinds of vCenter that a lab can use, and the kinds of guests that its stand-in can run.
const (
	VCenterSim = "sim" // the stand-in, started with the lab
	VCenterEnv = "env" // the one that GOVC_URL and the other GOVC_ variables name

	GuestsSim  = "sim"  // simulated guests that speak the guest contract
	GuestsNone = "none" // virtual machines without guests
)

// Options says what a lab is made of. Binaries is required; otherwise the zero value is a lab with everything in it.
type Options struct {
	// Dir is the folder for all state and logs; it must be empty or missing, and stays. Default: a new temporary folder,
	// removed by Stop unless Keep is set.
	Dir  string
	Keep bool
	// ReadyFile, if set, is the file to write Info to when the lab is ready. Stop removes it.
	ReadyFile string

	// Binaries are the programs to run.
	Binaries Binaries

	// Kubeconfig, if set, is a file for the cluster to use instead of a control plane of the lab's own.
	Kubeconfig string
	// VCenter is VCenterSim (the default) or VCenterEnv.
	VCenter string
	// Guests is GuestsSim (the default) or GuestsNone; it matters for the stand-in only.
	Guests string
	// NoRegistry, NoVCH and NoNode leave parts out. Without a VCH there is no node either.
	NoRegistry, NoVCH, NoNode bool
	// VCH names the virtual container host. Default: "lab", with a random ending if the vCenter or the cluster is foreign.
	VCH string
	// Node names the virtual node. Default: the VCH's name.
	Node string

	// Progress gets a line for each step. Default: none.
	Progress io.Writer
}

// Lab is a running lab.
type Lab struct {
	opts  Options
	ca    *pki.CA // signs the stand-in's and the registry's certificates
	kube  *kube.ControlPlane
	group process.Group
	info  Info
}

// step is a part of starting a lab.
type step struct {
	name string
	skip bool
	run  func(context.Context) error
}

// Up starts a lab and returns when its node is ready, or whatever part there is comes last. When it fails nothing is left
// running. The wait is bounded by ctx only; afterwards ctx has no effect.
func Up(ctx context.Context, opts Options) (*Lab, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("start lab: %w", err)
	}
	l := &Lab{opts: opts, info: Info{Govc: map[string]string{}, Pids: map[string]int{}, Logs: filepath.Join(opts.Dir, "logs")}}
	err = l.do(ctx, []step{
		{"folders and certificates", false, l.prepare},
		{"Kubernetes control plane", opts.Kubeconfig != "", l.startControlPlane},
		{"cluster of the kubeconfig", opts.Kubeconfig == "", l.useCluster},
		{"vCenter stand-in", opts.VCenter != VCenterSim, l.startVCenter},
		{"vCenter of GOVC_URL", opts.VCenter != VCenterEnv, l.useVCenter},
		{"registry", opts.NoRegistry, l.startRegistry},
		{"virtual container host " + opts.VCH, opts.NoVCH, l.createVCH},
		{"approver of kubelet certificates", opts.NoNode && opts.Kubeconfig != "", l.approveCertificates},
		{"virtual node " + opts.Node, opts.NoNode, l.startNode},
		{"node is ready", opts.NoNode, l.waitNode},
		{"kubelet endpoint has a certificate", opts.NoNode || opts.Kubeconfig != "", l.waitEndpoint},
		{"ready file", opts.ReadyFile == "", l.writeReadyFile},
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start lab: %w", err), l.Stop(context.WithoutCancel(ctx)))
	}
	return l, nil
}

// withDefaults fills in what was left open, and checks what was not.
func (o Options) withDefaults() (Options, error) {
	if o.VCenter == "" {
		o.VCenter = VCenterSim
	}
	if o.VCenter != VCenterSim && o.VCenter != VCenterEnv {
		return o, fmt.Errorf("vcenter %q: must be %s or %s", o.VCenter, VCenterSim, VCenterEnv)
	}
	if o.VCenter == VCenterEnv && os.Getenv("GOVC_URL") == "" {
		return o, errors.New("GOVC_URL is not set: it, GOVC_USERNAME and GOVC_PASSWORD say which vCenter to use")
	}
	if o.Guests == "" {
		o.Guests = GuestsSim
	}
	if o.Guests != GuestsSim && o.Guests != GuestsNone {
		return o, fmt.Errorf("guests %q: must be %s or %s", o.Guests, GuestsSim, GuestsNone)
	}
	if o.VCH == "" {
		o.VCH = "lab"
		if o.Kubeconfig != "" || o.VCenter == VCenterEnv {
			o.VCH += "-" + strings.ToLower(rand.Text()[:6])
		}
	}
	if o.Node == "" {
		o.Node = o.VCH
	}
	o.NoNode = o.NoNode || o.NoVCH
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if err := o.Binaries.check(o); err != nil {
		return o, err
	}
	var err error
	o.Dir, o.Keep, err = makeDir(o.Dir, o.Keep)
	return o, err
}

// makeDir makes the lab's folder. One that the caller chose is kept.
func makeDir(dir string, keep bool) (string, bool, error) {
	if dir == "" {
		dir, err := os.MkdirTemp("", "wolfpack-lab-")
		return dir, keep, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", true, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", true, err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("folder %s is not empty: give the lab one of its own", dir)
	}
	return dir, true, err
}

// do runs the steps in order, with a line of progress for each.
func (l *Lab) do(ctx context.Context, steps []step) error {
	// A part that dies while a later one starts ends the start at once.
	ctx, cancel := process.Bind(ctx, &l.group)
	defer cancel()
	for _, s := range steps {
		if s.skip {
			continue
		}
		start := time.Now()
		fmt.Fprintf(l.opts.Progress, "lab: %-36s", s.name)
		err := s.run(ctx)
		if err == nil {
			err = l.group.Err()
		}
		if err != nil {
			fmt.Fprintln(l.opts.Progress, "failed")
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(l.opts.Progress, "%5.1f s\n", time.Since(start).Seconds())
	}
	return nil
}

// prepare makes the lab's certificate authority and writes its certificate for those who connect.
func (l *Lab) prepare(context.Context) error {
	var err error
	if l.ca, err = pki.NewCA("wolfpack lab"); err != nil {
		return err
	}
	l.info.Binaries = map[string]string{
		"wolfpack": l.opts.Binaries.Wolfpack, "govc": l.opts.Binaries.Govc, "kubectl": l.opts.Binaries.kubectl(),
	}
	return l.ca.WriteFiles(l.path("ca.crt"), "")
}

// Info returns what one needs to use the lab.
func (l *Lab) Info() Info { return l.info.clone() }

// Done is closed when the first part of the lab ends by itself, and by Stop.
func (l *Lab) Done() <-chan struct{} { return l.group.Done() }

// Err says which part ended by itself and how, with the end of its log; nil if none has.
func (l *Lab) Err() error { return l.group.Err() }

// Stop takes everything down, the last part first, and goes on past those that fail. Stopping a stopped lab is harmless.
func (l *Lab) Stop(ctx context.Context) error {
	var errs []error
	if l.opts.ReadyFile != "" {
		if err := os.Remove(l.opts.ReadyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove ready file: %w", err))
		}
	}
	errs = append(errs, l.group.Stop(ctx))
	if !l.opts.Keep {
		errs = append(errs, os.RemoveAll(l.opts.Dir))
	}
	return errors.Join(errs...)
}

// path returns a path below the lab's folder.
func (l *Lab) path(elem ...string) string {
	return filepath.Join(append([]string{l.opts.Dir}, elem...)...)
}

// adopt makes a process part of the lab.
func (l *Lab) adopt(p *process.Process) {
	l.group.Add(p)
	l.info.Pids[p.Name()] = p.Pid()
}

// env returns the environment in which the lab's vSphere and Kubernetes clients run: the caller's, but for what points
// them elsewhere.
func (l *Lab) env() []string {
	env := []string{}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GOVC_") && !strings.HasPrefix(kv, "KUBECONFIG=") {
			env = append(env, kv)
		}
	}
	// Where kubectl keeps what it knows of a server; by default that is a folder in the user's home.
	return append(append(env, "KUBECACHEDIR="+l.path("kubectl")), l.info.Env()...)
}
