// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// FindBinaries returns the folder that `make kube` put the programs in, for the checkout that the working directory is in.
// Tests use it; programs are told.
func FindBinaries() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the control plane's binaries: %w", err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "tests", "kube", "binaries", "go.mod")); err != nil {
			continue
		}
		binaries := filepath.Join(dir, "bin", "kube")
		return binaries, checkBinaries(binaries)
	}
	return "", errors.New("find the control plane's binaries: the working directory is in no checkout of wolfpack")
}

// checkBinaries fails unless dir has all the programs that a control plane runs.
func checkBinaries(dir string) error {
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("no %s in %s: run `make kube` first: %w", name, dir, err)
		}
	}
	return nil
}
