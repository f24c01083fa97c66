// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"

	"wolfpack/guest/contract"
	"wolfpack/provider/portlayer"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// inbox is what a guest does with bundles.
type inbox struct {
	mu       sync.Mutex // guards all below
	refuse   int        // so many pushes
	asked    int
	received []*contract.Bundle
	digest   string
	busy     int
	together bool // two pushes came at once
	hold     chan struct{}
}

func (b *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.busy++
	b.together = b.together || b.busy > 1
	hold := b.hold
	b.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy--
	if r.Method == http.MethodHead {
		b.asked++
		w.Header().Set("ETag", `"`+b.digest+`"`)
		return
	}
	bundle, digest, err := contract.DecodeBundle(r.Body)
	switch {
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	case b.refuse > 0:
		b.refuse--
		http.Error(w, "I have read hunter2", http.StatusInternalServerError)
	default:
		b.received, b.digest = append(b.received, bundle), digest
	}
}

func (b *inbox) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.received)
}

// await waits for the n-th bundle.
func (b *inbox) await(t *testing.T, n int) *contract.Bundle {
	t.Helper()
	require.Eventually(t, func() bool { return b.count() >= n }, patience, time.Millisecond, "bundle %d", n)
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Len(t, b.received, n)
	return b.received[n-1]
}

func secretPod(uid, secret string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-" + uid, UID: types.UID(uid)},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "app", EnvFrom: []corev1.EnvFromSource{
				{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}},
			}}},
		},
	}
}

func newSecretOf(name, value string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}},
		Data:       map[string][]byte{"password": []byte(value)},
	}
}

func TestAGuestIsSentWhatItsPodRefersTo(t *testing.T) {
	client := fake.NewClientset(newSecretOf("db", "hunter2"), newSecretOf("other", "x"))
	authority := newAuthority(t)
	box := new(inbox)
	guest := listen(t, authority, box)
	g := run(t, Config{Authority: authority, Client: client, HostIPs: []string{"192.0.2.1"}})
	pod, vm := secretPod("u-1", "db"), guest.vm(t)
	booting := *vm
	booting.Endpoint = nil
	g.Follow(pod, &booting)
	g.Follow(pod, vm)
	first := box.await(t, 1)
	require.Zero(t, box.asked, "a guest that has just booted has nothing yet")
	require.Equal(t, types.UID("u-1"), first.UID)
	require.Equal(t, []string{"192.0.2.1"}, first.HostIPs)
	require.Len(t, first.Secrets, 1, "what the pod does not refer to is not for its guest")
	require.Equal(t, "hunter2", string(first.Secrets[0].Data["password"]))
	require.Empty(t, first.Secrets[0].ManagedFields)

	changed := newSecretOf("db", "hunter3")
	_, err := client.CoreV1().Secrets("shop").Update(t.Context(), changed, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.Equal(t, "hunter3", string(box.await(t, 2).Secrets[0].Data["password"]))

	_, err = client.CoreV1().Services("shop").Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db"}, Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.2"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Equal(t, "10.96.0.2", box.await(t, 3).Services[0].Spec.ClusterIP)

	changed.Labels = map[string]string{"new": "label"}
	_, err = client.CoreV1().Secrets("shop").Update(t.Context(), changed, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.NoError(t, client.CoreV1().Secrets("shop").Delete(t.Context(), "db", metav1.DeleteOptions{}))
	require.Empty(t, box.await(t, 4).Secrets, "the label was no news, that the Secret is gone was")

	second := run(t, Config{Authority: authority, Client: client, HostIPs: []string{"192.0.2.1"}})
	second.Follow(pod, vm)
	require.Eventually(t, func() bool {
		second.mu.Lock()
		defer second.mu.Unlock()
		return second.pods["u-1"].sent != ""
	}, patience, time.Millisecond)
	require.Equal(t, 4, box.count(), "after a restart a guest that has it is not sent it again")
	require.False(t, box.together, "one at a time")
}

func TestAPushIsTriedAgain(t *testing.T) {
	authority := newAuthority(t)
	box := &inbox{refuse: 5}
	guest := listen(t, authority, box)
	events := record.NewFakeRecorder(10)
	g := run(t, Config{Authority: authority, Client: fake.NewClientset(newSecretOf("db", "hunter2")), Events: events})
	g.Follow(secretPod("u-1", "db"), guest.vm(t))
	box.await(t, 1)
	require.Equal(t, "Warning FailedSendReferences The guest is not sent what the pod refers to: the guest answers 500 Internal Server Error", <-events.Events)
	require.Empty(t, events.Events, "told once")
}

func TestNothingIsSentToAnotherGuest(t *testing.T) {
	authority := newAuthority(t)
	box := new(inbox)
	guest := listen(t, authority, box)
	events := record.NewFakeRecorder(10)
	g := run(t, Config{Authority: authority, Client: fake.NewClientset(), Events: events})
	vm := guest.vm(t)
	vm.Endpoint.SHA256 = fingerprint([]byte("another key"))
	g.Follow(secretPod("u-1", "db"), vm)
	require.Contains(t, <-events.Events, "whoever answers at the address of VM web-u-1 shows a certificate with SHA-256")
	require.Zero(t, box.count())
	require.Zero(t, box.asked)
}

// A push that hangs ends with its pod, and keeps nobody else waiting.
func TestAPushEndsWithItsPod(t *testing.T) {
	authority := newAuthority(t)
	hanging, other := &inbox{hold: make(chan struct{})}, new(inbox)
	slow, fast := listen(t, authority, hanging), listen(t, authority, other)
	g := run(t, Config{Authority: authority, Client: fake.NewClientset()})
	g.Follow(secretPod("u-1", "db"), slow.vm(t))
	busy := func() bool {
		hanging.mu.Lock()
		defer hanging.mu.Unlock()
		return hanging.busy > 0
	}
	require.Eventually(t, busy, patience, time.Millisecond)
	vm := fast.vm(t)
	vm.UID = "u-2"
	g.Follow(secretPod("u-2", "db"), vm)
	other.await(t, 1)
	g.Forget("u-1")
	require.Eventually(t, func() bool { return !busy() }, patience, time.Millisecond)
	g.Forget("u-2")
	g.Forget("u-2")
	require.Zero(t, hanging.count())
	g.objects.mu.Lock()
	defer g.objects.mu.Unlock()
	require.Empty(t, g.objects.objects, "nothing is watched for pods that are gone")
}

func TestObjectsAreWatchedOnceAndAlone(t *testing.T) {
	client := fake.NewClientset(newSecretOf("db", "hunter2"))
	var mu sync.Mutex
	selectors := map[string]int{}
	client.PrependWatchReactor("secrets", func(action k8stesting.Action) (bool, watch.Interface, error) {
		mu.Lock()
		defer mu.Unlock()
		selectors[action.GetNamespace()+" "+action.(k8stesting.WatchActionImpl).WatchRestrictions.Fields.String()]++
		return false, nil, nil
	})
	g := run(t, Config{Authority: newAuthority(t), Client: client})
	for _, uid := range []string{"u-1", "u-2", "u-3"} {
		pod := secretPod(uid, "db")
		g.Follow(pod, nil)
		require.Eventually(t, func() bool { return g.Check(pod).Complete }, patience, time.Millisecond)
	}
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(selectors) == 1 && selectors["shop metadata.name=db"] == 1
	}, patience, time.Millisecond, "%v", selectors)
	g.Forget("u-1")
	g.Forget("u-2")
	require.True(t, g.Check(secretPod("u-3", "db")).Complete, "somebody still needs it")
}

func TestCheck(t *testing.T) {
	client := fake.NewClientset()
	changes := make(chan types.UID, 100)
	g := run(t, Config{Authority: newAuthority(t), Client: client}, func(uid types.UID) { changes <- uid })
	pod := secretPod("u-1", "db")
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "side"})
	require.False(t, g.Check(pod).Complete, "nobody has said that it is wanted")
	g.Follow(pod, nil)
	require.Equal(t, pod.UID, <-changes, "now it is known that there is none")
	check := g.Check(pod)
	require.False(t, check.Complete)
	require.Equal(t, map[string]string{"app": `secret "db" not found`}, check.Missing)
	require.Len(t, check.News, 1)
	require.Equal(t, "MandatorySecretNotFound", check.News[0].Reason)
	require.Empty(t, g.Check(pod).News, "told once")

	_, err := client.CoreV1().Secrets("shop").Create(t.Context(), newSecretOf("db", "x"), metav1.CreateOptions{})
	require.NoError(t, err)
	require.Equal(t, pod.UID, <-changes)
	check = g.Check(pod)
	require.True(t, check.Complete)
	require.Empty(t, check.Missing)
}

func TestCheckSaysWhatCannotBeRead(t *testing.T) {
	client := fake.NewClientset()
	forbidden := apierrors.NewForbidden(corev1.Resource("secrets"), "db", nil)
	client.PrependReactor("list", "secrets", func(k8stesting.Action) (bool, runtime.Object, error) { return true, nil, forbidden })
	changes := make(chan types.UID, 100)
	g := run(t, Config{Authority: newAuthority(t), Client: client}, func(uid types.UID) { changes <- uid })
	pod := secretPod("u-1", "db")
	g.Follow(pod, nil)
	<-changes
	check := g.Check(pod)
	require.False(t, check.Complete)
	require.Contains(t, check.Missing["app"], "failed to read Secret shop/db: secrets \"db\" is forbidden")
	require.Equal(t, "FailedToReadMandatorySecret", check.News[0].Reason)
}

func TestReferences(t *testing.T) {
	name := func(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}}
	pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{name("pull"), name("")}
	pod.Spec.InitContainers = []corev1.Container{{EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: name("init")}}}}}
	pod.Spec.Containers = []corev1.Container{{Env: []corev1.EnvVar{
		{Value: "x"},
		{ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
		{ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: name("env")}}},
		{ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: name("env")}}},
	}}}
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: name("debug")}}},
	}}}
	pod.Spec.Volumes = []corev1.Volume{
		{VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: name("files")}}},
		{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "keys"}}},
		{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: name("part")}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: name("part")}},
			{DownwardAPI: &corev1.DownwardAPIProjection{}},
		}}}},
	}
	want := map[key]bool{}
	for _, k := range []key{
		{secrets, "shop", "pull"},
		{configMaps, "shop", "init"},
		{configMaps, "shop", "env"},
		{secrets, "shop", "env"},
		{secrets, "shop", "debug"},
		{configMaps, "shop", "files"},
		{secrets, "shop", "keys"},
		{configMaps, "shop", "part"},
		{secrets, "shop", "part"},
	} {
		want[k] = true
	}
	require.Equal(t, want, references(pod))
}

// What is told after the end is dropped.
func TestFollowAfterTheEndDoesNothing(t *testing.T) {
	g := New(Config{Authority: newAuthority(t), Client: fake.NewClientset()})
	g.stop()
	g.queue.ShutDown()
	g.Follow(secretPod("u-1", "db"), &portlayer.VM{})
	require.Empty(t, g.pods)
}
