// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	corev1 "k8s.io/api/core/v1"

	"wolfpack/provider"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

func TestNodeRefusesBadInput(t *testing.T) {
	t.Setenv("HOME", t.TempDir()) // no ~/.kube/config
	t.Setenv("KUBECONFIG", "")
	missing := filepath.Join(t.TempDir(), "missing")
	cases := map[string]struct {
		args []string
		want string
	}{
		"no VCH":             {nil, "name one with --vch"},
		"no cluster":         {[]string{"--vch", "web"}, "no Kubernetes cluster given: name a configuration file with --kubeconfig"},
		"no such file":       {[]string{"--vch", "web", "--kubeconfig", missing}, missing},
		"not an address":     {[]string{"--vch", "web", "--address", "here"}, `address "here" is no IP address`},
		"no pods at all":     {[]string{"--vch", "web", "--max-pods", "0"}, "max-pods is 0, want at least 1"},
		"not a log format":   {[]string{"--vch", "web", "--log-format", "xml"}, `log-format is "xml", want one of text, json`},
		"health address":     {[]string{"--vch", "web", "--health-address", "here"}, `health-address "here": `},
		"kubelet port":       {[]string{"--vch", "web", "--kubelet-port", "-1"}, "kubelet-port is -1, want a TCP port, or 0"},
		"kubelet address":    {[]string{"--vch", "web", "--kubelet-address", "here"}, `kubelet-address "here" is no IP address`},
		"half a certificate": {[]string{"--vch", "web", "--tls-cert-file", "a.crt"}, "want both or neither"},
		"several names":      {[]string{"--vch", "a", "--vch", "b", "--node-name", "n"}, `node-name is "n", but there are 2 VCHs`},
		"ports of all":       {[]string{"--vch", "a,b", "--kubelet-port", "65535"}, "kubelet-port is 65535, and 2 nodes have the ports up to 65536: want no more than 65534"},
		"empty VCH":          {[]string{"--vch", "web,"}, "vch: a VCH needs a name"},
		"no name of a VCH":   {[]string{"--vch", "my vch"}, `vch: name "my vch" has the character ' '`},
		"system namespace":   {[]string{"--vch", "web", "--system-namespace", "My_NS"}, `system-namespace is "My_NS": a lowercase RFC 1123 label`},
		"idle times":         {[]string{"--vch", "web", "--leader-elect-lease-duration", "1s"}, "the lease duration is 1s"},
		"one VCH twice":      {[]string{"--vch", "a,a"}, `VCH "a" is given twice`},
		"no name of a node":  {[]string{"--vch", "My_VCH"}, `"wolfpack-My_VCH" is no name of a node`},
		"no label":           {[]string{"--vch", "web", "--node-labels", "a b=c"}, `"a b" is no label`},
		"no label value":     {[]string{"--vch", "web", "--node-labels", "a=b c"}, `"b c" is no value of label a`},
		"wolfpack's label":   {[]string{"--vch", "web", "--node-labels", "wolfpack.vch=x"}, "wolfpack.vch is what wolfpack itself says of the node"},
		"no taint":           {[]string{"--vch", "web", "--node-taints", "a=b"}, `"a=b" has the effect "", want NoSchedule`},
		"no taint key":       {[]string{"--vch", "web", "--node-taints", "=b:NoSchedule"}, `has the key ""`},
		"no taint value":     {[]string{"--vch", "web", "--node-taints", "a=b/c:NoSchedule"}, `has the value "b/c"`},
		"a taint twice":      {[]string{"--vch", "web", "--node-taints", "a=1:NoSchedule,a=2:NoSchedule"}, "there is already a taint a:NoSchedule"},
		"election times":     {[]string{"--vch", "web", "--leader-elect", "--leader-elect-renew-deadline", "20s"}, "the lease duration is 15s, want more than the renew deadline of 20s"},
		"negative patience":  {[]string{"--vch", "web", "--keep-finished-vms", "-1s"}, "keep-finished-vms is -1s, want at least 0s"},
		"an argument":        {[]string{"web"}, `unknown command "web"`},
		"max-pods no number": {[]string{"--max-pods", "many"}, `invalid argument "many"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, fails(t, append([]string{"node"}, tc.args...)...), tc.want)
		})
	}
}

// Every flag is in a group, or a user would not hear of it, and in one alone.
func TestNodeHelpShowsEachFlag(t *testing.T) {
	help := works(t, "node", "--help")
	cmd := newNodeCommand()
	require.True(t, cmd.HasFlags())
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		found := regexp.MustCompile(`(?m)^ +(-\w, |    )--`+flag.Name+` `).FindAllString(help, -1)
		require.Len(t, found, 1, flag.Name)
	})
	for line := range strings.SplitSeq(help, "\n") {
		require.LessOrEqual(t, len(line), helpWidth, line)
	}
}

func TestNodeCompletion(t *testing.T) {
	stand(t)
	works(t, "vch", "create", "web", "--network", "VM Network")
	works(t, "vch", "create", "db", "--network", "VM Network")
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"VCHs":    {[]string{"--vch", ""}, `^db\tPhoton - VCH .*\nweb\tPhoton - VCH .*\n:4\n`},
		"more":    {[]string{"--vch", "db", "--vch", ""}, `^web\tPhoton - VCH .*\n:4\n`},
		"formats": {[]string{"--log-format", ""}, `^text\njson\n:4\n`},
		"folders": {[]string{"--cert-dir", ""}, `^:16\n`},
		"flags":   {[]string{"--leader-elect-l"}, `^--leader-elect-lease-duration\t`},
	} {
		t.Run(name, func(t *testing.T) {
			require.Regexp(t, tc.want, works(t, append([]string{cobra.ShellCompRequestCmd, "node"}, tc.args...)...))
		})
	}
	require.Contains(t, works(t, "completion", "bash"), "__start_wolfpack")
}

func TestParseTaint(t *testing.T) {
	for text, want := range map[string]corev1.Taint{
		"dedicated=db:NoSchedule":   {Key: "dedicated", Value: "db", Effect: corev1.TaintEffectNoSchedule},
		"example.com/gpu:NoExecute": {Key: "example.com/gpu", Effect: corev1.TaintEffectNoExecute},
		"a=:PreferNoSchedule":       {Key: "a", Effect: corev1.TaintEffectPreferNoSchedule},
		provider.Taint.ToString():   provider.Taint,
	} {
		taint, err := parseTaint(text)
		require.NoError(t, err, text)
		require.Equal(t, want, taint, text)
	}
}

func FuzzParseTaint(f *testing.F) {
	f.Add("dedicated=db:NoSchedule")
	f.Fuzz(func(t *testing.T, text string) {
		taint, err := parseTaint(text)
		if err != nil {
			return
		}
		again, err := parseTaint(taint.ToString())
		require.NoError(t, err, text)
		require.Equal(t, taint, again, text)
	})
}

func TestTopologyLabels(t *testing.T) {
	server := stand(t)
	works(t, "vch", "create", "web", "--network", "VM Network")
	client, err := vsphere.Connect(t.Context(), vsphere.ConfigFromEnv())
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Logout(context.Background())) }()
	host, err := vch.Find(t.Context(), client, "web")
	require.NoError(t, err)
	admin := rest.NewClient(client.Client)
	defer admin.CloseIdleConnections()
	require.NoError(t, admin.Login(t.Context(), server.URL().User))
	manager := tags.NewManager(admin)
	attach := func(category, tag string) {
		t.Helper()
		id, err := manager.CreateCategory(t.Context(), &tags.Category{Name: category, Cardinality: "SINGLE"})
		require.NoError(t, err)
		made, err := manager.CreateTag(t.Context(), &tags.Tag{Name: tag, CategoryID: id})
		require.NoError(t, err)
		require.NoError(t, manager.AttachTag(t.Context(), made, host.Datacenter.Ref))
	}
	attach("k8s-zone", "east-1")
	attach("k8s-region", "the east")
	attach("site", "hall-7")

	o := labelOptions{labels: map[string]string{"tier": "gold"}, zoneCategory: "k8s-zone"}
	labels, err := o.topology(t.Context(), client, host)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"tier": "gold", corev1.LabelTopologyZone: "east-1"}, labels)
	require.Equal(t, map[string]string{"tier": "gold"}, o.labels)

	o = labelOptions{zoneCategory: "site", regionCategory: "k8s-region"}
	_, err = o.topology(t.Context(), client, host)
	require.ErrorContains(t, err, `tag "the east" of category k8s-region cannot be the value of label topology.kubernetes.io/region`)

	o.labels = map[string]string{corev1.LabelTopologyRegion: "east"}
	labels, err = o.topology(t.Context(), client, host)
	require.NoError(t, err)
	require.Equal(t, map[string]string{corev1.LabelTopologyZone: "hall-7", corev1.LabelTopologyRegion: "east"}, labels, "what is configured counts")
	require.NoError(t, admin.Logout(t.Context()))
}
