// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"time"

	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/guest"
	"wolfpack/telemetry"
)

// makeVCHs makes one VCH for each hundred VMs, and at least a few.
func (f *Fleet) makeVCHs() {
	for n := max(4, f.VMs/100); n > 0; n-- {
		f.addVCH()
	}
}

// addVCH makes a VCH in one of the places where they are.
func (f *Fleet) addVCH() {
	n := len(f.vchs)
	c := pick(f, f.clusters...)
	v := &vch{pool: f.addPool(c, fmt.Sprintf("vch-%d", n))}
	switch f.random.IntN(6) {
	case 0, 1: // as VIC from 1.4 on, and Wolfpack, make them
		v.folder = f.addFolder(c, fmt.Sprintf("vch-%d", n))
	case 2: // as VIC before that, and Wolfpack on ESXi, made them
	case 3: // as VIC made them where it could
		v.pool.vApp = !c.lone
	case 4: // two in one folder, which an admin moved
		v.folder = f.addFolder(c, fmt.Sprintf("shared-%d", n))
		f.addEndpoint(v)
		v = &vch{pool: f.addPool(c, fmt.Sprintf("vch-%d-too", n)), folder: v.folder}
	case 5: // two in one folder and one pool
		v.folder = f.addFolder(c, fmt.Sprintf("vague-%d", n))
		v.vague = true
		f.addEndpoint(v)
		v = &vch{pool: v.pool, folder: v.folder, vague: true}
	}
	f.addEndpoint(v)
}

func (f *Fleet) addPool(c *cluster, name string) *pool {
	p := &pool{cluster: c, name: name}
	f.pools = append(f.pools, p)
	return p
}

func (f *Fleet) addFolder(c *cluster, name string) *folder {
	d := &folder{cluster: c, name: name}
	f.folders = append(f.folders, d)
	return d
}

func (f *Fleet) addEndpoint(v *vch) {
	e := f.newVM(telemetry.EndpointVM, pick(f, "vch", "vch", fmt.Sprintf("vch-%d", len(f.vchs))), v.pool.cluster)
	e.pool, e.folder = v.pool, v.folder
	f.tell(e, guest.VCH)
	v.endpoint = e
	f.vchs = append(f.vchs, v)
}

// makeVMs makes the other VMs: two of three are container VMs.
func (f *Fleet) makeVMs() {
	strays := map[*cluster]*pool{}
	archives := map[string]*folder{}
	for len(f.vms) < f.VMs {
		switch n := f.random.IntN(100); {
		case n < 62:
			v := pick(f, f.vchs...)
			e := f.newVM(telemetry.ContainerVM, pick(f, "web", "db", fmt.Sprintf("web-%012x", f.random.Uint64()>>16)), v.pool.cluster)
			e.pool, e.folder = v.pool, v.folder
			if !v.vague {
				e.vch = v
				if f.chance(5) && !v.pool.vApp { // an admin moved it, and its pool still says whose it is
					e.folder = once(archives, v.pool.cluster.datacenter, func() *folder { return f.addFolder(v.pool.cluster, "archive") })
				}
			}
			f.tell(e, guest.Container)
			if f.chance(5) {
				e.name = "harbor-core" // which makes it no Harbor
			}
		case n < 66: // its VCH has been removed
			c := pick(f, f.clusters...)
			e := f.newVM(telemetry.ContainerVM, "stray", c)
			e.pool = once(strays, c, func() *pool { return f.addPool(c, "strays") })
			f.tell(e, guest.Container)
		case n < 68:
			f.addAppliance()
		default:
			f.addOther()
		}
	}
}

// once returns what is in a map, which it makes if need be.
func once[K comparable, V any](in map[K]V, key K, make func() V) V {
	if _, ok := in[key]; !ok {
		in[key] = make()
	}
	return in[key]
}

// newVM makes a VM that says nothing yet of what it is.
func (f *Fleet) newVM(kind telemetry.Kind, name string, c *cluster) *vm {
	v := &vm{
		kind: kind, name: name, uuid: f.uuid(), guestID: types.VirtualMachineGuestOsIdentifierOtherGuest64,
		host: pick(f, c.hosts...), power: types.VirtualMachinePowerStatePoweredOn,
		created: time.Date(2026, 1, 1, 0, 0, f.random.IntN(200*24*3600), 0, time.UTC),
	}
	if f.chance(25) {
		v.power = pick(f, types.VirtualMachinePowerStatePoweredOff, types.VirtualMachinePowerStateSuspended)
	}
	if !f.Plain {
		v.orphan = f.chance(5)
		v.denied = kind != telemetry.EndpointVM && f.chance(4)
	}
	f.vms = append(f.vms, v)
	return v
}

// tell gives a VM a guest name that says what it is, in one of the ways that there are.
func (f *Fleet) tell(v *vm, role guest.Role) {
	v.told = guest.Name{
		OS: pick(f, "Photon", "Photon", "Redhat", "Windows", "Container Linux"), Role: role,
		Version: pick(f, "v1.5.6", "v1.5.6", "v1.4.0", "v1.5.0-rc2", "v0.3.0-12-g0a1b2c3"),
		Build:   pick(f, "0", "21091"), Commit: pick(f, "0a1b2c3", "44cdb82", "fedcba9"),
	}
	text, err := v.told.Format()
	if err != nil {
		panic(err) // the fields above are none that can be wrong
	}
	switch f.random.IntN(8) {
	case 0: // VIC pads a short commit
		v.told.Commit = "c0ffe"
		text = fmt.Sprintf("%s - %s %s, %s, %7s", v.told.OS, role, v.told.Version, v.told.Build, v.told.Commit)
	case 1: // and so it names a build that nobody stamped
		v.told.Version, v.told.Build, v.told.Commit = "", "", ""
		text = fmt.Sprintf("%s - %s , , %7s", v.told.OS, role, "")
	}
	v.alt, v.full = text, text
	switch f.random.IntN(8) {
	case 0: // of another guest id vCenter shows the name
		if !v.orphan {
			v.guestID, v.full = types.VirtualMachineGuestOsIdentifierVmwarePhoton64Guest, "VMware Photon OS (64-bit)"
		}
	case 1:
		v.alt = "" // and some have it only there
	}
}

// addAppliance makes a VM that a product is in, or that looks like it.
func (f *Fleet) addAppliance() {
	v := f.addOther()
	v.template, v.orphan, v.denied = false, false, false
	switch f.random.IntN(6) {
	case 0:
		v.name = "vic-appliance"
		v.product = &types.VAppProductInfo{Name: "vSphere Integrated Containers", Vendor: "VMware, Inc.", Version: "v1.5.6-7085-44cdb82"}
		const within = "it is part of the appliance, and only its API tells its version"
		v.holds = []telemetry.Product{
			{Name: "vic", Version: "v1.5.6-7085-44cdb82", Source: "ovf", Confidence: "high"},
			{Name: "harbor", Source: "ovf", Confidence: "medium", Problem: within},
			{Name: "admiral", Source: "ovf", Confidence: "medium", Problem: within},
		}
	case 1:
		v.name = "registry"
		v.product = &types.VAppProductInfo{Name: "Harbor", Vendor: "Project Harbor", FullVersion: "2.10.2"}
		v.holds = []telemetry.Product{{Name: "harbor", Version: "2.10.2", Source: "ovf", Confidence: "high"}}
	case 2:
		v.name = "prod-admiral-01"
		v.holds = []telemetry.Product{{Name: "admiral", Source: "name", Confidence: "low", Problem: "only the name of the VM speaks of it"}}
	case 3:
		v.name = "harbor-template"
		v.template, v.power = true, types.VirtualMachinePowerStatePoweredOff
	case 4:
		v.name = "harborview-db"
	case 5:
		v.name = "database"
		v.product = &types.VAppProductInfo{Name: "Postgres", Version: "16"}
	}
}

// addOther makes a VM that is none of ours.
func (f *Fleet) addOther() *vm {
	v := f.newVM(telemetry.OtherVM, fmt.Sprintf("vm-%d", f.random.IntN(max(10, f.VMs/2))), pick(f, f.clusters...))
	v.guestID, v.full = types.VirtualMachineGuestOsIdentifierUbuntu64Guest, "Ubuntu Linux (64-bit)"
	switch f.random.IntN(20) {
	case 0:
		v.template, v.power = true, types.VirtualMachinePowerStatePoweredOff
	case 1: // names like ours that are not
		v.alt = pick(f, "Photon - Pod v1, 2, 3", "Photon - VCH v1.5.6", "VCH v1.5.6, 0, 0a1b2c3")
	case 2:
		if !f.Plain {
			v.kind, v.guestID, v.full = telemetry.Unclassified, "", ""
		}
	}
	return v
}
