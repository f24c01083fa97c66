// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vim25/mo"

	"wolfpack/tests/process"
)

var servingAt = regexp.MustCompile(`"Serving telemetry" at="(\S+)/metrics"`)

// serving starts `wolfpack telemetry serve` as a process of its own, and returns where it serves.
func serving(t *testing.T, args ...string) (p *process.Process, at string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	log := filepath.Join(t.TempDir(), "serve.log")
	p, err = process.Start(process.Spec{
		Name: "serve", Path: self, Log: log, Env: append(os.Environ(), asWolfpack+"=1"),
		Args: append([]string{"telemetry", "serve", "--listen", "127.0.0.1:0"}, args...),
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Stop(context.Background()) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, process.Until(ctx, p, "it serves", func(context.Context) error {
		text, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		found := servingAt.FindSubmatch(text)
		if found == nil {
			return errors.New("its log does not say where")
		}
		at = string(found[1])
		return nil
	}))
	return p, at
}

// page is what is served at a URL, once it is there.
func page(t *testing.T, p *process.Process, url string) (text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	require.NoError(t, process.Until(ctx, p, "a page at "+url, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(answer.Body)
		if text = string(body); err == nil && answer.StatusCode != http.StatusOK {
			err = errors.New(answer.Status + ": " + text)
		}
		return err
	}))
	return text
}

func TestTelemetryServeUntilItIsTerminated(t *testing.T) {
	server := stand(t)
	history := filepath.Join(t.TempDir(), "history")
	p, at := serving(t, "--history", history, "--interval", "50ms")
	require.Contains(t, page(t, p, at+"/report"), "<!DOCTYPE html>")
	require.Contains(t, page(t, p, at+"/metrics"), `vic_census_up{vcenter="`+server.URL().Host+`"} 1`)
	require.Equal(t, "ok\n", page(t, p, at+"/healthz"))

	require.NoError(t, p.Stop(t.Context()), "a signal ends it, and that is no failure")
	require.Contains(t, p.Tail(), "Ended; no session is left behind")
	admin, err := server.Client(t.Context())
	require.NoError(t, err)
	defer admin.CloseIdleConnections()
	defer func() { require.NoError(t, admin.Logout(context.Background())) }()
	var sessions mo.SessionManager
	require.NoError(t, admin.RetrieveOne(t.Context(), *admin.ServiceContent.SessionManager, []string{"sessionList"}, &sessions))
	require.Len(t, sessions.SessionList, 1, "the admin's alone")
	require.FileExists(t, history)
}

func TestTelemetryServeOfSeveral(t *testing.T) {
	server := stand(t)
	folder := t.TempDir()
	password, config := filepath.Join(folder, "password"), filepath.Join(folder, "vcenters.yaml")
	require.NoError(t, os.WriteFile(password, []byte("secret\n"), 0o600))
	entry := "\n    url: " + os.Getenv("GOVC_URL") + "\n    username: admin\n    passwordFile: " + password + "\n    caCerts: " + server.CAFile() + "\n"
	require.NoError(t, os.WriteFile(config, []byte("vcenters:\n  - name: east"+entry+"  - name: west"+entry), 0o600))
	p, at := serving(t, "--config", config, "--no-events")
	for _, name := range []string{"east", "west"} {
		require.Contains(t, page(t, p, at+"/report?target="+name), "<!DOCTYPE html>")
		require.Contains(t, page(t, p, at+"/probe?target="+name), `vic_census_up{vcenter="`+name+`"} 1`)
	}
}

func TestTelemetryServeRefuses(t *testing.T) {
	stand(t)
	config := filepath.Join(t.TempDir(), "vcenters.yaml")
	require.NoError(t, os.WriteFile(config, []byte("vcenters: []"), 0o600))
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no vCenter":     {[]string{"--url="}, "no vCenter given; set GOVC_URL or --url, such as https://vc.example.com/sdk, or list several with --config"},
		"no user":        {[]string{"--username="}, "no username for 127.0.0.1"},
		"no interval":    {[]string{"--interval", "0s"}, "interval is 0s and since is 720h0m0s, want both more than 0s"},
		"no address":     {[]string{"--listen", "nowhere"}, "missing port in address"},
		"half of TLS":    {[]string{"--tls-cert-file", "a.pem"}, "of tls-cert-file and tls-private-key-file there is one: give both, or none"},
		"no certificate": {[]string{"--tls-cert-file", "a.pem", "--tls-private-key-file", "b.pem"}, "open a.pem: "},
		"no folder":      {[]string{"--history", "/no/such/history"}, `history "/no/such/history": its folder must exist`},
		"no file":        {[]string{"--config", "/no/such/file"}, "config: open /no/such/file"},
		"nothing in it":  {[]string{"--config", config}, "no vCenter in it; want a list vcenters"},
		"both":           {[]string{"--config", config, "--probe", "https://h", "--url", "https://v"}, "put what --url, --probe says there"},
		"a bad probe":    {[]string{"--probe", "harbor"}, `"harbor" is not the URL of a server`},
		"a format":       {[]string{"--log-format", "xml"}, `log-format is "xml", want one of text, json`},
		"an argument":    {[]string{"now"}, `unknown command "now" for "wolfpack telemetry serve"`},
	} {
		t.Run(name, func(t *testing.T) {
			message := fails(t, append([]string{"telemetry", "serve"}, tc.args...)...)
			require.Contains(t, message, tc.want)
			require.NotContains(t, message, "secret")
		})
	}
}

func TestTelemetryServeHelpShowsEachFlag(t *testing.T) {
	t.Setenv("GOVC_PASSWORD", "secret")
	help := works(t, "telemetry", "serve", "--help")
	for _, want := range []string{
		"/probe?target=", "passwordFile:", "Counting:", "Serving:", "--listen", "--tls-cert-file", "--config file", "--history file", "--url", "--probe URL",
		"One vCenter:", "deploy/grafana", "2 with each count",
	} {
		require.Contains(t, help, want)
	}
	require.NotContains(t, help, "secret")
	for line := range strings.Lines(help) {
		require.LessOrEqual(t, len(line), helpWidth+1, line)
	}
	require.Contains(t, works(t, "__complete", "telemetry", "serve", "--log-format", ""), "json")
	require.Contains(t, works(t, "__complete", "telemetry", "serve", "--config", ""), "yaml")
}
