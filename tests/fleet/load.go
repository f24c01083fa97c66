// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/vcsim"
)

// Start starts a stand-in that has the fleet in it, and nothing else. The caller closes it.
func (f *Fleet) Start(ctx context.Context, cfg vcsim.Config) (*vcsim.Server, error) {
	cfg.Model = simulator.VPX()
	cfg.Model.ServiceContent.About = f.about
	cfg.Model.Datacenter, cfg.Model.Cluster, cfg.Model.ClusterHost, cfg.Model.Host = f.Datacenters, f.Clusters, f.Hosts, f.LoneHosts
	cfg.Model.Machine, cfg.Model.Pool, cfg.Model.App, cfg.Model.Portgroup = 0, 0, 0, 0
	if f.Foldered {
		cfg.Model.Folder = 1
	}
	server, err := vcsim.Start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := f.load(ctx, server); err != nil {
		server.Close()
		return nil, fmt.Errorf("load the fleet of seed %d: %w", f.Seed, err)
	}
	server.ResetCalls()
	return server, nil
}

// load makes the fleet in a server that has its hosts.
func (f *Fleet) load(ctx context.Context, server *vcsim.Server) error {
	client, err := server.Client(ctx)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	defer func() { _ = client.Logout(context.WithoutCancel(ctx)) }()
	l := &loader{Fleet: f, client: client, server: server, base: server.Service().Context}
	for _, step := range []func(context.Context) error{l.findHosts, l.makeFolders, l.makePools, l.makeVMs, l.deny} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	f.about = client.ServiceContent.About
	return nil
}

// loader loads a fleet into a server.
type loader struct {
	*Fleet
	client *govmomi.Client
	server *vcsim.Server
	base   *simulator.Context
}

// findHosts finds what the simulator's model has made, and makes the hosts those of the fleet.
func (l *loader) findHosts(ctx context.Context) error {
	finder := find.NewFinder(l.client.Client, false)
	datacenters := map[string]*object.DatacenterFolders{}
	for _, c := range l.clusters {
		name := path.Base(c.datacenter)
		folders := datacenters[name]
		if folders == nil {
			dc, err := finder.Datacenter(ctx, "/"+c.datacenter)
			if err != nil {
				return err
			}
			if folders, err = dc.Folders(ctx); err != nil {
				return err
			}
			datacenters[name] = folders
		}
		c.vmFolder = folders.VmFolder.Reference()
	}
	for _, entity := range l.base.Map.All("") {
		l.adopt(entity)
	}
	for _, h := range l.hosts {
		if h.ref.Value == "" || h.cluster.ref.Value == "" {
			return fmt.Errorf("host %s: the stand-in has none", h.name)
		}
	}
	return nil
}

// adopt makes an object of the model one of the fleet, if it is.
func (l *loader) adopt(entity any) {
	switch o := entity.(type) {
	case *simulator.ClusterComputeResource:
		for _, c := range l.clusters {
			if c.name == o.Name {
				c.ref, c.root = o.Self, *o.ResourcePool
			}
		}
	case *simulator.HostSystem:
		for _, h := range l.hosts {
			if h.name != o.Name {
				continue
			}
			h.ref = o.Self
			if h.cluster.lone {
				h.cluster.ref = *o.Parent
			}
			product := *o.Summary.Config.Product // all hosts share it
			product.Version, product.Build = h.version, h.build
			o.Summary.Config.Product = &product
			o.Runtime.ConnectionState = types.HostSystemConnectionState(h.state)
		}
	}
}

func (l *loader) makeFolders(ctx context.Context) error {
	for _, d := range l.folders {
		made, err := object.NewFolder(l.client.Client, d.cluster.vmFolder).CreateFolder(ctx, d.name)
		if err != nil {
			return fmt.Errorf("folder %s: %w", d.name, err)
		}
		d.ref = made.Reference()
	}
	return nil
}

func (l *loader) makePools(ctx context.Context) error {
	for _, c := range l.clusters {
		if c.lone {
			var err error
			owner := object.NewComputeResource(l.client.Client, c.ref)
			root, err := owner.ResourcePool(ctx)
			if err != nil {
				return err
			}
			c.root = root.Reference()
		}
	}
	spec := types.DefaultResourceConfigSpec()
	for _, p := range l.pools {
		root := object.NewResourcePool(l.client.Client, p.cluster.root)
		if p.vApp {
			made, err := root.CreateVApp(ctx, p.name, spec, simulator.NewVAppConfigSpec(), nil)
			if err != nil {
				return fmt.Errorf("vApp %s: %w", p.name, err)
			}
			p.ref = made.Reference()
			continue
		}
		made, err := root.Create(ctx, p.name, spec)
		if err != nil {
			return fmt.Errorf("pool %s: %w", p.name, err)
		}
		p.ref = made.Reference()
	}
	return nil
}

// makeVMs makes one VM through the API, and of that one all others, which would take most of a minute for each thousand.
func (l *loader) makeVMs(ctx context.Context) error {
	c := l.clusters[0]
	ref, err := l.createVM(ctx, c)
	if err != nil {
		return fmt.Errorf("the first VM: %w", err)
	}
	pattern := l.base.Map.Get(ref).(*simulator.VirtualMachine)
	for _, v := range l.vms {
		l.copy(pattern, v)
	}
	task, err := object.NewVirtualMachine(l.client.Client, ref).Destroy(ctx)
	if err != nil {
		return err
	}
	return task.Wait(ctx)
}

// createVM makes a VM with the devices of a usual one.
func (l *loader) createVM(ctx context.Context, c *cluster) (types.ManagedObjectReference, error) {
	var devices object.VirtualDeviceList
	scsi, err := devices.CreateSCSIController("pvscsi")
	if err != nil {
		return c.ref, err
	}
	disk := devices.CreateDisk(scsi.(types.BaseVirtualController), types.ManagedObjectReference{}, "[LocalDS_0] pattern/disk1.vmdk")
	disk.CapacityInKB = 10 << 20
	card, err := devices.CreateEthernetCard("vmxnet3", &types.VirtualEthernetCardNetworkBackingInfo{
		VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: "VM Network"},
	})
	if err != nil {
		return c.ref, err
	}
	changes, err := append(devices, scsi, disk, card).ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	if err != nil {
		return c.ref, err
	}
	task, err := object.NewFolder(l.client.Client, c.vmFolder).CreateVM(ctx, types.VirtualMachineConfigSpec{
		Name: "pattern", GuestId: string(types.VirtualMachineGuestOsIdentifierOtherGuest64), MemoryMB: 512,
		Files: &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"}, DeviceChange: changes,
	}, object.NewResourcePool(l.client.Client, c.root), nil)
	if err != nil {
		return c.ref, err
	}
	info, err := task.WaitForResult(ctx)
	if err != nil {
		return c.ref, err
	}
	return info.Result.(types.ManagedObjectReference), nil
}

// copy makes a VM of the fleet as a copy of another, and puts it where it belongs. It shares with the other what nobody changes.
func (l *loader) copy(pattern *simulator.VirtualMachine, v *vm) {
	made := &simulator.VirtualMachine{VirtualMachine: pattern.VirtualMachine, DataSets: map[string]*simulator.DataSet{}}
	made.Self, made.Parent, made.ResourcePool = types.ManagedObjectReference{Type: "VirtualMachine"}, nil, nil
	made.Name = v.name
	l.base.Map.NewEntity(made)
	v.ref = made.Self
	summarize(made, v)
	configure(made, v)
	guest := *pattern.Guest
	guest.GuestFullName = "Other Linux (64-bit)" // as the tools in it say, which is of no account
	made.Guest = &guest
	l.settle(made, v)
}

// summarize gives a copy what vCenter knows of a VM also without its configuration.
func summarize(made *simulator.VirtualMachine, v *vm) {
	made.Runtime.PowerState = v.power
	made.Runtime.Host = &v.host.ref
	if v.orphan {
		made.Runtime.ConnectionState = types.VirtualMachineConnectionStateOrphaned
	}
	made.Summary.Vm = &made.Self
	made.Summary.Runtime = made.Runtime
	config := &made.Summary.Config
	config.Name, config.InstanceUuid, config.Template = v.name, v.uuid, v.template
	config.GuestId, config.GuestFullName, config.Product = string(v.guestID), v.full, v.product
}

func configure(made *simulator.VirtualMachine, v *vm) {
	if v.orphan {
		made.Config = nil
		return
	}
	config := *made.Config
	config.Name, config.InstanceUuid, config.Template, config.CreateDate = v.name, v.uuid, v.template, &v.created
	config.GuestId, config.GuestFullName, config.AlternateGuestName = string(v.guestID), v.full, v.alt
	config.Hardware.Device = slices.Clone(config.Hardware.Device)
	config.ExtraConfig = slices.Clone(config.ExtraConfig)
	made.Config = &config
}

// settle puts a copy into its host, pool and folder. In a vApp a VM is in no folder, and a template is in no pool.
func (l *loader) settle(made *simulator.VirtualMachine, v *vm) {
	ctx := l.context()
	registry := ctx.Map
	host := registry.Get(v.host.ref).(*simulator.HostSystem)
	ctx.WithLock(host, func() { host.Vm = append(host.Vm, made.Self) })
	pool := v.host.cluster.root
	if v.pool != nil {
		pool = v.pool.ref
	}
	if !v.template {
		made.ResourcePool = &pool
		in := registry.Get(pool)
		ctx.WithLock(in, func() {
			switch in := in.(type) {
			case *simulator.ResourcePool:
				in.Vm = append(in.Vm, made.Self)
			case *simulator.VirtualApp:
				in.Vm = append(in.Vm, made.Self)
			}
		})
	}
	if pool.Type == "VirtualApp" {
		made.ParentVApp = &pool
		registry.PutEntity(nil, made)
		return
	}
	ref := v.host.cluster.vmFolder
	if v.folder != nil {
		ref = v.folder.ref
	}
	folder := registry.Get(ref).(*simulator.Folder)
	ctx.WithLock(folder, func() { folder.ChildEntity = append(folder.ChildEntity, made.Self) })
	registry.PutEntity(folder, made)
}

// context is one of the simulator that holds no locks.
func (l *loader) context() *simulator.Context {
	ctx := *l.base
	return &ctx
}

// deny takes from everyone the right to read some objects, and to see some others.
func (l *loader) deny(context.Context) error {
	var denied []types.ManagedObjectReference
	for _, h := range l.hosts {
		if h.denied {
			denied = append(denied, h.ref)
		}
		if h.hidden {
			cluster := l.base.Map.Get(h.cluster.ref).(*simulator.ClusterComputeResource)
			l.context().WithLock(cluster, func() {
				cluster.Host = slices.DeleteFunc(cluster.Host, func(ref types.ManagedObjectReference) bool { return ref == h.ref })
			})
		}
	}
	for _, v := range l.vms {
		if v.denied {
			denied = append(denied, v.ref)
		}
	}
	for _, ref := range denied {
		if err := l.server.AddFaults(vcsim.Fault{Name: "deny " + ref.String(), Object: ref.String(), Do: vcsim.DoDeny}); err != nil {
			return err
		}
	}
	return nil
}
