// SPDX-License-Identifier: Apache-2.0

package simkubelet

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// The annotations of a pod that this package reads; see its comment.
const (
	AnnotationLog      = "sim.wolfpack/log"
	AnnotationLogEvery = "sim.wolfpack/log-every"
	AnnotationForward  = "sim.wolfpack/forward"
)

// minLogEvery keeps a container from logging more than anybody can read.
const minLogEvery = 10 * time.Millisecond

// Script is what the annotations say.
type Script struct {
	Log      []string         // lines
	LogEvery time.Duration    // 0 for never
	Forward  map[int32]string // addresses by port
}

// ParseScript reads the annotations of a pod. An error names the annotation, its value and what would be right.
func ParseScript(annotations map[string]string) (Script, error) {
	var s Script
	if text := strings.TrimRight(annotations[AnnotationLog], "\n"); text != "" {
		s.Log = strings.Split(text, "\n")
	}
	if text, ok := annotations[AnnotationLogEvery]; ok {
		every, err := time.ParseDuration(text)
		if err != nil || every < minLogEvery {
			return Script{}, fmt.Errorf(`annotation %s is %q; want a duration of at least %s, such as "1.5s"`, AnnotationLogEvery, text, minLogEvery)
		}
		s.LogEvery = every
	}
	for pair := range strings.SplitSeq(annotations[AnnotationForward], ",") {
		if pair == "" {
			continue
		}
		port, address, _ := strings.Cut(pair, "=")
		number, err := strconv.ParseUint(strings.TrimSpace(port), 10, 16)
		_, _, bad := net.SplitHostPort(address)
		if err != nil || bad != nil {
			return Script{}, fmt.Errorf(`annotation %s is %q; want PORT=HOST:PORT, such as "8080=127.0.0.1:3000"`, AnnotationForward, annotations[AnnotationForward])
		}
		if s.Forward == nil {
			s.Forward = map[int32]string{}
		}
		s.Forward[int32(number)] = address
	}
	return s, nil
}
