// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/errs"
)

func (w *world) podsAt(path string) []string {
	w.t.Helper()
	status, body := w.ask("scraper-token", http.MethodGet, path)
	require.Equal(w.t, http.StatusOK, status, body)
	var list corev1.PodList
	require.NoError(w.t, json.Unmarshal([]byte(body), &list))
	require.Equal(w.t, "PodList", list.Kind)
	require.NotNil(w.t, list.Items)
	names := []string{}
	for _, pod := range list.Items {
		names = append(names, pod.Namespace+"/"+pod.Name)
	}
	return names
}

func TestPodLists(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.podsAt("/pods"))
	require.Empty(t, w.podsAt("/runningpods"))
	w.pods.add(newPod("shop", "web"), nil)
	w.pods.add(newPod("shop", "pending"), nil).Status.Phase = corev1.PodPending
	w.pods.add(newPod("shop", "done"), nil).Status.Phase = corev1.PodSucceeded
	now := metav1.Now()
	w.pods.add(newPod("shop", "going"), nil).DeletionTimestamp = &now
	require.Equal(t, []string{"shop/web", "shop/pending", "shop/done", "shop/going"}, w.podsAt("/pods"))
	require.Equal(t, []string{"shop/web"}, w.podsAt("/runningpods"))
	require.Equal(t, []string{"shop/web"}, w.podsAt("/runningpods/"))
}

func TestConfiguration(t *testing.T) {
	w := newWorld(t)
	status, body := w.ask("admin-token", http.MethodGet, "/configz")
	require.Equal(t, http.StatusOK, status)
	var config struct {
		KubeletConfig struct {
			Port           int
			TLSCertFile    string
			Authentication struct{ Anonymous struct{ Enabled *bool } }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &config))
	require.Equal(t, w.server.Port(), config.KubeletConfig.Port)
	require.Equal(t, w.file("tls.crt"), config.KubeletConfig.TLSCertFile)
	require.False(t, *config.KubeletConfig.Authentication.Anonymous.Enabled)
}

func TestProfilingIsOnRequest(t *testing.T) {
	off := newWorld(t)
	status, _ := off.ask("admin-token", http.MethodGet, "/debug/pprof/")
	require.Equal(t, http.StatusNotFound, status)
	on := newWorld(t, func(c *Config) { c.Profiling = true })
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline"} {
		status, _ := on.ask("admin-token", http.MethodGet, path)
		require.Equal(t, http.StatusOK, status, path)
		status, _ = on.ask("scraper-token", http.MethodGet, path)
		require.Equal(t, http.StatusForbidden, status, path)
	}
}

func TestListenRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	w := newWorld(t)
	require.NoError(t, os.WriteFile(w.file("empty"), nil, 0o600))
	cases := map[string]struct {
		change func(*Config)
		want   string
	}{
		"port out of range": {func(c *Config) { c.Port = 70000 }, "kubelet-port is 70000, want a TCP port"},
		"no address":        {func(c *Config) { c.Address = "here" }, `kubelet-address "here" is no IP address`},
		"port in use":       {func(c *Config) { c.Port = taken.Addr().(*net.TCPAddr).Port }, "address already in use; choose others with --kubelet-address"},
		"key missing":       {func(c *Config) { c.KeyFile = "" }, `tls-private-key-file is "", want both`},
		"no such file":      {func(c *Config) { c.CertFile = w.file("none") }, "none: no such file"},
		"not a certificate": {func(c *Config) { c.CertFile = w.file("tls.key") }, "failed to find certificate"},
		"no client CA":      {func(c *Config) { c.ClientCAFile = w.file("none") }, "client-ca-file"},
		"empty client CA":   {func(c *Config) { c.ClientCAFile = w.file("empty") }, "does not contain any valid"},
		"files and own":     {func(c *Config) { c.SelfSigned = true }, "are both given, want one of them"},
		"files and folder":  {func(c *Config) { c.CertDir = w.dir }, "it keeps only a certificate that the cluster signs"},
		"folder is a file":  {func(c *Config) { c.CertFile, c.KeyFile, c.CertDir = "", "", w.file("empty") }, "cert-dir"},
		"no addresses":      {func(c *Config) { c.CertFile, c.KeyFile, c.Addresses = "", "", nil }, "no IP address that a certificate could be for"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := w.server.config
			tc.change(&config)
			_, err := Listen(config)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, errs.Invalid, errs.KindOf(err))
		})
	}
}

func TestALostListenerIsAnError(t *testing.T) {
	w := newWorld(t)
	server, err := Listen(w.server.config)
	require.NoError(t, err)
	require.NoError(t, server.Close())
	require.ErrorContains(t, server.Run(context.Background()), "use of closed network connection")
}

func TestSeveralInOneProcess(t *testing.T) {
	first, second := newWorld(t), newWorld(t)
	first.pods.add(newPod("shop", "first"), nil)
	second.pods.add(newPod("shop", "second"), nil)
	require.NotEqual(t, first.server.Port(), second.server.Port())
	require.Equal(t, []string{"shop/first"}, first.podsAt("/pods"))
	require.Equal(t, []string{"shop/second"}, second.podsAt("/pods"))
	first.stop()
	require.Equal(t, []string{"shop/second"}, second.podsAt("/pods"))
}
