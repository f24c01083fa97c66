// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ticks is the unit of times in /proc, a constant of the kernel's interface on all machines that Go supports (proc(5)).
const ticks = 100

// usage is what a process has used.
type usage struct {
	cpu    float64 // seconds, user and system
	memory float64 // bytes that are resident and nobody else's
}

// usageOf reads what Linux says of a process.
func usageOf(pid int) (usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, err
	}
	// The name, in parentheses, may have anything in it; what follows has no more of them.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var spent float64
	for _, field := range fields[11:13] { // utime and stime, the 14th and 15th of all
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return usage{}, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
		}
		spent += n / ticks
	}
	memory, err := anonymous(pid)
	return usage{cpu: spent, memory: memory}, err
}

// anonymous is the resident memory of a process that no file backs, in bytes.
func anonymous(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kilobytes, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kilobytes * 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no RssAnon", pid)
}
