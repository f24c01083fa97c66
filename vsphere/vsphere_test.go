// SPDX-License-Identifier: Apache-2.0

package vsphere_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"go.uber.org/goleak"

	"wolfpack/errs"
	"wolfpack/tests/vcsim"
	"wolfpack/vsphere"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, model *simulator.Model) (*vcsim.Server, vsphere.Config) {
	t.Helper()
	server, err := vcsim.Start(t.Context(), vcsim.Config{Model: model, Username: "admin", Password: "s3cr&t"})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	target := *server.URL()
	target.User = nil
	return server, vsphere.Config{URL: target.String(), Username: "admin", Password: "s3cr&t", CACerts: server.CAFile()}
}

func connect(t *testing.T, config vsphere.Config) *vsphere.Client {
	t.Helper()
	client, err := vsphere.Connect(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Logout(context.Background()) })
	return client
}

func TestConnectSaysWhichSettingToChange(t *testing.T) {
	_, good := start(t, simulator.VPX())
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(notPEM, []byte("nonsense"), 0o600))
	cases := map[string]struct {
		change func(*vsphere.Config)
		kind   errs.Kind
		says   []string
	}{
		"no URL":              {func(c *vsphere.Config) { c.URL = "" }, errs.Invalid, []string{"no vCenter given", "GOVC_URL"}},
		"no URL at all":       {func(c *vsphere.Config) { c.URL = "https://a b/%zz" }, errs.Invalid, []string{"does not parse", "https://vc.example.com/sdk"}},
		"no user":             {func(c *vsphere.Config) { c.Username = "" }, errs.Invalid, []string{"no user for vCenter 127.0.0.1", "GOVC_USERNAME"}},
		"nobody listens":      {func(c *vsphere.Config) { c.URL = "https://" + closed.Addr().String() + "/sdk" }, errs.Unavailable, []string{"does not answer", "connection refused", "GOVC_URL"}},
		"wrong password":      {func(c *vsphere.Config) { c.Password = "guess" }, errs.Denied, []string{`refuses user "admin"`, "GOVC_PASSWORD"}},
		"wrong user":          {func(c *vsphere.Config) { c.Username = "guest" }, errs.Denied, []string{`refuses user "guest"`}},
		"untrusted":           {func(c *vsphere.Config) { c.CACerts = "" }, errs.Invalid, []string{"is not trusted", "SHA-256", "GOVC_TLS_CA_CERTS"}},
		"CA file is missing":  {func(c *vsphere.Config) { c.CACerts = "/no/such/file" }, errs.Invalid, []string{`"/no/such/file"`, "PEM", "GOVC_TLS_CA_CERTS"}},
		"CA file is nonsense": {func(c *vsphere.Config) { c.CACerts = notPEM }, errs.Invalid, []string{notPEM, "PEM"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := good
			tc.change(&config)
			_, err := vsphere.Connect(t.Context(), config)
			require.True(t, errs.Is(err, tc.kind), "%v is %s", err, errs.KindOf(err))
			for _, text := range tc.says {
				require.ErrorContains(t, err, text)
			}
			require.NotContains(t, err.Error(), config.Password+"@", "a password is never shown")
			require.NotContains(t, err.Error(), "\n", "it is one paragraph")
		})
	}
}

func TestUserAndPasswordInTheURL(t *testing.T) {
	server, config := start(t, simulator.VPX())
	config.URL, config.Username, config.Password = server.URL().String(), "", ""
	connect(t, config)
	config.Password = "guess"
	_, err := vsphere.Connect(t.Context(), config)
	require.True(t, errs.Is(err, errs.Denied), "what is set apart wins: %v", err)
}

func TestInsecureAcceptsAnyCertificate(t *testing.T) {
	_, config := start(t, simulator.VPX())
	config.CACerts, config.Insecure = "", true
	connect(t, config)
}

func TestAnExpiredSessionIsRenewedOnce(t *testing.T) {
	server, config := start(t, simulator.VPX())
	client := connect(t, config)
	admin := connect(t, config)
	ours, err := session.NewManager(client.Client).UserSession(t.Context())
	require.NoError(t, err)
	require.NoError(t, session.NewManager(admin.Client).TerminateSession(t.Context(), []string{ours.Key}))

	server.ResetCalls()
	var group sync.WaitGroup
	failures := make(chan error, 10)
	for range 10 {
		group.Go(func() {
			_, err := methods.GetCurrentTime(t.Context(), client)
			failures <- err
		})
	}
	group.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	require.Equal(t, 1, server.Calls()["Login"], "many callers make one login")
}

// A vCenter that takes requests and never answers them is away, and not waited for for ever.
func TestAVCenterThatSaysNothingIsAway(t *testing.T) {
	for _, method := range []string{"RetrieveServiceContent", "Login", "CurrentTime"} {
		t.Run(method, func(t *testing.T) {
			server, config := start(t, simulator.VPX())
			config.Limit = 50 * time.Millisecond
			server.Inject(vcsim.Fault{Method: method, Do: vcsim.DoDelay, Delay: time.Hour})
			client, err := vsphere.Connect(t.Context(), config)
			if err == nil {
				_, err = methods.GetCurrentTime(t.Context(), client)
				require.NoError(t, client.Logout(t.Context()))
			}
			require.True(t, errs.Is(err, errs.Unavailable), "%v", err)
			server.RemoveFaults()
			config.Limit = 0
			connect(t, config)
		})
	}
}

// A read without a session is no error: vCenter answers that all properties are missing.
func TestAReadInAnExpiredSessionIsRepeated(t *testing.T) {
	server, config := start(t, simulator.VPX())
	client := connect(t, config)
	admin := connect(t, config)
	ours, err := session.NewManager(client.Client).UserSession(t.Context())
	require.NoError(t, err)
	require.NoError(t, session.NewManager(admin.Client).TerminateSession(t.Context(), []string{ours.Key}))
	root := object.NewRootFolder(client.Client)
	name, err := root.ObjectName(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Datacenters", name)

	// The session ends again as soon as it is renewed.
	sessions := session.NewManager(admin.Client)
	end := func(vcsim.Request) {
		all, err := sessions.UserSession(t.Context())
		require.NoError(t, err)
		var list mo.SessionManager
		require.NoError(t, property.DefaultCollector(admin.Client).RetrieveOne(t.Context(), sessions.Reference(), []string{"sessionList"}, &list))
		for _, one := range list.SessionList {
			if one.Key != all.Key {
				require.NoError(t, sessions.TerminateSession(t.Context(), []string{one.Key}))
			}
		}
	}
	end(vcsim.Request{})
	server.Inject(vcsim.Fault{Method: "Login", After: end})
	_, err = root.ObjectName(t.Context())
	require.True(t, errs.Is(err, errs.Unavailable), "%v", err)
	require.ErrorContains(t, err, "the session ended as soon as it was renewed")
}

func TestRenewalWithAPasswordThatChanged(t *testing.T) {
	server, config := start(t, simulator.VPX())
	client := connect(t, config)
	ours, err := session.NewManager(client.Client).UserSession(t.Context())
	require.NoError(t, err)
	admin := connect(t, config)
	require.NoError(t, session.NewManager(admin.Client).TerminateSession(t.Context(), []string{ours.Key}))
	server.Inject(vcsim.Fault{Method: "Login", Do: vcsim.DoFault, Fault: new(types.InvalidLogin)})
	_, err = methods.GetCurrentTime(t.Context(), client)
	require.True(t, errs.Is(err, errs.Unavailable), "work waits until an admin has mended it: %v", err)
	require.ErrorContains(t, err, "the session has expired, and a new login fails: ServerFaultCode: InvalidLogin")
	server.RemoveFaults()
	_, err = methods.GetCurrentTime(t.Context(), client)
	require.NoError(t, err, "and resumes by itself")
}

func TestLogoutEndsTheSessionAfterItsContext(t *testing.T) {
	server, config := start(t, simulator.VPX())
	ctx, cancel := context.WithCancel(t.Context())
	client, err := vsphere.Connect(ctx, config)
	require.NoError(t, err)
	cancel()
	require.NoError(t, client.Logout(ctx))
	require.Equal(t, 1, server.Calls()["Logout"])
}

func TestASessionSaysWhatItIsFor(t *testing.T) {
	server, config := start(t, simulator.VPX())
	config.Purpose = "node web"
	connect(t, config)
	journal := server.Journal()
	require.Regexp(t, `^wolfpack/\S+ \(node web\)$`, journal[len(journal)-1].Agent)
}

func TestFinderNeedsToKnowTheDatacenter(t *testing.T) {
	model := simulator.VPX()
	model.Datacenter = 2
	_, config := start(t, model)
	_, _, err := connect(t, config).Finder(t.Context())
	require.True(t, errs.Is(err, errs.Invalid))
	require.ErrorContains(t, err, "GOVC_DATACENTER; there are: /DC0 /DC1")

	config.Datacenter = "DC7"
	_, _, err = connect(t, config).Finder(t.Context())
	require.ErrorContains(t, err, `datacenter "DC7"`)

	config.Datacenter = "DC1"
	_, found, err := connect(t, config).Finder(t.Context())
	require.NoError(t, err)
	require.Equal(t, "/DC1", found.InventoryPath)
}

func TestFlagsFallBackToGovcsVariablesAndShowNoPassword(t *testing.T) {
	for name, value := range map[string]string{
		"GOVC_URL": "https://u:hidden@vc/sdk", "GOVC_USERNAME": "u", "GOVC_PASSWORD": "hidden",
		"GOVC_INSECURE": "1", "GOVC_TLS_CA_CERTS": "ca.pem", "GOVC_DATACENTER": "DC0",
	} {
		t.Setenv(name, value)
	}
	config := vsphere.ConfigFromEnv()
	require.Equal(t, vsphere.Config{URL: "https://u:hidden@vc/sdk", Username: "u", Password: "hidden", Insecure: true, CACerts: "ca.pem", Datacenter: "DC0"}, config)
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.Flags(flags)
	require.NotContains(t, flags.FlagUsages(), "hidden")
	require.NoError(t, flags.Parse(strings.Fields("--url https://other --datacenter DC1 --insecure=false")))
	require.Equal(t, "https://other", config.URL)
	require.Equal(t, "DC1", config.Datacenter)
	require.False(t, config.Insecure)
	require.Equal(t, "hidden", config.Password)
}
