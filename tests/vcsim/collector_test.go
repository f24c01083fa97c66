// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/vcsim"
)

// waiter is a collector of its own, driven call by call.
type waiter struct {
	*bench
	collector *property.Collector
	version   string
}

func newWaiter(b *bench, specs ...types.PropertyFilterSpec) *waiter {
	b.Helper()
	c, err := property.DefaultCollector(b.client.Client).Create(b.ctx)
	require.NoError(b, err)
	w := &waiter{bench: b, collector: c}
	for _, spec := range specs {
		w.filter(spec)
	}
	return w
}

func (w *waiter) filter(spec types.PropertyFilterSpec) types.ManagedObjectReference {
	w.Helper()
	res, err := methods.CreateFilter(w.ctx, w.client.Client, &types.CreateFilter{This: w.collector.Reference(), Spec: spec})
	require.NoError(w, err)
	return res.Returnval
}

// wait waits up to a number of seconds and returns what came, if anything did.
func (w *waiter) wait(seconds, limit int32) *types.UpdateSet {
	w.Helper()
	res, err := methods.WaitForUpdatesEx(w.ctx, w.client.Client, &types.WaitForUpdatesEx{
		This: w.collector.Reference(), Version: w.version,
		Options: &types.WaitOptions{MaxWaitSeconds: &seconds, MaxObjectUpdates: limit},
	})
	require.NoError(w, err)
	if res.Returnval != nil {
		w.version = res.Returnval.Version
	}
	return res.Returnval
}

// objects are all updates of a set, in one list.
func objects(set *types.UpdateSet) []types.ObjectUpdate {
	var all []types.ObjectUpdate
	if set != nil {
		for _, f := range set.FilterSet {
			all = append(all, f.ObjectSet...)
		}
	}
	return all
}

// until waits until something happened to an object, and returns it.
func (w *waiter) until(ref mo.Reference, kind types.ObjectUpdateKind) types.ObjectUpdate {
	w.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		for _, u := range objects(w.wait(1, 0)) {
			if u.Obj == ref.Reference() && u.Kind == kind {
				return u
			}
		}
	}
	require.Fail(w, "no update", "%s of %s", kind, ref.Reference())
	return types.ObjectUpdate{}
}

// folderSpec selects properties of the VMs in a folder, by way of the folder itself.
func folderSpec(folder mo.Reference, properties ...string) types.PropertyFilterSpec {
	return types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{
			Obj: folder.Reference(), Skip: types.NewBool(true),
			SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{Type: "Folder", Path: "childEntity"}},
		}},
		PropSet: []types.PropertySpec{{Type: "VirtualMachine", PathSet: properties}},
	}
}

func TestWatchMembership(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	sub, err := b.folder.CreateFolder(b.ctx, "vch")
	require.NoError(t, err)
	inside, outside := b.create(spec("inside", other64, wolfpack, nil)), b.create(spec("outside", other64, wolfpack, nil))
	b.result(sub.MoveInto(b.ctx, []types.ManagedObjectReference{inside.Reference()}))

	w := newWaiter(b, folderSpec(sub, "name"))
	first := objects(w.wait(0, 0))
	require.Len(t, first, 1, "%v", first)
	require.Equal(t, inside.Reference(), first[0].Obj)
	require.Equal(t, types.ObjectUpdateKindEnter, first[0].Kind)
	require.Equal(t, "inside", first[0].ChangeSet[0].Val)

	b.result(outside.Rename(b.ctx, "still outside"))
	require.Nil(t, w.wait(0, 0), "another folder's VM")
	b.result(sub.MoveInto(b.ctx, []types.ManagedObjectReference{outside.Reference()}))
	require.Equal(t, "still outside", w.until(outside, types.ObjectUpdateKindEnter).ChangeSet[0].Val)
	b.result(b.folder.MoveInto(b.ctx, []types.ManagedObjectReference{inside.Reference()}))
	w.until(inside, types.ObjectUpdateKindLeave)
	b.destroy(outside)
	w.until(outside, types.ObjectUpdateKindLeave)
	require.Nil(t, w.wait(0, 0))
}

// TestWatchPaths has a row for each relation of a watched path to a changed one.
func TestWatchPaths(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	vm := b.create(spec("vm", other64, wolfpack, map[string]string{"a": "1", "b": "1"}))
	set := func(key, value string) types.VirtualMachineConfigSpec {
		return types.VirtualMachineConfigSpec{ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: key, Value: value}}}
	}
	for name, row := range map[string]struct {
		path   string
		change types.VirtualMachineConfigSpec
		comes  bool
	}{
		"element":              {`config.extraConfig["a"]`, set("a", "2"), true},
		"another element":      {`config.extraConfig["a"]`, set("b", "2"), false},
		"new element":          {`config.extraConfig["c"]`, set("c", "2"), true},
		"array":                {"config.extraConfig", set("a", "3"), true},
		"parent":               {"summary.config", types.VirtualMachineConfigSpec{AlternateGuestName: "x"}, true},
		"longer name":          {"config.guest", types.VirtualMachineConfigSpec{AlternateGuestName: "y"}, false},
		"unrelated":            {"config.guestFullName", set("a", "4"), false},
		"property of its base": {"name", types.VirtualMachineConfigSpec{Name: "renamed"}, false}, // the simulator tells nobody
	} {
		w := newWaiter(b, types.PropertyFilterSpec{
			ObjectSet: []types.ObjectSpec{{Obj: vm.Reference()}},
			PropSet:   []types.PropertySpec{{Type: "VirtualMachine", PathSet: []string{row.path}}},
		})
		w.wait(0, 0)
		b.result(vm.Reconfigure(b.ctx, row.change))
		updates := objects(w.wait(0, 0))
		if !row.comes {
			require.Empty(t, updates, name)
			continue
		}
		require.Len(t, updates, 1, name)
		require.Equal(t, row.path, updates[0].ChangeSet[0].Name, name)
		require.NotNil(t, updates[0].ChangeSet[0].Val, name)
	}
}

func TestWatchRemovedElement(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	vm := b.create(spec("vm", other64, wolfpack, map[string]string{"a": "1"}))
	w := newWaiter(b, types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{Obj: vm.Reference()}},
		PropSet:   []types.PropertySpec{{Type: "VirtualMachine", PathSet: []string{`config.extraConfig["a"]`}}},
	})
	w.wait(0, 0)
	b.result(vm.Reconfigure(b.ctx, types.VirtualMachineConfigSpec{ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "a", Value: ""}}}))
	u := w.until(vm, types.ObjectUpdateKindModify)
	require.Equal(t, types.PropertyChangeOpRemove, u.ChangeSet[0].Op)
	require.Nil(t, u.ChangeSet[0].Val)
}

// TestWatchInPages takes more objects than one answer has room for.
func TestWatchInPages(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	for i := range 5 {
		b.create(spec(fmt.Sprintf("vm-%d", i), other64, wolfpack, nil))
	}
	w := newWaiter(b, folderSpec(b.folder, "name"))
	seen := make(map[types.ManagedObjectReference]bool)
	for _, want := range []struct {
		objects   int
		truncated bool
	}{{2, true}, {2, true}, {1, false}} {
		set := w.wait(0, 2)
		require.Len(t, objects(set), want.objects)
		require.Equal(t, want.truncated, set.Truncated != nil && *set.Truncated)
		for _, u := range objects(set) {
			seen[u.Obj] = true
		}
	}
	require.Len(t, seen, 5)
	require.Nil(t, w.wait(0, 2))
	w.version = ""
	require.Len(t, objects(w.wait(0, 0)), 5, "an empty version begins anew")
}

// TestWatchOfOthers watches a base type, everything of an object, and several filters at once.
func TestWatchOfOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	vm := b.create(spec("vm", other64, wolfpack, nil))
	all, err := view.NewManager(b.client.Client).CreateContainerView(b.ctx, b.client.ServiceContent.RootFolder, nil, true)
	require.NoError(t, err)
	byView := types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{
			Obj: all.Reference(), SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{Type: "ContainerView", Path: "view"}},
		}},
		PropSet: []types.PropertySpec{{Type: "ManagedEntity", PathSet: []string{"name"}}},
	}
	w := newWaiter(b, byView)
	require.Greater(t, len(objects(w.wait(0, 0))), 5)
	everything := w.filter(types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{Obj: vm.Reference()}},
		PropSet:   []types.PropertySpec{{Type: "VirtualMachine", All: types.NewBool(true)}},
	})
	set := w.wait(1, 0)
	require.Len(t, set.FilterSet, 1)
	require.Equal(t, everything, set.FilterSet[0].Filter, "a new filter brings its objects")
	b.result(vm.PowerOn(b.ctx))
	u := w.until(vm, types.ObjectUpdateKindModify)
	require.Contains(t, changedNames(u), "runtime")
	folder, err := b.folder.CreateFolder(b.ctx, "new")
	require.NoError(t, err)
	require.Equal(t, "new", w.until(folder, types.ObjectUpdateKindEnter).ChangeSet[0].Val)

	other := object.NewVirtualMachine(b.client.Client, types.ManagedObjectReference{Type: "VirtualMachine", Value: "vm-none"})
	gone := newWaiter(b, folderSpec(other, "name"))
	_, err = methods.WaitForUpdatesEx(b.ctx, b.client.Client, &types.WaitForUpdatesEx{This: gone.collector.Reference()})
	require.True(t, fault.Is(err, &types.ManagedObjectNotFound{}), "%v", err)
}

func changedNames(u types.ObjectUpdate) []string {
	names := make([]string, len(u.ChangeSet))
	for i := range u.ChangeSet {
		names[i] = u.ChangeSet[i].Name
	}
	return names
}

func TestCancelledWait(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	w := newWaiter(b, folderSpec(b.folder, "name"))
	ended := w.waitAside()
	require.Eventually(t, func() bool {
		// It has no effect on a wait that has not quite begun, as in vCenter.
		if w.collector.CancelWaitForUpdates(b.ctx) != nil {
			return false
		}
		select {
		case err := <-ended:
			return fault.Is(err, &types.RequestCanceled{})
		case <-time.After(10 * time.Millisecond):
			return false
		}
	}, patience, time.Millisecond)
}

func TestWaitOnADestroyedCollector(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	w := newWaiter(b, folderSpec(b.folder, "name"))
	ended := w.waitAside()
	require.NoError(t, w.collector.Destroy(b.ctx))
	select {
	case err := <-ended:
		begun := fault.Is(err, &types.RequestCanceled{})
		require.True(t, begun || fault.Is(err, &types.ManagedObjectNotFound{}), "%v", err)
	case <-time.After(patience):
		require.FailNow(t, "the wait goes on")
	}
}

// waitAside makes the first wait, and begins a second one that has nothing to report.
func (w *waiter) waitAside() <-chan error {
	w.wait(0, 0)
	w.server.ResetCalls()
	ended := make(chan error, 1)
	request := &types.WaitForUpdatesEx{This: w.collector.Reference(), Version: w.version}
	go func() {
		_, err := methods.WaitForUpdatesEx(w.ctx, w.client.Client, request)
		ended <- err
	}()
	require.Eventually(w, func() bool { return w.server.Requests() == 1 }, patience, time.Millisecond)
	return ended
}
