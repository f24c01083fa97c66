// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/url"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"golang.org/x/sync/errgroup"

	"wolfpack/vch"
)

// plain is the baseline: a program that uses govmomi as its documentation shows, with the client's defaults.
type plain struct {
	client *govmomi.Client
	host   *vch.VCH // where its VMs go
}

// newPlain logs in. The caller logs out.
func newPlain(ctx context.Context, target *url.URL, caFile string, host *vch.VCH) (*plain, error) {
	transport := soap.NewClient(target, false)
	if err := transport.SetRootCAs(caFile); err != nil {
		return nil, err
	}
	client, err := vim25.NewClient(ctx, transport)
	if err != nil {
		return nil, err
	}
	p := &plain{client: &govmomi.Client{Client: client, SessionManager: session.NewManager(client)}, host: host}
	return p, p.client.Login(ctx, target.User)
}

func (p *plain) close(ctx context.Context) { _ = p.client.Logout(ctx) }

// create makes a VM, waits, powers it on, waits.
func (p *plain) create(ctx context.Context, name string) (*object.VirtualMachine, error) {
	folder := object.NewFolder(p.client.Client, p.host.Folder.Ref)
	pool := object.NewResourcePool(p.client.Client, p.host.Pool.Ref)
	task, err := folder.CreateVM(ctx, types.VirtualMachineConfigSpec{
		Name: name, GuestId: string(types.VirtualMachineGuestOsIdentifierOtherGuest64), NumCPUs: 1, MemoryMB: 512,
		Files: &types.VirtualMachineFileInfo{VmPathName: fmt.Sprintf("[%s]", p.host.Datastore.Name)},
	}, pool, nil)
	if err != nil {
		return nil, err
	}
	info, err := task.WaitForResult(ctx)
	if err != nil {
		return nil, err
	}
	vm := object.NewVirtualMachine(p.client.Client, info.Result.(types.ManagedObjectReference))
	if task, err = vm.PowerOn(ctx); err != nil {
		return nil, err
	}
	return vm, task.Wait(ctx)
}

// remove powers the VM off, waits, destroys it, waits.
func (p *plain) remove(ctx context.Context, vm *object.VirtualMachine) error {
	task, err := vm.PowerOff(ctx)
	if err != nil {
		return err
	}
	if err := task.Wait(ctx); err != nil {
		return err
	}
	if task, err = vm.Destroy(ctx); err != nil {
		return err
	}
	return task.Wait(ctx)
}

// createMany creates that many VMs with so many workers.
func (p *plain) createMany(ctx context.Context, vms, workers int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i := range vms {
		group.Go(func() error {
			_, err := p.create(ctx, fmt.Sprintf("plain-%d", i))
			return err
		})
	}
	return group.Wait()
}

// find returns a VM of the VCH's folder.
func (p *plain) find(ctx context.Context, name string) (*object.VirtualMachine, error) {
	child, err := object.NewSearchIndex(p.client.Client).FindChild(ctx, p.host.Folder.Ref, name)
	if err != nil {
		return nil, err
	}
	vm, ok := child.(*object.VirtualMachine)
	if !ok {
		return nil, fmt.Errorf("no VM %s in %s", name, p.host.Folder.Path)
	}
	return vm, nil
}
