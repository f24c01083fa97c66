// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// hide takes the properties out of objects that DoDeny is for, and says why they are missing, as vCenter does.
func (s *Server) hide(ctx *simulator.Context, objects []types.ObjectContent) {
	if !s.faults.haveStates() {
		return
	}
	for i := range objects {
		object := &objects[i]
		if len(object.PropSet) == 0 || !s.faults.hides(s.namedFor(ctx, object.Obj)) {
			continue
		}
		for _, p := range object.PropSet {
			object.MissingSet = append(object.MissingSet, types.MissingProperty{Path: p.Name, Fault: types.LocalizedMethodFault{
				Fault: &types.NoPermission{Object: &object.Obj, PrivilegeId: "System.Read"},
			}})
		}
		object.PropSet = nil
	}
}
