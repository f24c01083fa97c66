// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/guest/contract"
)

// many is how many guests a stand-in must bear; each goroutine more for a guest would show.
const many = 10_000

func TestManyGuestsNeedFewGoroutines(t *testing.T) {
	model := simulator.VPX()
	model.Machine = 0
	server, err := Start(t.Context(), Config{Model: model, Guests: GuestsSim})
	require.NoError(t, err)
	defer server.Close()
	registry := server.Service().Context.Map
	before := runtime.NumGoroutine()
	text, err := contract.EncodePod(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: map[string]string{AnnotationExitAfter: "1h"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "nginx"}}},
	})
	require.NoError(t, err)
	for range many {
		vm := bareVM(text)
		registry.Put(vm)
		ctx := newContext(server.Service().Context)
		ctx.WithLock(vm, func() {
			ctx.Update(vm, []types.PropertyChange{{Name: "runtime.powerState", Val: types.VirtualMachinePowerStatePoweredOn}})
		})
	}
	ips := make(map[netip.Addr]bool)
	require.Eventually(t, func() bool {
		sim(server).mu.Lock()
		defer sim(server).mu.Unlock()
		for ip, guest := range sim(server).byIP {
			if guest.visible != nil && guest.visible.Status != nil && guest.visible.Status.Phase == corev1.PodRunning {
				ips[ip] = true
			}
		}
		return len(ips) == many
	}, time.Minute, 50*time.Millisecond)
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+10 }, time.Minute, 50*time.Millisecond,
		"%d goroutines before %d guests", before, many)
}

// bareVM is as much of a VM as a guest needs. Making a whole one takes a hundred times as long.
func bareVM(pod string) *simulator.VirtualMachine {
	vm := &simulator.VirtualMachine{}
	vm.Config = &types.VirtualMachineConfigInfo{ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: contract.KeyPod, Value: pod}}}
	vm.Guest = &types.GuestInfo{Net: []types.GuestNicInfo{{MacAddress: "00:50:56:00:00:01"}}}
	vm.Summary.Guest = &types.VirtualMachineGuestSummary{}
	return vm
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	var one, two addresses
	defer one.close()
	defer two.close()
	first, err := one.take(t.Context())
	require.NoError(t, err)
	other, err := two.take(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, one.blocks, two.blocks, "each stand-in has a block of its own")
	require.NotEqual(t, first, other)
	require.Equal(t, "0.2", strings.SplitN(first.String(), ".", 3)[2], "the first address is the claim's")

	one.release(first)
	second, err := one.take(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, first, second, "an address is not used again at once")
}

// TestAddressesGoRound takes every address of a block, gives some back, and goes on to a second block when none is left.
func TestAddressesGoRound(t *testing.T) {
	t.Parallel()
	var a addresses
	defer a.close()
	seen := make(map[netip.Addr]bool)
	take := func() netip.Addr {
		ip, err := a.take(t.Context())
		require.NoError(t, err)
		require.True(t, ip.IsLoopback(), ip)
		require.NotEqual(t, byte(255), ip.As4()[3]&ip.As4()[2], "%s is a broadcast address", ip)
		return ip
	}
	for range blockSize {
		ip := take()
		require.False(t, seen[ip], ip)
		seen[ip] = true
	}
	require.Len(t, a.blocks, 1)
	freed := netip.AddrFrom4([4]byte{127, a.blocks[0], 7, 7})
	a.release(freed)
	require.Equal(t, freed, take(), "the only free address")
	require.False(t, seen[take()], "from a new block")
	require.Len(t, a.blocks, 2)
}

// TestEndpointSockets checks both ways to listen: one socket for all guests, and one for each.
func TestEndpointSockets(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{true, false} {
		t.Run(fmt.Sprintf("shared=%t", shared), func(t *testing.T) {
			t.Parallel()
			var a addresses
			defer a.close()
			here := make(map[netip.Addr]*visible)
			for range 2 {
				ip, err := a.take(t.Context())
				require.NoError(t, err)
				here[ip] = &visible{}
			}
			absent, err := a.take(t.Context())
			require.NoError(t, err)
			e, err := newEndpoint(shared, func(ip netip.Addr) *visible { return here[ip] })
			require.NoError(t, err)
			defer e.close()
			if shared && runtime.GOOS == "linux" {
				require.NotNil(t, e.shared)
			}
			port := 0
			for ip := range here {
				port, err = e.open(t.Context(), ip)
				require.NoError(t, err)
				require.Equal(t, "ok", healthz(t, ip, port))
			}
			_, err = dial(t, absent, port)
			require.Error(t, err, "an address without a guest answers")
			for ip := range here {
				e.shut(ip)
			}
		})
	}
}

func dial(t *testing.T, ip netip.Addr, port int) (net.Conn, error) {
	t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // what is asked is who answers, not who he is
	return dialer.DialContext(t.Context(), "tcp", net.JoinHostPort(ip.String(), strconv.Itoa(port)))
}

func healthz(t *testing.T, ip netip.Addr, port int) string {
	t.Helper()
	transport := &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return dial(t, ip, port) }}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://guest/healthz", nil)
	require.NoError(t, err)
	res, err := transport.RoundTrip(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(body)
}

func TestBackOff(t *testing.T) {
	t.Parallel()
	g := &guests{backOff: 10 * time.Second}
	for restarts, want := range map[int32]time.Duration{
		0: 0, 1: 10 * time.Second, 2: 20 * time.Second, 5: 160 * time.Second, 6: 5 * time.Minute, 1 << 30: 5 * time.Minute,
	} {
		require.Equal(t, want, g.backOffAfter(restarts), restarts)
	}
}

// TestSidecars checks the init containers that run as long as the others.
func TestSidecars(t *testing.T) {
	t.Parallel()
	always := corev1.ContainerRestartPolicyAlways
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "side", Image: "envoy", RestartPolicy: &always}},
		Containers:     []corev1.Container{{Name: "web", Image: "nginx"}},
	}}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := &run{booted: at, firstStarted: at.Add(time.Second), started: at.Add(time.Minute), restarts: 4}
	side := podStatus(pod, "127.1.0.2", r).InitContainerStatuses[0]
	require.Equal(t, at.Add(time.Second), side.State.Running.StartedAt.Time, "it does not restart with the others")
	require.Zero(t, side.RestartCount)
	require.True(t, side.Ready)
	r.exited, r.done, r.exitCode = at.Add(time.Hour), true, 1
	side = podStatus(pod, "127.1.0.2", r).InitContainerStatuses[0]
	require.Equal(t, "Completed", side.State.Terminated.Reason)
}

// TestTransitionTimes checks that a condition has the time since when it is as it is.
func TestTransitionTimes(t *testing.T) {
	t.Parallel()
	booted := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	started, exited := booted.Add(time.Minute), booted.Add(2*time.Minute)
	with := []corev1.Container{{Name: "init"}}
	for name, row := range map[string]struct {
		init []corev1.Container
		run  run
		want [4]time.Time // ReadyToStartContainers, Initialized, Ready, Scheduled
	}{
		"pending":            {with, run{booted: booted}, [4]time.Time{booted, booted, booted, booted}},
		"running":            {with, run{booted: booted, firstStarted: started, started: started}, [4]time.Time{booted, started, started, booted}},
		"running, no init":   {nil, run{booted: booted, firstStarted: started, started: started}, [4]time.Time{booted, booted, started, booted}},
		"waiting to restart": {with, run{booted: booted, firstStarted: started, started: started, exited: exited}, [4]time.Time{booted, started, exited, booted}},
		"done":               {with, run{booted: booted, firstStarted: started, started: started, exited: exited, done: true}, [4]time.Time{exited, started, exited, booted}},
	} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{InitContainers: row.init, Containers: []corev1.Container{{Name: "web"}}}}
		got := make(map[corev1.PodConditionType]time.Time)
		for _, c := range podStatus(pod, "", &row.run).Conditions {
			got[c.Type] = c.LastTransitionTime.Time
		}
		require.Equal(t, row.want, [4]time.Time{
			got[corev1.PodReadyToStartContainers], got[corev1.PodInitialized], got[corev1.PodReady], got[corev1.PodScheduled],
		}, name)
	}
}

// FuzzParseScript checks that no annotation breaks a guest, and that what is accepted can be waited for.
func FuzzParseScript(f *testing.F) {
	f.Add("1s", "2m", "3", "4ms", "text", "true")
	f.Add("-1s", "", "-1", "forever", "", "yes")
	f.Fuzz(func(t *testing.T, start, after, code, stop, fail, hang string) {
		s, err := parseScript(map[string]string{
			AnnotationStartDelay: start, AnnotationExitAfter: after, AnnotationExitCode: code,
			AnnotationStopDelay: stop, AnnotationFail: fail, AnnotationHang: hang,
		})
		if err != nil {
			require.Contains(t, err.Error(), "annotation sim.wolfpack/")
			require.Equal(t, script{}, s)
			return
		}
		require.GreaterOrEqual(t, min(s.startDelay, s.exitAfter, s.stopDelay), time.Duration(0))
		require.True(t, s.exitCode >= 0 && s.exitCode <= 255)
		require.Equal(t, fail, s.fail)
	})
}

// TestFrozenGuestGoesOnWithItsNextStep suspends a VM whose guest has an hour left until it exits, and lets that hour pass.
func TestFrozenGuestGoesOnWithItsNextStep(t *testing.T) {
	model := simulator.VPX()
	model.Machine = 0
	server, err := Start(t.Context(), Config{Model: model, Guests: GuestsSim})
	require.NoError(t, err)
	defer server.Close()
	text, err := contract.EncodePod(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: map[string]string{AnnotationExitAfter: "1h"}},
		Spec:       corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "web", Image: "nginx"}}},
	})
	require.NoError(t, err)
	vm := bareVM(text)
	server.Service().Context.Map.Put(vm)
	power := func(state types.VirtualMachinePowerState) {
		ctx := newContext(server.Service().Context)
		ctx.WithLock(vm, func() { ctx.Update(vm, []types.PropertyChange{{Name: "runtime.powerState", Val: state}}) })
	}
	look := func(at func(*simulated) bool) bool {
		sim(server).mu.Lock()
		defer sim(server).mu.Unlock()
		return at(sim(server).byVM[vm.Self])
	}
	in := func(phase corev1.PodPhase) func(*simulated) bool {
		return func(g *simulated) bool {
			return g.visible != nil && g.visible.Status != nil && g.visible.Status.Phase == phase
		}
	}
	power(types.VirtualMachinePowerStatePoweredOn)
	require.Eventually(t, func() bool { return look(in(corev1.PodRunning)) }, time.Minute, time.Millisecond)
	power(types.VirtualMachinePowerStateSuspended)
	var ip netip.Addr
	require.True(t, look(func(g *simulated) bool {
		ip = g.ip
		left := g.left
		g.left = 0
		return g.frozen && left > 0 && left <= time.Hour
	}))
	require.Nil(t, sim(server).find(ip), "nobody on the network finds it")
	power(types.VirtualMachinePowerStatePoweredOn)
	require.NotNil(t, sim(server).find(ip))
	require.Eventually(t, func() bool { return look(in(corev1.PodSucceeded)) }, time.Minute, time.Millisecond)
}

// sim returns the simulated guests of a server that has them.
func sim(server *Server) *guests { return server.guests.(*guests) }
