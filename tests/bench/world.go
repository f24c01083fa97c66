// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/provider/portlayer/vcenter"
	"wolfpack/tests/vcsim"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

// world is a stand-in of its own with a VCH in it.
type world struct {
	server *vcsim.Server
	client *vsphere.Client
	vch    *vch.VCH
}

func newWorld(ctx context.Context) (*world, error) {
	model := simulator.VPX()
	model.Host, model.Machine = 0, 0
	server, err := vcsim.Start(ctx, vcsim.Config{Model: model, Username: "bench", Password: "bench", Guests: vcsim.GuestsSim})
	if err != nil {
		return nil, err
	}
	w := &world{server: server}
	w.client, err = vsphere.Connect(ctx, vsphere.Config{
		URL: server.URL().String(), Username: "bench", Password: "bench", CACerts: server.CAFile(),
	})
	if err == nil {
		w.vch, err = vch.Create(ctx, w.client, vch.Spec{Name: "bench", Network: "VM Network"})
	}
	if err != nil {
		server.Close()
		return nil, err
	}
	return w, nil
}

func (w *world) close(ctx context.Context) {
	_ = w.client.Logout(ctx)
	w.server.Close()
}

func (w *world) portlayer() *vcenter.VCenter {
	return vcenter.New(w.client.Client, vcenter.TargetOf(w.vch))
}

// plainCreate is what a program does that uses govmomi as its documentation shows: create, wait, power on, wait.
func (w *world) plainCreate(ctx context.Context, name string) (*object.VirtualMachine, error) {
	folder := object.NewFolder(w.client.Client, w.vch.Folder.Ref)
	pool := object.NewResourcePool(w.client.Client, w.vch.Pool.Ref)
	task, err := folder.CreateVM(ctx, types.VirtualMachineConfigSpec{
		Name: name, GuestId: string(types.VirtualMachineGuestOsIdentifierOtherGuest64), NumCPUs: 1, MemoryMB: 512,
		Files: &types.VirtualMachineFileInfo{VmPathName: fmt.Sprintf("[%s]", w.vch.Datastore.Name)},
	}, pool, nil)
	if err != nil {
		return nil, err
	}
	info, err := task.WaitForResult(ctx)
	if err != nil {
		return nil, err
	}
	vm := object.NewVirtualMachine(w.client.Client, info.Result.(types.ManagedObjectReference))
	if task, err = vm.PowerOn(ctx); err != nil {
		return nil, err
	}
	return vm, task.Wait(ctx)
}

func (w *world) plainDelete(ctx context.Context, vm *object.VirtualMachine) error {
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

// calls is the number of requests since the last reset. The one long poll of a watch is not counted: it is there whether
// or not anything happens.
func (w *world) calls() float64 {
	total := 0
	for method, n := range w.server.Calls() {
		if method != "WaitForUpdatesEx" {
			total += n
		}
	}
	return float64(total)
}

// allCalls counts long polls too, as a program must that makes one for each task.
func (w *world) allCalls() float64 {
	total := 0
	for _, n := range w.server.Calls() {
		total += n
	}
	return float64(total)
}
