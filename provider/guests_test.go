// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/xml"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/mo"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/httpstream/spdy"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/klog/v2"

	"wolfpack/guest/contract"
	"wolfpack/provider"
	"wolfpack/provider/guests"
)

const password = "correct-horse-battery-staple"

// vms are all VMs with all of their properties.
func (c *cluster) vms() []mo.VirtualMachine {
	c.t.Helper()
	ctx := c.t.Context()
	all, err := view.NewManager(c.vsphere.Client).CreateContainerView(ctx, c.vsphere.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	require.NoError(c.t, err)
	defer func() { require.NoError(c.t, all.Destroy(ctx)) }()
	var found []mo.VirtualMachine
	require.NoError(c.t, all.Retrieve(ctx, []string{"VirtualMachine"}, nil, &found))
	return found
}

// exec runs a command in the pod's first container, by the guest's own endpoint, as whoever holds the provider's CA may.
func (c *cluster) exec(pod *corev1.Pod, argv ...string) (string, error) {
	c.t.Helper()
	authority, err := guests.LoadAuthority(c.t.Context(), c.client.CoreV1(), provider.DefaultSystemNamespace, c.host.Name)
	require.NoError(c.t, err)
	certificate, err := authority.ClientCertificate()
	require.NoError(c.t, err)
	transport, err := spdy.NewRoundTripper(&tls.Config{Certificates: []tls.Certificate{*certificate}, InsecureSkipVerify: true})
	require.NoError(c.t, err)
	at := &url.URL{
		Scheme: "https", Host: net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(c.endpoint(pod).Port)),
		Path:     "/exec/" + pod.Namespace + "/" + pod.Name + "/" + pod.Spec.Containers[0].Name,
		RawQuery: url.Values{"command": argv, "output": {"1"}, "error": {"1"}}.Encode(),
	}
	executor, err := remotecommand.NewSPDYExecutorForTransports(transport, transport, http.MethodPost, at)
	require.NoError(c.t, err)
	var out, errs bytes.Buffer
	err = executor.StreamWithContext(c.t.Context(), remotecommand.StreamOptions{Stdout: &out, Stderr: &errs})
	return out.String() + errs.String(), err
}

// endpoint is what the pod's guest has announced.
func (c *cluster) endpoint(pod *corev1.Pod) contract.Endpoint {
	c.t.Helper()
	for _, vm := range c.vms() {
		options := object.OptionValueList(vm.Config.ExtraConfig)
		if uid, _ := options.GetString("wolfpack.uid"); uid == string(pod.UID) {
			text, _ := options.GetString(contract.KeyEndpoint)
			endpoint, err := contract.DecodeEndpoint(text)
			require.NoError(c.t, err)
			return endpoint
		}
	}
	require.FailNow(c.t, "the pod has no VM")
	return contract.Endpoint{}
}

// awaitEnvironment waits until the pod's container has all these variables.
func (c *cluster) awaitEnvironment(pod *corev1.Pod, lines ...string) {
	c.t.Helper()
	var out string
	if !eventually(func() bool {
		var err error
		out, err = c.exec(pod, "env")
		return err == nil && containsAll(out, lines)
	}) {
		require.FailNow(c.t, "not seen in the environment", "want %q\ngot:\n%s", lines, out)
	}
}

func eventually(ok func() bool) bool {
	for late := time.Now().Add(patience); time.Now().Before(late); {
		if ok() {
			return true
		}
		<-time.After(50 * time.Millisecond)
	}
	return false
}

func containsAll(text string, lines []string) bool {
	for _, line := range lines {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			return false
		}
	}
	return true
}

// output collects what is logged.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func captureLog(t *testing.T) *output {
	o := new(output)
	state := klog.CaptureState()
	klog.LogToStderr(false)
	klog.SetOutput(o)
	t.Cleanup(func() {
		klog.Flush()
		state.Restore()
		klog.LogToStderr(true)
	})
	return o
}

// A guest gets what its pod refers to as soon as it listens, and again when it changes, when the guest has booted anew, and
// when the provider has; and no secret gets anywhere else.
func TestAGuestHasWhatItsPodRefersTo(t *testing.T) {
	log := captureLog(t)
	c := newCluster(t)
	api := c.client.CoreV1()
	ctx := t.Context()
	_, err := api.ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "conf"}, Data: map[string]string{"COLOR": "blue"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	secret, err := api.Secrets("default").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "db"}, StringData: map[string]string{"password": password}}, metav1.CreateOptions{})
	require.NoError(t, err)
	service, err := api.Services("default").Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 8080}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	stop := c.run()
	defer func() { stop() }()

	pod := c.create("web", func(pod *corev1.Pod) {
		container := &pod.Spec.Containers[0]
		container.EnvFrom = []corev1.EnvFromSource{{Prefix: "CONF_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "conf"}}}}
		container.Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m"), corev1.ResourceMemory: resource.MustParse("600Mi")}
		container.Env = []corev1.EnvVar{
			{Name: "PASSWORD", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}, Key: "password"}}},
			{Name: "IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
			{Name: "HOST", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.hostIP"}}},
			{Name: "CPUS", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
			{Name: "MEMORY", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory", Divisor: resource.MustParse("1Mi")}}},
			{Name: "URL", Value: "http://$(SHOP_SERVICE_HOST):$(SHOP_SERVICE_PORT)/$(CONF_COLOR)"},
		}
	})
	pod = c.await(pod.Name, "Running", running)
	lines := []string{
		"PASSWORD=" + password, "IP=" + pod.Status.PodIP, "HOST=127.0.0.1", "CPUS=2", "MEMORY=600", "CONF_COLOR=blue",
		"URL=http://" + service.Spec.ClusterIP + ":8080/blue", "KUBERNETES_SERVICE_HOST=10.96.0.1", "KUBERNETES_SERVICE_PORT=443",
	}
	c.awaitEnvironment(pod, lines...)
	c.requireNowhere(log, password)

	renewed := password + "-2"
	secret.StringData = map[string]string{"password": renewed}
	_, err = api.Secrets("default").Update(ctx, secret, metav1.UpdateOptions{})
	require.NoError(t, err)
	lines[0] = "PASSWORD=" + renewed
	c.awaitEnvironment(pod, lines...)
	_, err = api.Services("default").Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "late"}, Spec: corev1.ServiceSpec{ClusterIP: "10.96.7.7", Ports: []corev1.ServicePort{{Port: 1}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	c.awaitEnvironment(pod, "LATE_SERVICE_HOST=10.96.7.7")

	for _, vm := range c.vms() {
		if vm.Guest.IpAddress == pod.Status.PodIP {
			require.NoError(t, object.NewVirtualMachine(c.vsphere.Client, vm.Self).RebootGuest(ctx))
		}
	}
	pod = c.await(pod.Name, "at another address", func(now *corev1.Pod, err error) bool {
		return running(now, err) && now.Status.PodIP != "" && now.Status.PodIP != pod.Status.PodIP
	})
	c.awaitEnvironment(pod, "PASSWORD="+renewed, "IP="+pod.Status.PodIP)

	stop()
	stop = c.run()
	again := renewed + "-3"
	secret, err = api.Secrets("default").Get(ctx, "db", metav1.GetOptions{})
	require.NoError(t, err)
	secret.StringData = map[string]string{"password": again}
	_, err = api.Secrets("default").Update(ctx, secret, metav1.UpdateOptions{})
	require.NoError(t, err)
	c.awaitEnvironment(pod, "PASSWORD="+again)
	c.requireNowhere(log, password)
}

// requireNowhere fails if a secret, plain or in base64, is in anything that can be read of any VM through vSphere, in an
// Event, in a pod, or in the log.
func (c *cluster) requireNowhere(log *output, secret string) {
	c.t.Helper()
	var text strings.Builder
	for _, vm := range c.vms() {
		require.NoError(c.t, xml.NewEncoder(&text).Encode(vm))
		for _, option := range vm.Config.ExtraConfig {
			value, _ := option.GetOptionValue().Value.(string)
			text.WriteString(option.GetOptionValue().Key + "=" + value + "\n")
			if pod, err := contract.DecodePod(value); err == nil {
				text.WriteString(pod.String())
			}
		}
	}
	require.Contains(c.t, text.String(), contract.KeyPod, "there is something to search")
	events, err := c.client.CoreV1().Events("").List(c.t.Context(), metav1.ListOptions{})
	require.NoError(c.t, err)
	pods, err := c.client.CoreV1().Pods("").List(c.t.Context(), metav1.ListOptions{})
	require.NoError(c.t, err)
	klog.Flush()
	text.WriteString(events.String() + pods.String() + log.String())
	for shift := range 3 { // base64 has three forms of a text, by where it begins
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
		require.NotContains(c.t, text.String(), encoded[4:len(encoded)-4])
	}
	require.NotContains(c.t, text.String(), secret)
}

// A pod gets no VM while something is missing that it cannot do without. It says what, and goes on when that appears.
func TestAPodWaitsForWhatItRefersTo(t *testing.T) {
	c := newCluster(t)
	stop := c.run()
	defer stop()
	optional := true
	ref := func(name string, optional *bool) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: "k", Optional: optional}}
	}
	c.create("free", func(pod *corev1.Pod) {
		pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "X", ValueFrom: ref("none", &optional)}}
	})
	c.await("free", "Running", running)
	c.awaitEvent("free", "OptionalSecretNotFound", `secret "none" not found`)
	require.Equal(t, 1, c.podVMs())

	c.create("bound", func(pod *corev1.Pod) {
		pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "X", ValueFrom: ref("later", nil)}}
	})
	pod := c.await("bound", "waiting", func(pod *corev1.Pod, err error) bool {
		return err == nil && len(pod.Status.ContainerStatuses) == 1 && pod.Status.ContainerStatuses[0].State.Waiting != nil &&
			pod.Status.ContainerStatuses[0].State.Waiting.Reason == "CreateContainerConfigError"
	})
	require.Equal(t, corev1.PodPending, pod.Status.Phase)
	require.Equal(t, `secret "later" not found`, pod.Status.ContainerStatuses[0].State.Waiting.Message)
	c.awaitEvent("bound", "MandatorySecretNotFound", `secret "later" not found`)
	require.Equal(t, 1, c.podVMs())

	secret, err := c.client.CoreV1().Secrets("default").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "later"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	c.awaitEvent("bound", "MandatorySecretKeyNotFound", "couldn't find key k in Secret default/later")
	require.Equal(t, 1, c.podVMs())
	secret.StringData = map[string]string{"k": "v"}
	_, err = c.client.CoreV1().Secrets("default").Update(t.Context(), secret, metav1.UpdateOptions{})
	require.NoError(t, err)
	pod = c.await("bound", "Running", running)
	c.awaitEnvironment(pod, "X=v")

	c.create("full", func(pod *corev1.Pod) {
		pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "files"}}}}}
	})
	c.awaitEvent("full", "FailedMount", `MountVolume.SetUp failed for volume "v" : configmap "files" not found`)
	require.Equal(t, 2, c.podVMs())
	require.NoError(t, c.client.CoreV1().Pods("default").Delete(t.Context(), "full", metav1.DeleteOptions{}))
	c.await("full", "gone, though it never ran", func(_ *corev1.Pod, err error) bool { return err != nil })
}

// awaitEvent waits for an Event of a pod.
func (c *cluster) awaitEvent(pod, reason, message string) {
	c.t.Helper()
	var seen []string
	if !eventually(func() bool {
		list, err := c.client.CoreV1().Events("default").List(context.Background(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + pod})
		if err != nil {
			return false
		}
		seen = nil
		for _, event := range list.Items {
			seen = append(seen, event.Reason+": "+event.Message)
			if event.Reason == reason && event.Message == message {
				return true
			}
		}
		return false
	}) {
		require.FailNow(c.t, "no such event", "want %s: %s\ngot: %q", reason, message, seen)
	}
}
