// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"os"
	"path/filepath"
)

// Binaries are the programs that a lab runs.
type Binaries struct {
	Wolfpack string // the product
	VCSim    string // the vCenter stand-in of tests/vcsim
	Govc     string // the vSphere command line
	Kube     string // the folder that `make kube` fills: the control plane, kubectl and the registry
}

// BinariesIn returns the programs of a bin folder that `make build kube` filled.
func BinariesIn(bin string) Binaries {
	return Binaries{
		Wolfpack: filepath.Join(bin, "wolfpack"),
		VCSim:    filepath.Join(bin, "vcsim"),
		Govc:     filepath.Join(bin, "govc"),
		Kube:     filepath.Join(bin, "kube"),
	}
}

func (b Binaries) kubectl() string  { return filepath.Join(b.Kube, "kubectl") }
func (b Binaries) registry() string { return filepath.Join(b.Kube, "registry") }

// check fails if a program that a lab with these options runs is missing. The control plane looks after its own.
func (b Binaries) check(o Options) error {
	for _, p := range []struct {
		path, make string
		needed     bool
	}{
		{b.Wolfpack, "build", !o.NoVCH},
		{b.VCSim, "build", o.VCenter == VCenterSim},
		{b.registry(), "kube", !o.NoRegistry},
	} {
		if !p.needed {
			continue
		}
		if _, err := os.Stat(p.path); err != nil {
			return fmt.Errorf("a program is missing, run `make %s` first: %w", p.make, err)
		}
	}
	return nil
}
