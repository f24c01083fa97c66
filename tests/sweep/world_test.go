// SPDX-License-Identifier: Apache-2.0

package sweep

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/yaml"

	"wolfpack/provider/operations"
	"wolfpack/tests/vcsim"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

const (
	username = "administrator@vsphere.local"
	password = "secret"
	// agent selects the provider's requests to vCenter, of all that the stand-in gets.
	agent = "wolfpack/*"
	// glance is how often a test looks whether what it waits for has come.
	glance = 20 * time.Millisecond
)

// world is a vCenter with one virtual container host, and a virtual node for it.
type world struct {
	*testing.T
	node    string // its name, that of the VCH, and what the names of its pods begin with
	vcenter *vcsim.Server
	host    *vch.VCH
	admin   kubernetes.Interface
	eyes    *govmomi.Client // looks at vCenter, and is nobody's agent
	all     *view.ContainerView
	alive   func() error // says why the provider ended although it should not have

	mu      sync.Mutex // guards all below
	failed  []string   // pods that were ever Failed
	ready   bool       // the node has been Ready
	unready []string   // how the node was when it was not, after that
}

// newWorld makes a world without a provider. What it is made of is removed with the test.
func newWorld(t *testing.T, node string) *world {
	t.Helper()
	shared.start(t)
	model := simulator.VPX()
	model.Host, model.ClusterHost, model.Machine = 0, 1, 0
	server, err := vcsim.Start(t.Context(), vcsim.Config{Model: model, Username: username, Password: password, Guests: vcsim.GuestsSim})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	w := &world{T: t, node: node, vcenter: server, admin: shared.admin, alive: func() error { return nil }}
	client, err := vsphere.Connect(t.Context(), w.connection())
	require.NoError(t, err)
	w.host, err = vch.Create(t.Context(), client, vch.Spec{Name: node})
	require.NoError(t, err)
	require.NoError(t, client.Logout(t.Context()))
	w.eyes, err = server.Client(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, w.eyes.Logout(context.Background()))
		w.eyes.CloseIdleConnections()
	})
	w.all, err = view.NewManager(w.eyes.Client).CreateContainerView(t.Context(), w.eyes.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	require.NoError(t, err)
	t.Cleanup(w.clear)
	w.watch()
	w.deleteWhileStarting("early")
	server.ResetJournal()
	return w
}

// connection is how the provider reaches vCenter.
func (w *world) connection() vsphere.Config {
	address := *w.vcenter.URL()
	address.User = nil
	return vsphere.Config{URL: address.String(), Username: username, Password: password, CACerts: w.vcenter.CAFile()}
}

// clear removes what the world has in the API server, which outlives it.
func (w *world) clear() {
	ctx := context.Background()
	for _, pod := range w.pods() {
		err := w.api().Delete(ctx, pod.Name, *metav1.NewDeleteOptions(0))
		require.True(w, err == nil || apierrors.IsNotFound(err), "%v", err)
	}
	err := w.admin.CoreV1().Nodes().Delete(ctx, w.node, metav1.DeleteOptions{})
	require.True(w, err == nil || apierrors.IsNotFound(err), "%v", err)
}

// watch notes what must not be, ever: a pod of the world that is Failed, and its node that has been Ready and is not. One that
// is deleted before its containers run is Failed for its guest, as it is for a kubelet.
func (w *world) watch() {
	pod := func(object any) {
		if pod, ok := object.(*corev1.Pod); ok && pod.Spec.NodeName == w.node && pod.Status.Phase == corev1.PodFailed && pod.DeletionTimestamp == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.failed = append(w.failed, fmt.Sprintf("pod %s: %s: %s", pod.Name, pod.Status.Reason, pod.Status.Message))
		}
	}
	node := func(object any) {
		if node, ok := object.(*corev1.Node); ok && node.Name == w.node {
			w.mu.Lock()
			defer w.mu.Unlock()
			ready := isReady(node)
			if w.ready && !ready {
				w.unready = append(w.unready, fmt.Sprintf("%+v", node.Status.Conditions))
			}
			w.ready = w.ready || ready
		}
	}
	w.handle(shared.pods, pod)
	w.handle(shared.nodes, node)
}

// handle has look called with each new or changed object, until the test ends.
func (w *world) handle(informer cache.SharedIndexInformer, look func(object any)) {
	w.Helper()
	handle, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: look, UpdateFunc: func(_, now any) { look(now) }})
	require.NoError(w, err)
	w.Cleanup(func() { require.NoError(w, informer.RemoveEventHandler(handle)) })
}

// unharmed fails the test if a pod was ever Failed, or the node not Ready after it had been.
func (w *world) unharmed() {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Empty(w, w.failed, "pods were Failed on the way")
	require.True(w, w.ready, "the node was never Ready")
	require.Empty(w, w.unready, "the node was not Ready on the way")
}

func (w *world) api() corev1client.PodInterface {
	return w.admin.CoreV1().Pods(metav1.NamespaceDefault)
}

// full is a pod's name in the API server, by its name in the world.
func (w *world) full(name string) string { return w.node + "-" + name }

// pods are those of the world that the API server has, as far as the informer knows.
func (w *world) pods() []*corev1.Pod {
	found, err := shared.pods.GetIndexer().ByIndex("node", w.node)
	require.NoError(w, err)
	var pods []*corev1.Pod
	for _, object := range found {
		pods = append(pods, object.(*corev1.Pod))
	}
	return pods
}

// pod returns a pod by its name in the world, or nil.
func (w *world) pod(name string) *corev1.Pod {
	for _, pod := range w.pods() {
		if pod.Name == w.full(name) {
			return pod
		}
	}
	return nil
}

// within says whether wanted comes true in time.
func (w *world) within(wanted func() bool) bool {
	w.Helper()
	err := wait.PollUntilContextTimeout(w.Context(), glance, patience, true, func(context.Context) (bool, error) {
		return wanted(), w.alive()
	})
	if !wait.Interrupted(err) {
		require.NoError(w, err)
	}
	return err == nil
}

// await waits until wanted is true.
func (w *world) await(what string, wanted func() bool) {
	w.Helper()
	if !w.within(wanted) {
		require.FailNow(w, "waited in vain", "%s: until %s", w.node, what)
	}
}

// awaitPod waits until a pod is as wanted; it is nil if there is none.
func (w *world) awaitPod(name, what string, wanted func(*corev1.Pod) bool) {
	w.Helper()
	var last *corev1.Pod
	if !w.within(func() bool { last = w.pod(name); return wanted(last) }) {
		text, err := yaml.Marshal(last)
		require.NoError(w, err)
		require.FailNow(w, "waited in vain", "%s: pod %s is not %s:\n%s", w.node, name, what, text)
	}
}

// state is how a world is: a line for each pod that the API server has, and for each VM in the VCH's folder but the
// endpoint's. It has no UIDs, which are others each time: a VM is said to be of that pod which has the UID that it carries,
// and only a name that is not as that UID wants it is shown.
type state struct{ Pods, VMs []string }

// state looks at the world. It fails while the two sides change.
func (w *world) state(ctx context.Context) (state, error) {
	s := state{Pods: w.described()}
	owners := map[string]string{}
	for _, pod := range w.pods() {
		owners[string(pod.UID)] = strings.TrimPrefix(pod.Name, w.node+"-")
	}
	vms, err := w.vms(ctx)
	if err != nil {
		return state{}, err
	}
	for _, vm := range vms {
		values := extra(vm)
		owner, ok := owners[values[vch.KeyUID]]
		if !ok {
			owner = "nobody"
		}
		name := strings.TrimPrefix(values[vch.KeyName], w.node+"-")
		if vm.Name != operations.VMName(values[vch.KeyName], values[vch.KeyUID]) {
			name += " called " + vm.Name
		}
		s.VMs = append(s.VMs, fmt.Sprintf("%s of %s %s", name, owner, vm.Runtime.PowerState))
	}
	slices.Sort(s.VMs)
	return s, nil
}

// described is the half of state that costs nothing to look at.
func (w *world) described() (lines []string) {
	for _, pod := range w.pods() {
		lines = append(lines, strings.TrimPrefix(pod.Name, w.node+"-")+" "+describe(pod))
	}
	slices.Sort(lines)
	return lines
}

// describe is what must be the same of a pod each time.
func describe(pod *corev1.Pod) string {
	text := string(pod.Status.Phase)
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			text += " Ready=" + string(c.Status)
		}
	}
	for _, c := range pod.Status.ContainerStatuses {
		text += fmt.Sprintf(" restarts=%d", c.RestartCount)
		if c.State.Terminated != nil {
			text += fmt.Sprintf(" exit=%d", c.State.Terminated.ExitCode)
		}
	}
	if pod.DeletionTimestamp != nil {
		text += " deleting"
	}
	return fmt.Sprintf("%s labels=%v", text, pod.Labels)
}

// vms are the VMs of vCenter but the endpoint's, wherever they are.
func (w *world) vms(ctx context.Context) ([]mo.VirtualMachine, error) {
	var vms []mo.VirtualMachine
	err := w.all.Retrieve(ctx, []string{"VirtualMachine"}, []string{"name", "config.extraConfig", "runtime.powerState"}, &vms)
	return slices.DeleteFunc(vms, func(vm mo.VirtualMachine) bool { return vm.Reference() == w.host.EndpointVM.Ref }), err
}

func extra(vm mo.VirtualMachine) map[string]string {
	values := map[string]string{}
	if vm.Config != nil {
		for _, option := range vm.Config.ExtraConfig {
			values[option.GetOptionValue().Key] = fmt.Sprint(option.GetOptionValue().Value)
		}
	}
	return values
}

// awaitState waits until the world is as wanted.
func (w *world) awaitState(want state) {
	w.Helper()
	var last state
	var err error
	if !w.within(func() bool {
		if !slices.Equal(w.described(), want.Pods) {
			return false // vCenter need not be asked
		}
		last, err = w.state(w.Context())
		return err == nil && equal(last, want)
	}) {
		last, err = w.state(w.Context())
		require.NoError(w, err)
		require.Equal(w, want, last, w.node)
	}
}

func equal(a, b state) bool { return slices.Equal(a.Pods, b.Pods) && slices.Equal(a.VMs, b.VMs) }

// sessions are those of the provider that vCenter has.
func (w *world) sessions() (open []types.UserSession) {
	w.Helper()
	var manager mo.SessionManager
	err := property.DefaultCollector(w.eyes.Client).RetrieveOne(w.Context(), *w.eyes.ServiceContent.SessionManager, []string{"sessionList"}, &manager)
	require.NoError(w, err)
	for _, session := range manager.SessionList {
		if ok, _ := path.Match(agent, session.UserAgent); ok {
			open = append(open, session)
		}
	}
	return open
}

// requests are those of the provider in vCenter's journal.
func (w *world) requests() []vcsim.Request {
	w.Helper()
	require.Zero(w, w.vcenter.Dropped(), "the journal was too small")
	return slices.DeleteFunc(w.vcenter.Journal(), func(r vcsim.Request) bool {
		ok, _ := path.Match(agent, r.Agent)
		return !ok
	})
}
