// SPDX-License-Identifier: Apache-2.0

// Package fleet makes whole vCenter inventories of which it is known what is in them.
//
// A Fleet is generated from a seed: datacenters, clusters and hosts in all states; VCHs of several versions, in each of the
// places that VIC and Wolfpack have put them; their container VMs, and some that belong to nobody; templates, appliances,
// orphans that vCenter has no configuration of, names that occur twice, and objects that may not be read. What is true of it
// follows from how it was made, not from how a census finds out: see Truth.
//
// Start loads a Fleet into a vCenter stand-in, tens of thousands of VMs in seconds. The hosts, pools and folders are made
// through the API; the VMs are copies of one that was. They can be read, changed and destroyed like others.
package fleet

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/guest"
	"wolfpack/telemetry"
)

// Shape is how large an inventory is, and how odd.
type Shape struct {
	Seed        uint64
	VMs         int // in all
	Datacenters int
	Clusters    int  // in each datacenter
	Hosts       int  // in each cluster
	LoneHosts   int  // in each datacenter
	Foldered    bool // the last datacenter, and the hosts in it, are in folders
	Plain       bool // everything can be read, and nothing is broken
}

// Random is a small shape that a seed decides.
func Random(seed uint64) Shape {
	r := rand.New(rand.NewPCG(seed, 1))
	return Shape{
		Seed: seed, VMs: 20 + r.IntN(60), Datacenters: 1 + r.IntN(3), Clusters: 1 + r.IntN(2), Hosts: 1 + r.IntN(3),
		LoneHosts: r.IntN(2), Foldered: r.IntN(2) == 0,
	}
}

// Large is a shape of that many VMs on a few hosts for each thousand, everything of which can be read.
func Large(vms int) Shape {
	return Shape{Seed: 1, VMs: vms, Datacenters: 2, Clusters: 2, Hosts: 8, Plain: true}
}

// Fleet is an inventory.
type Fleet struct {
	Shape
	about    types.AboutInfo
	clusters []*cluster
	hosts    []*host
	pools    []*pool
	folders  []*folder
	vchs     []*vch
	vms      []*vm
	random   *rand.Rand
}

// cluster is a cluster, or the place of a lone host.
type cluster struct {
	datacenter string // by its path
	name       string
	lone       bool
	hosts      []*host
	ref        types.ManagedObjectReference
	root       types.ManagedObjectReference // its pool
	vmFolder   types.ManagedObjectReference // its datacenter's
}

type host struct {
	cluster                     *cluster
	name, state, version, build string
	denied                      bool // it may not be read
	hidden                      bool // nor may anyone know that it is there
	ref                         types.ManagedObjectReference
}

// pool is a resource pool or a vApp of a cluster.
type pool struct {
	cluster *cluster
	name    string
	vApp    bool
	ref     types.ManagedObjectReference
}

// folder is a VM folder of a datacenter.
type folder struct {
	cluster *cluster // any of the datacenter
	name    string
	ref     types.ManagedObjectReference
}

// vch is a VCH: its endpoint VM, and where its container VMs go.
type vch struct {
	endpoint *vm
	pool     *pool
	folder   *folder // nil is the root of VM folders
	vague    bool    // another one is in the same places, so that nobody can tell whose the container VMs there are
}

// vm is a VM.
type vm struct {
	kind     telemetry.Kind
	name     string
	uuid     string
	guestID  types.VirtualMachineGuestOsIdentifier
	full     string // guest full name, as vCenter has it
	alt      string
	told     guest.Name // what the name says, for VCHs and container VMs
	host     *host
	pool     *pool   // nil is the cluster's own
	folder   *folder // nil is the root of VM folders
	vch      *vch    // that a container VM belongs to
	power    types.VirtualMachinePowerState
	template bool
	orphan   bool // vCenter has no configuration of it
	denied   bool // it may not be read
	created  time.Time
	product  *types.VAppProductInfo
	holds    []telemetry.Product // without the VM
	ref      types.ManagedObjectReference
}

// New generates an inventory.
func New(shape Shape) *Fleet {
	f := &Fleet{Shape: shape, random: rand.New(rand.NewPCG(shape.Seed, 2))}
	f.makeVCenter()
	f.makeHosts()
	f.makeVCHs()
	f.makeVMs()
	f.random.Shuffle(len(f.vms), func(i, j int) { f.vms[i], f.vms[j] = f.vms[j], f.vms[i] })
	return f
}

// pick returns one of several.
func pick[T any](f *Fleet, of ...T) T { return of[f.random.IntN(len(of))] }

// chance is true that often of a hundred times.
func (f *Fleet) chance(percent int) bool { return f.random.IntN(100) < percent }

func (f *Fleet) makeVCenter() {
	release := pick(f, []string{"6.7.0", "6.7", "17028632"}, []string{"7.0.3", "7.0.3.0", "20051473"}, []string{"8.0.2", "8.0.2.0", "22385739"})
	f.about = simulator.VPX().ServiceContent.About
	f.about.Version, f.about.ApiVersion, f.about.Build = release[0], release[1], release[2]
	f.about.FullName = fmt.Sprintf("VMware vCenter Server %s build-%s", f.about.Version, f.about.Build)
	f.about.InstanceUuid = f.uuid()
}

func (f *Fleet) uuid() string {
	a, b := f.random.Uint64(), f.random.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-9%03x-%012x", uint32(a), uint16(a>>32), uint16(a>>48)&0xfff, uint16(b)&0xfff, b>>16)
}

// makeHosts follows the names that the simulator's model gives.
func (f *Fleet) makeHosts() {
	for d := range f.Datacenters {
		datacenter := fmt.Sprintf("DC%d", d)
		path := datacenter
		if f.Foldered && d == f.Datacenters-1 {
			path = "F0/" + datacenter
		}
		for h := range f.LoneHosts {
			name := fmt.Sprintf("%s_H%d", datacenter, h)
			c := &cluster{datacenter: path, name: name, lone: true}
			f.addHost(c, name)
			f.clusters = append(f.clusters, c)
		}
		for n := range f.Clusters {
			c := &cluster{datacenter: path, name: fmt.Sprintf("%s_C%d", datacenter, n)}
			for h := range f.Hosts {
				f.addHost(c, fmt.Sprintf("%s_H%d", c.name, h))
			}
			f.clusters = append(f.clusters, c)
		}
	}
}

func (f *Fleet) addHost(c *cluster, name string) {
	h := &host{cluster: c, name: name, state: "connected"}
	if f.chance(20) {
		h.state = pick(f, "disconnected", "notResponding")
	}
	release := pick(f, []string{"6.5.0", "5969303"}, []string{"7.0.3", "21053776"}, []string{"8.0.2", "22380479"})
	h.version, h.build = release[0], release[1]
	if !f.Plain && !c.lone && h.name != c.name+"_H0" {
		h.denied = f.chance(10)
		h.hidden = !h.denied && f.chance(10)
	}
	c.hosts = append(c.hosts, h)
	f.hosts = append(f.hosts, h)
}
