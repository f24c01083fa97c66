// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package process

import "syscall"

// sysProcAttr does without a parent death signal, which only Linux has.
func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
