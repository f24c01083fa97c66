// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// privileges says what a session's user may do, by the permissions that were set. In the simulator everybody may do
// everything, and is told so; here too who has no permission anywhere may do everything, since most tests set none. The calls
// themselves are not refused: DoDeny does that.
type privileges struct {
	*simulator.AuthorizationManager
}

// HasPrivilegeOnEntities answers by the permission that counts for each entity.
func (p *privileges) HasPrivilegeOnEntities(ctx *simulator.Context, req *types.HasPrivilegeOnEntities) soap.HasFault {
	res := new(types.HasPrivilegeOnEntitiesResponse)
	for _, entity := range req.Entity {
		granted := p.granted(ctx, ctx.Session.UserName, entity)
		answer := types.EntityPrivilege{Entity: entity}
		for _, id := range req.PrivId {
			answer.PrivAvailability = append(answer.PrivAvailability, types.PrivilegeAvailability{PrivId: id, IsGranted: granted(id)})
		}
		res.Returnval = append(res.Returnval, answer)
	}
	return &methods.HasPrivilegeOnEntitiesBody{Res: res}
}

// granted finds the permission of user that is nearest to entity, on it or propagated from what it is in.
func (p *privileges) granted(ctx *simulator.Context, user string, entity types.ManagedObjectReference) func(string) bool {
	permissions := p.RetrieveAllPermissions(new(types.RetrieveAllPermissions)).(*methods.RetrieveAllPermissionsBody).Res.Returnval
	all := slices.DeleteFunc(slices.Clone(permissions), func(permission types.Permission) bool {
		return permission.Group || !strings.EqualFold(permission.Principal, user)
	})
	if len(all) == 0 {
		return func(string) bool { return true }
	}
	for at := &entity; at != nil; {
		for _, permission := range all {
			if *permission.Entity != *at || *at != entity && !permission.Propagate {
				continue
			}
			if role := object.AuthorizationRoleList(p.RoleList).ById(permission.RoleId); role != nil {
				return func(id string) bool { return slices.Contains(role.Privilege, id) }
			}
		}
		found, ok := ctx.Map.Get(*at).(mo.Entity)
		if !ok {
			break
		}
		ctx.WithLock(found, func() { at = found.Entity().Parent })
	}
	return func(string) bool { return false }
}
