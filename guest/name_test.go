// SPDX-License-Identifier: Apache-2.0

package guest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wolfpack/guest"
)

func TestFormat(t *testing.T) {
	cases := map[string]guest.Name{
		"Photon - VCH v1.5.0, 19891, 0123456":              {OS: "Photon", Role: guest.VCH, Version: "v1.5.0", Build: "19891", Commit: "0123456"},
		"Photon - Container v0.1.0-3-gabc1234, 0, abc1234": {OS: "Photon", Role: guest.Container, Version: "v0.1.0-3-gabc1234", Build: "0", Commit: "abc1234"},
		"Redhat - Container unknown, 0, unknown":           {OS: "Redhat", Role: guest.Container, Version: "unknown", Build: "0", Commit: "unknown"},
		"Windows - Container v2.0.0-rc1, 7, dead":          {OS: "Windows", Role: guest.Container, Version: "v2.0.0-rc1", Build: "7", Commit: "dead"},
	}
	for want, name := range cases {
		t.Run(want, func(t *testing.T) {
			text, err := name.Format()
			require.NoError(t, err)
			require.Equal(t, want, text)
			back, err := guest.Parse(text)
			require.NoError(t, err)
			require.Equal(t, name, back)
		})
	}
}

func TestFormatSaysWhichFieldIsBad(t *testing.T) {
	good := guest.Name{OS: "Photon", Role: guest.VCH, Version: "v1", Build: "2", Commit: "abcdef0"}
	cases := map[string]struct {
		change func(*guest.Name)
		want   string
	}{
		"no os":                  {func(n *guest.Name) { n.OS = "" }, "os is empty"},
		"os with the separator":  {func(n *guest.Name) { n.OS = "Photon - OS" }, `os "Photon - OS" has the separator`},
		"os that joins it":       {func(n *guest.Name) { n.OS = "Photon -" }, `os "Photon -" has the separator`},
		"no role":                {func(n *guest.Name) { n.Role = "" }, `role "", want VCH or Container`},
		"other role":             {func(n *guest.Name) { n.Role = "vch" }, `role "vch", want VCH or Container`},
		"version with comma":     {func(n *guest.Name) { n.Version = "v1,2" }, `version "v1,2" has a comma`},
		"build with a line feed": {func(n *guest.Name) { n.Build = "1\n" }, `build "1\n" has a control character`},
		"no build":               {func(n *guest.Name) { n.Build = "" }, "build is empty"},
		"padded commit":          {func(n *guest.Name) { n.Commit = " abc" }, `commit " abc" begins or ends with a space`},
		"long commit":            {func(n *guest.Name) { n.Commit = "abcdef01" }, `commit "abcdef01" has 8 digits, want at most 7`},
		"not UTF-8":              {func(n *guest.Name) { n.Version = "\xff" }, "version \"\\xff\" is not valid UTF-8"},
		"too long":               {func(n *guest.Name) { n.Version = strings.Repeat("v", 120) }, "want at most 127; the longest field is the version"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			bad := good
			tc.change(&bad)
			_, err := bad.Format()
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestParseReadsWhatVICWrote(t *testing.T) {
	cases := map[string]guest.Name{
		"Photon - VCH v1.5.0-rc2, 19891,  abc123":     {OS: "Photon", Role: guest.VCH, Version: "v1.5.0-rc2", Build: "19891", Commit: "abc123"},
		"Photon - Container v1.4.3, , 5b5bf9a":        {OS: "Photon", Role: guest.Container, Version: "v1.4.3", Commit: "5b5bf9a"},
		"Photon - Container , ,        ":              {OS: "Photon", Role: guest.Container},
		"Photon - VCH v1.5.0, 21, 0123456789":         {OS: "Photon", Role: guest.VCH, Version: "v1.5.0", Build: "21", Commit: "0123456789"},
		"Haiku OS - Container v9.9.9, 1, 1234567":     {OS: "Haiku OS", Role: guest.Container, Version: "v9.9.9", Build: "1", Commit: "1234567"},
		"Photon - Container  v1.0.0 ,  12 ,  1234567": {OS: "Photon", Role: guest.Container, Version: "v1.0.0", Build: "12", Commit: "1234567"},
	}
	for text, want := range cases {
		t.Run(text, func(t *testing.T) {
			name, err := guest.Parse(text)
			require.NoError(t, err)
			require.Equal(t, want, name)
		})
	}
}

func TestParseRefusesOtherNames(t *testing.T) {
	cases := map[string]string{
		"":                                    "no \" - \"",
		"otherGuest64":                        "no \" - \"",
		"VMware Photon OS (64-bit)":           "no \" - \"",
		"Photon - vch v1, 2, 3":               `role "vch", want VCH or Container`,
		"Photon - VCH":                        "1 fields after the role, want 3",
		"Photon - VCH v1, 2":                  "2 fields after the role, want 3",
		"Photon - VCH v1, 2, 3, 4":            "4 fields after the role, want 3",
		" - VCH v1, 2, 3":                     "no guest OS",
		"Photon - VCH v\x00, 2, 3":            "control character in its version",
		"Photon - VCH v1, 2, \xff":            "not valid UTF-8",
		"P - VCH " + strings.Repeat("1", 120): "128 bytes, want at most 127",
	}
	for text, want := range cases {
		t.Run(text, func(t *testing.T) {
			_, err := guest.Parse(text)
			require.ErrorContains(t, err, want)
		})
	}
}

func FuzzParseOfFormat(f *testing.F) {
	f.Add("Photon", "VCH", "v1.5.0-rc2", "19891", "0123456")
	f.Add("Photon -", "Container", "- ", "", "1234567")
	f.Fuzz(func(t *testing.T, os, role, version, build, commit string) {
		name := guest.Name{OS: os, Role: guest.Role(role), Version: version, Build: build, Commit: commit}
		text, err := name.Format()
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(text), guest.MaxNameBytes)
		back, err := guest.Parse(text)
		require.NoError(t, err)
		require.Equal(t, name, back)
	})
}

func FuzzParse(f *testing.F) {
	f.Add("Photon - VCH v1.5.0-rc2, 19891,  abc123")
	f.Add("Photon - Container , ,")
	f.Fuzz(func(t *testing.T, text string) {
		name, err := guest.Parse(text)
		if err != nil {
			return
		}
		require.Contains(t, []guest.Role{guest.VCH, guest.Container}, name.Role)
		formatted, err := name.Format()
		if err != nil {
			return // a name that VIC could write and we would not
		}
		again, err := guest.Parse(formatted)
		require.NoError(t, err)
		require.Equal(t, name, again)
	})
}
