// SPDX-License-Identifier: Apache-2.0

// Package guest names virtual machines and knows what each guest operating system needs of one.
//
// A VM's guest OS full name says which product made it, so that whoever reads a vCenter's inventory can count what runs
// where (vSphere Integrated Containers, issue 3645). The name is a grammar:
//
//	name    = os " - " role " " version ", " build ", " commit
//	os      = the word of a guest OS: Photon, Redhat, Windows, or any other text without " - "
//	role    = "VCH" | "Container"
//	version = as git describe prints it, such as v1.5.0-rc2 or v1.5.0-3-g0123abc
//	build   = number of the CI run, 0 for a local build
//	commit  = the commit's first 7 digits
//
// A name has at most 127 bytes, and no field holds a comma or a control character. vCenter shows it as the VM's guest
// full name when the VM's guestId is otherGuest or otherGuest64 and its alternateGuestName is the name.
package guest

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxNameBytes is the longest name there may be. Names longer than 128 bytes hit a vSphere bug (open-vm-tools issue
// 717), and one byte is for the terminator.
const MaxNameBytes = 127

// Role says what a VM is for.
type Role string

// The roles of VMs.
const (
	VCH       Role = "VCH"       // the endpoint VM of a virtual container host
	Container Role = "Container" // the VM of one pod
)

// Name is a guest OS full name, in its fields.
type Name struct {
	OS      string // word of the guest OS, such as Photon
	Role    Role
	Version string // as git describe prints it
	Build   string // number of the CI run
	Commit  string // at most 7 digits
}

// Format returns the name in one line. It is an error, which names the field and its value, if a field is empty or has
// a comma, a control character, or space at an end, if the OS contains " - ", if the role is not one of the two, if the
// commit has more than 7 digits, or if the name is longer than 127 bytes.
func (n Name) Format() (string, error) {
	for _, field := range n.fields() {
		if err := checkField(field.name, field.value); err != nil {
			return "", err
		}
	}
	if strings.Contains(n.OS, separator) || strings.HasSuffix(n.OS, " -") {
		return "", fmt.Errorf("guest name: os %q has the separator %q in it", n.OS, separator)
	}
	if n.Role != VCH && n.Role != Container {
		return "", fmt.Errorf("guest name: role %q, want %s or %s", n.Role, VCH, Container)
	}
	if len(n.Commit) > commitDigits {
		return "", fmt.Errorf("guest name: commit %q has %d digits, want at most %d", n.Commit, len(n.Commit), commitDigits)
	}
	text := n.text()
	if len(text) > MaxNameBytes {
		return "", fmt.Errorf("guest name: %q has %d bytes, want at most %d; the longest field is the %s",
			text, len(text), MaxNameBytes, n.longest())
	}
	return text, nil
}

// Parse is the reverse of Format: Parse(Format(n)) is n. It also reads what VIC wrote: fields padded with spaces (VIC's
// %7s), empty fields, any OS word. A name of another product is an error.
func Parse(text string) (Name, error) {
	if len(text) > MaxNameBytes {
		return Name{}, fmt.Errorf("guest name: %d bytes, want at most %d", len(text), MaxNameBytes)
	}
	if !utf8.ValidString(text) {
		return Name{}, fmt.Errorf("guest name %q is not valid UTF-8", text)
	}
	os, rest, ok := strings.Cut(text, separator)
	if !ok {
		return Name{}, fmt.Errorf("guest name %q has no %q after the guest OS", text, separator)
	}
	role, rest, _ := strings.Cut(rest, " ")
	fields := strings.Split(rest, ",")
	if len(fields) != 3 {
		return Name{}, fmt.Errorf("guest name %q has %d fields after the role, want 3: version, build, commit", text, len(fields))
	}
	name := Name{
		OS:      strings.Trim(os, " "),
		Role:    Role(role),
		Version: strings.Trim(fields[0], " "),
		Build:   strings.Trim(fields[1], " "),
		Commit:  strings.Trim(fields[2], " "),
	}
	return name, name.check(text)
}

const (
	separator    = " - "
	commitDigits = 7
)

// check accepts every name that Format writes, and VIC's.
func (n Name) check(text string) error {
	if n.Role != VCH && n.Role != Container {
		return fmt.Errorf("guest name %q has role %q, want %s or %s", text, n.Role, VCH, Container)
	}
	if n.OS == "" {
		return fmt.Errorf("guest name %q has no guest OS", text)
	}
	for _, field := range n.fields() {
		if i := strings.IndexFunc(field.value, unicode.IsControl); i >= 0 {
			return fmt.Errorf("guest name %q has a control character in its %s", text, field.name)
		}
	}
	return nil
}

type field struct{ name, value string }

func (n Name) fields() []field {
	return []field{{"os", n.OS}, {"version", n.Version}, {"build", n.Build}, {"commit", n.Commit}}
}

func (n Name) text() string {
	return n.OS + separator + string(n.Role) + " " + n.Version + ", " + n.Build + ", " + n.Commit
}

func (n Name) longest() string {
	longest := field{}
	for _, f := range n.fields() {
		if len(f.value) > len(longest.value) {
			longest = f
		}
	}
	return longest.name
}

func checkField(name, value string) error {
	switch {
	case value == "":
		return fmt.Errorf("guest name: %s is empty", name)
	case !utf8.ValidString(value):
		return fmt.Errorf("guest name: %s %q is not valid UTF-8", name, value)
	case strings.Contains(value, ","):
		return fmt.Errorf("guest name: %s %q has a comma in it", name, value)
	case strings.ContainsFunc(value, unicode.IsControl):
		return fmt.Errorf("guest name: %s %q has a control character in it", name, value)
	case strings.Trim(value, " ") != value:
		return fmt.Errorf("guest name: %s %q begins or ends with a space", name, value)
	}
	return nil
}
