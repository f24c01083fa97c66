// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Binaries are the programs that a lab runs.
type Binaries struct {
	Wolfpack string // the product
	VCSim    string // the vCenter stand-in of tests/vcsim
	Govc     string // the vSphere command line
	Kube     string // the folder that `make kube` fills: the control plane, kubectl and the registry

	// For real guests only: what they boot from, and what the lab's images are made of.
	GuestImage string
	Busybox    string
	Hello      string
}

// BinariesIn returns the programs of a bin folder that `make build kube` filled.
func BinariesIn(bin string) Binaries {
	busybox, _ := exec.LookPath("busybox") // checkReal says that there is none, if it matters
	return Binaries{
		Wolfpack: filepath.Join(bin, "wolfpack"),
		VCSim:    filepath.Join(bin, "vcsim"),
		Govc:     filepath.Join(bin, "govc"),
		Kube:     filepath.Join(bin, "kube"),

		GuestImage: filepath.Join(bin, "podvm", "wolfpack-podvm.iso"),
		Busybox:    busybox,
		Hello:      filepath.Join(bin, "hello"),
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
		if err := present(p.path, p.make); err != nil {
			return err
		}
	}
	if o.real() {
		return b.checkReal()
	}
	return nil
}

// present fails if a file is missing, and says which target makes it.
func present(path, target string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("a program is missing, run `make %s` first: %w", target, err)
	}
	return nil
}
