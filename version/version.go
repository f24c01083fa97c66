// SPDX-License-Identifier: Apache-2.0

// Package version is the one version stamp of everything that Wolfpack builds and names: binaries, virtual nodes and
// the guest names of VMs. The Makefile sets it at link time.
package version

import (
	"runtime"
	"strings"
)

// Set by the linker: -X wolfpack/version.version=v1.2.0 and so on.
var (
	version = ""
	build   = ""
	commit  = ""
)

// Unknown stands for what a build outside git cannot know. It is a valid field of a guest name.
const Unknown = "unknown"

// Info is the version stamp.
type Info struct {
	Version string `json:"version"` // as git describe prints it, such as v1.2.0 or v1.2.0-3-gabc1234; "unknown" outside git
	Build   string `json:"build"`   // number of the CI run; "0" for a local build
	Commit  string `json:"commit"`  // first 7 digits of the commit; "unknown" outside git
	Go      string `json:"go"`      // toolchain, such as go1.26.1
}

// Get returns the stamp of this binary.
func Get() Info {
	return Info{Version: or(version, Unknown), Build: or(build, "0"), Commit: short(or(commit, Unknown)), Go: runtime.Version()}
}

// String is the stamp in one line, and says so when it was built outside git.
func (i Info) String() string {
	text := "version " + i.Version + ", build " + i.Build + ", commit " + i.Commit + ", " + i.Go
	if i.Commit == Unknown {
		text += " (built outside git: version and commit are unknown)"
	}
	return text
}

func or(s, otherwise string) string {
	if s = strings.TrimSpace(s); s == "" {
		return otherwise
	}
	return s
}

func short(commit string) string { return commit[:min(7, len(commit))] }
