// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/vcsim"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

const (
	vchDatacenters = 5
	vchLatency     = 5 * time.Millisecond // of each request, as in a network that is not the machine's own
)

// vchSizes are the numbers of VCHs that are listed.
var vchSizes = []int{1, 20, 200}

// waitingCalls are those of govmomi's wait for a task, which a create's round trips do not count.
var waitingCalls = []string{"CreatePropertyCollector", "CreateFilter", "WaitForUpdatesEx", "DestroyPropertyFilter", "DestroyPropertyCollector"}

// vchs measures the making of a VCH, and the list of few and many of them in several datacenters.
func vchs(ctx context.Context, _ options) ([]row, error) {
	model := simulator.VPX()
	model.Datacenter, model.Host, model.Machine = vchDatacenters, 0, 10
	server, err := vcsim.Start(ctx, vcsim.Config{Model: model, Username: "bench", Password: "bench"})
	if err != nil {
		return nil, err
	}
	defer server.Close()
	site := &vchSite{server: server}
	if err := site.connect(ctx); err != nil {
		return nil, err
	}
	defer site.end(ctx)
	if _, err := vch.List(ctx, site.clients[0]); err != nil { // which makes vCenter's index, once for all
		return nil, err
	}
	rows, err := site.create(ctx)
	if err != nil {
		return nil, err
	}
	made := 0
	for _, size := range vchSizes {
		for ; made < size; made++ {
			client := site.clients[made%vchDatacenters]
			if _, err := vch.Create(ctx, client, vch.Spec{Name: fmt.Sprintf("vch-%d", made), Network: "VM Network"}); err != nil {
				return rows, err
			}
		}
		progress("%d VCHs in %d datacenters", size, vchDatacenters)
		more, err := site.list(ctx, size)
		rows = append(rows, more...)
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// vchSite is a stand-in with a session for each datacenter.
type vchSite struct {
	server  *vcsim.Server
	clients []*vsphere.Client
}

func (s *vchSite) connect(ctx context.Context) error {
	for i := range vchDatacenters {
		client, err := vsphere.Connect(ctx, vsphere.Config{
			URL: s.server.URL().String(), CACerts: s.server.CAFile(), Datacenter: fmt.Sprintf("DC%d", i),
		})
		if err != nil {
			return err
		}
		s.clients = append(s.clients, client)
	}
	return nil
}

func (s *vchSite) end(ctx context.Context) {
	for _, client := range s.clients {
		_ = client.Logout(ctx)
	}
}

// measure counts the requests of do but for waits, and times it, each request taking as long as on a network.
func (s *vchSite) measure(do func() error) (requests, milliseconds float64, err error) {
	remove := s.server.Inject(vcsim.Fault{Do: vcsim.DoDelay, Delay: vchLatency})
	defer remove()
	s.server.ResetCalls()
	began := time.Now()
	err = do()
	milliseconds = float64(time.Since(began).Microseconds()) / 1000
	for method, count := range s.server.Calls() {
		if !slices.Contains(waitingCalls, method) {
			requests += float64(count)
		}
	}
	return requests, milliseconds, err
}

func (s *vchSite) list(ctx context.Context, size int) ([]row, error) {
	client := s.clients[0]
	ours, ourTime, err := s.measure(func() error {
		found, err := vch.List(ctx, client)
		if err == nil && len(found) != size {
			err = fmt.Errorf("list has %d VCHs, want %d", len(found), size)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	walk, walkTime, err := s.measure(func() error {
		found, err := walkForVCHs(ctx, client)
		if err == nil && found != size {
			err = fmt.Errorf("walk finds %d VCHs, want %d", found, size)
		}
		return err
	})
	const against = "a walk over datacenters, pools and their VMs, one request for each"
	return []row{
		{what: fmt.Sprintf("requests of ls with %d VCHs", size), unit: "requests", ours: ours, baseline: walk, against: against, target: "constant"},
		{what: fmt.Sprintf("ls with %d VCHs, 5 ms a request", size), unit: "ms", ours: ourTime, baseline: walkTime, against: against},
	}, err
}

// walkForVCHs is how VCHs are found without an index.
func walkForVCHs(ctx context.Context, client *vsphere.Client) (int, error) {
	finder := find.NewFinder(client.Client)
	datacenters, err := finder.DatacenterList(ctx, "*")
	if err != nil {
		return 0, err
	}
	collector := property.DefaultCollector(client.Client)
	count := 0
	for _, datacenter := range datacenters {
		pools, err := finder.SetDatacenter(datacenter).ResourcePoolList(ctx, "*/Resources")
		if err != nil {
			return 0, err
		}
		inside, err := finder.ResourcePoolList(ctx, "*/Resources/*")
		var none *find.NotFoundError
		if err != nil && !errors.As(err, &none) {
			return 0, err
		}
		pools = append(pools, inside...)
		for _, pool := range pools {
			var found mo.ResourcePool
			if err := collector.RetrieveOne(ctx, pool.Reference(), []string{"vm"}, &found); err != nil {
				return 0, err
			}
			for _, ref := range found.Vm {
				var vm mo.VirtualMachine
				if err := collector.RetrieveOne(ctx, ref, []string{"config.extraConfig"}, &vm); err != nil {
					return 0, err
				}
				if isEndpoint(vm) {
					count++
				}
			}
		}
	}
	return count, nil
}

func isEndpoint(vm mo.VirtualMachine) bool {
	return vm.Config != nil && slices.ContainsFunc(vm.Config.ExtraConfig, func(option types.BaseOptionValue) bool {
		return option.GetOptionValue().Key == vch.KeyRole && option.GetOptionValue().Value == vch.RoleEndpoint
	})
}

func (s *vchSite) create(ctx context.Context) ([]row, error) {
	client := s.clients[0]
	ours, ourTime, err := s.measure(func() error {
		_, err := vch.Create(ctx, client, vch.Spec{Name: "ours", Network: "VM Network"})
		return err
	})
	if err == nil {
		err = vch.Delete(ctx, client, "ours", vch.DeleteOptions{})
	}
	if err != nil {
		return nil, err
	}
	plain, plainTime, err := s.measure(func() error { return plainVCH(ctx, client, "plain") })
	const against = "govmomi's look-ups by path and the calls that make the same, unchecked"
	return []row{
		{what: "requests of a VCH create but for waits", unit: "requests", ours: ours, baseline: plain, against: against, target: "at most 15"},
		{what: "VCH create, 5 ms a request", unit: "ms", ours: ourTime, baseline: plainTime, against: against},
	}, err
}

// plainVCH makes what a VCH consists of, and no more.
func plainVCH(ctx context.Context, client *vsphere.Client, name string) error {
	finder, _, err := client.Finder(ctx)
	if err != nil {
		return err
	}
	parent, err := finder.DefaultFolder(ctx)
	if err != nil {
		return err
	}
	root, err := finder.ResourcePool(ctx, "*/Resources")
	if err != nil {
		return err
	}
	store, err := finder.DefaultDatastore(ctx)
	if err != nil {
		return err
	}
	network, err := finder.Network(ctx, "VM Network")
	if err != nil {
		return err
	}
	backing, err := network.EthernetCardBackingInfo(ctx)
	if err != nil {
		return err
	}
	folder, err := parent.CreateFolder(ctx, name)
	if err != nil {
		return err
	}
	pool, err := root.Create(ctx, name, types.DefaultResourceConfigSpec())
	if err != nil {
		return err
	}
	card, err := object.EthernetCardTypes().CreateEthernetCard("vmxnet3", backing)
	if err != nil {
		return err
	}
	task, err := folder.CreateVM(ctx, types.VirtualMachineConfigSpec{
		Name: name, GuestId: "otherGuest64", Files: &types.VirtualMachineFileInfo{VmPathName: "[" + store.Name() + "]"},
		DeviceChange: []types.BaseVirtualDeviceConfigSpec{
			&types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: card},
		},
	}, pool, nil)
	if err != nil {
		return err
	}
	made, err := task.WaitForResult(ctx)
	if err != nil {
		return err
	}
	task, err = object.NewVirtualMachine(client.Client, made.Result.(types.ManagedObjectReference)).PowerOn(ctx)
	if err != nil {
		return err
	}
	return task.Wait(ctx)
}
