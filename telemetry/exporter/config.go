// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/soap"
	"sigs.k8s.io/yaml"

	"wolfpack/errs"
	"wolfpack/telemetry/products"
	"wolfpack/vsphere"
)

// VCenter is a vCenter, or an ESXi host, to export.
type VCenter struct {
	vsphere.Config

	Name         string // the label vcenter of its metrics
	PasswordFile string // is read at each login, and has the password instead of Config
	Products     products.Config
}

// entry is a vCenter in the configuration file.
type entry struct {
	Name         string `json:"name"`
	URL          string `json:"url"`
	Username     string `json:"username"`
	PasswordFile string `json:"passwordFile"`
	CACerts      string `json:"caCerts"`
	Insecure     bool   `json:"insecure"`
	Datacenter   string `json:"datacenter"`

	Probe            []string `json:"probe"`
	ProbeCACerts     string   `json:"probeCACerts"`
	ProbeCredentials string   `json:"probeCredentials"`
}

// ReadConfig reads the vCenters of a YAML file, in which no password is: that is in files of its own. Logins of products that
// their files do not have come from the environment.
func ReadConfig(path string) ([]VCenter, error) {
	const op = "exporter.ReadConfig"
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, errs.New(op, errs.Invalid, "config: %w", err)
	}
	all, err := parseConfig(text)
	if err != nil {
		return nil, errs.New(op, errs.Invalid, "config %s: %w", path, err)
	}
	return all, nil
}

func parseConfig(text []byte) ([]VCenter, error) {
	var file struct {
		VCenters []entry `json:"vcenters"`
	}
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		return nil, fmt.Errorf("%w; want a list vcenters, of which each has url, username, passwordFile, and what else it needs of: "+
			"name, caCerts, insecure, datacenter, probe, probeCACerts, probeCredentials", err)
	}
	if len(file.VCenters) == 0 {
		return nil, errors.New("no vCenter in it; want a list vcenters")
	}
	var all []VCenter
	for i, e := range file.VCenters {
		if e.PasswordFile == "" {
			return nil, fmt.Errorf("vcenters[%d] has no passwordFile: name the file that has the password and nothing else", i)
		}
		vc := VCenter{
			Config: vsphere.Config{
				URL: e.URL, Username: e.Username, CACerts: e.CACerts, Insecure: e.Insecure, Datacenter: e.Datacenter,
			},
			Name: e.Name, PasswordFile: e.PasswordFile, Products: products.ConfigFromEnv(),
		}
		vc.Products.URLs, vc.Products.CACerts, vc.Products.Credentials = e.Probe, e.ProbeCACerts, e.ProbeCredentials
		if err := vc.Complete(); err != nil {
			return nil, fmt.Errorf("vcenters[%d]: %w", i, err)
		}
		all = append(all, vc)
	}
	return all, nil
}

// Complete checks the vCenter, and names it after its host if it has no name.
func (v *VCenter) Complete() error {
	if v.URL == "" {
		return errors.New("no url; want one such as https://vc.example.com/sdk")
	}
	parsed, err := soap.ParseURL(v.URL)
	if err != nil || parsed.Hostname() == "" || parsed.Scheme != "https" && parsed.Scheme != "http" {
		return errors.New("the url does not parse; want one such as https://vc.example.com/sdk")
	}
	if secret, _ := parsed.User.Password(); secret != "" && v.PasswordFile != "" {
		return fmt.Errorf("the url of %s has a password in it, and there is a password file too: leave it out", parsed.Host)
	}
	if cmp.Or(v.Username, parsed.User.Username()) == "" {
		return fmt.Errorf("no username for %s", parsed.Host)
	}
	v.Name = cmp.Or(v.Name, parsed.Host)
	return nil
}

// password is that of the file.
func (v *VCenter) password() (string, error) {
	text, err := os.ReadFile(v.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("password file: %w", err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("password file %s is empty", v.PasswordFile)
	}
	return secret, nil
}

// check says what is wrong with the options.
func (o *Options) check() error {
	if len(o.VCenters) == 0 {
		return errors.New("no vCenter to export")
	}
	for i := range o.VCenters {
		vc := &o.VCenters[i]
		if err := vc.Complete(); err != nil {
			return err
		}
		if slices.ContainsFunc(o.VCenters[:i], func(other VCenter) bool { return other.Name == vc.Name }) {
			return fmt.Errorf("two vCenters are called %q: give one of them another name", vc.Name)
		}
	}
	switch {
	case o.Interval < 0:
		return fmt.Errorf("interval is %s, want more than 0s", o.Interval)
	case o.Since < 0:
		return fmt.Errorf("since is %s, want a time to look back, such as 720h", o.Since)
	case o.PageSize < 0:
		return fmt.Errorf("page size is %d, want a number of objects, such as 1000", o.PageSize)
	case (o.CertFile == "") != (o.KeyFile == ""):
		return errors.New("of tls-cert-file and tls-private-key-file there is one: give both, or none")
	}
	if o.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile); err != nil {
			return fmt.Errorf("tls-cert-file and tls-private-key-file: %w", err)
		}
	}
	return nil
}
