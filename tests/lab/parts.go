// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"wolfpack/tests/kube"
	"wolfpack/tests/process"
)

// localhost is what the lab's own servers listen on, and what their certificates are for.
const localhost = "127.0.0.1"

func (l *Lab) startControlPlane(ctx context.Context) error {
	c, err := kube.Start(ctx, kube.Options{Dir: l.path("kube"), Binaries: l.opts.Binaries.Kube, Logs: l.info.Logs})
	if err != nil {
		return err
	}
	l.kube = c
	l.group.Add(c)
	maps.Copy(l.info.Pids, c.Pids())
	l.info.Kubeconfig = c.Kubeconfig()
	return nil
}

// useCluster uses the cluster of a kubeconfig, and sees that it is there.
func (l *Lab) useCluster(ctx context.Context) error {
	path, err := filepath.Abs(l.opts.Kubeconfig)
	if err != nil {
		return err
	}
	l.info.Kubeconfig = path
	client, done, err := l.client()
	if err != nil {
		return err
	}
	defer done()
	return process.Until(ctx, &l.group, "the cluster of "+path+" answers", func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// startVCenter starts the stand-in on a port that it chooses itself, and waits for the line in which it says which.
func (l *Lab) startVCenter(ctx context.Context) error {
	crt, key := l.path("vcenter.crt"), l.path("vcenter.key")
	pair, err := l.ca.Server(localhost, "localhost", "::1")
	if err != nil {
		return err
	}
	if err := pair.WriteFiles(crt, key); err != nil {
		return err
	}
	user, password := "administrator@vsphere.local", rand.Text()
	said := newLineWatch(parseVCSim)
	p, err := process.Start(process.Spec{
		Name: "vcsim", Path: l.opts.Binaries.VCSim, Log: l.log("vcsim"), Env: l.env(), Output: said,
		Args: []string{
			"-l", localhost + ":0", "-tlscert", crt, "-tlskey", key, "-username", user, "-password", password,
			// No machines but those that Wolfpack makes, so that what is left at the end is easy to see.
			"-vm", "0", "-guests", l.opts.Guests,
		},
	})
	if err != nil {
		return err
	}
	l.adopt(p)
	address, err := said.wait(ctx, p, time.Minute)
	if err != nil {
		return fmt.Errorf("wait for its address: %w", err)
	}
	l.info.Govc = map[string]string{
		"GOVC_URL": "https://" + address + "/sdk", "GOVC_USERNAME": user, "GOVC_PASSWORD": password,
		"GOVC_TLS_CA_CERTS": l.path("ca.crt"), "GOVC_DATACENTER": "DC0", "GOVC_DATASTORE": "LocalDS_0",
		// The stand-in has a cluster and a host beside it, so one has to say which.
		"GOVC_RESOURCE_POOL": "/DC0/host/DC0_C0/Resources",
		// govc would keep its session in the user's home, for a vCenter that is soon gone.
		"GOVC_PERSIST_SESSION": "false",
	}
	return nil
}

// parseVCSim takes the address from the line that vcsim prints when it is ready:
// export GOVC_URL=https://user:pass@host:port/sdk GOVC_SIM_PID=pid
func parseVCSim(line string) (address string, ok bool) {
	rest, ok := strings.CutPrefix(line, "export GOVC_URL=")
	if !ok {
		return "", false
	}
	text, _, _ := strings.Cut(rest, " ")
	u, err := url.Parse(text)
	if err != nil {
		return "", false
	}
	if _, _, err := net.SplitHostPort(u.Host); err != nil {
		return "", false
	}
	return u.Host, true
}

// useVCenter uses the vCenter of the GOVC_ variables.
func (l *Lab) useVCenter(context.Context) error {
	for _, kv := range os.Environ() {
		if k, v, _ := strings.Cut(kv, "="); strings.HasPrefix(k, "GOVC_") && v != "" {
			l.info.Govc[k] = v
		}
	}
	return nil
}

// createVCH makes the virtual container host. In a vCenter that outlives the lab, the lab removes it again.
func (l *Lab) createVCH(ctx context.Context) error {
	if err := l.wolfpack(ctx, "vch-create", vchCreateArgs(l.opts.VCH)...); err != nil {
		return err
	}
	l.info.VCH = l.opts.VCH
	if l.opts.VCenter == VCenterEnv {
		l.group.Add(newUndo(func(ctx context.Context) error {
			return l.wolfpack(ctx, "vch-delete", vchDeleteArgs(l.opts.VCH)...)
		}))
	}
	return nil
}

// startNode starts the virtual node, with no more rights than it needs if the cluster is the lab's own.
func (l *Lab) startNode(ctx context.Context) error {
	kubeconfig, address := l.info.Kubeconfig, ""
	if l.kube != nil {
		kubeconfig, address = l.path("node.kubeconfig"), localhost
		if err := l.kube.UserKubeconfig(kubeconfig, kube.NodeUser(l.opts.Node), kube.NodeGroup); err != nil {
			return err
		}
	} else {
		l.group.Add(newUndo(l.deleteNode))
	}
	p, err := process.Start(process.Spec{
		Name: "node", Path: l.opts.Binaries.Wolfpack, Args: nodeArgs(l.opts.VCH, kubeconfig, l.opts.Node, address, l.path("node")),
		Log: l.log("node"), Env: l.env(),
	})
	if err != nil {
		return err
	}
	l.adopt(p)
	l.info.Node = l.opts.Node
	return nil
}

// How the lab calls wolfpack.
func vchCreateArgs(name string) []string { return []string{"vch", "create", name} }
func vchDeleteArgs(name string) []string { return []string{"vch", "delete", name, "--force"} } // with pods left over
func nodeArgs(vch, kubeconfig, node, address, certificates string) []string {
	args := []string{"node", "--vch", vch, "--kubeconfig", kubeconfig, "--node-name", node, "--kubelet-port", "0", "--cert-dir", certificates}
	if address != "" {
		args = append(args, "--address", address, "--kubelet-address", address)
	}
	return args
}

// wolfpack runs one of wolfpack's commands, with a log of its own.
func (l *Lab) wolfpack(ctx context.Context, log string, args ...string) error {
	return process.Run(ctx, process.Spec{
		Name: "wolfpack " + strings.Join(args, " "), Path: l.opts.Binaries.Wolfpack, Args: args, Log: l.log(log), Env: l.env(),
		Grace: time.Minute, // to undo what it did
	})
}

// writeReadyFile writes the ready file.
func (l *Lab) writeReadyFile(context.Context) error { return l.info.write(l.opts.ReadyFile) }

// log returns the log file of the part called name.
func (l *Lab) log(name string) string { return filepath.Join(l.info.Logs, name+".log") }
