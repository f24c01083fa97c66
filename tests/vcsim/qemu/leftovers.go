// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// markerPrefix begins the name of each machine of a launcher. No other program's machines have it.
const markerPrefix = "wolfpack-stand-in"

// marker says whose a machine is: the process with a number that was started at a time, in a PID namespace. Numbers are
// used again, but not at the same time.
type marker struct {
	namespace string
	pid       int
	started   string // in clock ticks since the boot
}

func newMarker() (marker, error) {
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return marker{}, fmt.Errorf("find out who this process is, for QEMU guests: %w", err)
	}
	m := marker{namespace: namespace, pid: os.Getpid()}
	m.started = startTime(m.pid)
	return m, nil
}

// String is the marker as it is in a command line: PREFIX/NAMESPACE/PID/STARTED.
func (m marker) String() string {
	return fmt.Sprintf("%s/%s/%d/%s", markerPrefix, m.namespace, m.pid, m.started)
}

// parseMarker takes the marker from the name of a machine.
func parseMarker(name string) (marker, bool) {
	name, found := strings.CutPrefix(name, "guest="+markerPrefix+"/")
	namespace, rest, _ := strings.Cut(name, "/")
	number, rest, _ := strings.Cut(rest, "/")
	started, _, ended := strings.Cut(rest, ":")
	pid, err := strconv.Atoi(number)
	if !found || !ended || err != nil || pid <= 0 || started == "" {
		return marker{}, false
	}
	return marker{namespace, pid, started}, true
}

// startTime is when a process was started, or "" if there is none.
func startTime(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ") // the name before it may have anything in it
	const after = 22 - 3                                                            // the 22nd field; the rest begins with the 3rd
	if fields := strings.Fields(rest); len(fields) > after {
		return fields[after]
	}
	return ""
}

// endLeftovers kills the machines whose launcher is no more. What the user may not see or end is none of the user's.
func endLeftovers(own marker) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		process, err := os.FindProcess(pid) // by a handle, so that it stays the same one
		if err != nil {
			continue
		}
		if line, err := os.ReadFile(path); err == nil && orphaned(line, own.namespace) {
			_ = process.Kill() // gone meanwhile, or another user's
		}
		_ = process.Release()
	}
}

// orphaned says whether a command line is that of a machine of this PID namespace whose launcher is no more.
func orphaned(line []byte, namespace string) bool {
	words := strings.Split(string(line), "\x00")
	for i, word := range words[:len(words)-1] {
		if word == "-name" {
			owner, ok := parseMarker(words[i+1])
			return ok && owner.namespace == namespace && startTime(owner.pid) != owner.started
		}
	}
	return false
}
