// SPDX-License-Identifier: Apache-2.0

package vch_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wolfpack/vch"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", "web", "Web-1", "team_a.web", "9", strings.Repeat("x", 63)} {
		require.NoError(t, vch.CheckName(name), name)
	}
	bad := map[string]string{
		"":                      "needs a name",
		"we b":                  "has the character ' ' in it",
		"web/1":                 "has the character '/' in it",
		"wéb":                   "has the character 'é' in it",
		"web\n":                 `has the character '\n' in it`,
		"-web":                  "must begin and end with a letter or digit",
		"web.":                  "must begin and end with a letter or digit",
		strings.Repeat("x", 64): "has 64 characters, want at most 63",
		"web.incomplete":        "marks what is not whole",
	}
	for name, want := range bad {
		require.ErrorContains(t, vch.CheckName(name), want, "%q", name)
	}
}

// A node is labelled with its VCH's name, so whatever passes must be a label value.
func FuzzCheckName(f *testing.F) {
	f.Add("web")
	f.Add("-")
	f.Fuzz(func(t *testing.T, name string) {
		if vch.CheckName(name) == nil {
			require.Regexp(t, `^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`, name)
		}
	})
}
