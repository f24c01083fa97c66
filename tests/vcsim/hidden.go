// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
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

// retriever is a property collector that hides objects.
type retriever struct {
	*simulator.PropertyCollector
	hide func(*simulator.Context, []types.ObjectContent)
}

func (r *retriever) RetrieveProperties(ctx *simulator.Context, req *types.RetrieveProperties) soap.HasFault {
	body := r.PropertyCollector.RetrieveProperties(ctx, req)
	if res := body.(*methods.RetrievePropertiesBody).Res; res != nil {
		r.hide(ctx, res.Returnval)
	}
	return body
}

func (r *retriever) RetrievePropertiesEx(ctx *simulator.Context, req *types.RetrievePropertiesEx) soap.HasFault {
	body := r.PropertyCollector.RetrievePropertiesEx(ctx, req)
	if res := body.(*methods.RetrievePropertiesExBody).Res; res != nil && res.Returnval != nil {
		r.hide(ctx, res.Returnval.Objects)
	}
	return body
}

func (r *retriever) ContinueRetrievePropertiesEx(ctx *simulator.Context, req *types.ContinueRetrievePropertiesEx) soap.HasFault {
	body := r.PropertyCollector.ContinueRetrievePropertiesEx(ctx, req)
	if res := body.(*methods.ContinueRetrievePropertiesExBody).Res; res != nil {
		r.hide(ctx, res.Returnval.Objects)
	}
	return body
}
