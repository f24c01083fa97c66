// SPDX-License-Identifier: Apache-2.0

// Command tether is PID 1 of a pod VM: it runs the pod. The image's first stage, podvm/init, switches to it.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"wolfpack/version"
)

func main() {
	fmt.Fprintln(os.Stderr, "tether:", version.Get())
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "tether: this is the first process of a pod VM and of no use elsewhere")
		os.Exit(2)
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Fprintln(os.Stderr, "tether: power off:", err)
	}
}
