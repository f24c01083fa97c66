// SPDX-License-Identifier: Apache-2.0

package vch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/vsphere"
)

// Need is what a user must be allowed to do with a kind of thing, to make and delete VCHs and to run pods in them.
type Need struct {
	On         string   // the kind of thing, in words
	Propagate  bool     // it must hold for what is in the thing too
	Privileges []string // ids, as vSphere's API reference has them
}

// The kinds of thing that privileges are needed on.
const (
	onRoot = iota
	onFolder
	onPool
	onDatastore
	onNetwork
)

// needs is the one list of the privileges, from which the check, the role and the documentation are made. System.Anonymous,
// System.Read and System.View, which vCenter puts into every role, are left out.
var needs = []Need{
	onRoot: {"vCenter itself (the root folder)", false, []string{
		"InventoryService.Tagging.AttachTag", // vCenter's index of the VCHs is made of tags
		"InventoryService.Tagging.CreateCategory",
		"InventoryService.Tagging.CreateTag",
		"InventoryService.Tagging.DeleteTag",
	}},
	onFolder: {"the VM folder that the VCH's own goes into", true, []string{
		"Folder.Create",
		"Folder.Delete",
		"Folder.Rename",
		"InventoryService.Tagging.AttachTag",
		"VirtualMachine.Config.AdvancedConfig", // VMs say in their extraConfig whose they are
		"VirtualMachine.Interact.PowerOff",
		"VirtualMachine.Interact.PowerOn",
		"VirtualMachine.Inventory.Create",
		"VirtualMachine.Inventory.Delete",
	}},
	onPool: {"the cluster, host or resource pool that the VCH's own goes into", true, []string{
		"Resource.AssignVMToPool",
		"Resource.ColdMigrate", // an endpoint VM that was moved out of the pool is moved back
		"Resource.CreatePool",
		"Resource.DeletePool",
		"Resource.EditPool",
		"Resource.HotMigrate",
		"Resource.RenamePool",
	}},
	onDatastore: {"the datastore", false, []string{"Datastore.AllocateSpace"}},
	onNetwork:   {"the network", false, []string{"Network.Assign"}},
}

// Needs returns what a user must be allowed to do.
func Needs() []Need { return slices.Clone(needs) }

// Role is the role that allows it: the privileges of all kinds of thing, sorted.
func Role() []string {
	var all []string
	for _, need := range needs {
		all = append(all, need.Privileges...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// CreateRole makes the role under that name, or gives a role of that name what it lacks. It returns the privileges that it
// has added; none if the role is there already and has them all.
func CreateRole(ctx context.Context, client *vsphere.Client, name string) ([]string, error) {
	const op = "vch.CreateRole"
	manager := object.NewAuthorizationManager(client.Client)
	roles, err := manager.RoleList(ctx)
	if err != nil {
		return nil, errs.Wrap(op, fmt.Errorf("read the roles: %w", err))
	}
	role := roles.ByName(name)
	if role == nil {
		_, err := manager.AddRole(ctx, name, Role())
		if err != nil {
			return nil, errs.Wrap(op, fmt.Errorf("make role %q: %w", name, err))
		}
		return Role(), nil
	}
	lacks := slices.DeleteFunc(Role(), func(privilege string) bool { return slices.Contains(role.Privilege, privilege) })
	if len(lacks) == 0 {
		return nil, nil
	}
	if role.System {
		return nil, errs.New(op, errs.Invalid, "role %q is vCenter's own, and lacks %s; choose another name", name, strings.Join(lacks, ", "))
	}
	if err := manager.UpdateRole(ctx, role.RoleId, name, append(role.Privilege, lacks...)); err != nil {
		return nil, errs.Wrap(op, fmt.Errorf("add to role %q: %w", name, err))
	}
	return lacks, nil
}

// sessionOf reads the key of the session, along with whatever else is read.
func sessionOf(client *vsphere.Client) types.PropertyFilterSpec {
	return types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{Obj: *client.ServiceContent.SessionManager}},
		PropSet:   []types.PropertySpec{{Type: "SessionManager", PathSet: []string{"currentSession"}}},
	}
}

// checkPrivileges asks vCenter whether the user may do what the plan does, where it does it, and returns what the user may
// not: one problem for each thing.
func (p *plan) checkPrivileges(ctx context.Context, s *survey) ([]error, error) {
	if !p.foldered || s.session == "" {
		return nil, nil // on an ESXi host roles are for all of it
	}
	things := map[int]Object{onFolder: p.parentFolder, onPool: p.parentPool, onDatastore: p.datastore, onNetwork: p.network}
	things[onRoot] = Object{Ref: s.root, Name: "vCenter itself", Path: "vCenter itself"}
	var refs []reference
	for _, kind := range []int{onRoot, onFolder, onPool, onDatastore, onNetwork} {
		if things[kind].exists() {
			refs = append(refs, things[kind].Ref)
		}
	}
	answer, err := methods.HasPrivilegeOnEntities(ctx, s.client.Client, &types.HasPrivilegeOnEntities{
		This: *s.client.ServiceContent.AuthorizationManager, Entity: refs, SessionId: s.session, PrivId: Role(),
	})
	if err != nil {
		return nil, fmt.Errorf("check the user's privileges: %w", err)
	}
	lacks := map[reference][]string{}
	for _, entity := range answer.Returnval {
		for _, privilege := range entity.PrivAvailability {
			if !privilege.IsGranted {
				lacks[entity.Entity] = append(lacks[entity.Entity], privilege.PrivId)
			}
		}
	}
	var problems []error
	for kind, need := range needs {
		thing := things[kind]
		missing := slices.DeleteFunc(slices.Clone(need.Privileges), func(id string) bool { return !slices.Contains(lacks[thing.Ref], id) })
		if thing.exists() && len(missing) > 0 {
			problems = append(problems, errs.New("vch.plan", errs.Denied, "user %q lacks privileges on %s: %s; `wolfpack vch privileges` prints the role that has them",
				s.user, thing, strings.Join(missing, ", ")))
		}
	}
	return problems, nil
}

// sessionManager takes the session from what was read.
func (inv *inventory) sessionManager(found *mo.SessionManager) {
	if found.CurrentSession != nil {
		inv.session, inv.user = found.CurrentSession.Key, found.CurrentSession.UserName
	}
}
