// SPDX-License-Identifier: Apache-2.0

// Command build makes the programs a lab runs that are not this project's own: a Kubernetes control plane with kubectl
// (module tests/kube/binaries), a container registry (module tests/registry/binaries), and Helm and Prometheus' promtool
// (module tests/deploy/binaries). It is what `make kube` runs.
//
// They are built once for each version and kept outside the checkout, in
// ${WOLFPACK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wolfpack}/kube/<version>-<hash>/, so that a second clone builds nothing.
// bin/kube links to that folder, which is where the lab and the tests look. The folder's path is the last line on standard
// output; progress goes to standard error. Several builds at once are safe: one builds, the others wait for it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	link := flag.String("link", "bin/kube", "link to make to the folder with the binaries, relative to the checkout; empty makes none")
	flag.Parse()
	if err := run(ctx, *link); err != nil {
		fmt.Fprintf(os.Stderr, "kube: %v\n", err)
		stop()
		os.Exit(1)
	}
}

// run brings the cache up to date and prints the folder in it.
func run(ctx context.Context, link string) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	cache, err := cacheDir(os.Getenv)
	if err != nil {
		return err
	}
	b := builder{root: root, cache: filepath.Join(cache, "kube"), modules: modules(), progress: os.Stderr}
	dir, err := b.ensure(ctx)
	if err != nil {
		return err
	}
	if link != "" {
		if err := relink(dir, filepath.Join(root, link)); err != nil {
			return err
		}
	}
	fmt.Println(dir)
	return nil
}

// modules lists what is built. Kubernetes comes first: its version names the cache folder.
func modules() []module {
	const cmd = "k8s.io/kubernetes/cmd/"
	return []module{
		{
			dir:     "tests/kube/binaries",
			version: "k8s.io/kubernetes",
			// Kubernetes' own build stamps these; without them every component says v0.0.0-master and kubectl warns of skew.
			stamp: []string{"k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion"},
			programs: []program{
				{"etcd", "./etcd"},
				{"kube-apiserver", cmd + "kube-apiserver"},
				{"kube-controller-manager", cmd + "kube-controller-manager"},
				{"kube-scheduler", cmd + "kube-scheduler"},
				{"kubectl", cmd + "kubectl"},
			},
		},
		{
			dir:      "tests/registry/binaries",
			version:  "github.com/distribution/distribution/v3",
			programs: []program{{"registry", "./registry"}},
		},
		{
			dir:      "tests/deploy/binaries",
			version:  "helm.sh/helm/v4",
			stamp:    []string{"helm.sh/helm/v4/internal/version.version"},
			programs: []program{{"helm", "helm.sh/helm/v4/cmd/helm"}},
		},
		{
			dir:      "tests/deploy/binaries",
			version:  "github.com/prometheus/prometheus",
			stamp:    []string{"github.com/prometheus/common/version.Version"},
			tags:     "remove_all_sd", // service discovery of every cloud takes longer to compile than all else, and no check needs it
			programs: []program{{"promtool", "github.com/prometheus/prometheus/cmd/promtool"}, {"promql", "./promql"}},
		},
	}
}

// checkout returns the root of the checkout that the working directory is in.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "tests", "kube", "binaries", "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no checkout of wolfpack here: run this below the folder with tests/kube/binaries")
		}
	}
}

// cacheDir returns Wolfpack's cache folder for the environment that getenv reads.
func cacheDir(getenv func(string) string) (string, error) {
	if dir := getenv("WOLFPACK_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	// A relative XDG_CACHE_HOME is to be ignored, says the XDG base directory specification.
	if dir := getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "wolfpack"), nil
	}
	if dir := getenv("HOME"); dir != "" {
		return filepath.Join(dir, ".cache", "wolfpack"), nil
	}
	return "", errors.New("no place for the cache: set WOLFPACK_CACHE or HOME")
}

// relink makes link point to dir, replacing an older link in one step.
func relink(dir, link string) error {
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return fmt.Errorf("link the binaries: %w", err)
	}
	tmp := fmt.Sprintf("%s.%d", link, os.Getpid())
	if err := os.Symlink(dir, tmp); err != nil {
		return fmt.Errorf("link the binaries: %w", err)
	}
	if err := os.Rename(tmp, link); err != nil {
		return errors.Join(fmt.Errorf("link the binaries: %w", err), os.Remove(tmp))
	}
	return nil
}
