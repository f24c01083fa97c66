// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package qemu

import "syscall"

// dieWithParent is for Linux alone, as is all of this package: New fails elsewhere.
func dieWithParent() *syscall.SysProcAttr { return nil }
