// SPDX-License-Identifier: Apache-2.0

package products

import (
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// Whatever a server says, a version that is taken from it can be a label and a cell of a table.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"auth_mode":"db_auth","harbor_version":"v2.12.1-6abb4eab"}`, `{"harbor_version":7}`, `{"harbor_version":"a\nb"}`, `[]`, ``, `<!doctype html>`,
		`{"key":"__build.number","value":"0.9.1 (1423)"}`, `{"key":"__build.number","value":"\u0000"}`, `{"components":[{"name":"db"}]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		reply := answer{status: http.StatusOK, body: []byte(body)}
		info, _ := readSystemInfo(reply)
		build, _ := readBuild(reply)
		var state health
		if reply.decode(http.StatusOK, &state) {
			_ = state.ailing()
		}
		for _, version := range []string{info.Version, build} {
			require.LessOrEqual(t, len(version), 100)
			require.False(t, strings.ContainsFunc(version, unicode.IsControl), "%q", version)
		}
	})
}

func FuzzURL(f *testing.F) {
	for _, seed := range []string{"https://harbor.example.com", "HTTPS://[::1]:8282//", "http://h%2f/", "https://u:p@h", "//h", "https:h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parse(text)
		if err != nil {
			return
		}
		again, err := parse(parsed.String())
		require.NoError(t, err)
		require.Equal(t, parsed.String(), again.String())
	})
}
