// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/pki"
	"wolfpack/tests/vcsim"
)

// connect returns a client that trusts the server and has not logged in.
func connect(t *testing.T, server *vcsim.Server) *vim25.Client {
	t.Helper()
	sc := soap.NewClient(server.URL(), false)
	require.NoError(t, sc.SetRootCAs(server.CAFile()))
	client, err := vim25.NewClient(t.Context(), sc)
	require.NoError(t, err)
	t.Cleanup(sc.CloseIdleConnections)
	return client
}

func TestLogin(t *testing.T) {
	t.Parallel()
	checked := newBench(t, vcsim.Config{Username: "administrator@vsphere.local", Password: "secret"})
	open := newBench(t, vcsim.Config{})
	for name, row := range map[string]struct {
		b       *bench
		user    *url.Userinfo
		invalid bool
	}{
		"right":                           {checked, url.UserPassword("administrator@vsphere.local", "secret"), false},
		"wrong password":                  {checked, url.UserPassword("administrator@vsphere.local", "Secret"), true},
		"wrong user":                      {checked, url.UserPassword("root", "secret"), true},
		"no password":                     {checked, url.UserPassword("administrator@vsphere.local", ""), true},
		"stock login":                     {checked, simulator.DefaultLogin, true},
		"any, where nobody is checked":    {open, url.UserPassword("x", "y"), false},
		"nobody, where nobody is checked": {open, url.UserPassword("", ""), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := connect(t, row.b.server)
			manager := session.NewManager(client)
			err := manager.Login(t.Context(), row.user)
			require.Equal(t, row.invalid, fault.Is(err, &types.InvalidLogin{}), "%v", err)
			rc := rest.NewClient(client)
			if err := rc.Login(t.Context(), row.user); row.invalid {
				require.Error(t, err)
				return
			}
			require.NoError(t, rc.Logout(t.Context()))
			require.NoError(t, manager.Logout(t.Context()))
		})
	}
}

// TestOtherLoginsAreClosed checks that a password cannot be got around.
func TestOtherLoginsAreClosed(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{Username: "admin", Password: "secret"})
	client := connect(t, b.server)
	_, err := methods.LoginByToken(b.ctx, client, &types.LoginByToken{This: *client.ServiceContent.SessionManager})
	require.True(t, fault.Is(err, &types.InvalidLogin{}), "%v", err)
	_, err = methods.LoginExtensionByCertificate(b.ctx, client, &types.LoginExtensionByCertificate{
		This: *client.ServiceContent.SessionManager, ExtensionKey: "x",
	})
	require.True(t, fault.Is(err, &types.InvalidLogin{}), "%v", err)
}

func TestNoSessionNoAccess(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{Username: "admin", Password: "secret"})
	vm := b.create(spec("vm", other64, wolfpack, nil))
	client := connect(t, b.server)
	_, err := methods.PowerOnVM_Task(b.ctx, client, &types.PowerOnVM_Task{This: vm.Reference()})
	require.True(t, fault.Is(err, &types.NotAuthenticated{}), "%v", err)
	var got mo.VirtualMachine
	err = property.DefaultCollector(client).RetrieveOne(b.ctx, vm.Reference(), []string{"name"}, &got)
	require.True(t, err != nil || got.Name == "", "a property was shown to a stranger")
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	require.NotNil(t, connect(t, b.server), "a client that trusts the CA gets in")
	_, err := vim25.NewClient(t.Context(), soap.NewClient(b.server.URL(), false))
	require.True(t, soap.IsCertificateUntrusted(err), "%v", err)

	pair, err := mustCA(t).Server("127.0.0.1")
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, pair.WriteFiles(cert, key))
	given, err := vcsim.Start(t.Context(), vcsim.Config{CertFile: cert, KeyFile: key})
	require.NoError(t, err)
	defer given.Close()
	require.Empty(t, given.CAFile(), "the CA of a given certificate is not the server's to know")
	require.Equal(t, "127.0.0.1", given.Simulator().Certificate().Subject.CommonName)

	_, err = vcsim.Start(t.Context(), vcsim.Config{CertFile: cert})
	require.ErrorContains(t, err, `read certificate "`+cert+`" and key ""`)
}

func mustCA(t *testing.T) *pki.CA {
	t.Helper()
	ca, err := pki.NewCA("given")
	require.NoError(t, err)
	return ca
}

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{Plain: true})
	require.Equal(t, "http", b.server.URL().Scheme)
	require.Empty(t, b.server.CAFile())
	b.create(spec("vm", other64, wolfpack, nil))
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	address := taken.Addr().String()
	_, err = vcsim.Start(t.Context(), vcsim.Config{Listen: address, Guests: vcsim.GuestsSim})
	require.ErrorContains(t, err, "listen on "+address)
	require.ErrorContains(t, err, "address already in use")
	_, err = vcsim.Start(t.Context(), vcsim.Config{Listen: "here"})
	require.ErrorContains(t, err, `listen address "here"`)
	_, err = vcsim.Start(t.Context(), vcsim.Config{Load: "/nonexistent"})
	require.ErrorContains(t, err, "load inventory from /nonexistent")
}

func TestCalls(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	b.server.ResetCalls()
	require.Empty(t, b.server.Calls())
	vm := b.create(spec("vm", other64, wolfpack, nil))
	b.vm(vm, "name")
	b.vm(vm, "name")
	calls := b.server.Calls()
	require.Equal(t, 1, calls["CreateVM_Task"])
	require.GreaterOrEqual(t, calls["RetrievePropertiesEx"]+calls["RetrieveProperties"], 2, "%v", calls)
	calls["CreateVM_Task"] = 100
	require.Equal(t, 1, b.server.Calls()["CreateVM_Task"], "the caller has a copy")
}

func TestTags(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{Username: "admin", Password: "secret"})
	vm := b.create(spec("vm", other64, wolfpack, nil))
	rc := rest.NewClient(b.client.Client)
	require.NoError(t, rc.Login(b.ctx, b.server.URL().User))
	defer func() { require.NoError(t, rc.Logout(b.ctx)) }()
	manager := tags.NewManager(rc)
	category, err := manager.CreateCategory(b.ctx, &tags.Category{Name: "wolfpack", Cardinality: "SINGLE", AssociableTypes: []string{"VirtualMachine"}})
	require.NoError(t, err)
	tag, err := manager.CreateTag(b.ctx, &tags.Tag{Name: "pod", CategoryID: category})
	require.NoError(t, err)
	require.NoError(t, manager.AttachTag(b.ctx, tag, vm))
	attached, err := manager.GetAttachedTags(b.ctx, vm)
	require.NoError(t, err)
	require.Len(t, attached, 1)
	require.Equal(t, "pod", attached[0].Name)
}

// TestCloseWithWaitingClient closes a server under a client that waits for an update which does not come.
func TestCloseWithWaitingClient(t *testing.T) {
	t.Parallel()
	server, err := vcsim.Start(t.Context(), vcsim.Config{Guests: vcsim.GuestsSim})
	require.NoError(t, err)
	client, err := server.Client(t.Context())
	require.NoError(t, err)
	defer client.CloseIdleConnections()
	waits := waitForUpdate(t.Context(), client)
	require.Eventually(t, func() bool { return server.Calls()["WaitForUpdatesEx"] == 2 }, patience, time.Millisecond)
	dir := filepath.Dir(server.CAFile())
	server.Close()
	server.Close()
	require.Error(t, <-waits)
	require.NoDirExists(t, dir)
}

// TestWaitEndsWithItsClient drops a client in the middle of a wait: the server forgets it.
func TestWaitEndsWithItsClient(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{})
	dropped, err := b.server.Client(b.ctx)
	require.NoError(t, err)
	ctx, drop := context.WithCancel(b.ctx)
	waits := waitForUpdate(ctx, dropped)
	require.Eventually(t, func() bool { return b.server.Calls()["WaitForUpdatesEx"] == 2 }, patience, time.Millisecond)
	drop()
	require.Error(t, <-waits)
	dropped.CloseIdleConnections()
	require.Eventually(t, func() bool { return b.server.Requests() == 0 }, patience, 10*time.Millisecond, "the wait goes on without its client")
}

// waitForUpdate waits, as property.WaitForUpdates does, for a change of the service instance, which has none.
func waitForUpdate(ctx context.Context, client *govmomi.Client) <-chan error {
	ended := make(chan error, 1)
	go func() {
		collector := client.ServiceContent.PropertyCollector
		_, err := methods.CreateFilter(ctx, client, &types.CreateFilter{This: collector, Spec: types.PropertyFilterSpec{
			ObjectSet: []types.ObjectSpec{{Obj: vim25.ServiceInstance}},
			PropSet:   []types.PropertySpec{{Type: "ServiceInstance", PathSet: []string{"capability"}}},
		}})
		req := &types.WaitForUpdatesEx{This: collector}
		for err == nil {
			var res *types.WaitForUpdatesExResponse
			if res, err = methods.WaitForUpdatesEx(ctx, client, req); err == nil && res.Returnval != nil {
				req.Version = res.Returnval.Version
			}
		}
		ended <- err
	}()
	return ended
}

func TestLeavesNoFiles(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	server, err := vcsim.Start(t.Context(), vcsim.Config{Guests: vcsim.GuestsSim})
	require.NoError(t, err)
	entries, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	server.Close()
	entries, err = os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, entries)
}
