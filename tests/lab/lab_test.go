// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"wolfpack/tests/kube"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// standIn is a wolfpack that writes down how it is called and makes a node that says it is ready: what a lab does around
// wolfpack shows without one, and what it does when wolfpack fails shows best so. It is steered by files beside it.
const standIn = `#!/bin/sh
set -e
here=$(dirname "$0")
echo "$@" >>"$here/calls"
case "$1 $2" in
"vch create"|"vch delete")
	if [ -e "$here/fail-$2" ]; then echo "no datastore, says the stand-in" >&2; exit 1; fi ;;
"node --vch")
	if [ -e "$here/fail-node" ]; then echo "no such VCH, says the stand-in" >&2; exit 1; fi
	k="$KUBECTL --kubeconfig $5"
	echo "{apiVersion: v1, kind: Node, metadata: {name: $7}, status: {conditions: [{type: Ready, status: 'True'}]}}" | $k create -f -
	exec sleep 600 ;;
esac
`

// binaries returns the real programs of the checkout, with a stand-in for wolfpack, and the stand-in's folder.
func binaries(t *testing.T) (Binaries, string) {
	t.Helper()
	kubeDir, err := kube.FindBinaries()
	require.NoError(t, err)
	b := BinariesIn(filepath.Dir(kubeDir))
	for _, path := range []string{b.VCSim, b.Govc} {
		_, err := os.Stat(path)
		require.NoError(t, err, "run `make build` first")
	}
	dir := t.TempDir()
	b.Wolfpack = filepath.Join(dir, "wolfpack")
	require.NoError(t, os.WriteFile(b.Wolfpack, []byte(standIn), 0o700))
	t.Setenv("KUBECTL", b.kubectl())
	return b, dir
}

// calls returns how the stand-in was called.
func calls(t *testing.T, dir string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "calls"))
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// deadline bounds what a test waits for.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// start starts a lab for the length of a test.
func start(t *testing.T, opts Options) *Lab {
	t.Helper()
	l, err := Up(deadline(t), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Stop(context.Background())) })
	return l
}

// run runs a program in a lab's environment.
func run(t *testing.T, l *Lab, path string, args ...string) string {
	t.Helper()
	out, err := l.output(deadline(t), path, args...)
	require.NoError(t, err)
	return out
}

// requireGone fails if a process of a lab is still there.
func requireGone(t *testing.T, info Info) {
	t.Helper()
	for name, pid := range info.Pids {
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "%s is still running", name)
	}
}

// Two labs side by side, each with everything in it, and all that the ready file says is so.
func TestTwoLabs(t *testing.T) {
	b, calledIn := binaries(t)
	var progress bytes.Buffer
	ready := filepath.Join(t.TempDir(), "sub", "ready.json")
	one := start(t, Options{Binaries: b, ReadyFile: ready, Progress: &progress})
	two := start(t, Options{Binaries: b, NoNode: true})

	info, err := ReadInfo(ready)
	require.NoError(t, err)
	require.Equal(t, one.Info(), info)
	require.Equal(t, "lab", info.VCH)
	require.Equal(t, "lab", info.Node)
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "vcsim", "registry", "node"} {
		require.NoError(t, syscall.Kill(info.Pids[name], 0), "%s is running", name)
		require.FileExists(t, filepath.Join(info.Logs, name+".log"))
	}
	require.Regexp(t, `(?m)^lab: Kubernetes control plane +\d+\.\d s$`, progress.String())
	require.Equal(t, "vch create lab", calls(t, calledIn)[0])

	require.Contains(t, run(t, one, b.Govc, "about"), "VMware vCenter")
	require.Contains(t, run(t, one, b.kubectl(), "get", "nodes"), "lab    Ready")
	requireRegistry(t, *info.Registry)

	other := two.Info()
	require.NotEqual(t, info.Govc["GOVC_URL"], other.Govc["GOVC_URL"])
	require.NotEqual(t, info.Registry.Address, other.Registry.Address)
	require.NotContains(t, run(t, two, b.kubectl(), "get", "nodes"), "lab", "the other lab has no node")
	other.Govc["GOVC_PASSWORD"] = info.Govc["GOVC_PASSWORD"]
	out, err := exec.Command("env", append(other.Env(), b.Govc, "about")...).CombinedOutput()
	require.Error(t, err, "one lab's password opens the other's vCenter: %s", out)

	require.NoError(t, one.Stop(deadline(t)))
	requireGone(t, info)
	require.NoFileExists(t, ready)
	require.NoDirExists(t, filepath.Dir(info.Logs), "the temporary folder")
	require.NoError(t, one.Err())
	require.NoError(t, two.Err(), "the other lab does not mind")
	require.NotContains(t, strings.Join(calls(t, calledIn), "\n"), "vch delete", "the stand-in needs no cleaning")
}

// requireRegistry fails unless a registry wants a password, over TLS of the lab's CA.
func requireRegistry(t *testing.T, r Registry) {
	t.Helper()
	pem, err := os.ReadFile(r.CA)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
	for password, want := range map[string]int{r.Password: http.StatusOK, "guess": http.StatusUnauthorized} {
		req, err := http.NewRequestWithContext(deadline(t), http.MethodGet, "https://"+r.Address+"/v2/", nil)
		require.NoError(t, err)
		req.SetBasicAuth(r.Username, password)
		resp, err := transport.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.StatusCode)
	}
}

// Labs in a cluster that another lab has started; most in its vCenter, too.
func TestSharedCluster(t *testing.T) {
	b, _ := binaries(t)
	host := start(t, Options{Binaries: b, NoVCH: true, NoRegistry: true})
	t.Run("part dies", func(t *testing.T) { testPartDies(t, host) })
	for k, v := range host.Info().Govc {
		t.Setenv(k, v)
	}
	t.Run("foreign", func(t *testing.T) { testForeign(t, host) })
	t.Run("show", func(t *testing.T) { testShow(t, host) })
}

// Whichever part dies, the lab says so and can be taken down, and nothing is left.
func testPartDies(t *testing.T, host *Lab) {
	b, _ := binaries(t)
	for _, part := range []string{"etcd", "vcsim", "registry", "node"} {
		t.Run(part, func(t *testing.T) {
			opts := Options{Binaries: b}
			if part != "etcd" {
				opts.Kubeconfig = host.Info().Kubeconfig
			}
			l := start(t, opts)
			require.NoError(t, syscall.Kill(l.Info().Pids[part], syscall.SIGKILL))
			select {
			case <-l.Done():
			case <-deadline(t).Done():
				t.Fatalf("%s was killed, and its lab did not notice", part)
			}
			// Those that cannot live without it may have been quicker to die than the lab was to notice.
			require.ErrorContains(t, l.Err(), "ended by itself: ")
			if part != "etcd" {
				require.ErrorContains(t, l.Err(), part+" ended by itself: signal: killed")
			}
			info := l.Info()
			require.NoError(t, l.Stop(deadline(t)))
			requireGone(t, info)
			require.NoDirExists(t, filepath.Dir(info.Logs))
		})
	}
}

// A lab in a cluster and a vCenter that are not its own uses names of its own there, and takes its things away again.
func testForeign(t *testing.T, host *Lab) {
	b, calledIn := binaries(t)
	dir := t.TempDir()
	foreign := Options{
		Binaries: b, Dir: dir, Kubeconfig: host.Info().Kubeconfig, VCenter: VCenterEnv, NoRegistry: true,
	}
	l := start(t, foreign)
	info := l.Info()
	require.Regexp(t, `^lab-[a-z2-7]{6}$`, info.VCH)
	require.Equal(t, host.Info().Govc, info.Govc)
	require.Equal(t, host.Info().Kubeconfig, info.Kubeconfig)
	require.Equal(t, []string{"node"}, keys(info.Pids))
	require.Contains(t, run(t, host, b.kubectl(), "get", "nodes"), info.Node)

	require.NoError(t, l.Stop(deadline(t)))
	requireGone(t, info)
	require.Equal(t, "vch delete "+info.VCH+" --force", calls(t, calledIn)[2])
	require.FileExists(t, filepath.Join(dir, "logs", "vch-delete.log"), "a folder of the caller's choice is kept")
	client, done, err := host.client()
	require.NoError(t, err)
	defer done()
	_, err = client.CoreV1().Nodes().Get(t.Context(), info.Node, metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), "got: %v", err)

	t.Run("what cannot be removed is said", func(t *testing.T) {
		foreign.Dir = ""
		l, err := Up(deadline(t), foreign)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(calledIn, "fail-delete"), nil, 0o600))
		err = l.Stop(deadline(t))
		require.ErrorContains(t, err, "wolfpack vch delete "+l.Info().VCH+" --force: exit status 1")
		require.ErrorContains(t, err, "no datastore, says the stand-in")
		requireGone(t, l.Info())
	})
	t.Run("the node ends before it is ready", func(t *testing.T) {
		require.NoError(t, os.WriteFile(filepath.Join(calledIn, "fail-node"), nil, 0o600))
		require.NoError(t, os.Remove(filepath.Join(calledIn, "fail-delete")))
		foreign.Dir = ""
		_, err := Up(deadline(t), foreign)
		require.ErrorContains(t, err, "start lab: ")
		require.ErrorContains(t, err, "node ended by itself: exit status 1")
		require.ErrorContains(t, err, "no such VCH, says the stand-in")
		all := calls(t, calledIn)
		require.Regexp(t, "^vch delete lab-", all[len(all)-1], "the VCH is gone again")
	})
	t.Run("the VCH cannot be made", func(t *testing.T) {
		require.NoError(t, os.WriteFile(filepath.Join(calledIn, "fail-create"), nil, 0o600))
		_, err := Up(deadline(t), foreign)
		require.ErrorContains(t, err, "start lab: virtual container host lab-")
		require.ErrorContains(t, err, "no datastore, says the stand-in")
	})
}

func keys(m map[string]int) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	return all
}

func TestBadOptions(t *testing.T) {
	b, _ := binaries(t)
	t.Setenv("GOVC_URL", "")
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "precious"), nil, 0o600))
	missing := b
	missing.VCSim = "/nonexistent/vcsim"
	for _, tt := range []struct {
		name string
		opts Options
		want string
	}{
		{"vcenter", Options{Binaries: b, VCenter: "esx"}, `vcenter "esx": must be sim or env`},
		{"guests", Options{Binaries: b, Guests: "real"}, `guests "real": must be sim or none`},
		{"no GOVC_URL", Options{Binaries: b, VCenter: VCenterEnv}, "GOVC_URL is not set"},
		{"a program is missing", Options{Binaries: missing}, "run `make build` first"},
		{"no control plane", Options{Binaries: Binaries{Kube: "/nonexistent"}, NoVCH: true, VCenter: VCenterSim}, "run `make"},
		{"a folder in use", Options{Binaries: b, Dir: full}, "is not empty"},
		{"no kubeconfig", Options{Binaries: b, Kubeconfig: "/nonexistent"}, "use kubeconfig: stat /nonexistent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Up(deadline(t), tt.opts)
			require.ErrorContains(t, err, tt.want)
		})
	}
	require.FileExists(t, filepath.Join(full, "precious"))
}

func TestExamplesRun(t *testing.T) {
	pod := func(name, phase string) string {
		return fmt.Sprintf(`{"kind":"Pod","metadata":{"name":%q},"status":{"phase":%q,"message":"why"}}`, name, phase)
	}
	deployment := func(ready int) string {
		return fmt.Sprintf(`{"kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":2},"status":{"readyReplicas":%d}}`, ready)
	}
	list := func(items ...string) string { return `{"kind":"List","items":[` + strings.Join(items, ",") + `]}` }
	for _, tt := range []struct{ name, json, want string }{
		{"nothing", list(), ""},
		{"a lone pod that runs", pod("a", "Running"), ""},
		{"a lone pod that does not", pod("a", "Pending"), "pod a is Pending why"},
		{"one of two", list(pod("a", "Succeeded"), pod("b", "Failed")), "pod b is Failed why"},
		{"a deployment half up", list(deployment(1)), "Deployment web has 1 of 2 pods ready"},
		{"a deployment", list(deployment(2), `{"kind":"Service"}`), ""},
		{"rubbish", "rubbish", "read kubectl's answer: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := examplesRun([]byte(tt.json))
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestVMTable(t *testing.T) {
	const vm = `{"summary": {"config": {"name": "web", "guestFullName": "Photon - VCH v1, 2, 3", "numCpu": 1, "memorySizeMB": 512},
		"runtime": {"powerState": "poweredOff"}, "guest": {"ipAddress": "127.1.0.3"}}}`
	var out bytes.Buffer
	require.NoError(t, vmTable([]byte(`{"virtualMachines": [`+vm+`]}`), &out))
	require.Equal(t, `VM    GUEST NAME              CPU   MEMORY   POWER        IP
web   Photon - VCH v1, 2, 3   1     512 MB   poweredOff   127.1.0.3
`, out.String())
	require.ErrorContains(t, vmTable([]byte("rubbish"), &out), "read govc's answer: ")
}

func TestShorten(t *testing.T) {
	rows := "NAME\n" + strings.Repeat("row\n", shown)
	require.Equal(t, rows, shorten(rows))
	require.Equal(t, rows+"… and 2 more\n", shorten(rows+"row\nrow\n"))
	require.Empty(t, shorten(""))
}

func TestExports(t *testing.T) {
	info := Info{
		Kubeconfig: "/k",
		Govc:       map[string]string{"GOVC_PASSWORD": "it's $HOME"},
		Binaries:   map[string]string{"govc": "/b/govc", "kubectl": "/c/kubectl"},
	}
	out, err := exec.Command("sh", "-c", info.Exports()+`echo "$KUBECONFIG $GOVC_PASSWORD $PATH"`).Output()
	require.NoError(t, err)
	require.Equal(t, "/k it's $HOME /b:/c:"+os.Getenv("PATH")+"\n", string(out))
}

const example = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {type: virtual-kubelet}
      tolerations: [{operator: Exists}]
      containers: [{name: c, image: "example.com/web:1"}]
`

// With the real wolfpack: in a cluster and a vCenter that are not the lab's own, the examples become VMs, are shown, and are
// gone afterwards, as are the VCH and the node.
func testShow(t *testing.T, host *Lab) {
	b, _ := binaries(t)
	b.Wolfpack = filepath.Join(filepath.Dir(b.Govc), "wolfpack")
	require.ErrorContains(t, host.Show(t.Context(), "", "", io.Discard), "a lab without a node has nothing to show")
	examples := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(examples, "web.yaml"), []byte(example), 0o600))

	l := start(t, Options{Binaries: b, Kubeconfig: host.Info().Kubeconfig, VCenter: VCenterEnv, NoRegistry: true})
	require.ErrorContains(t, l.Show(deadline(t), t.TempDir(), "", io.Discard), "no *.yaml in ")
	var shown bytes.Buffer
	report := filepath.Join(t.TempDir(), "new", "telemetry.html")
	require.NoError(t, l.Show(deadline(t), examples, report, &shown))
	name := l.Info().VCH
	require.Regexp(t, `(?m)^`+name+` +Ready `, shown.String())
	require.Regexp(t, `(?m)^default +web-.* Running .* `+l.Info().Node+` `, shown.String())
	require.Regexp(t, `(?m)^`+name+` +Photon - VCH `, shown.String())
	require.Len(t, regexp.MustCompile(`(?m)^web-\S+ +Photon - Container `).FindAllString(shown.String(), -1), 2, shown.String())
	page, err := os.ReadFile(report)
	require.NoError(t, err)
	require.Contains(t, string(page), l.Info().VCH)

	require.NoError(t, l.Stop(deadline(t)))
	require.Empty(t, run(t, host, b.Govc, "find", "/", "-type", "m"))
	require.NotContains(t, run(t, host, b.Govc, "find", "/"), name)
	require.NotContains(t, run(t, host, b.kubectl(), "get", "pods,nodes,deployments"), name)
}
