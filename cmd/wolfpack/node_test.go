// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
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
		"an argument":        {[]string{"web"}, `unknown command "web"`},
		"max-pods no number": {[]string{"--max-pods", "many"}, `invalid argument "many"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, fails(t, append([]string{"node"}, tc.args...)...), tc.want)
		})
	}
}
