// SPDX-License-Identifier: Apache-2.0

package tracing_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/simulator"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/provider/operations"
	"wolfpack/provider/portlayer"
	"wolfpack/provider/portlayer/vcenter"
	"wolfpack/provider/tracing"
	"wolfpack/tests/otlptest"
	"wolfpack/tests/vcsim"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

// The context of a pod's operation gets as far as the requests to vSphere.
func TestAVMsCreationIsOneTrace(t *testing.T) {
	c := newCollector()
	environment(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.serveGRPC(t)})
	traces, err := tracing.Start(t.Context(), "n")
	require.NoError(t, err)
	backend := newBackend(t, traces)
	ctx := tracing.WithPod(operations.WithObserver(t.Context(), traces.Step), tracing.Pod{Name: "web"})
	_, err = operations.PodCreator{Portlayer: backend, VCH: "v"}.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "u-1"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1"}}},
	})
	require.NoError(t, err)
	traces.Stop(t.Context())

	for child, parent := range map[string]string{
		"create the VM": "PodCreator", "CreateVM_Task": "create the VM",
		"start the VM": "PodCreator", "PodStarter": "start the VM", "power on": "PodStarter", "PowerOnVM_Task": "power on",
	} {
		require.Contains(t, c.spans, child)
		require.Equal(t, c.spans[parent].GetSpanId(), c.spans[child].GetParentSpanId(), "%s is part of %s", child, parent)
		require.Equal(t, "web", otlptest.Attributes(c.spans[child].GetAttributes())["k8s.pod.name"])
	}
	require.NotContains(t, c.spans, "WaitForUpdatesEx")
}

// newBackend is a portlayer on a stand-in of vCenter whose requests are traced, and watched until the test ends.
func newBackend(t *testing.T, traces *tracing.Tracing) portlayer.Portlayer {
	t.Helper()
	model := simulator.VPX()
	model.Host, model.Machine = 0, 0
	server, err := vcsim.Start(t.Context(), vcsim.Config{Model: model, Username: "u", Password: "p"})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	session, err := vsphere.Connect(t.Context(), vsphere.Config{
		URL: server.URL().String(), Username: "u", Password: "p", CACerts: server.CAFile(), Observe: traces.Request,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, session.Logout(context.Background())) })
	host, err := vch.Create(t.Context(), session, vch.Spec{Name: "v"})
	require.NoError(t, err)
	backend := vcenter.New(session.Client, vcenter.TargetOf(host))
	ctx, cancel := context.WithCancel(context.Background())
	synced, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- backend.Watch(ctx, func(update portlayer.Update) {
			if update.Sync {
				close(synced)
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	<-synced
	return backend
}
