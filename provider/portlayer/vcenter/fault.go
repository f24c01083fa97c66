// SPDX-License-Identifier: Apache-2.0

package vcenter

import (
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/vim25/types"
)

// unlessState is err, or nil if err only says that the VM is in state already.
func unlessState(err error, state types.VirtualMachinePowerState) error {
	var wrong *types.InvalidPowerState
	if err == nil {
		return nil
	}
	if _, ok := fault.As(err, &wrong); ok && wrong.ExistingState == state {
		return nil
	}
	return err
}

// toolsAreDown says whether the guest cannot be asked, because VMware Tools does not run in it (yet).
func toolsAreDown(err error) bool {
	return err != nil && (fault.Is(err, new(types.ToolsUnavailable)) || fault.Is(err, new(types.VmToolsUpgradeFault)))
}
