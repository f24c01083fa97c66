// SPDX-License-Identifier: Apache-2.0

// Command pitfalls proves that the tests know Virtual Kubelet's pitfalls: for each it makes the code what it would be if its
// author did not know the pitfall, and runs the tests that must fail then. Nothing is written to the sources: the go command
// lays the naive file over the real one. `make pitfalls` runs it; it takes minutes, since a test that fails waits first.
//
// It fails if a test passes on the naive code, if naive code does not build, and if the code that it would replace is not there
// any more, so that the proof stays true.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

func main() {
	only := flag.Int("only", 0, "number of the one pitfall to prove; 0 is all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "pitfalls:", err)
		stop()
		os.Exit(1)
	}
}

// run proves the pitfalls one after the other, and says of each how its tests failed. That they pass on the real code is for
// make unit to say.
func run(ctx context.Context, only int) error {
	dir, err := os.MkdirTemp("", "pitfalls-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var all []error
	for _, m := range mutations {
		if only != 0 && m.pitfall != only {
			continue
		}
		fmt.Printf("%2d %s\n", m.pitfall, m.naive)
		for _, test := range m.tests {
			failure, err := m.prove(ctx, dir, test)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				all = append(all, fmt.Errorf("pitfall %d (%s): %w", m.pitfall, m.naive, err))
				failure = "NOT PROVED"
			}
			fmt.Printf("   %s: %s\n", test, failure)
		}
	}
	return errors.Join(all...)
}

// prove runs a test on the naive code, and returns how it failed. It is an error if it did not.
func (m *mutation) prove(ctx context.Context, dir, test string) (failure string, err error) {
	overlay, err := m.overlay(".", dir)
	if err != nil {
		return "", err
	}
	pkg, name, _ := strings.Cut(test, ".")
	command := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout=5m", "-overlay", overlay, "-run", "^"+name+"$", "./"+pkg)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err = command.Run()
	switch text := out.String(); {
	case err == nil:
		return "", fmt.Errorf("%s passes on the naive code", test)
	case !strings.Contains(text, "--- FAIL: "+name):
		return "", fmt.Errorf("%s did not run to its end: %w\n%s", test, err, text)
	default:
		return reason(text), nil
	}
}

// overlay writes the naive files and the file that lays them over those in root, and returns its path.
func (m *mutation) overlay(root, dir string) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	files := map[string][]byte{}
	for _, e := range m.edits {
		path := filepath.Join(root, e.file)
		text, edited := files[path]
		if !edited {
			if text, err = os.ReadFile(path); err != nil {
				return "", err
			}
		}
		if n := bytes.Count(text, []byte(e.old)); n != 1 {
			return "", fmt.Errorf("%s has %d times %q, want it once: the code has changed, so say what would be naive now", e.file, n, e.old)
		}
		files[path] = bytes.Replace(text, []byte(e.old), []byte(e.new), 1)
	}
	replace := map[string]string{}
	for path, text := range files {
		naive := filepath.Join(dir, fmt.Sprintf("%d-%s", m.pitfall, filepath.Base(path)))
		if err := os.WriteFile(naive, text, 0o644); err != nil {
			return "", err
		}
		replace[path] = naive
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("%d.json", m.pitfall))
	return path, os.WriteFile(path, text, 0o644)
}

// explanation finds what testify says of a failure.
var explanation = regexp.MustCompile(`(?m)^\s+(Error|Messages):\s+(\S.*)$`)

// reason is what the first failed assertion of a test says.
func reason(output string) string {
	found := explanation.FindAllStringSubmatch(output, -1)
	var words []string
	for _, f := range found[:min(len(found), 2)] {
		words = append(words, strings.TrimSpace(f[2]))
	}
	if len(words) == 0 {
		return "it failed"
	}
	text := strings.Join(slices.Compact(words), " ")
	return text[:min(len(text), 140)]
}
