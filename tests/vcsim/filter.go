// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// filter is what a property filter selects, and what of that has changed since it was last read. The mu of its feed guards
// it, but for ref and spec, which do not change.
type filter struct {
	ref  types.ManagedObjectReference
	spec types.PropertyFilterSpec

	stale   bool                                  // members may have changed
	members map[types.ManagedObjectReference]bool // with whether the client has been told of them
	left    []types.ManagedObjectReference        // members that are gone, and that the client was told of
	changed map[types.ManagedObjectReference]paths
	order   []types.ManagedObjectReference // of changed, as they came
	places  map[types.ManagedObjectReference]place
}

// place is where a VM was found to be when it was last looked for, if nothing has happened to it since.
type place int

const (
	looking place = iota // it is being looked for
	inside
	outside
)

// paths are changed property paths of an object, with how they changed last.
type paths map[string]types.PropertyChangeOp

func newFilter(ref types.ManagedObjectReference, spec types.PropertyFilterSpec) *filter {
	return &filter{
		ref: ref, spec: spec, stale: true,
		members: make(map[types.ManagedObjectReference]bool),
		changed: make(map[types.ManagedObjectReference]paths),
		places:  make(map[types.ManagedObjectReference]place),
	}
}

// put notes a new object, or one in a new place, and reports whether it matters.
func (f *filter) put(obj mo.Reference) bool {
	switch obj.Reference().Type {
	case "VirtualMachine":
		delete(f.places, obj.Reference())
	case "Folder", "ResourcePool":
		clear(f.places) // of what is in it
	}
	if !f.selects(obj.Reference(), obj) {
		return false
	}
	// The simulator does not tell that an object has another parent, but puts it there.
	moved := f.change(obj, []types.PropertyChange{{Name: "parent", Op: types.PropertyChangeOpAssign}})
	f.stale = f.stale || f.traverses()
	return f.stale || moved
}

// update notes changes of an object and reports whether they matter.
func (f *filter) update(obj mo.Reference, changes []types.PropertyChange) bool {
	ref := obj.Reference()
	delete(f.places, ref)
	if f.isRoot(ref) && f.traverses() {
		f.stale = true
	}
	if _, member := f.members[ref]; !member {
		// The simulator tells nobody that an object has got a place, say in a pool; but it updates it afterwards.
		f.stale = f.stale || f.traverses() && f.selects(ref, obj)
		return f.stale
	}
	return f.change(obj, changes) || f.stale
}

// change notes changes of an object, if it is a member, and reports whether they matter.
func (f *filter) change(obj mo.Reference, changes []types.PropertyChange) bool {
	ref := obj.Reference()
	if _, member := f.members[ref]; !member {
		return false
	}
	for i := range changes {
		for _, path := range f.match(obj, changes[i].Name) {
			if f.changed[ref] == nil {
				f.changed[ref] = make(paths)
				f.order = append(f.order, ref)
			}
			f.changed[ref][path] = changes[i].Op
		}
	}
	return f.changed[ref] != nil
}

// leave notes that an object is gone and reports whether it matters.
func (f *filter) leave(ref types.ManagedObjectReference) bool {
	told := f.members[ref]
	delete(f.places, ref)
	delete(f.members, ref)
	delete(f.changed, ref)
	if told {
		f.left = append(f.left, ref)
	}
	return told
}

// reportsMissing says whether the filter works without the objects that it begins with.
func (f *filter) reportsMissing() bool {
	return f.spec.ReportMissingObjectsInResults != nil && *f.spec.ReportMissingObjectsInResults
}

// traverses reports whether the filter finds objects by way of others.
func (f *filter) traverses() bool {
	return slices.ContainsFunc(f.spec.ObjectSet, func(o types.ObjectSpec) bool { return len(o.SelectSet) > 0 })
}

func (f *filter) isRoot(ref types.ManagedObjectReference) bool {
	return slices.ContainsFunc(f.spec.ObjectSet, func(o types.ObjectSpec) bool { return o.Obj == ref })
}

// selects reports whether the filter has properties for objects such as obj, which ref refers to.
func (f *filter) selects(ref types.ManagedObjectReference, obj mo.Reference) bool {
	return slices.ContainsFunc(f.spec.PropSet, func(p types.PropertySpec) bool { return isA(ref, obj, p.Type) })
}

// match returns the paths of the filter, of an object, that a changed path is about.
func (f *filter) match(obj mo.Reference, changed string) []string {
	var matched []string
	for _, p := range f.spec.PropSet {
		switch {
		case !isA(obj.Reference(), obj, p.Type):
		case p.All != nil && *p.All:
			if !strings.Contains(changed, "[") { // the change of the whole array comes as well
				matched = append(matched, topLevel(changed))
			}
		default:
			for _, path := range p.PathSet {
				if concerns(path, changed) {
					matched = append(matched, path)
				}
			}
		}
	}
	return matched
}

// concerns reports whether a path that is watched is about a path that has changed: they are the same, or one is part of
// the other. An array's element and the array are not: their changes come separately.
func concerns(watched, changed string) bool {
	switch {
	case watched == changed:
		return true
	case len(watched) < len(changed):
		return changed[len(watched)] == '.' && strings.HasPrefix(changed, watched) && !strings.Contains(changed[len(watched):], "[")
	default:
		return len(watched) > len(changed) && watched[len(changed)] == '.' && strings.HasPrefix(watched, changed)
	}
}

func topLevel(path string) string {
	top, _, _ := strings.Cut(path, ".")
	return top
}

// isA reports whether obj, which ref refers to, is of a managed object type, or of one that extends it. It does not look into
// obj, which need not be locked.
func isA(ref types.ManagedObjectReference, obj mo.Reference, kind string) bool {
	if ref.Type == kind {
		return true
	}
	t := reflect.TypeOf(obj)
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return false
	}
	field, ok := t.Elem().FieldByName(kind)
	return ok && field.Anonymous
}

// read returns the updates of what has changed since it was last called.
func (f *filter) read(ctx *simulator.Context, feed *feed, pc *simulator.PropertyCollector) ([]types.ObjectUpdate, types.BaseMethodFault) {
	feed.mu.Lock()
	stale, left, changed, order := f.stale, f.left, f.changed, f.order
	f.stale, f.left, f.order = false, nil, nil
	f.changed = make(map[types.ManagedObjectReference]paths)
	feed.mu.Unlock()

	var updates []types.ObjectUpdate
	for _, ref := range left {
		updates = append(updates, types.ObjectUpdate{Kind: types.ObjectUpdateKindLeave, Obj: ref})
	}
	for _, ref := range order {
		// With the object locked nothing is noted of it, so that what is read belongs together: a status that the guest wrote
		// after power on must not come before the power state.
		ctx.WithLock(ref, func() {
			f.addNoted(feed, ref, changed[ref])
			if u, ok := feed.modified(ctx, pc, ref, changed[ref]); ok {
				updates = append(updates, u)
			}
		})
	}
	if !stale {
		return updates, nil
	}
	entered, gone, fault := f.refresh(ctx, feed, pc)
	for _, ref := range gone {
		updates = append(updates, types.ObjectUpdate{Kind: types.ObjectUpdateKindLeave, Obj: ref})
	}
	return append(updates, entered...), fault
}

// addNoted moves to changed what has been noted of an object meanwhile.
func (f *filter) addNoted(feed *feed, ref types.ManagedObjectReference, changed paths) {
	feed.mu.Lock()
	defer feed.mu.Unlock()
	noted, ok := f.changed[ref]
	if !ok {
		return
	}
	maps.Copy(changed, noted)
	delete(f.changed, ref)
	f.order = slices.DeleteFunc(f.order, func(other types.ManagedObjectReference) bool { return other == ref })
}

// refresh finds out which objects the filter selects now: those that entered, with all properties, and those that left.
func (f *filter) refresh(
	ctx *simulator.Context, feed *feed, pc *simulator.PropertyCollector,
) (entered []types.ObjectUpdate, gone []types.ManagedObjectReference, fault types.BaseMethodFault) {
	found, fault := f.find(ctx, feed, pc)
	if fault != nil {
		return nil, nil, fault
	}
	found = slices.DeleteFunc(found, func(ref types.ManagedObjectReference) bool { return f.isOutside(ctx, feed, ref) })
	fresh, gone := f.compare(feed, found)
	for _, ref := range fresh {
		content, fault := feed.retrieve(ctx, pc, types.PropertyFilterSpec{ObjectSet: []types.ObjectSpec{{Obj: ref}}, PropSet: f.spec.PropSet})
		switch {
		case fault == nil && len(content) > 0 && f.tell(feed, ref):
			entered = append(entered, enter(&content[0]))
		case f.isRoot(ref) && !f.reportsMissing():
			return nil, nil, &types.ManagedObjectNotFound{Obj: ref} // it went since it was found: its client must hear of it
		}
	}
	return entered, gone, nil
}

// find returns the objects that the filter selects now. The simulator would look at every one of thousands of VMs to find
// the one that is new; this looks only at those by way of which others are found.
func (f *filter) find(ctx *simulator.Context, feed *feed, pc *simulator.PropertyCollector) ([]types.ManagedObjectReference, types.BaseMethodFault) {
	s := selection{ctx: ctx, feed: feed, pc: pc, filter: f, found: map[types.ManagedObjectReference]bool{}, passed: map[passage]bool{}}
	for _, set := range f.spec.ObjectSet {
		if ctx.Session.Get(set.Obj) == nil {
			if f.reportsMissing() {
				continue
			}
			return nil, &types.ManagedObjectNotFound{Obj: set.Obj}
		}
		s.named = map[string]*types.TraversalSpec{}
		s.name(set.SelectSet)
		if fault := s.visit(set.Obj, set.Skip, set.SelectSet); fault != nil {
			return nil, fault
		}
	}
	return s.order, nil
}

// selection is a search for the objects that a filter selects.
type selection struct {
	ctx    *simulator.Context
	feed   *feed
	pc     *simulator.PropertyCollector
	filter *filter

	named  map[string]*types.TraversalSpec // of one object set
	passed map[passage]bool
	found  map[types.ManagedObjectReference]bool
	order  []types.ManagedObjectReference // of found
}

// passage is a way out of an object: each is taken once, for ways can lead in circles.
type passage struct {
	from types.ManagedObjectReference
	by   *types.TraversalSpec
}

// name notes the names of traversals, by which others refer to them.
func (s *selection) name(set []types.BaseSelectionSpec) {
	for _, selection := range set {
		if t, ok := selection.(*types.TraversalSpec); ok {
			if t.Name != "" {
				s.named[t.Name] = t
			}
			s.name(t.SelectSet)
		}
	}
}

// visit takes an object, unless it is to be skipped, and goes where the traversals lead from it.
func (s *selection) visit(ref types.ManagedObjectReference, skip *bool, set []types.BaseSelectionSpec) types.BaseMethodFault {
	if (skip == nil || !*skip) && !s.found[ref] && s.wanted(ref) {
		s.found[ref] = true
		s.order = append(s.order, ref)
	}
	for _, selection := range set {
		t, ok := selection.(*types.TraversalSpec)
		if !ok {
			if t = s.named[selection.GetSelectionSpec().Name]; t == nil {
				return &types.InvalidArgument{InvalidProperty: "selectSet"}
			}
		}
		if fault := s.pass(ref, t); fault != nil {
			return fault
		}
	}
	return nil
}

// pass goes from an object where one traversal leads, if it is for such objects.
func (s *selection) pass(ref types.ManagedObjectReference, t *types.TraversalSpec) types.BaseMethodFault {
	object := s.ctx.Session.Get(ref)
	if object == nil || !isA(ref, object, t.Type) || s.passed[passage{ref, t}] {
		return nil
	}
	s.passed[passage{ref, t}] = true
	content, fault := s.read(ref, object, t.Path)
	if fault != nil || len(content) == 0 || len(content[0].PropSet) == 0 {
		return fault
	}
	var next []types.ManagedObjectReference
	switch value := content[0].PropSet[0].Val.(type) {
	case types.ManagedObjectReference:
		next = []types.ManagedObjectReference{value}
	case types.ArrayOfManagedObjectReference:
		next = value.ManagedObjectReference
	}
	for _, child := range next {
		if fault := s.visit(child, t.Skip, t.SelectSet); fault != nil {
			return fault
		}
	}
	return nil
}

// read reads where a property of an object leads. Of what is on the way to thousands of VMs it copies the references alone,
// which the simulator would write as XML and read again.
func (s *selection) read(ref types.ManagedObjectReference, object mo.Reference, path string) ([]types.ObjectContent, types.BaseMethodFault) {
	var refs func() []types.ManagedObjectReference
	switch o := object.(type) {
	case *simulator.ContainerView:
		if path == "view" {
			refs = func() []types.ManagedObjectReference { return slices.Clone(o.View) }
		}
	case *simulator.ResourcePool:
		switch path {
		case "vm":
			refs = func() []types.ManagedObjectReference { return slices.Clone(o.Vm) }
		case "resourcePool":
			refs = func() []types.ManagedObjectReference { return slices.Clone(o.ResourcePool.ResourcePool) }
		case "owner":
			refs = func() []types.ManagedObjectReference { return []types.ManagedObjectReference{o.Owner} }
		}
	case *simulator.TaskManager:
		if path == "recentTask" {
			refs = func() []types.ManagedObjectReference { return slices.Clone(o.RecentTask) }
		}
	}
	if refs == nil {
		return s.feed.retrieve(s.ctx, s.pc, types.PropertyFilterSpec{
			ObjectSet: []types.ObjectSpec{{Obj: ref}}, PropSet: []types.PropertySpec{{Type: ref.Type, PathSet: []string{path}}},
		})
	}
	var value types.ArrayOfManagedObjectReference
	s.ctx.WithLock(ref, func() { value.ManagedObjectReference = refs() })
	content := []types.ObjectContent{{Obj: ref, PropSet: []types.DynamicProperty{{Name: path, Val: value}}}}
	s.feed.hide(s.ctx, content)
	return content, nil
}

// wanted says whether the filter has properties for the object.
func (s *selection) wanted(ref types.ManagedObjectReference) bool {
	for _, set := range s.filter.spec.PropSet {
		if set.Type == ref.Type {
			return true
		}
	}
	object := s.ctx.Session.Get(ref)
	return object != nil && s.filter.selects(ref, object)
}

// isOutside is movedOut for an object that is looked for again and again.
func (f *filter) isOutside(ctx *simulator.Context, feed *feed, ref types.ManagedObjectReference) bool {
	feed.mu.Lock()
	known, ok := f.places[ref]
	f.places[ref] = known
	feed.mu.Unlock()
	if ok && known != looking {
		return known == outside
	}
	found := inside
	if f.movedOut(ctx, ref) {
		found = outside
	}
	feed.mu.Lock()
	defer feed.mu.Unlock()
	if _, ok := f.places[ref]; ok { // else something has happened to it meanwhile
		f.places[ref] = found
	}
	return found == outside
}

// movedOut reports whether the filter selects the VM only by a view over a folder that it was moved out of: the simulator's
// views keep it.
func (f *filter) movedOut(ctx *simulator.Context, ref types.ManagedObjectReference) bool {
	vm, ok := ctx.Map.Get(ref).(*simulator.VirtualMachine)
	if !ok {
		return false
	}
	var pool *types.ManagedObjectReference
	ctx.WithLock(vm, func() { pool = vm.ResourcePool })
	out := false
	for _, set := range f.spec.ObjectSet {
		view, isView := ctx.Session.Get(set.Obj).(*simulator.ContainerView)
		switch {
		case isView && view.Container.Type == "Folder":
			if within(ctx, ref, view.Container) {
				return false
			}
			out = true
		case set.Obj.Type == "ResourcePool" && pool != nil && within(ctx, *pool, set.Obj):
			return false
		}
	}
	return out
}

// within reports whether an object is root, or in it, or in something in it.
func within(ctx *simulator.Context, ref, root types.ManagedObjectReference) bool {
	for ref != root {
		entity, ok := ctx.Map.Get(ref).(mo.Entity)
		if !ok {
			return false
		}
		var parent, vApp *types.ManagedObjectReference
		ctx.WithLock(entity, func() { // a task may be moving it
			parent = entity.Entity().Parent
			if vm, ok := entity.(*simulator.VirtualMachine); ok {
				vApp = vm.ParentVApp
			}
		})
		if parent == nil && vApp != nil {
			parent = folderOf(ctx, *vApp)
		}
		if parent == nil {
			return false
		}
		ref = *parent
	}
	return true
}

// folderOf is the folder that a vApp is in: it is where its VMs are found, which have no parent.
func folderOf(ctx *simulator.Context, ref types.ManagedObjectReference) (folder *types.ManagedObjectReference) {
	if vApp, ok := ctx.Map.Get(ref).(*simulator.VirtualApp); ok {
		ctx.WithLock(vApp, func() { folder = vApp.ParentFolder })
	}
	return folder
}

// compare makes members those that were found, and returns the new ones, and the old ones that the client was told of.
func (f *filter) compare(feed *feed, found []types.ManagedObjectReference) (fresh, gone []types.ManagedObjectReference) {
	feed.mu.Lock()
	defer feed.mu.Unlock()
	now := make(map[types.ManagedObjectReference]bool, len(found))
	for _, ref := range found {
		if _, member := f.members[ref]; !member {
			fresh = append(fresh, ref)
			f.members[ref] = false // from here on its changes are noted
		}
		now[ref] = true
	}
	for ref, told := range f.members {
		if !now[ref] {
			delete(f.members, ref)
			delete(f.changed, ref)
			if told {
				gone = append(gone, ref)
			}
		}
	}
	return fresh, gone
}

// tell notes that the client is told of ref, unless it is gone by now.
func (f *filter) tell(feed *feed, ref types.ManagedObjectReference) bool {
	feed.mu.Lock()
	defer feed.mu.Unlock()
	_, member := f.members[ref]
	if member {
		f.members[ref] = true
	}
	return member
}

func enter(content *types.ObjectContent) types.ObjectUpdate {
	u := types.ObjectUpdate{Kind: types.ObjectUpdateKindEnter, Obj: content.Obj, MissingSet: content.MissingSet}
	for _, p := range content.PropSet {
		u.ChangeSet = append(u.ChangeSet, types.PropertyChange{Name: p.Name, Op: types.PropertyChangeOpAssign, Val: p.Val})
	}
	return u
}

// modified reads changed properties of an object. A property without a value has been removed, or unset.
func (f *feed) modified(
	ctx *simulator.Context, pc *simulator.PropertyCollector, ref types.ManagedObjectReference, changed paths,
) (types.ObjectUpdate, bool) {
	u := types.ObjectUpdate{Kind: types.ObjectUpdateKindModify, Obj: ref}
	set := types.PropertySpec{Type: ref.Type}
	for path := range changed {
		set.PathSet = append(set.PathSet, path)
	}
	slices.Sort(set.PathSet)
	content, fault := f.retrieve(ctx, pc, types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{Obj: ref}}, PropSet: []types.PropertySpec{set},
	})
	if fault != nil || len(content) == 0 {
		return u, false // it is gone, which is an update of its own
	}
	if u.MissingSet = content[0].MissingSet; len(u.MissingSet) > 0 {
		return u, true
	}
	values := make(map[string]types.AnyType)
	for _, p := range content[0].PropSet {
		values[p.Name] = p.Val
	}
	for _, path := range set.PathSet {
		change := types.PropertyChange{Name: path, Op: changed[path], Val: values[path]}
		switch {
		case change.Val != nil && change.Op == types.PropertyChangeOpRemove, change.Op == "":
			change.Op = types.PropertyChangeOpAssign
		case change.Val == nil && strings.HasSuffix(path, "]"):
			change.Op = types.PropertyChangeOpRemove
		}
		u.ChangeSet = append(u.ChangeSet, change)
	}
	return u, true
}

// retrieve reads what spec selects, each object with its lock held, and copies it.
func (f *feed) retrieve(ctx *simulator.Context, pc *simulator.PropertyCollector, spec types.PropertyFilterSpec) ([]types.ObjectContent, types.BaseMethodFault) {
	res := pc.RetrievePropertiesEx(ctx, &types.RetrievePropertiesEx{This: pc.Self, SpecSet: []types.PropertyFilterSpec{spec}})
	if fault := res.Fault(); fault != nil {
		if cause, ok := fault.VimFault().(types.BaseMethodFault); ok {
			return nil, cause
		}
		return nil, new(types.ManagedObjectNotFound)
	}
	objects := res.(*methods.RetrievePropertiesExBody).Res.Returnval.Objects
	f.hide(ctx, objects)
	return objects, nil
}
