// SPDX-License-Identifier: Apache-2.0

package vch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/guest"
)

// plan is what create is going to do: every choice made, nothing changed yet. Objects that are zero are to be made.
type plan struct {
	spec       Spec
	os         guest.OS
	id         string
	datacenter Object
	datastore  Object
	network    Object
	backing    types.BaseVirtualDeviceBackingInfo // that connects to it
	orphans    []string                           // UUIDs in vCenter's index of VCHs of that name which were left unfinished

	foldered     bool   // there are folders here: not so on a lone ESXi host
	parentFolder Object // of the VCH's folder
	folder       Object
	parentPool   Object // of the VCH's pool
	pool         Object
	existing     *VCH   // nil if there is no endpoint VM yet
	move         bool   // the existing endpoint VM is not in the pool
	outside      Object // the pool that it is in instead
}

// plan decides everything before anything is changed. All that is wrong is in its error.
func (s *survey) plan(ctx context.Context, spec Spec) (*plan, error) {
	if s.broken != nil {
		return nil, errs.Wrap("vch.Create", fmt.Errorf("create VCH %q: %w", spec.Name, s.broken))
	}
	if err := s.lookCloser(ctx, spec.Name); err != nil {
		return nil, errs.Wrap("vch.Create", fmt.Errorf("create VCH %q: %w", spec.Name, err))
	}
	existing, err := s.vch(spec.Name)
	if err != nil {
		return nil, err
	}
	p := &plan{spec: spec.withDefaults(), foldered: s.client.IsVC(), existing: existing}
	problems := p.checkSpec()
	if p.datacenter, err = pick("datacenter", "--datacenter or GOVC_DATACENTER", s.client.Datacenter(), s.list(isDatacenter)); err != nil {
		problems = append(problems, err)
	} else if existing != nil {
		problems = append(problems, p.complete(s.inventory)...)
	} else {
		problems = append(problems, p.choose(s.inventory)...)
	}
	if p.network.exists() {
		if p.backing, err = s.backing(p.network); err != nil {
			problems = append(problems, err)
		}
	}
	denied, err := p.checkPrivileges(ctx, s)
	if err != nil {
		return nil, errs.Wrap("vch.Create", fmt.Errorf("create VCH %q: %w", spec.Name, err))
	}
	problems = append(problems, denied...)
	if existing == nil && s.index != nil {
		if p.orphans, err = s.index.orphans(ctx, spec.Name); err != nil {
			return nil, errs.Wrap("vch.Create", fmt.Errorf("create VCH %q: %w", spec.Name, err))
		}
	}
	return p, report(fmt.Sprintf("cannot create VCH %q", spec.Name), problems)
}

// lookCloser looks at everything if something has the name that vCenter's index does not know: it may be a VCH of an older
// build.
func (s *survey) lookCloser(ctx context.Context, name string) error {
	found, err := s.vch(name)
	if err != nil || found != nil || s.all {
		return err
	}
	for _, object := range s.list(func(entity mo.Entity) bool { return isPool(entity) || isVMFolder(entity) }) {
		if object.Name == name || object.Name == name+suffix {
			return s.lookEverywhere(ctx)
		}
	}
	return nil
}

// checkSpec finds what is wrong whatever the inventory is.
func (p *plan) checkSpec() []error {
	var problems []error
	if err := CheckName(p.spec.Name); err != nil {
		problems = append(problems, err)
	}
	word := p.spec.GuestOS
	if word == "" {
		word = DefaultGuestOS
	}
	os, err := guest.Lookup(word, guest.VCH)
	if err != nil {
		problems = append(problems, err)
	}
	p.os = os
	if p.spec.EndpointCPUs < 1 {
		problems = append(problems, fmt.Errorf("endpoint VM with %d CPUs, want at least 1", p.spec.EndpointCPUs))
	}
	if p.spec.EndpointMemoryMB < 1 {
		problems = append(problems, fmt.Errorf("endpoint VM with %d MB of memory, want at least 1", p.spec.EndpointMemoryMB))
	}
	problems = append(problems, p.spec.CPU.check("CPU", "MHz")...)
	return append(problems, p.spec.Memory.check("memory", "MB")...)
}

// choose picks the places for a VCH that has no endpoint VM yet.
func (p *plan) choose(inv *inventory) []error {
	var problems []error
	note := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	var err error
	p.id = uuid.NewString()
	compute, err := p.chooseCompute(inv)
	note(err)
	p.datastore, err = pick("datastore", "--datastore or GOVC_DATASTORE", p.spec.Datastore, inv.inDatacenter(p.datacenter.Ref, isDatastore))
	note(err)
	p.network, err = p.chooseNetwork(inv)
	note(err)
	if compute != nil {
		note(reaches(inv, compute, "datastore", p.datastore, compute.Datastore, func(host *mo.HostSystem) []reference { return host.Datastore }))
		note(reaches(inv, compute, "network", p.network, compute.Network, func(host *mo.HostSystem) []reference { return host.Network }))
		problems = append(problems, p.checkCapacity(inv, compute)...)
		p.pool, err = unfinished(inv, p.parentPool, p.spec.Name)
		note(err)
	}
	note(p.chooseFolder(inv))
	return problems
}

// chooseCompute sets the parent pool, and returns what it is a part of.
func (p *plan) chooseCompute(inv *inventory) (*mo.ComputeResource, error) {
	computes := inv.inDatacenter(p.datacenter.Ref, isCompute)
	chosen, err := pick("cluster or host", "--compute or GOVC_RESOURCE_POOL", p.spec.Compute, computes)
	if p.spec.Compute != "" && errs.Is(err, errs.NotFound) {
		pools := inv.inDatacenter(p.datacenter.Ref, isPool)
		chosen, err = pick("cluster, host or resource pool", "--compute or GOVC_RESOURCE_POOL", p.spec.Compute, append(computes, pools...))
	}
	if err != nil {
		return nil, err
	}
	p.parentPool = chosen
	if pool, ok := inv.entities[chosen.Ref].(*mo.ResourcePool); ok {
		return asCompute(inv.entities[pool.Owner]), nil
	}
	compute := asCompute(inv.entities[chosen.Ref])
	if compute.ResourcePool == nil {
		return nil, errs.New("vch.plan", errs.Denied, "compute %s has no resource pool that this user can see", chosen)
	}
	p.parentPool = inv.object(*compute.ResourcePool)
	return compute, nil
}

func (p *plan) chooseNetwork(inv *inventory) (Object, error) {
	networks := inv.inDatacenter(p.datacenter.Ref, isNetwork)
	if p.spec.Network == "" && len(networks) > 1 {
		if i := slices.IndexFunc(networks, func(o Object) bool { return o.Name == DefaultNetwork }); i >= 0 {
			return networks[i], nil
		}
	}
	return pick("network", "--network or GOVC_NETWORK", p.spec.Network, networks)
}

// chooseFolder sets the parent folder, and the folder itself if an earlier create left it unfinished.
func (p *plan) chooseFolder(inv *inventory) error {
	datacenter, ok := inv.entities[p.datacenter.Ref].(*mo.Datacenter)
	if !ok {
		return errs.New("vch.plan", errs.Denied, "datacenter %s cannot be read by this user", p.datacenter)
	}
	p.parentFolder = inv.object(datacenter.VmFolder)
	if !p.foldered {
		p.folder = p.parentFolder
		if p.spec.Folder != "" {
			return errs.New("vch.plan", errs.Invalid, "folder %q: an ESXi host has no folders; leave --folder and GOVC_FOLDER empty", p.spec.Folder)
		}
		return nil
	}
	var err error
	if p.spec.Folder != "" {
		folders := inv.inDatacenter(p.datacenter.Ref, isVMFolder)
		if p.parentFolder, err = pick("VM folder", "--folder or GOVC_FOLDER", p.spec.Folder, folders); err != nil {
			return err
		}
	}
	p.folder, err = unfinished(inv, p.parentFolder, p.spec.Name)
	return err
}

// complete plans for a VCH whose endpoint VM is there. What it already is must be what the spec asks for.
func (p *plan) complete(inv *inventory) []error {
	vch := p.existing
	if vch.Datacenter.Ref != p.datacenter.Ref {
		return []error{errs.New("vch.plan", errs.Exists, "it exists in another datacenter, with the endpoint VM %s; choose another name", vch.EndpointVM)}
	}
	p.id, p.datastore, p.network, p.folder, p.pool = vch.ID, vch.Datastore, vch.Network, vch.Folder, vch.Pool
	if parent := inv.entities[vch.Folder.Ref]; parent != nil && parent.Entity().Parent != nil {
		p.parentFolder = inv.object(*parent.Entity().Parent)
	}
	vm := inv.entities[vch.EndpointVM.Ref].(*mo.VirtualMachine)
	p.parentPool = inv.parentPool(vm, vch.Pool)
	var problems []error
	if !vch.Pool.exists() {
		var err error
		if p.pool, err = unfinished(inv, p.parentPool, vch.Name); err != nil {
			problems = append(problems, err)
		}
	}
	if vm.ResourcePool != nil && *vm.ResourcePool != vch.Pool.Ref {
		p.move, p.outside = true, inv.object(*vm.ResourcePool)
	}
	differ := func(what, want string, have Object) {
		if want != "" && !have.matches(want) {
			problems = append(problems, errs.New("vch.plan", errs.Exists, "it exists, with the %s %s and not %q; leave it, or delete the VCH first", what, have, want))
		}
	}
	differ("datastore", p.spec.Datastore, vch.Datastore)
	differ("network", p.spec.Network, vch.Network)
	if p.foldered {
		differ("folder", p.spec.Folder, p.parentFolder)
	}
	if !inv.computeOf(p.parentPool).matches(p.spec.Compute) {
		differ("resource pool", p.spec.Compute, p.parentPool)
	}
	return append(problems, p.differences(inv)...)
}

// differences compares what is not a place.
func (p *plan) differences(inv *inventory) []error {
	var problems []error
	differ := func(what string) {
		problems = append(problems, errs.New("vch.plan", errs.Exists, "it exists, with another %s; leave that, or delete the VCH first", what))
	}
	if p.spec.GuestOS != "" && p.os.Word != "" && !strings.EqualFold(p.spec.GuestOS, p.existing.GuestOS) {
		differ(fmt.Sprintf("guest OS (%s)", p.existing.GuestOS))
	}
	if pool, ok := inv.entities[p.pool.Ref].(*mo.ResourcePool); ok {
		if p.spec.CPU.differs(pool.Config.CpuAllocation) {
			differ("CPU limit, reservation or shares")
		}
		if p.spec.Memory.differs(pool.Config.MemoryAllocation) {
			differ("memory limit, reservation or shares")
		}
	}
	return problems
}

// parentPool is where a VCH's pool is, or is to be made again: vSphere moves a VM into the parent when a pool goes.
func (inv *inventory) parentPool(vm *mo.VirtualMachine, pool Object) Object {
	if found, ok := inv.entities[pool.Ref]; ok && found.Entity().Parent != nil {
		return inv.object(*found.Entity().Parent)
	}
	if vm.ResourcePool != nil {
		return inv.object(*vm.ResourcePool)
	}
	return Object{}
}

// computeOf is the cluster or host whose root pool is pool, or the zero Object if it is not a root pool.
func (inv *inventory) computeOf(pool Object) Object {
	found, ok := inv.entities[pool.Ref].(*mo.ResourcePool)
	if !ok || found.Parent == nil || *found.Parent != found.Owner {
		return Object{}
	}
	return inv.object(found.Owner)
}

// unfinished is the child that an earlier create or delete left in parent, or the zero Object. Anything else in the way
// is errs.Exists.
func unfinished(inv *inventory, parent Object, name string) (Object, error) {
	const op = "vch.plan"
	if taken := inv.child(parent.Ref, name); taken.exists() {
		return Object{}, errs.New(op, errs.Exists, "%s exists and is no VCH's%s; choose another name, or remove it",
			taken, contents(inv, taken))
	}
	left := inv.child(parent.Ref, name+suffix)
	if left.exists() && len(inv.children(left.Ref)) > 0 {
		return Object{}, errs.New(op, errs.Exists, "%s is of an unfinished VCH, but it is not empty%s; move that elsewhere",
			left, contents(inv, left))
	}
	return left, nil
}

// contents lists what is in place, to go after its name.
func contents(inv *inventory, place Object) string {
	if names := pathsOf(inv.children(place.Ref)); len(names) > 0 {
		return " (in it: " + some(names) + ")"
	}
	return ""
}

// pick chooses the one object that text means, or the only one there is. Its errors list the choices.
func pick(kind, setting, text string, choices []Object) (Object, error) {
	const op = "vch.plan"
	found := choices
	if text != "" {
		found = slices.DeleteFunc(slices.Clone(choices), func(o Object) bool { return !o.matches(text) })
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(choices) == 0:
		return Object{}, errs.New(op, errs.NotFound, "there is no %s that this user can see", kind)
	case text == "":
		return Object{}, errs.New(op, errs.Invalid, "there is more than one %s; name one with %s: %s", kind, setting, some(pathsOf(choices)))
	case len(found) == 0:
		return Object{}, errs.New(op, errs.NotFound, "no %s %q (%s); there are: %s", kind, text, setting, some(pathsOf(choices)))
	default:
		return Object{}, errs.New(op, errs.Invalid, "%s %q (%s) means more than one; give the path: %s", kind, text, setting, some(pathsOf(found)))
	}
}

// reaches says whether all hosts of compute are connected to what: a pod's VM may run on any of them. of are the things of a
// kind that a host is connected to.
func reaches(inv *inventory, compute *mo.ComputeResource, kind string, what Object, connected []reference, of func(*mo.HostSystem) []reference) error {
	if !what.exists() {
		return nil
	}
	var without []string
	for _, ref := range compute.Host {
		if host, ok := inv.entities[ref].(*mo.HostSystem); ok && !slices.Contains(of(host), what.Ref) {
			without = append(without, host.Name)
		}
	}
	slices.Sort(without)
	var choices []string
	for _, ref := range connected {
		if object := inv.object(ref); object.exists() && reachesAll(inv, compute, ref, of) {
			choices = append(choices, object.Name)
		}
	}
	there := "no other is either"
	if len(choices) > 0 {
		there = "connected are: " + some(choices)
	}
	switch {
	case !slices.Contains(connected, what.Ref):
		return errs.New("vch.plan", errs.Invalid, "%s %s is not connected to %s; %s", kind, what, inv.path(compute.Self), there)
	case len(without) > 0:
		return errs.New("vch.plan", errs.Invalid, "%s %s is not connected to all hosts of %s: not to %s; %s",
			kind, what, inv.path(compute.Self), some(without), there)
	default:
		return nil
	}
}

func reachesAll(inv *inventory, compute *mo.ComputeResource, what reference, of func(*mo.HostSystem) []reference) bool {
	return !slices.ContainsFunc(compute.Host, func(ref reference) bool {
		host, ok := inv.entities[ref].(*mo.HostSystem)
		return ok && !slices.Contains(of(host), what)
	})
}

// checkCapacity finds limits and reservations that are more than there is. What is not known is not checked.
func (p *plan) checkCapacity(inv *inventory, compute *mo.ComputeResource) []error {
	pool, ok := inv.entities[p.parentPool.Ref].(*mo.ResourcePool)
	if !ok || compute.Summary == nil {
		return nil
	}
	has := compute.Summary.GetComputeResourceSummary()
	cpu, memory := int64(has.EffectiveCpu), has.EffectiveMemory
	if !inv.computeOf(p.parentPool).exists() { // a cluster's own pool has no limit of its own
		cpu, memory = lower(cpu, pool.Config.CpuAllocation.Limit), lower(memory, pool.Config.MemoryAllocation.Limit)
	}
	return append(
		p.spec.CPU.exceeds("CPU", "MHz", p.parentPool, cpu, pool.Runtime.Cpu.UnreservedForPool),
		p.spec.Memory.exceeds("memory", "MB", p.parentPool, memory, pool.Runtime.Memory.UnreservedForPool>>20)...)
}

// lower is the lower of what there is and a limit of it.
func lower(all int64, limit *int64) int64 {
	if limit != nil && *limit > 0 && (all == 0 || *limit < all) {
		return *limit
	}
	return all
}

// exceeds returns what a asks for beyond what its parent has in all, and what of that nobody has reserved. 0 is not known.
func (a Allocation) exceeds(what, unit string, parent Object, all, unreserved int64) []error {
	var problems []error
	if all > 0 && a.Limit > all {
		problems = append(problems, errs.New("vch.plan", errs.Invalid, "%s limit %d %s is more than %s has: %d %s; give at most that, or 0 for no limit",
			what, a.Limit, unit, parent, all, unit))
	}
	if unreserved > 0 && a.Reservation > unreserved {
		problems = append(problems, errs.New("vch.plan", errs.Invalid, "%s reservation %d %s is more than %s has left to reserve: %d %s",
			what, a.Reservation, unit, parent, unreserved, unit))
	}
	return problems
}

// report makes one error of all problems. Its kind is theirs if they agree.
func report(what string, problems []error) error {
	if len(problems) == 0 {
		return nil
	}
	kind := problemKind(problems[0])
	texts := make([]string, len(problems))
	for i, problem := range problems {
		texts[i] = problem.Error()
		if problemKind(problem) != kind {
			kind = errs.Invalid
		}
	}
	if len(texts) == 1 {
		return errs.New("vch.Create", kind, "%s: %w", what, problems[0])
	}
	return errs.New("vch.Create", kind, "%s for %d reasons:\n  - %s", what, len(texts), strings.Join(texts, "\n  - "))
}

// problemKind is the kind of a problem, where one that does not say so is bad input.
func problemKind(problem error) errs.Kind {
	var e *errs.Error
	if errors.As(problem, &e) {
		return e.Kind
	}
	return errs.Invalid
}

func pathsOf(objects []Object) []string {
	paths := make([]string, len(objects))
	for i, object := range objects {
		paths[i] = object.Path
	}
	return paths
}

func isDatacenter(e mo.Entity) bool { return e.Reference().Type == "Datacenter" }

func isDatastore(e mo.Entity) bool { return e.Reference().Type == "Datastore" }

func isCompute(e mo.Entity) bool { return asCompute(e) != nil }

func asCompute(e mo.Entity) *mo.ComputeResource {
	switch compute := e.(type) {
	case *mo.ComputeResource:
		return compute
	case *mo.ClusterComputeResource:
		return &compute.ComputeResource
	default:
		return nil
	}
}

// isPool keeps vApps out: a VM folder has no place in one.
func isPool(e mo.Entity) bool { return e.Reference().Type == "ResourcePool" }

func isVMFolder(e mo.Entity) bool {
	folder, ok := e.(*mo.Folder)
	return ok && slices.Contains(folder.ChildType, "VirtualMachine")
}

// isNetwork keeps a distributed switch's uplinks out, which vCenter marks with a tag of its own.
func isNetwork(e mo.Entity) bool {
	switch e.Reference().Type {
	case "Network", "OpaqueNetwork", "DistributedVirtualPortgroup":
		return !slices.ContainsFunc(e.Entity().Tag, func(tag types.Tag) bool { return tag.Key == "SYSTEM/DVS.UPLINKPG" })
	default:
		return false
	}
}
