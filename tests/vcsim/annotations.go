// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The annotations of a pod that tell its simulated guest what to do.
const (
	AnnotationStartDelay = "sim.wolfpack/start-delay" // duration before the containers run
	AnnotationExitAfter  = "sim.wolfpack/exit-after"  // duration after the start at which all containers exit
	AnnotationExitCode   = "sim.wolfpack/exit-code"   // with which code; without exit-after they exit at once
	AnnotationStopDelay  = "sim.wolfpack/stop-delay"  // duration that the containers take to stop
	AnnotationFail       = "sim.wolfpack/fail"        // message of a guest that fails instead of running the pod
	AnnotationHang       = "sim.wolfpack/hang"        // "true": Tools run, but the guest never reports anything
)

// script is what a simulated guest does.
type script struct {
	startDelay time.Duration
	exits      bool // the containers exit by themselves
	exitAfter  time.Duration
	exitCode   int32
	stopDelay  time.Duration
	fail       string // why the guest fails; "" if it does not
	hang       bool
}

// parseScript reads the annotations of a pod. An error names the annotation, its value and what would be right.
func parseScript(annotations map[string]string) (script, error) {
	s := script{fail: annotations[AnnotationFail]}
	for _, field := range []struct {
		key string
		to  *time.Duration
	}{
		{AnnotationStartDelay, &s.startDelay},
		{AnnotationExitAfter, &s.exitAfter},
		{AnnotationStopDelay, &s.stopDelay},
	} {
		if value, ok := annotations[field.key]; ok {
			d, err := time.ParseDuration(value)
			if err != nil || d < 0 {
				return script{}, badAnnotation(field.key, value, `a duration such as "1.5s"`)
			}
			*field.to = d
		}
	}
	_, s.exits = annotations[AnnotationExitAfter]
	if value, ok := annotations[AnnotationExitCode]; ok {
		code, err := strconv.ParseUint(value, 10, 8)
		if err != nil {
			return script{}, badAnnotation(AnnotationExitCode, value, "a number from 0 to 255")
		}
		s.exits, s.exitCode = true, int32(code)
	}
	if value, ok := annotations[AnnotationHang]; ok {
		hang, err := strconv.ParseBool(value)
		if err != nil {
			return script{}, badAnnotation(AnnotationHang, value, `"true" or "false"`)
		}
		s.hang = hang
	}
	return s, nil
}

func badAnnotation(key, value, want string) error {
	return fmt.Errorf("annotation %s is %q; want %s", key, value, want)
}

// restarts reports whether containers that have exited are run again under policy.
func (s script) restarts(policy corev1.RestartPolicy) bool {
	switch policy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return s.exitCode != 0
	default:
		return true
	}
}
