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
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"wolfpack/internal/build"
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
	root, err := build.Checkout()
	if err != nil {
		return err
	}
	cache, err := build.CacheDir(os.Getenv)
	if err != nil {
		return err
	}
	b := build.Builder{Root: root, Cache: filepath.Join(cache, "kube"), Modules: modules(), Log: build.Log{Name: "kube", To: os.Stderr}}
	dir, err := b.Ensure(ctx)
	if err != nil {
		return err
	}
	if link != "" {
		if err := build.Relink(dir, filepath.Join(root, link)); err != nil {
			return err
		}
	}
	fmt.Println(dir)
	return nil
}

// modules lists what is built. Kubernetes comes first: its version names the cache folder.
func modules() []build.Module {
	const cmd = "k8s.io/kubernetes/cmd/"
	return []build.Module{
		{
			Dir:     "tests/kube/binaries",
			Version: "k8s.io/kubernetes",
			// Kubernetes' own build stamps these; without them every component says v0.0.0-master and kubectl warns of skew.
			Stamp: []string{"k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion"},
			Programs: []build.Program{
				{Name: "etcd", Package: "./etcd"},
				{Name: "kube-apiserver", Package: cmd + "kube-apiserver"},
				{Name: "kube-controller-manager", Package: cmd + "kube-controller-manager"},
				{Name: "kube-scheduler", Package: cmd + "kube-scheduler"},
				{Name: "kubectl", Package: cmd + "kubectl"},
			},
		},
		{
			Dir:      "tests/registry/binaries",
			Version:  "github.com/distribution/distribution/v3",
			Programs: []build.Program{{Name: "registry", Package: "./registry"}},
		},
		{
			Dir:      "tests/deploy/binaries",
			Version:  "helm.sh/helm/v4",
			Stamp:    []string{"helm.sh/helm/v4/internal/version.version"},
			Programs: []build.Program{{Name: "helm", Package: "helm.sh/helm/v4/cmd/helm"}},
		},
		{
			Dir:      "tests/deploy/binaries",
			Version:  "github.com/prometheus/prometheus",
			Stamp:    []string{"github.com/prometheus/common/version.Version"},
			Tags:     "remove_all_sd", // service discovery of every cloud takes longer to compile than all else, and no check needs it
			Programs: []build.Program{{Name: "promtool", Package: "github.com/prometheus/prometheus/cmd/promtool"}, {Name: "promql", Package: "./promql"}},
		},
	}
}
