// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/guest/contract"
	"wolfpack/tests/vcsim"
)

const (
	statusPath = `config.extraConfig["` + contract.KeyStatus + `"]`
	powerPath  = "runtime.powerState"
	toolsPath  = "guest.toolsRunningStatus"
)

// guestBench is a bench with simulated guests and a watcher of them.
type guestBench struct {
	*bench
	updates <-chan types.ObjectUpdate
}

func newGuestBench(t testing.TB) *guestBench {
	t.Helper()
	b := newBench(t, vcsim.Config{Guests: vcsim.GuestsSim, RestartBackOff: time.Millisecond})
	return &guestBench{bench: b, updates: b.watch(statusPath, powerPath, toolsPath, "guest.ipAddress", "summary.guest.ipAddress", "config.extraConfig")}
}

// newPod returns a pod with one init container and two containers.
func newPod(policy corev1.RestartPolicy, annotations map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-0", UID: "8d6b0a52", Generation: 3, Annotations: annotations},
		Spec: corev1.PodSpec{
			RestartPolicy:  policy,
			InitContainers: []corev1.Container{{Name: "init", Image: "busybox:1.36"}},
			Containers:     []corev1.Container{{Name: "web", Image: "registry:5000/nginx"}, {Name: "log", Image: "fluent/fluent-bit:3"}},
		},
		Status: corev1.PodStatus{QOSClass: corev1.PodQOSBurstable},
	}
}

// podVM makes a pod VM and powers it on.
func (b *guestBench) podVM(pod *corev1.Pod, more map[string]string) *object.VirtualMachine {
	b.Helper()
	text, err := contract.EncodePod(pod)
	require.NoError(b, err)
	extra := map[string]string{contract.KeyVersion: contract.Version, contract.KeyPod: text}
	for key, value := range more {
		extra[key] = value
	}
	vm := b.create(spec(pod.Name+"-"+string(pod.UID), other64, wolfpack, extra))
	b.result(vm.PowerOn(b.ctx))
	return vm
}

// status decodes the status among values; its sequence number is 0 if there is none.
func status(t testing.TB, values map[string]any) contract.Status {
	t.Helper()
	option, ok := values[statusPath].(types.OptionValue)
	if !ok {
		return contract.Status{}
	}
	s, err := contract.DecodeStatus(option.Value.(string))
	require.NoError(t, err)
	return s
}

// awaitStatus waits for a status that satisfies done.
func (b *guestBench) awaitStatus(vm mo.Reference, done func(s contract.Status) bool) contract.Status {
	b.Helper()
	values := await(b.TB, b.updates, vm, func(values map[string]any) bool {
		s := status(b.TB, values)
		return s.Sequence > 0 && done(s)
	})
	return status(b.TB, values)
}

func inPhase(phase corev1.PodPhase) func(contract.Status) bool {
	return func(s contract.Status) bool { return s.Pod.Phase == phase }
}

func TestGuestRunsPod(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	vm := b.podVM(newPod(corev1.RestartPolicyAlways, nil), nil)
	s := b.awaitStatus(vm, inPhase(corev1.PodRunning))

	props := b.vm(vm, "guest", "summary.guest", "guestHeartbeatStatus", "config.hardware.device", "config.extraConfig", "config.guestFullName")
	require.Equal(t, "guestToolsRunning", props.Guest.ToolsRunningStatus)
	require.Equal(t, types.VirtualMachineToolsStatusToolsOk, props.Guest.ToolsStatus)
	require.Equal(t, "guestToolsRunning", props.Summary.Guest.ToolsRunningStatus)
	require.Equal(t, "running", props.Guest.GuestState)
	require.Equal(t, types.ManagedEntityStatusGreen, props.GuestHeartbeatStatus)
	require.Equal(t, "web-0", props.Guest.HostName)
	require.Equal(t, wolfpack, props.Config.GuestFullName)

	ip := props.Guest.IpAddress
	require.True(t, netip.MustParsePrefix("127.0.0.0/8").Contains(netip.MustParseAddr(ip)), ip)
	require.Equal(t, ip, props.Summary.Guest.IpAddress)
	require.Len(t, props.Guest.Net, 1)
	require.Equal(t, []string{ip}, props.Guest.Net[0].IpAddress)
	card := object.VirtualDeviceList(props.Config.Hardware.Device).SelectByType((*types.VirtualEthernetCard)(nil))[0]
	require.Equal(t, card.(types.BaseVirtualEthernetCard).GetVirtualEthernetCard().MacAddress, props.Guest.Net[0].MacAddress)
	text, _ := object.OptionValueList(props.Config.ExtraConfig).GetString(contract.KeyEndpoint)
	_, err := contract.DecodeEndpoint(text)
	require.NoError(t, err)

	require.EqualValues(t, 1, s.Sequence)
	requireRunning(t, s.Pod, ip)
}

// requireRunning checks that s is what a kubelet reports of newPod when it runs.
func requireRunning(t *testing.T, s corev1.PodStatus, ip string) {
	t.Helper()
	require.Equal(t, ip, s.PodIP)
	require.Equal(t, []corev1.PodIP{{IP: ip}}, s.PodIPs)
	require.Empty(t, s.HostIP, "the host is the provider's to tell")
	require.Equal(t, corev1.PodQOSBurstable, s.QOSClass)
	require.False(t, s.StartTime.IsZero())
	var kinds []corev1.PodConditionType
	for _, c := range s.Conditions {
		kinds = append(kinds, c.Type)
		require.Equal(t, corev1.ConditionTrue, c.Status, c.Type)
		require.False(t, c.LastTransitionTime.IsZero(), c.Type)
		require.EqualValues(t, 3, c.ObservedGeneration, c.Type)
	}
	require.ElementsMatch(t, []corev1.PodConditionType{
		corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled,
	}, kinds)
	require.Len(t, s.InitContainerStatuses, 1)
	require.Equal(t, "Completed", s.InitContainerStatuses[0].State.Terminated.Reason)
	require.Len(t, s.ContainerStatuses, 2)
	ids := make(map[string]bool)
	for _, c := range s.ContainerStatuses {
		require.NotNil(t, c.State.Running, c.Name)
		require.True(t, c.Ready && *c.Started, c.Name)
		require.Zero(t, c.RestartCount, c.Name)
		ids[c.ContainerID] = true
	}
	require.Len(t, ids, 2, "each container has an id of its own")
	require.Equal(t, "registry:5000/nginx", s.ContainerStatuses[0].Image)
	require.Regexp(t, `^registry:5000/nginx@sha256:[0-9a-f]{64}$`, s.ContainerStatuses[0].ImageID)
	require.Regexp(t, `^fluent/fluent-bit@sha256:[0-9a-f]{64}$`, s.ContainerStatuses[1].ImageID)
}

// TestGuestScripts has a row for each thing that annotations can tell a guest. A row waits for the status in want.
func TestGuestScripts(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	type script = map[string]string
	for name, row := range map[string]struct {
		policy      corev1.RestartPolicy
		annotations script
		want        func(s corev1.PodStatus) bool
	}{
		"slow start": {corev1.RestartPolicyAlways, script{vcsim.AnnotationStartDelay: "1h"}, func(s corev1.PodStatus) bool {
			return s.Phase == corev1.PodPending && s.ContainerStatuses[0].State.Waiting.Reason == "PodInitializing" &&
				s.InitContainerStatuses[0].State.Running != nil && !*s.ContainerStatuses[0].Started
		}},
		"started late": {corev1.RestartPolicyAlways, script{vcsim.AnnotationStartDelay: "10ms"}, func(s corev1.PodStatus) bool {
			return s.Phase == corev1.PodRunning
		}},
		"never restarted, success": {corev1.RestartPolicyNever, script{vcsim.AnnotationExitAfter: "5ms"}, func(s corev1.PodStatus) bool {
			return s.Phase == corev1.PodSucceeded && s.ContainerStatuses[1].State.Terminated.Reason == "Completed"
		}},
		"never restarted, failure": {corev1.RestartPolicyNever, script{vcsim.AnnotationExitCode: "3"}, func(s corev1.PodStatus) bool {
			state := s.ContainerStatuses[0].State.Terminated
			return s.Phase == corev1.PodFailed && state.ExitCode == 3 && state.Reason == "Error" && !state.StartedAt.IsZero()
		}},
		"on failure, success": {corev1.RestartPolicyOnFailure, script{vcsim.AnnotationExitCode: "0"}, func(s corev1.PodStatus) bool {
			return s.Phase == corev1.PodSucceeded && s.ContainerStatuses[0].RestartCount == 0
		}},
		"on failure, failure": {corev1.RestartPolicyOnFailure, script{vcsim.AnnotationExitCode: "3"}, func(s corev1.PodStatus) bool {
			last := s.ContainerStatuses[0].LastTerminationState.Terminated
			return s.Phase == corev1.PodRunning && s.ContainerStatuses[0].RestartCount >= 2 && last.ExitCode == 3
		}},
		"always": {corev1.RestartPolicyAlways, script{vcsim.AnnotationExitAfter: "1ms"}, func(s corev1.PodStatus) bool {
			return s.Phase == corev1.PodRunning && s.ContainerStatuses[0].RestartCount >= 2
		}},
		"back-off": {corev1.RestartPolicyAlways, script{vcsim.AnnotationExitAfter: "1ms"}, func(s corev1.PodStatus) bool {
			waiting := s.ContainerStatuses[0].State.Waiting
			return s.Phase == corev1.PodRunning && waiting != nil && waiting.Reason == "CrashLoopBackOff" && !s.ContainerStatuses[0].Ready
		}},
		"fail": {corev1.RestartPolicyAlways, script{vcsim.AnnotationFail: "no disk"}, func(s corev1.PodStatus) bool {
			return s.Phase == corev1.PodFailed && s.Message == "no disk"
		}},
		"fail late": {corev1.RestartPolicyAlways, script{vcsim.AnnotationFail: "no disk", vcsim.AnnotationStartDelay: "10ms"}, func(s corev1.PodStatus) bool {
			return s.Phase == corev1.PodFailed && s.Message == "no disk"
		}},
		"bad delay": {corev1.RestartPolicyAlways, script{vcsim.AnnotationStartDelay: "soon"}, func(s corev1.PodStatus) bool {
			return s.Phase == corev1.PodFailed && s.Message == `annotation sim.wolfpack/start-delay is "soon"; want a duration such as "1.5s"`
		}},
		"bad code": {corev1.RestartPolicyAlways, script{vcsim.AnnotationExitCode: "256"}, func(s corev1.PodStatus) bool {
			return s.Phase == corev1.PodFailed && s.Message == `annotation sim.wolfpack/exit-code is "256"; want a number from 0 to 255`
		}},
		"bad hang": {corev1.RestartPolicyAlways, script{vcsim.AnnotationHang: "maybe"}, func(s corev1.PodStatus) bool {
			return s.Phase == corev1.PodFailed && s.Message == `annotation sim.wolfpack/hang is "maybe"; want "true" or "false"`
		}},
	} {
		pod := newPod(row.policy, row.annotations)
		pod.Name = "pod-" + name
		vm := b.podVM(pod, nil)
		values := await(t, b.updates, vm, func(values map[string]any) bool {
			s := status(t, values)
			return s.Sequence > 0 && row.want(s.Pod)
		})
		require.NotEmpty(t, values, name)
		b.destroy(vm)
	}
}

// TestGuestRefusesBadContract checks that what the provider got wrong ends in a failed pod that says what.
func TestGuestRefusesBadContract(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	for key, want := range map[string]string{
		contract.KeyVersion: `guestinfo.wolfpack.version is "nonsense"; this guest speaks version "1"`,
		contract.KeyPod:     "guestinfo.wolfpack.pod is not base64 of gzip",
		contract.KeyCA:      "guestinfo.wolfpack.ca has no certificate; want PEM",
	} {
		vm := b.podVM(newPod(corev1.RestartPolicyAlways, nil), map[string]string{key: "nonsense"})
		s := b.awaitStatus(vm, inPhase(corev1.PodFailed))
		require.Contains(t, s.Pod.Message, want)
		b.destroy(vm)
	}
}

// requireGone waits until a VM is in a power state with no Tools and no address.
func (b *guestBench) requireGone(vm mo.Reference, state types.VirtualMachinePowerState) {
	b.Helper()
	await(b.TB, b.updates, vm, func(values map[string]any) bool {
		return values[powerPath] == state && values[toolsPath] == "guestToolsNotRunning" &&
			values["guest.ipAddress"] == nil && values["summary.guest.ipAddress"] == nil // unset
	})
}

func TestShutdownGuestTwice(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	vm := b.podVM(newPod(corev1.RestartPolicyAlways, map[string]string{vcsim.AnnotationStopDelay: "1h"}), nil)
	b.awaitStatus(vm, inPhase(corev1.PodRunning))
	require.NoError(t, vm.ShutdownGuest(b.ctx))
	require.NoError(t, vm.ShutdownGuest(b.ctx), "asking twice is harmless")
}

func TestShutdownGuest(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	vm := b.podVM(newPod(corev1.RestartPolicyAlways, map[string]string{vcsim.AnnotationStopDelay: "50ms"}), nil)
	running := b.awaitStatus(vm, inPhase(corev1.PodRunning))
	require.NoError(t, vm.ShutdownGuest(b.ctx))

	var order []string
	values := await(t, b.updates, vm, func(values map[string]any) bool {
		s := status(t, values)
		if s.Pod.Phase == corev1.PodSucceeded && len(order) == 0 {
			order = append(order, "status")
		}
		if values[powerPath] == types.VirtualMachinePowerStatePoweredOff {
			order = append(order, "power")
		}
		return len(order) == 2
	})
	require.Equal(t, []string{"status", "power"}, order, "the status comes before the power goes")
	last := status(t, values)
	require.Greater(t, last.Sequence, running.Sequence)
	for _, c := range last.Pod.ContainerStatuses {
		require.Equal(t, "Completed", c.State.Terminated.Reason)
		require.Zero(t, c.State.Terminated.ExitCode)
		require.False(t, c.Ready)
	}
	for _, c := range last.Pod.Conditions {
		if c.Type == corev1.PodReady {
			require.Equal(t, corev1.ConditionFalse, c.Status)
			require.Equal(t, "PodCompleted", c.Reason)
		}
	}
	props := b.vm(vm, "guest")
	require.Equal(t, "guestToolsNotRunning", props.Guest.ToolsRunningStatus)
	require.Empty(t, props.Guest.IpAddress)
	require.Empty(t, props.Guest.Net[0].IpAddress)
	b.requireEvents(vm, "VmGuestShutdownEvent", "VmPoweredOffEvent")
}

// requireEvents waits until a VM's history has events of all kinds.
func (b *guestBench) requireEvents(vm mo.Reference, kinds ...string) {
	b.Helper()
	for _, kind := range kinds {
		require.Eventually(b, func() bool {
			events, err := event.NewManager(b.client.Client).QueryEvents(b.ctx, types.EventFilterSpec{
				Entity:      &types.EventFilterSpecByEntity{Entity: vm.Reference(), Recursion: types.EventFilterSpecRecursionOptionSelf},
				EventTypeId: []string{kind},
			})
			return err == nil && len(events) > 0
		}, patience, 10*time.Millisecond, kind)
	}
}

func TestShutdownGuestBeforeStart(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	vm := b.podVM(newPod(corev1.RestartPolicyAlways, map[string]string{
		vcsim.AnnotationStartDelay: "1h", vcsim.AnnotationStopDelay: "1h",
	}), nil)
	b.awaitStatus(vm, inPhase(corev1.PodPending))
	require.NoError(t, vm.ShutdownGuest(b.ctx))
	s := b.awaitStatus(vm, inPhase(corev1.PodFailed))
	require.Equal(t, "ContainerStatusUnknown", s.Pod.ContainerStatuses[0].State.Terminated.Reason)
	b.requireGoneNow(vm)
}

// requireGoneNow waits until a VM is powered off, whatever updates have been seen.
func (b *guestBench) requireGoneNow(vm mo.Reference) {
	b.Helper()
	require.Eventually(b, func() bool {
		props := b.vm(vm, powerPath, toolsPath, "guest.ipAddress")
		return props.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff &&
			props.Guest.ToolsRunningStatus == "guestToolsNotRunning" && props.Guest.IpAddress == ""
	}, patience, 10*time.Millisecond)
}

func TestShutdownGuestNeedsTools(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	vm := b.create(spec("empty", other64, "", nil))
	b.result(vm.PowerOn(b.ctx))
	for _, err := range []error{vm.ShutdownGuest(b.ctx), vm.RebootGuest(b.ctx)} {
		require.True(t, fault.Is(err, &types.ToolsUnavailable{}), "%v", err)
	}
	b.result(vm.PowerOff(b.ctx))
	require.True(t, fault.Is(vm.ShutdownGuest(b.ctx), &types.InvalidPowerState{}))
}

func TestHungGuest(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	vm := b.podVM(newPod(corev1.RestartPolicyAlways, map[string]string{vcsim.AnnotationHang: "true"}), nil)
	await(t, b.updates, vm, func(values map[string]any) bool { return values[toolsPath] == "guestToolsRunning" })
	props := b.vm(vm, "config.extraConfig", "guest.ipAddress")
	require.NotEmpty(t, props.Guest.IpAddress)
	for _, key := range []string{contract.KeyStatus, contract.KeyEndpoint} {
		_, found := object.OptionValueList(props.Config.ExtraConfig).Get(key)
		require.False(t, found, key)
	}
	require.NoError(t, vm.ShutdownGuest(b.ctx))
	b.requireGoneNow(vm)
}

func TestEndpointVM(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	vm := b.create(spec("vch", other64, "Photon - VCH v1.2.0, 17, abc1234", map[string]string{"wolfpack.role": "endpoint", "wolfpack.vch": "vch"}))
	b.result(vm.PowerOn(b.ctx))
	await(t, b.updates, vm, func(values map[string]any) bool {
		return values[toolsPath] == "guestToolsRunning" && values["guest.ipAddress"] != ""
	})
	props := b.vm(vm, "config.extraConfig", "guest.hostName")
	require.Equal(t, "vch", props.Guest.HostName)
	_, found := object.OptionValueList(props.Config.ExtraConfig).Get(contract.KeyStatus)
	require.False(t, found, "an endpoint VM has no pod to report on")
	require.NoError(t, vm.ShutdownGuest(b.ctx))
	b.requireGoneNow(vm)
}

// TestPowerInterruptsGuest has a row for each way to take the power from a guest that is about to do something.
func TestPowerInterruptsGuest(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	for name, row := range map[string]struct {
		annotations map[string]string
		cut         func(vm *object.VirtualMachine)
		state       types.VirtualMachinePowerState
	}{
		"power off while starting": {
			map[string]string{vcsim.AnnotationStartDelay: "1h"},
			func(vm *object.VirtualMachine) { b.result(vm.PowerOff(b.ctx)) }, types.VirtualMachinePowerStatePoweredOff,
		},
		"power off while suspended": {
			map[string]string{vcsim.AnnotationExitAfter: "1h"},
			func(vm *object.VirtualMachine) {
				b.result(vm.Suspend(b.ctx))
				b.result(vm.PowerOff(b.ctx))
			}, types.VirtualMachinePowerStatePoweredOff,
		},
		"power off while stopping": {
			map[string]string{vcsim.AnnotationStopDelay: "1h"},
			func(vm *object.VirtualMachine) {
				require.NoError(t, vm.ShutdownGuest(b.ctx))
				b.result(vm.PowerOff(b.ctx))
			}, types.VirtualMachinePowerStatePoweredOff,
		},
	} {
		vm := b.podVM(newPod(corev1.RestartPolicyAlways, row.annotations), nil)
		before := b.awaitStatus(vm, func(contract.Status) bool { return true })
		row.cut(vm)
		b.requireGone(vm, row.state)
		b.result(vm.PowerOn(b.ctx))
		after := b.awaitStatus(vm, func(s contract.Status) bool { return s.Sequence > before.Sequence })
		require.NotEmpty(t, after.Pod.PodIP, name)
		b.destroy(vm)
	}
}

// TestSuspendedGuest is about a guest that stands still in between: it has not booted anew, so nothing has restarted.
func TestSuspendedGuest(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	vm := b.podVM(newPod(corev1.RestartPolicyAlways, nil), nil)
	before := b.awaitStatus(vm, inPhase(corev1.PodRunning))
	b.result(vm.Suspend(b.ctx))
	b.requireGone(vm, types.VirtualMachinePowerStateSuspended)
	b.result(vm.PowerOn(b.ctx))
	await(t, b.updates, vm, func(values map[string]any) bool {
		return values[toolsPath] == "guestToolsRunning" && values["guest.ipAddress"] == before.Pod.PodIP
	})
	require.NoError(t, vm.ShutdownGuest(b.ctx))
	after := b.awaitStatus(vm, func(s contract.Status) bool { return s.Sequence > before.Sequence })
	require.Equal(t, before.Sequence+1, after.Sequence, "the next it says is that it stops")
	require.Equal(t, before.Pod.StartTime, after.Pod.StartTime)
	require.Zero(t, after.Pod.ContainerStatuses[0].RestartCount)
	b.destroy(vm)
}

func TestRestartedGuest(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	for name, restart := range map[string]func(vm *object.VirtualMachine){
		"reset":  func(vm *object.VirtualMachine) { b.result(vm.Reset(b.ctx)) },
		"reboot": func(vm *object.VirtualMachine) { require.NoError(t, vm.RebootGuest(b.ctx)) },
	} {
		vm := b.podVM(newPod(corev1.RestartPolicyAlways, nil), nil)
		before := b.awaitStatus(vm, inPhase(corev1.PodRunning))
		restart(vm)
		after := b.awaitStatus(vm, func(s contract.Status) bool { return s.Sequence > before.Sequence })
		require.NotEqual(t, before.Pod.PodIP, after.Pod.PodIP, "%s: an address is not used again at once", name)
		requireRunning(t, after.Pod, after.Pod.PodIP)
		b.destroy(vm)
	}
}

// TestDestroyBusyGuests destroys guests that restart as fast as they can.
func TestDestroyBusyGuests(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	for range 10 {
		vm := b.podVM(newPod(corev1.RestartPolicyAlways, map[string]string{vcsim.AnnotationExitAfter: "0s"}), nil)
		b.awaitStatus(vm, inPhase(corev1.PodRunning))
		b.destroy(vm)
	}
}

func TestInstantCloneOfPodVM(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	source := b.podVM(newPod(corev1.RestartPolicyAlways, nil), nil)
	first := b.awaitStatus(source, inPhase(corev1.PodRunning))
	clone := b.ref(source.InstantClone(b.ctx, types.VirtualMachineInstantCloneSpec{Name: "clone"}))
	s := b.awaitStatus(clone, func(s contract.Status) bool { return s.Sequence > first.Sequence })
	require.NotEqual(t, first.Pod.PodIP, s.Pod.PodIP)
}

func TestNoNetworkCardNoAddress(t *testing.T) {
	t.Parallel()
	b := newGuestBench(t)
	text, err := contract.EncodePod(newPod(corev1.RestartPolicyAlways, nil))
	require.NoError(t, err)
	s := spec("offline", other64, wolfpack, map[string]string{contract.KeyPod: text})
	s.DeviceChange = nil
	vm := b.create(s)
	b.result(vm.PowerOn(b.ctx))
	got := b.awaitStatus(vm, inPhase(corev1.PodRunning))
	require.Empty(t, got.Pod.PodIP)
}

func TestUnknownGuests(t *testing.T) {
	t.Parallel()
	_, err := vcsim.Start(t.Context(), vcsim.Config{Guests: "xen"})
	require.ErrorContains(t, err, `unknown guests "xen"; use "none", "sim" or "qemu"`)
}
