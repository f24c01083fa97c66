// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/simulator"

	"wolfpack/tests/vcsim"
	"wolfpack/tests/vcsim/qemu"
)

// flags are the command line.
type flags struct {
	set    *flag.FlagSet
	config vcsim.Config

	esx         bool
	tls         bool
	env         string
	tunnel      int
	trace       bool
	traceFile   string
	stdinExit   bool
	faults      string
	methodDelay delays
}

// parse reads the command line. It exits on one that is wrong, as package flag does.
func parse(args []string) *flags {
	f := &flags{set: flag.NewFlagSet("vcsim", flag.ExitOnError)}
	f.config.Model = simulator.VPX()
	f.inventory(f.config.Model)
	f.server()
	_ = f.set.Parse(args) // exits on an error
	f.config.Plain = !f.tls
	return f
}

// inventory declares the flags that say what there is to begin with.
func (f *flags) inventory(m *simulator.Model) {
	for _, count := range []struct {
		to    *int
		name  string
		usage string
	}{
		{&m.Datacenter, "dc", "Number of datacenters"},
		{&m.Cluster, "cluster", "Number of clusters"},
		{&m.ClusterHost, "host", "Number of hosts per cluster"},
		{&m.Host, "standalone-host", "Number of standalone hosts"},
		{&m.Datastore, "ds", "Number of local datastores"},
		{&m.Machine, "vm", "Number of virtual machines per resource pool"},
		{&m.Pool, "pool", "Number of resource pools per compute resource"},
		{&m.App, "app", "Number of virtual apps per compute resource"},
		{&m.Pod, "pod", "Number of storage pods per datacenter"},
		{&m.Portgroup, "pg", "Number of port groups"},
		{&m.PortgroupNSX, "pg-nsx", "Number of NSX backed port groups"},
		{&m.OpaqueNetwork, "nsx", "Number of NSX backed opaque networks"},
		{&m.Folder, "folder", "Number of folders"},
	} {
		f.set.IntVar(count.to, count.name, *count.to, count.usage)
	}
	f.set.BoolVar(&m.Autostart, "autostart", m.Autostart, "Power on the virtual machines that there are to begin with")
	version := &m.ServiceContent.About.ApiVersion
	f.set.StringVar(version, "api-version", *version, "API version")
	f.set.BoolVar(&f.esx, "esx", false, "Be a standalone ESX host")
	f.set.StringVar(&f.config.Load, "load", "", "Load the inventory from a directory that govc object.save wrote")
	f.set.IntVar(&m.DelayConfig.Delay, "delay", 0, "Delay of every method's response, in milliseconds")
	f.set.Var(&f.methodDelay, "method-delay", "Delays by method, in milliseconds: method1:delay1,method2:delay2...")
	f.set.Float64Var(&m.DelayConfig.DelayJitter, "delay-jitter", 0, "Coefficient of variation of the delays; 0.5 is a good value to begin with")
}

// server declares the flags that say how it is served.
func (f *flags) server() {
	c := &f.config
	f.set.StringVar(&c.Listen, "l", "127.0.0.1:8989", "Listen address; port 0 is a free one")
	f.set.BoolVar(&f.tls, "tls", true, "Enable TLS")
	f.set.StringVar(&c.CertFile, "tlscert", "", "TLS certificate file (default: one of its own, whose CA the export line names)")
	f.set.StringVar(&c.KeyFile, "tlskey", "", "TLS key file")
	f.set.StringVar(&c.Username, "username", "", "Login user name (default: any)")
	f.set.StringVar(&c.Password, "password", "", "Login password (default: any)")
	f.set.StringVar(&c.Guests, "guests", vcsim.GuestsNone, `What runs in powered-on VMs: "none", "sim" for simulated guests in pod VMs, or "qemu" for real ones, run by `+qemu.Program+` (package `+qemu.Package+`)`)
	f.set.DurationVar(&c.RestartBackOff, "guest-backoff", 0, "First back-off of containers that exit again and again (default: 10s)")
	f.set.StringVar(&f.faults, "faults", "", "File of rules, YAML or JSON, by which requests go wrong, such as {method: PowerOn*, count: 1, do: reset}; "+
		"they can be changed, and the journal of requests read, at https://ADDRESS"+vcsim.ControlPath+" with the login user and password: see tests/vcsim/README.md")
	f.set.StringVar(&f.env, "E", "-", "Write the export line to this file or fifo; - is standard output")
	f.set.IntVar(&f.tunnel, "tunnel", -1, "SDK tunnel port; 0 is a free one, -1 is none")
	f.set.BoolVar(&f.trace, "trace", false, "Trace SOAP to -trace-file")
	f.set.StringVar(&f.traceFile, "trace-file", "", "Trace output file (default: standard error)")
	f.set.BoolVar(&f.stdinExit, "stdinexit", false, "Exit when a key is pressed or standard input ends")
}

// delays is the value of -method-delay: milliseconds by method.
type delays map[string]int

func (d *delays) String() string { return fmt.Sprint(map[string]int(*d)) }

// Set implements flag.Value.
func (d *delays) Set(text string) error {
	*d = make(delays)
	for entry := range strings.SplitSeq(text, ",") {
		method, number, found := strings.Cut(strings.TrimSpace(entry), ":")
		delay, err := strconv.Atoi(number)
		if !found || method == "" || err != nil {
			return fmt.Errorf("%q; want METHOD:MILLISECONDS", entry)
		}
		(*d)[method] = delay
	}
	return nil
}

// output opens the file that the export line goes to.
func (f *flags) output() (*os.File, error) {
	if f.env == "-" {
		return os.Stdout, nil
	}
	return os.OpenFile(f.env, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}
