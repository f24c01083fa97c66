// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseVCSim(t *testing.T) {
	for line, want := range map[string]string{
		"export GOVC_URL=https://user:pass@127.0.0.1:8989/sdk GOVC_SIM_PID=42": "127.0.0.1:8989",
		"export GOVC_URL=https://a%40b:p%2Fw@[::1]:8989/sdk GOVC_SIM_PID=42":   "[::1]:8989",
		"export GOVC_URL=https://127.0.0.1:8989/sdk":                           "127.0.0.1:8989",
		"export GOVC_URL=https://127.0.0.1/sdk":                                "",
		"export GOVC_URL=:":                                                    "",
		" export GOVC_URL=https://127.0.0.1:8989/sdk":                          "",
		"+ vcsim -l 127.0.0.1:0":                                               "",
	} {
		got, ok := parseVCSim(line)
		require.Equal(t, want, got, line)
		require.Equal(t, want != "", ok, line)
	}
}

func TestParseRegistry(t *testing.T) {
	for line, want := range map[string]string{
		`time="…" level=info msg="listening on 127.0.0.1:38947, tls" go.version=go1.26`: "127.0.0.1:38947",
		`time="…" level=info msg="listening on [::1]:38947, tls"`:                       "[::1]:38947",
		`time="…" level=info msg="listening on 127.0.0.1:38947"`:                        "",
		`time="…" level=info msg="redis not configured"`:                                "",
	} {
		got, ok := parseRegistry(line)
		require.Equal(t, want, got, line)
		require.Equal(t, want != "", ok, line)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("export GOVC_URL=https://user:pass@127.0.0.1:8989/sdk GOVC_SIM_PID=42")
	f.Add("export GOVC_URL=//::0")
	f.Add(`msg="listening on 127.0.0.1:38947, tls"`)
	f.Fuzz(func(t *testing.T, line string) {
		if address, ok := parseVCSim(line); ok {
			_, _, err := net.SplitHostPort(address)
			require.NoError(t, err)
		}
		if address, ok := parseRegistry(line); ok {
			require.Regexp(t, `:\d+$`, address)
		}
	})
}

// The line is found however the output is cut into pieces, and only the first one counts.
func TestLineWatch(t *testing.T) {
	const output = "hello\nexport GOVC_URL=https://127.0.0.1:1/sdk\nexport GOVC_URL=https://127.0.0.1:2/sdk\n"
	for size := 1; size <= len(output); size++ {
		w := newLineWatch(parseVCSim)
		for rest := output; rest != ""; {
			n := min(size, len(rest))
			written, err := w.Write([]byte(rest[:n]))
			require.NoError(t, err)
			require.Equal(t, n, written)
			rest = rest[n:]
		}
		require.Equal(t, "127.0.0.1:1", <-w.found)
	}
	w := newLineWatch(parseVCSim)
	_, err := w.Write([]byte("export GOVC_URL=https://127.0.0.1:1/sdk"))
	require.NoError(t, err)
	require.Empty(t, w.found, "a line is one when it has ended")
}
