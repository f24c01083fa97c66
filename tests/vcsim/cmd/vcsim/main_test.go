// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// asCommand in the environment makes the test binary be the command.
const asCommand = "VCSIM_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// command prepares the command with its temporary files in a folder of the test's.
func command(t *testing.T, args ...string) (cmd *exec.Cmd, tmp string) {
	t.Helper()
	tmp = t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "TMPDIR="+tmp)
	return cmd, tmp
}

// process is a running command.
type process struct {
	*testing.T
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader
	stderr *bytes.Buffer
	tmp    string
	env    map[string]string // what its export line says
}

// start runs the command until it has printed its export line.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	cmd, tmp := command(t, args...)
	p := &process{T: t, cmd: cmd, stderr: new(bytes.Buffer), tmp: tmp}
	cmd.Stderr = p.stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	p.stdin = stdin
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	p.stdout = bufio.NewReader(out)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended, unless the test failed
		_ = cmd.Wait()
	})
	line, err := p.stdout.ReadString('\n')
	require.NoError(t, err, "it ended before it was ready: %s", p.stderr)
	p.env = parseExport(t, line)
	return p
}

// parseExport reads an export line as a shell does.
func parseExport(t *testing.T, line string) map[string]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "env", "-i", "sh", "-c", line+"\nenv").Output()
	require.NoError(t, err, line)
	env := make(map[string]string)
	for entry := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(entry, "\n"), "=")
		env[key] = value
	}
	return env
}

// stop interrupts the process and checks that it leaves nothing.
func (p *process) stop() {
	p.Helper()
	require.NoError(p, p.cmd.Process.Signal(syscall.SIGTERM))
	p.requireCleanExit()
}

func (p *process) requireCleanExit() {
	p.Helper()
	_, _ = io.Copy(io.Discard, p.stdout) // until it has closed it
	require.NoError(p, p.cmd.Wait(), p.stderr)
	entries, err := os.ReadDir(p.tmp)
	require.NoError(p, err)
	require.Empty(p, entries, "temporary files are left")
}

// login logs in as the export line says, or as user if that is not nil.
func (p *process) login(user *url.Userinfo) (*govmomi.Client, error) {
	p.Helper()
	u, err := soap.ParseURL(p.env["GOVC_URL"])
	require.NoError(p, err)
	if user == nil {
		user = u.User
	}
	sc := soap.NewClient(u, false)
	if ca := p.env["GOVC_TLS_CA_CERTS"]; ca != "" {
		require.NoError(p, sc.SetRootCAs(ca))
	}
	vc, err := vim25.NewClient(p.Context(), sc)
	require.NoError(p, err)
	p.Cleanup(sc.CloseIdleConnections)
	client := &govmomi.Client{Client: vc, SessionManager: session.NewManager(vc)}
	return client, client.Login(p.Context(), user)
}

// names returns the names of all objects of a kind.
func (p *process) names(kind string) []string {
	p.Helper()
	client, err := p.login(nil)
	require.NoError(p, err)
	all, err := view.NewManager(client.Client).CreateContainerView(p.Context(), client.ServiceContent.RootFolder, []string{kind}, true)
	require.NoError(p, err)
	var entities []mo.ManagedEntity
	require.NoError(p, all.Retrieve(p.Context(), []string{kind}, []string{"name"}, &entities))
	names := make([]string, 0, len(entities))
	for i := range entities {
		names = append(names, entities[i].Name)
	}
	return names
}

func TestExportLineAndLogin(t *testing.T) {
	t.Parallel()
	const user, password = "administrator@vsphere.local", `it's $HOME; "all" & more`
	p := start(t, "-l", "127.0.0.1:0", "-username", user, "-password", password, "-guests", "sim")
	require.Equal(t, strconv.Itoa(p.cmd.Process.Pid), p.env["GOVC_SIM_PID"])
	require.FileExists(t, p.env["GOVC_TLS_CA_CERTS"])
	_, err := p.login(nil)
	require.NoError(t, err)
	_, err = p.login(url.UserPassword(user, "guess"))
	require.True(t, fault.Is(err, &types.InvalidLogin{}), "%v", err)
	p.stop()
}

func TestInventoryFlags(t *testing.T) {
	t.Parallel()
	p := start(t, "-l", "127.0.0.1:0", "-dc", "2", "-cluster", "1", "-host", "2", "-standalone-host", "0", "-vm", "3", "-ds", "2", "-pool", "1")
	require.ElementsMatch(t, []string{"DC0", "DC1"}, p.names("Datacenter"))
	require.ElementsMatch(t, []string{"DC0_C0", "DC1_C0"}, p.names("ClusterComputeResource"))
	require.Len(t, p.names("HostSystem"), 4)
	require.Len(t, p.names("VirtualMachine"), 6)
	require.Len(t, p.names("Datastore"), 4)
	require.Contains(t, p.names("ResourcePool"), "DC0_C0_RP1")
	p.stop()
}

func TestDefaultsAreStock(t *testing.T) {
	t.Parallel()
	f := parse(nil)
	require.Equal(t, "127.0.0.1:8989", f.config.Listen)
	require.Equal(t, "none", f.config.Guests)
	require.False(t, f.config.Plain)
	require.Equal(t, 2, f.config.Model.Machine)
	require.Equal(t, 3, f.config.Model.ClusterHost)
	require.Equal(t, -1, f.tunnel)
	require.Equal(t, "-", f.env)
}

func TestESX(t *testing.T) {
	t.Parallel()
	p := start(t, "-l", "127.0.0.1:0", "-esx", "-vm", "1", "-tls=false")
	require.True(t, strings.HasPrefix(p.env["GOVC_URL"], "http://"), p.env)
	require.NotContains(t, p.env, "GOVC_TLS_CA_CERTS")
	client, err := p.login(nil)
	require.NoError(t, err)
	require.Equal(t, "HostAgent", client.ServiceContent.About.ApiType)
	require.Len(t, p.names("VirtualMachine"), 1)
	p.stop()
}

func TestOutputFileAndTrace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env, trace := filepath.Join(dir, "env"), filepath.Join(dir, "trace")
	// The first line of standard output is another one here, which says nothing of the address.
	p := start(t, "-l", "127.0.0.1:0", "-E", env, "-trace-file", trace, "-stdinexit")
	text, err := os.ReadFile(env)
	require.NoError(t, err)
	p.env = parseExport(t, string(text))
	_, err = p.login(nil)
	require.NoError(t, err)
	require.NoError(t, p.stdin.Close())
	p.requireCleanExit()
	text, err = os.ReadFile(trace)
	require.NoError(t, err)
	require.Contains(t, string(text), "RetrieveServiceContent")
}

// With QEMU guests a second line has the way to them.
func TestProxyLine(t *testing.T) {
	t.Parallel()
	p := start(t, "-l", "127.0.0.1:0", "-vm", "0", "-guests", "qemu")
	line, err := p.stdout.ReadString('\n')
	require.NoError(t, err)
	proxy, err := url.Parse(parseExport(t, line)["WOLFPACK_GUEST_PROXY"])
	require.NoError(t, err)
	require.Equal(t, "socks5", proxy.Scheme)
	conn, err := net.Dial("tcp", proxy.Host)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	p.stop()
}

func TestDebugVars(t *testing.T) {
	t.Parallel()
	p := start(t, "-l", "127.0.0.1:0", "-method-delay", "Login:1,Logout:1", "-tunnel", "0")
	client, err := p.login(nil)
	require.NoError(t, err)
	u := client.URL()
	require.NotEmpty(t, regexp.MustCompile(`GOVMOMI_TUNNEL_PROXY_PORT=\d+`).FindString(p.env["GOVC_URL"]))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: client.DefaultTransport().TLSClientConfig.RootCAs}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+u.Host+"/debug/vars", nil)
	require.NoError(t, err)
	res, err := transport.RoundTrip(req)
	require.NoError(t, err)
	defer res.Body.Close()
	var vars struct {
		Vcsim struct {
			Model map[string]int
			Calls map[string]int
		}
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&vars))
	require.Equal(t, 1, vars.Vcsim.Calls["Login"])
	require.Equal(t, 1, vars.Vcsim.Model["datacenter"])
	p.stop()
}

func TestFaultsFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "faults.yaml")
	require.NoError(t, os.WriteFile(file, []byte("method: Login\ncount: 1\ndo: fault\nfault: InvalidLogin\n"), 0o600))
	p := start(t, "-l", "127.0.0.1:0", "-faults", file)
	_, err := p.login(nil)
	require.True(t, fault.Is(err, &types.InvalidLogin{}), "%v", err)
	_, err = p.login(nil)
	require.NoError(t, err)
	p.stop()
}

// TestBadFlags has a row for each mistake: the command ends with the exit code and says what is wrong.
func TestBadFlags(t *testing.T) {
	t.Parallel()
	badFaults := filepath.Join(t.TempDir(), "faults.yaml")
	require.NoError(t, os.WriteFile(badFaults, []byte("- {name: lost, cuont: 1, do: lose-answer}\n"), 0o600))
	for name, row := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown flag":          {[]string{"-wolf"}, 2, "flag provided but not defined: -wolf"},
		"no address":            {[]string{"-l", "here"}, 1, `listen address "here"`},
		"no port":               {[]string{"-l", "127.0.0.1:http"}, 1, `port "http"; want a number`},
		"unknown guests":        {[]string{"-l", "127.0.0.1:0", "-guests", "xen"}, 1, `unknown guests "xen"; use "none", "sim" or "qemu"`},
		"bad delay":             {[]string{"-method-delay", "Login"}, 2, `"Login"; want METHOD:MILLISECONDS`},
		"no faults":             {[]string{"-l", "127.0.0.1:0", "-faults", "/nonexistent"}, 1, "read faults: open /nonexistent"},
		"bad faults":            {[]string{"-l", "127.0.0.1:0", "-faults", badFaults}, 1, badFaults + `: fault "lost": field cuont is unknown; want one of agent, count,`},
		"password without user": {[]string{"-l", "127.0.0.1:0", "-password", "x"}, 1, "-password without -username"},
		"no certificate":        {[]string{"-l", "127.0.0.1:0", "-tlscert", "/nonexistent"}, 1, `read certificate "/nonexistent"`},
		"no inventory":          {[]string{"-l", "127.0.0.1:0", "-load", "/nonexistent"}, 1, "load inventory from /nonexistent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd, tmp := command(t, row.args...)
			out, err := cmd.CombinedOutput()
			require.Error(t, err)
			require.Equal(t, row.code, cmd.ProcessState.ExitCode(), "%s", out)
			require.Contains(t, string(out), row.says)
			entries, err := os.ReadDir(tmp)
			require.NoError(t, err)
			require.Empty(t, entries, "temporary files are left")
		})
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{"version": `^version `, "uuidgen": `^[0-9a-f-]{36}\n$`} {
		cmd, _ := command(t, word)
		out, err := cmd.Output()
		require.NoError(t, err)
		require.Regexp(t, want, string(out))
	}
}

func FuzzDelays(f *testing.F) {
	f.Add("Login:1, PowerOnVM_Task:20")
	f.Add(":")
	f.Fuzz(func(t *testing.T, text string) {
		var d delays
		if d.Set(text) == nil {
			require.NotContains(t, d, "")
			require.NotEmpty(t, d)
		}
	})
}
