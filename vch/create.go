// SPDX-License-Identifier: Apache-2.0

package vch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/guest"
	"wolfpack/version"
	"wolfpack/vsphere"
)

// Create makes the VCH that spec describes, or completes one that is there in part; one that is whole it leaves as it
// is. Before it changes anything it returns all that is wrong with spec in one error: errs.Invalid, errs.NotFound for a
// place that is not there, errs.Exists for a name that something else has. If a later step fails or ctx ends, it takes
// back all that it has made, and its error lists what it could not take back.
func Create(ctx context.Context, client *vsphere.Client, spec Spec) (*VCH, error) {
	const op = "vch.Create"
	tell(spec.Progress, "validate")
	c, s, err := prepare(ctx, client, spec)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	defer s.end()
	s.mend(ctx)
	if err := c.run(ctx); err != nil {
		return nil, errs.Wrap(op, fmt.Errorf("create VCH %q: %w", spec.Name, err))
	}
	ctx, cancel := detach(ctx, submitTimeout) // it is made: too late to be interrupted
	defer cancel()
	return c.made(ctx, s.inventory)
}

// prepare decides what a create does, and changes nothing. The caller ends the survey.
func prepare(ctx context.Context, client *vsphere.Client, spec Spec) (*creation, *survey, error) {
	s, err := look(ctx, client, everywhere(client.Client, places()...), sessionOf(client))
	if err != nil {
		return nil, nil, fmt.Errorf("create VCH %q: %w", spec.Name, err)
	}
	plan, err := s.plan(ctx, spec)
	if err != nil {
		s.end()
		return nil, nil, err
	}
	c := &creation{plan: plan, client: client.Client, index: s.index}
	if plan.existing != nil {
		c.vm = plan.existing.EndpointVM.Ref
	}
	return c, s, nil
}

// made looks at what was made.
func (c *creation) made(ctx context.Context, inv *inventory) (*VCH, error) {
	const op = "vch.Create"
	if err := inv.read(ctx, c.client, around([]reference{c.vm})); err != nil {
		return nil, errs.Wrap(op, fmt.Errorf("VCH %q was created, but then: %w", c.spec.Name, err))
	}
	vch, err := inv.vch(c.spec.Name)
	if err != nil {
		return nil, err
	}
	if vch == nil || len(vch.Incomplete) > 0 {
		return nil, errs.New(op, errs.Unavailable, "VCH %q was created, but somebody has changed it since; see `wolfpack vch ls`", c.spec.Name)
	}
	vch.NetworkBacking, err = inv.backing(vch.Network)
	return vch, errs.Wrap(op, err)
}

// creation carries out a plan. Its objects become those that were made.
type creation struct {
	*plan
	client *vim25.Client
	index  *index // nil on an ESXi host
	vm     reference
}

// undo takes back one thing, and what names it.
type undo struct {
	what string
	do   func(context.Context) error
}

// step is one visible part of a creation. An undo that it returns is kept whether it fails or not.
type step struct {
	name   string
	needed bool
	what   string // that it makes or changes, and how
	do     func(context.Context) (*undo, error)
}

// steps are all parts of a creation, in order. What a VCH has already is not needed.
func (c *creation) steps() []step {
	fresh := c.existing == nil
	listed := fresh && c.index != nil
	vm := c.folder.Path + "/" + c.spec.Name
	if !fresh {
		vm = c.existing.EndpointVM.Path
	}
	pool, folder := c.parentPool.Path+"/"+c.spec.Name, c.parentFolder.Path+"/"+c.spec.Name
	if c.foldered && !c.folder.exists() {
		vm = folder + "/" + c.spec.Name
	}
	return []step{
		{"name in vCenter's index", listed, fmt.Sprintf("%q, as a tag of category %s", c.spec.Name, categoryName), c.enter},
		{"VM folder", !c.folder.exists(), folder + ", for this VM and those of pods", c.makeFolder},
		{"resource pool", !c.pool.exists(), pool + ", with " + c.spec.limits(), c.makePool},
		{"endpoint VM", fresh, vm + ", " + c.describeVM(), c.makeVM},
		{"endpoint VM in vCenter's index", listed, "that tag on " + vm, c.attach},
		{"move endpoint VM into resource pool", c.move, fmt.Sprintf("%s, from %s to %s", vm, c.outside, pool), c.moveVM},
		{"name resource pool", c.pool.unfinished(), pool + ", until then " + c.spec.Name + suffix, c.namePool},
		{"name VM folder", c.folder.unfinished(), folder + ", until then " + c.spec.Name + suffix, c.nameFolder},
		{"power on endpoint VM", fresh || c.existing.PowerState != types.VirtualMachinePowerStatePoweredOn, vm, c.powerOn},
	}
}

// describeVM says what the endpoint VM is like.
func (c *creation) describeVM() string {
	name, _ := c.guestName().Format() // what is wrong with it, making the VM says
	return fmt.Sprintf("%d CPUs, %d MB, guest %q, on datastore %s, on network %s",
		c.spec.EndpointCPUs, c.spec.EndpointMemoryMB, name, c.datastore, c.network)
}

// run takes the steps, and all of them back if one fails.
func (c *creation) run(ctx context.Context) error {
	var undos []*undo
	for _, step := range c.steps() {
		if !step.needed {
			continue
		}
		tell(c.spec.Progress, step.name)
		undo, err := step.do(ctx)
		if undo != nil {
			undos = append(undos, undo)
		}
		if err != nil {
			return c.rollback(ctx, undos, fmt.Errorf("%s: %w", step.name, err))
		}
	}
	return nil
}

// rollback returns cause, and with it whatever could not be taken back.
func (c *creation) rollback(ctx context.Context, undos []*undo, cause error) error {
	ctx, cancel := detach(ctx, undoTimeout)
	defer cancel()
	var left []string
	for _, undo := range slices.Backward(undos) {
		tell(c.spec.Progress, "undo "+undo.what)
		if err := undo.do(ctx); err != nil {
			left = append(left, fmt.Sprintf("%s (%v)", undo.what, err))
		}
	}
	if len(left) == 0 {
		return cause
	}
	return fmt.Errorf("%w; could not be taken back: %s; `wolfpack vch delete %s` removes that",
		cause, strings.Join(left, ", "), c.spec.Name)
}

// enter takes the name, which then is nobody else's. Where a create was left unfinished the name is taken over from it; if
// that create still goes on, it fails when it finds out.
func (c *creation) enter(ctx context.Context) (*undo, error) {
	remove := func(id string) func(context.Context) (struct{}, error) {
		return func(ctx context.Context) (struct{}, error) { return struct{}{}, c.index.remove(ctx, id) }
	}
	for _, id := range c.orphans {
		if _, err := submit(ctx, remove(id)); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	undo := &undo{fmt.Sprintf("name %q in vCenter's index", c.spec.Name), func(ctx context.Context) error {
		return c.index.remove(ctx, c.id)
	}}
	_, err := submit(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.index.enter(ctx, c.id, c.spec.Name) })
	if errs.Is(err, errs.Exists) {
		return undo, errs.New("vch.Create", errs.Exists, "somebody else has just taken the name; look with `wolfpack vch ls`: %w", err)
	}
	return undo, err
}

// attach has no undo of its own: what enter made goes with all that it says.
func (c *creation) attach(ctx context.Context) (*undo, error) {
	_, err := submit(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.index.attach(ctx, c.id, c.vm) })
	if errs.Is(err, errs.NotFound) {
		return nil, errs.New("vch.Create", errs.Exists, "somebody else has taken the name over; look with `wolfpack vch ls`: %w", err)
	}
	return nil, err
}

func (c *creation) makeFolder(ctx context.Context) (*undo, error) {
	name := c.spec.Name + suffix
	path := c.parentFolder.Path + "/" + name
	made, err := submit(ctx, func(ctx context.Context) (*object.Folder, error) {
		return object.NewFolder(c.client, c.parentFolder.Ref).CreateFolder(ctx, name)
	})
	if err != nil {
		return c.lost(ctx, err, "VM folder "+path, c.parentFolder, name, removeFolder), err
	}
	folder := Object{Ref: made.Reference(), Name: name, Path: path}
	c.folder = folder
	return &undo{"VM folder " + path, func(ctx context.Context) error { return removeFolder(ctx, c.client, folder) }}, nil
}

func (c *creation) makePool(ctx context.Context) (*undo, error) {
	name := c.spec.Name + suffix
	path := c.parentPool.Path + "/" + name
	made, err := submit(ctx, func(ctx context.Context) (*object.ResourcePool, error) {
		return object.NewResourcePool(c.client, c.parentPool.Ref).Create(ctx, name, c.spec.pool())
	})
	if err != nil {
		return c.lost(ctx, err, "resource pool "+path, c.parentPool, name, removePool), err
	}
	pool := Object{Ref: made.Reference(), Name: name, Path: path}
	c.pool = pool
	return &undo{"resource pool " + path, func(ctx context.Context) error { return removePool(ctx, c.client, pool) }}, nil
}

// lost is the undo of a call whose answer never came: the thing may be there or not. It is not if vSphere answered with
// a fault, or if the call was never made because ctx was over.
func (c *creation) lost(ctx context.Context, err error, what string, parent Object, name string, remove func(context.Context, *vim25.Client, Object) error) *undo {
	if answered(err) || ctx.Err() != nil {
		return nil
	}
	return &undo{what, func(ctx context.Context) error {
		found, err := object.NewSearchIndex(c.client).FindChild(ctx, parent.Ref, name)
		if err != nil || found == nil {
			return err
		}
		return remove(ctx, c.client, Object{Ref: found.Reference(), Name: name})
	}}
}

// makeVM makes the endpoint VM.
func (c *creation) makeVM(ctx context.Context) (*undo, error) {
	spec, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	task, err := submit(ctx, func(ctx context.Context) (*object.Task, error) {
		return object.NewFolder(c.client, c.folder.Ref).CreateVM(ctx, spec, object.NewResourcePool(c.client, c.pool.Ref), nil)
	})
	if err != nil && (answered(err) || ctx.Err() != nil) {
		return nil, err
	}
	undo := &undo{"endpoint VM " + c.folder.Path + "/" + c.spec.Name, func(ctx context.Context) error { return c.removeVM(ctx, task) }}
	if err != nil {
		return undo, err
	}
	result, err := wait(ctx, task)
	if err != nil {
		return undo, err
	}
	c.vm = result.(reference)
	return undo, nil
}

// endpoint is the endpoint VM's spec.
func (c *creation) endpoint() (types.VirtualMachineConfigSpec, error) {
	spec, err := c.os.Spec(guest.Machine{
		VMName:   c.spec.Name,
		Guest:    c.guestName(),
		CPUs:     c.spec.EndpointCPUs,
		MemoryMB: c.spec.EndpointMemoryMB,
		Network:  c.backing,
		Extra:    c.identity(),
	})
	if err != nil {
		return types.VirtualMachineConfigSpec{}, errs.New("vch.Create", errs.Invalid, "%w", err)
	}
	spec.InstanceUuid = c.id
	spec.Files = &types.VirtualMachineFileInfo{VmPathName: "[" + c.datastore.Name + "]"}
	return spec, nil
}

// guestName says which build has made it.
func (c *creation) guestName() guest.Name {
	stamp := version.Get()
	return guest.Name{OS: c.os.Word, Role: guest.VCH, Version: stamp.Version, Build: stamp.Build, Commit: stamp.Commit}
}

func (c *creation) identity() map[string]string {
	values := map[string]string{
		KeyRole:      RoleEndpoint,
		KeyVCH:       c.spec.Name,
		KeyVCHID:     c.id,
		KeyPool:      c.pool.Ref.Value,
		KeyDatastore: c.datastore.Name,
		KeyNetwork:   c.network.Name,
		KeyGuestOS:   strings.ToLower(c.os.Word),
	}
	if c.foldered {
		values[KeyFolder] = c.folder.Ref.Value
	}
	return values
}

// removeVM is makeVM's undo: it waits for the task to end, and then removes the VM by its identity, because a task that
// failed late can have left one.
func (c *creation) removeVM(ctx context.Context, task *object.Task) error {
	if task != nil {
		_, _ = wait(ctx, task)
	}
	found, err := object.NewSearchIndex(c.client).FindByUuid(ctx, nil, c.id, true, types.NewBool(true))
	if err != nil || found == nil {
		return err
	}
	return destroyVM(ctx, c.client, found.Reference())
}

// moveVM puts an existing endpoint VM into the pool, and writes down which that is.
func (c *creation) moveVM(ctx context.Context) (*undo, error) {
	vm := object.NewVirtualMachine(c.client, c.vm)
	relocate := func(ctx context.Context, pool Object) error {
		return do(ctx, func(ctx context.Context) (*object.Task, error) {
			return vm.Relocate(ctx, types.VirtualMachineRelocateSpec{Pool: &pool.Ref}, types.VirtualMachineMovePriorityDefaultPriority)
		})
	}
	undo := &undo{"move of the endpoint VM to " + c.pool.Path, func(ctx context.Context) error { return relocate(ctx, c.outside) }}
	if err := relocate(ctx, c.pool); err != nil {
		return undo, err
	}
	return undo, do(ctx, func(ctx context.Context) (*object.Task, error) {
		return vm.Reconfigure(ctx, types.VirtualMachineConfigSpec{
			ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: KeyPool, Value: c.pool.Ref.Value}},
		})
	})
}

// namePool gives the pool its final name, now that the endpoint VM says whose it is. One that was left unfinished may
// lack the configuration, so it gets that too.
func (c *creation) namePool(ctx context.Context) (*undo, error) {
	_, err := submit(ctx, func(ctx context.Context) (struct{}, error) {
		config := c.spec.pool()
		return struct{}{}, object.NewResourcePool(c.client, c.pool.Ref).UpdateConfig(ctx, c.spec.Name, &config)
	})
	return nil, err
}

func (c *creation) nameFolder(ctx context.Context) (*undo, error) {
	return nil, do(ctx, func(ctx context.Context) (*object.Task, error) {
		return object.NewFolder(c.client, c.folder.Ref).Rename(ctx, c.spec.Name)
	})
}

// powerOn needs no undo of its own: what is on is powered off when it is removed.
func (c *creation) powerOn(ctx context.Context) (*undo, error) {
	return nil, do(ctx, object.NewVirtualMachine(c.client, c.vm).PowerOn)
}

func tell(progress func(string), step string) {
	if progress != nil {
		progress(step)
	}
}
