// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/simulator"
	"go.uber.org/goleak"
	"sigs.k8s.io/yaml"

	"wolfpack/tests/vcsim"
	"wolfpack/version"
)

func TestMain(m *testing.M) {
	if os.Getenv(asWolfpack) != "" {
		main()
		return
	}
	// Virtual Kubelet's tracing starts this one when it is loaded, and never ends it.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// stand starts a stand-in, and points govc's variables at it.
func stand(t *testing.T) *vcsim.Server {
	t.Helper()
	model := simulator.VPX()
	model.Host = 0
	server, err := vcsim.Start(t.Context(), vcsim.Config{Model: model, Username: "admin", Password: "secret"})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	address := *server.URL()
	address.User = nil
	for name, value := range map[string]string{
		"GOVC_URL": address.String(), "GOVC_USERNAME": "admin", "GOVC_PASSWORD": "secret", "GOVC_TLS_CA_CERTS": server.CAFile(),
		"GOVC_INSECURE": "", "GOVC_DATACENTER": "", "GOVC_DATASTORE": "", "GOVC_NETWORK": "", "GOVC_RESOURCE_POOL": "", "GOVC_FOLDER": "",
	} {
		t.Setenv(name, value)
	}
	return server
}

// wolfpack runs the program.
func wolfpack(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, diagnostics bytes.Buffer
	code = run(t.Context(), args, &out, &diagnostics)
	return code, out.String(), diagnostics.String()
}

// works runs the program, which must succeed, and returns what it prints.
func works(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := wolfpack(t, args...)
	require.Zero(t, code, "%s\n%s", stdout, stderr)
	return stdout
}

// fails runs the program, which must print one message and nothing else, and returns that.
func fails(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := wolfpack(t, args...)
	require.Equal(t, 1, code, "%s\n%s", stdout, stderr)
	require.Empty(t, stdout)
	_, message, ok := strings.Cut(stderr, "wolfpack: ")
	require.True(t, ok, stderr)
	require.NotContains(t, message, "Usage:")
	return message
}

func TestVersion(t *testing.T) {
	require.Equal(t, "wolfpack "+version.Get().String()+"\n", works(t, "version"))
	var info version.Info
	require.NoError(t, json.Unmarshal([]byte(works(t, "version", "-o", "json")), &info))
	require.Equal(t, version.Get(), info)
	info = version.Info{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(works(t, "version", "--output", "yaml")), &info))
	require.Equal(t, version.Get(), info)
	require.Contains(t, fails(t, "version", "-o", "xml"), "want one of text, json, yaml")
}

func TestHelpTeachesByExample(t *testing.T) {
	t.Setenv("GOVC_PASSWORD", "hush")
	t.Setenv("GOVC_URL", "https://u:hush@vc.example.com")
	for _, command := range []string{"", "version", "vch", "vch create", "vch ls", "vch inspect", "vch delete", "vch privileges", "node"} {
		help := works(t, append(strings.Fields(command), "--help")...)
		require.Contains(t, help, "Examples:", command)
		require.Contains(t, help, "  wolfpack "+command, command)
		require.NotContains(t, help, "hush", "%q shows the password", command)
	}
}

func TestVCHCreateListDelete(t *testing.T) {
	server := stand(t)
	before := server.Model().Count()
	code, stdout, stderr := wolfpack(t, "vch", "create", "web", "--network", "VM Network", "--cpu-limit", "8000", "-o", "json")
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "· endpoint VM\n")
	var made vchView
	require.NoError(t, json.Unmarshal([]byte(stdout), &made))
	require.Equal(t, "poweredOn", made.State)
	require.Equal(t, "/DC0/vm/web", made.Folder)
	require.Equal(t, "/DC0/network/VM Network", made.Network)
	require.True(t, strings.HasPrefix(made.GuestName, "Photon - VCH "), made.GuestName)

	lines := strings.Split(strings.TrimSpace(works(t, "vch", "ls")), "\n")
	require.Len(t, lines, 2)
	require.Regexp(t, `^NAME +STATE +POD VMS +CPU USED +MEMORY USED +GUEST NAME +POOL +DATASTORE +NETWORK$`, lines[0])
	require.Regexp(t, `^web +poweredOn +0 +\d+ of 8000 MHz +\d+ of \d+ MB +Photon - VCH .* +/DC0/host/DC0_C0/Resources/web +/DC0/datastore/LocalDS_0 +/DC0/network/VM Network$`, lines[1])

	var listed []vchView
	require.NoError(t, yaml.UnmarshalStrict([]byte(works(t, "vch", "ls", "-o", "yaml")), &listed))
	require.Equal(t, []vchView{made}, listed)
	require.Contains(t, works(t, "__complete", "vch", "delete", ""), "web\tPhoton - VCH ")

	require.Empty(t, works(t, "vch", "delete", "web"))
	require.Equal(t, "[]\n", works(t, "vch", "ls", "-o", "json"))
	require.Equal(t, before, server.Model().Count())
}

func TestPlacesComeFromGovcsVariables(t *testing.T) {
	stand(t)
	t.Setenv("GOVC_DATASTORE", "LocalDS_0")
	t.Setenv("GOVC_NETWORK", "DC0_DVPG0")
	t.Setenv("GOVC_RESOURCE_POOL", "*/Resources")
	t.Setenv("GOVC_FOLDER", "/DC0/vm")
	require.Contains(t, works(t, "vch", "create", "web"), "/DC0/network/DC0_DVPG0")
	t.Setenv("GOVC_DATASTORE", "ssd")
	require.Contains(t, fails(t, "vch", "create", "other"), `no datastore "ssd" (--datastore or GOVC_DATASTORE)`)
}

// Each of a user's mistakes gets one message that says what to do, and nothing is left behind.
func TestBadInput(t *testing.T) {
	server := stand(t)
	before := server.Model().Count()
	nobody := unusedAddress(t)
	cases := map[string]struct {
		args []string
		env  map[string]string
		want []string
	}{
		"unreachable vCenter": {
			[]string{"vch", "create", "web", "--url", "https://" + nobody + "/sdk"},
			nil,
			[]string{"vCenter " + nobody + " does not answer", "check GOVC_URL or --url"},
		},
		"no vCenter": {[]string{"vch", "ls", "--url="}, nil, []string{"no vCenter given; set GOVC_URL or --url, such as https://"}},
		"no user": {
			[]string{"vch", "ls"},
			map[string]string{"GOVC_USERNAME": ""},
			[]string{"no user for vCenter", "set GOVC_USERNAME and GOVC_PASSWORD"},
		},
		"wrong password": {
			[]string{"vch", "create", "web"},
			map[string]string{"GOVC_PASSWORD": "guess"},
			[]string{`refuses user "admin"`, "check GOVC_USERNAME and GOVC_PASSWORD"},
		},
		"untrusted certificate": {
			[]string{"vch", "create", "web"},
			map[string]string{"GOVC_TLS_CA_CERTS": ""},
			[]string{"is not trusted", "SHA-256", "give its CA with --tls-ca-certs or GOVC_TLS_CA_CERTS"},
		},
		"no CA file":         {[]string{"vch", "ls", "--tls-ca-certs", "/nowhere.pem"}, nil, []string{`CA certificates "/nowhere.pem"`}},
		"unknown datacenter": {[]string{"vch", "create", "web", "--datacenter", "DC9"}, nil, []string{`datacenter "DC9"`, "/DC0"}},
		"unknown VCH":        {[]string{"vch", "delete", "wob"}, nil, []string{`no VCH "wob"; there are none`}},
		"unknown datastore": {
			[]string{"vch", "create", "web", "--datastore", "ssd"},
			nil,
			[]string{`cannot create VCH "web": no datastore "ssd" (--datastore or GOVC_DATASTORE); there are: /DC0/datastore/LocalDS_0`},
		},
		"malformed guest OS": {
			[]string{"vch", "create", "web", "--guest-os", "Photon, 5"},
			nil,
			[]string{`cannot create VCH "web": no guest OS "Photon, 5" for a VCH; there are: photon`},
		},
		"bad name": {[]string{"vch", "create", "we/b"}, nil, []string{`name "we/b" has the character '/' in it`}},
		"no name":  {[]string{"vch", "create"}, nil, []string{"vch create wants one VCH name, got 0; for example: wolfpack vch create web"}},
		"bad flag": {[]string{"vch", "ls", "--colour"}, nil, []string{"unknown flag: --colour"}},
		"bad verb": {[]string{"frobnicate"}, nil, []string{`unknown command "frobnicate" for "wolfpack"`}},
		"too slow": {[]string{"vch", "ls", "--timeout", "1ns"}, nil, []string{"does not answer", "deadline exceeded"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for key, value := range tc.env {
				t.Setenv(key, value)
			}
			message := fails(t, tc.args...)
			for _, want := range tc.want {
				require.Contains(t, message, want)
			}
			require.Equal(t, 1, strings.Count(message, "\n"), "one paragraph: %s", message)
			require.NotContains(t, message, "secret")
			require.NotContains(t, message, "guess")
			require.Equal(t, before, server.Model().Count())
		})
	}
}

func TestInterrupted(t *testing.T) {
	stand(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	require.Equal(t, 1, run(ctx, []string{"vch", "create", "web"}, &stdout, &stderr))
	require.Contains(t, stderr.String(), "wolfpack: interrupted: ")
	require.Empty(t, stdout.String())
}

func TestCompletionOfAnUnreachableVCenterIsQuiet(t *testing.T) {
	stand(t)
	t.Setenv("GOVC_URL", "https://"+unusedAddress(t)+"/sdk")
	require.Equal(t, ":1\n", works(t, "__complete", "vch", "delete", ""))
}

// unusedAddress is a loopback address on which nothing listens any more.
func unusedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}
