// SPDX-License-Identifier: Apache-2.0

package vch_test

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"go.uber.org/goleak"

	"wolfpack/guest/contract"
	"wolfpack/tests/vcsim"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a stand-in and a session with it.
type site struct {
	*testing.T
	server *vcsim.Server
	client *vsphere.Client
}

// vcenter is a stand-in with one datacenter, in which the only cluster is DC0_C0.
func vcenter(t *testing.T) *site {
	model := simulator.VPX()
	model.Host, model.ClusterHost, model.Machine = 0, 1, 1
	return newSite(t, model)
}

func esxi(t *testing.T) *site { return newSite(t, simulator.ESX()) }

func newSite(t *testing.T, model *simulator.Model) *site {
	t.Helper()
	return newSiteFor(t, model, "admin")
}

// newSiteFor is a site whose user is not the administrator.
func newSiteFor(t *testing.T, model *simulator.Model, user string) *site {
	t.Helper()
	server, err := vcsim.Start(t.Context(), vcsim.Config{Model: model, Username: user, Password: "secret"})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	s := &site{T: t, server: server}
	s.client = s.connect()
	return s
}

func (s *site) connect() *vsphere.Client {
	s.Helper()
	client, err := vsphere.Connect(s.Context(), vsphere.Config{URL: s.server.URL().String(), CACerts: s.server.CAFile()})
	require.NoError(s, err)
	s.Cleanup(func() { _ = client.Logout(context.Background()) })
	return client
}

// in is a session that works in a datacenter.
func (s *site) in(datacenter string) *vsphere.Client {
	s.Helper()
	client, err := vsphere.Connect(s.Context(), vsphere.Config{
		URL: s.server.URL().String(), CACerts: s.server.CAFile(), Datacenter: datacenter,
	})
	require.NoError(s, err)
	s.Cleanup(func() { _ = client.Logout(context.Background()) })
	return client
}

func (s *site) create(spec vch.Spec) *vch.VCH {
	s.Helper()
	made, err := vch.Create(s.Context(), s.client, spec)
	require.NoError(s, err)
	return made
}

// snapshot is all that there is: each entity with its place, power state and pool configuration, and each file.
func (s *site) snapshot() []string {
	s.Helper()
	root := s.client.ServiceContent.RootFolder
	all, err := view.NewManager(s.client.Client).CreateContainerView(s.Context(), root, nil, true)
	require.NoError(s, err)
	defer func() { _ = all.Destroy(context.Background()) }()
	var content []types.ObjectContent
	var vm mo.VirtualMachine
	require.NoError(s, all.Retrieve(s.Context(), []string{"ManagedEntity"}, []string{"name", "parent"}, &content))
	var lines []string
	for _, object := range content {
		line := object.Obj.String()
		for _, property := range object.PropSet {
			line += fmt.Sprintf(" %v", property.Val)
		}
		if object.Obj.Type == "VirtualMachine" {
			require.NoError(s, property.DefaultCollector(s.client.Client).RetrieveOne(s.Context(), object.Obj,
				[]string{"runtime.powerState", "resourcePool", "config.extraConfig"}, &vm))
			line += fmt.Sprint(" ", vm.Runtime.PowerState, vm.ResourcePool, len(vm.Config.ExtraConfig))
		}
		lines = append(lines, line)
	}
	lines = append(lines, s.files()...)
	lines = append(lines, s.index()...)
	slices.Sort(lines)
	return lines
}

// index is vCenter's index of the VCHs: the tags of our category, each with what it is on.
func (s *site) index() []string {
	s.Helper()
	if !s.client.IsVC() {
		return nil
	}
	manager, end, err := s.client.Tags(s.Context())
	require.NoError(s, err)
	defer end()
	list, err := manager.GetTags(s.Context())
	require.NoError(s, err)
	var lines []string
	for _, tag := range list {
		on, err := manager.ListAttachedObjects(s.Context(), tag.ID)
		require.NoError(s, err)
		line := tag.ID + " " + tag.Name
		for _, ref := range on {
			line += " " + ref.Reference().String()
		}
		lines = append(lines, line)
	}
	return lines
}

// indexed has vCenter's index made, as the first look at a vCenter does.
func (s *site) indexed() {
	s.Helper()
	all, err := vch.List(s.Context(), s.client)
	require.NoError(s, err)
	require.Empty(s, all)
}

// settle waits for tasks that nobody waits for: the simulator removes a VM's files in one of its own.
func (s *site) settle() {
	s.Helper()
	require.Eventually(s, func() bool {
		var manager mo.TaskManager
		collector := property.DefaultCollector(s.client.Client)
		require.NoError(s, collector.RetrieveOne(s.Context(), *s.client.ServiceContent.TaskManager, []string{"recentTask"}, &manager))
		var tasks []mo.Task
		if len(manager.RecentTask) > 0 {
			require.NoError(s, collector.Retrieve(s.Context(), manager.RecentTask, []string{"info.state"}, &tasks))
		}
		return !slices.ContainsFunc(tasks, func(task mo.Task) bool {
			return task.Info.State == types.TaskInfoStateRunning || task.Info.State == types.TaskInfoStateQueued
		})
	}, time.Minute, 10*time.Millisecond)
}

func (s *site) files() []string {
	s.Helper()
	s.settle()
	var paths []string
	for _, object := range s.server.Model().Map().All("Datastore") {
		root := object.(*simulator.Datastore).Info.GetDatastoreInfo().Url
		require.NoError(s, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			paths = append(paths, path)
			return err
		}))
	}
	return paths
}

// find returns the object at an inventory path.
func (s *site) find(path string) object.Reference {
	s.Helper()
	elements, err := find.NewFinder(s.client.Client).ManagedObjectList(s.Context(), path)
	require.NoError(s, err)
	require.Len(s, elements, 1, path)
	return object.NewReference(s.client.Client, elements[0].Object.Reference())
}

func (s *site) await(task *object.Task, err error) types.AnyType {
	s.Helper()
	require.NoError(s, err)
	info, err := task.WaitForResult(s.Context())
	require.NoError(s, err)
	return info.Result
}

// vm makes a VM with that extraConfig.
func (s *site) vm(name, folder, pool string, extra map[string]string, on bool) types.ManagedObjectReference {
	s.Helper()
	spec := types.VirtualMachineConfigSpec{
		Name: name, GuestId: "otherGuest64", Files: &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"},
	}
	for key, value := range extra {
		spec.ExtraConfig = append(spec.ExtraConfig, &types.OptionValue{Key: key, Value: value})
	}
	parent := object.NewFolder(s.client.Client, s.find(folder).Reference())
	in := object.NewResourcePool(s.client.Client, s.find(pool).Reference())
	ref := s.await(parent.CreateVM(s.Context(), spec, in, nil)).(types.ManagedObjectReference)
	if on {
		s.await(object.NewVirtualMachine(s.client.Client, ref).PowerOn(s.Context()))
	}
	return ref
}

// pod makes the VM of a pod of the VCH of that name.
func (s *site) pod(name string, in *vch.VCH, on bool) types.ManagedObjectReference {
	s.Helper()
	return s.vm(name, in.Folder.Path, in.Pool.Path, map[string]string{contract.KeyPod: "x", vch.KeyVCH: in.Name}, on)
}

// extra is a VM's extraConfig, and its whole configuration.
func (s *site) extra(ref types.ManagedObjectReference) (map[string]string, *types.VirtualMachineConfigInfo) {
	s.Helper()
	var vm mo.VirtualMachine
	require.NoError(s, property.DefaultCollector(s.client.Client).RetrieveOne(s.Context(), ref, []string{"config"}, &vm))
	values := map[string]string{}
	for _, option := range vm.Config.ExtraConfig {
		values[option.GetOptionValue().Key] = fmt.Sprint(option.GetOptionValue().Value)
	}
	return values, vm.Config
}

// changes are the calls since the last ResetCalls that change something.
func (s *site) changes() []string {
	var made []string
	for method := range s.server.Calls() {
		if slices.Contains(changing, method) {
			made = append(made, method)
		}
	}
	return made
}

// changing are the methods that package vch changes things with.
var changing = []string{
	"CreateFolder", "CreateResourcePool", "CreateVM_Task", "UpdateConfig", "Rename_Task", "PowerOnVM_Task",
	"PowerOffVM_Task", "Destroy_Task", "RelocateVM_Task", "ReconfigVM_Task",
}

// tagUplinks marks uplinks as a real vCenter does, and the simulator does not.
func (s *site) tagUplinks() {
	for _, object := range s.server.Service().Context.Map.All("DistributedVirtualPortgroup") {
		if network := object.Entity(); strings.Contains(network.Name, "Uplinks") {
			network.Tag = []types.Tag{{Key: "SYSTEM/DVS.UPLINKPG"}}
		}
	}
}

// benchSite is a stand-in without a testing.T.
func benchSite(b *testing.B) (*vcsim.Server, *vsphere.Client) {
	b.Helper()
	model := simulator.VPX()
	model.Host = 0
	server, err := vcsim.Start(b.Context(), vcsim.Config{Model: model})
	require.NoError(b, err)
	b.Cleanup(server.Close)
	client, err := vsphere.Connect(b.Context(), vsphere.Config{URL: server.URL().String(), CACerts: server.CAFile()})
	require.NoError(b, err)
	b.Cleanup(func() { _ = client.Logout(context.Background()) })
	server.ResetCalls()
	return server, client
}
