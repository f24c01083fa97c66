// SPDX-License-Identifier: Apache-2.0

//go:build race

package vcsim

// raceDetector says whether the race detector watches.
const raceDetector = true
