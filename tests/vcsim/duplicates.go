// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// folderMethods is a folder that refuses a second VM of one name, as vCenter does (DuplicateName in the vSphere API
// reference of CreateVM_Task). The simulator takes it. The call holds the folder's lock, and so does the task of a create
// until it ends: of two creates at once, one is refused.
type folderMethods struct{ *simulator.Folder }

func (f *folderMethods) CreateVMTask(ctx *simulator.Context, req *types.CreateVM_Task) soap.HasFault {
	taken := ctx.Map.FindByName(req.Config.Name, f.ChildEntity)
	if taken == nil {
		return f.Folder.CreateVMTask(ctx, req)
	}
	task := simulator.CreateTask(f.Folder, "createVm", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		return nil, &types.DuplicateName{Name: req.Config.Name, Object: taken.Reference()}
	})
	return &methods.CreateVM_TaskBody{Res: &types.CreateVM_TaskResponse{Returnval: task.Run(ctx)}}
}
