// SPDX-License-Identifier: Apache-2.0

// Package rules tests the rules of this repository's own code, and prints the reason of each that is broken.
package rules

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "wolfpack"

// layers say what a package may not import. A package is in the first layer whose path it begins with.
var layers = []struct {
	path   string
	never  []string
	reason string
}{
	{"tests/", nil, ""},
	{"guest/contract", []string{"wolfpack/provider", "wolfpack/vch", "wolfpack/vsphere", "wolfpack/cmd", "wolfpack/telemetry", "k8s.io/client-go"}, "the guest's side uses it too, and must stay small"},
	{"guest/environment", []string{"wolfpack/", "k8s.io/client-go"}, "the guest's side uses it too, and must stay small"},
	{"guest", []string{"wolfpack/", "k8s.io/"}, "guest names are for every tool that reads an inventory: they need govmomi's types and nothing else"},
	{"internal/build", []string{"wolfpack/", "github.com/", "k8s.io/"}, "it is compiled before anything else is built"},
	{"errs", []string{"wolfpack/", "k8s.io/"}, "every package imports it"},
	{"version", []string{"wolfpack/", "github.com/", "k8s.io/"}, "every package imports it"},
	{"vsphere", []string{"wolfpack/provider", "wolfpack/vch", "wolfpack/cmd", "k8s.io/"}, "it only connects"},
	{"vch", []string{"wolfpack/provider", "wolfpack/cmd", "wolfpack/telemetry", "k8s.io/client-go", "github.com/virtual-kubelet"}, "an admin makes virtual container hosts without Kubernetes"},
	{"telemetry", []string{"wolfpack/provider", "wolfpack/cmd", "k8s.io/client-go"}, "telemetry reads guest names, of whatever wrote them"},
	{"provider/portlayer", []string{"wolfpack/provider/operations", "wolfpack/cmd", "k8s.io/client-go", "github.com/virtual-kubelet"}, "the portlayer knows no API server"},
	{"provider/operations", []string{"wolfpack/cmd", "k8s.io/client-go", "github.com/virtual-kubelet", "github.com/vmware"}, "operations go through the portlayer"},
	{"provider", []string{"wolfpack/cmd", "github.com/vmware"}, "the provider reaches vSphere through the portlayer"},
	{"cmd", nil, ""},
}

// goFiles calls check for each Go file of this module, with its path from the root.
func goFiles(t *testing.T, check func(path string)) {
	t.Helper()
	root := os.DirFS("../..")
	checked := 0
	require.NoError(t, fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != "." {
			_, nested := fs.Stat(root, filepath.Join(path, "go.mod"))
			if nested == nil || strings.HasPrefix(entry.Name(), ".") || path == "bin" || path == "build" {
				return fs.SkipDir
			}
		}
		if !entry.IsDir() && strings.HasSuffix(path, ".go") {
			checked++
			check(path)
		}
		return nil
	}))
	require.Greater(t, checked, 50, "the rules saw hardly any file: they look in the wrong place")
}

func TestImportsPointOneWay(t *testing.T) {
	goFiles(t, func(path string) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("../..", path), nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range file.Imports {
			checkImport(t, path, strings.Trim(spec.Path.Value, `"`))
		}
	})
}

func checkImport(t *testing.T, path, imported string) {
	t.Helper()
	test := strings.HasSuffix(path, "_test.go") || strings.HasSuffix(filepath.Dir(path), "test")
	if !test && !strings.HasPrefix(path, "tests/") && strings.HasPrefix(imported, module+"/tests/") {
		t.Errorf("%s imports %s: production code never imports what it is tested with", path, imported)
	}
	if test {
		return
	}
	for _, layer := range layers {
		if !strings.HasPrefix(path, layer.path) {
			continue
		}
		for _, never := range layer.never {
			within := strings.HasPrefix(imported, module+"/"+layer.path)
			if strings.HasPrefix(imported, never) && !within {
				t.Errorf("%s imports %s: %s", path, imported, layer.reason)
			}
		}
		return
	}
	t.Errorf("%s is in no layer: add its folder to the list in this test, with what it may not import", path)
}

func TestEveryFileSaysItsLicence(t *testing.T) {
	goFiles(t, func(path string) {
		text, err := os.ReadFile(filepath.Join("../..", path))
		require.NoError(t, err)
		if !strings.Contains(string(text[:min(len(text), 200)]), "// SPDX-License-Identifier: Apache-2.0\n") {
			t.Errorf("%s: add the line `// SPDX-License-Identifier: Apache-2.0` at the top", path)
		}
	})
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	documented := map[string]bool{}
	goFiles(t, func(path string) {
		if strings.HasSuffix(path, "_test.go") && !strings.HasPrefix(path, "tests/rules") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("../..", path), nil, parser.ParseComments|parser.PackageClauseOnly)
		require.NoError(t, err)
		folder := filepath.Dir(path)
		documented[folder] = documented[folder] || file.Doc.Text() != ""
	})
	for folder, ok := range documented {
		if !ok {
			t.Errorf("%s: no file has a package comment: say what the package is for and, if anything is concurrent, what callers may rely on", folder)
		}
	}
}
