// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"expvar"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/vcsim"
)

// run starts the stand-in, says so, and ends it with ctx or standard input.
func run(ctx context.Context, f *flags) error {
	closeTrace, err := f.configure()
	if err != nil {
		return err
	}
	defer closeTrace()
	server, err := vcsim.Start(ctx, f.config)
	if err != nil {
		return err
	}
	defer server.Close()
	publish(f.config.Mux, server)
	if f.tunnel >= 0 {
		server.Simulator().Tunnel = f.tunnel
		if err := server.Simulator().StartTunnel(); err != nil {
			return fmt.Errorf("start tunnel on port %d: %w", f.tunnel, err)
		}
	}
	if err := f.announce(server); err != nil {
		return fmt.Errorf("write the export line to %s: %w", f.env, err)
	}
	if f.stdinExit {
		ctx = untilInput(ctx)
	}
	<-ctx.Done()
	return nil
}

// configure completes the configuration from what package flag cannot, and sets what the simulator has one of for a process.
func (f *flags) configure() (closeTrace func(), err error) {
	closeTrace = func() {}
	for _, secret := range []*string{&f.config.Username, &f.config.Password} {
		// As stock vcsim has it, the name of a file or fifo stands for what is in it.
		if *secret, err = session.Secret(*secret); err != nil {
			return closeTrace, fmt.Errorf("read user or password: %w", err)
		}
	}
	if f.config.Username == "" && f.config.Password != "" {
		return closeTrace, fmt.Errorf("-password without -username: give both, or none to let everyone in")
	}
	if err := updateHostTemplate(f.config.Listen); err != nil {
		return closeTrace, err
	}
	if f.faults != "" {
		text, err := os.ReadFile(f.faults)
		if err != nil {
			return closeTrace, fmt.Errorf("read faults: %w", err)
		}
		if f.config.Faults, err = vcsim.ParseFaults(text); err != nil {
			return closeTrace, fmt.Errorf("faults in %s: %w", f.faults, err)
		}
	}
	delay := f.config.Model.DelayConfig
	delay.MethodDelay = f.methodDelay
	if f.esx {
		f.config.Model = esxModel(f.config.Model)
	}
	f.config.Model.DelayConfig = delay
	simulator.TaskDelay.MethodDelay = f.methodDelay
	f.config.Mux = http.NewServeMux()
	simulator.Trace = f.trace || f.traceFile != ""
	if f.traceFile != "" {
		file, err := os.Create(f.traceFile)
		if err != nil {
			return closeTrace, fmt.Errorf("create trace file: %w", err)
		}
		simulator.TraceFile = file
		closeTrace = func() { _ = file.Close() } // what is lost was a trace
	}
	return closeTrace, nil
}

// esxModel is the inventory of one ESX host, with the options of m that such a host has too.
func esxModel(m *simulator.Model) *simulator.Model {
	host := simulator.ESX()
	host.Datastore, host.Machine, host.Autostart = m.Datastore, m.Machine, m.Autostart
	return host
}

// updateHostTemplate makes the hosts of the inventory have the server's address.
func updateHostTemplate(listen string) error {
	address, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("listen address %q: %w; want HOST:PORT", listen, err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("listen address %q: port %q; want a number from 0 to 65535", listen, port)
	}
	esx.HostSystem.Summary.ManagementServerIp = address
	if number != 0 { // a free port is found too late for the inventory
		esx.HostSystem.Summary.Config.Port = int32(number)
	}
	esx.HostSystem.Summary.Hardware.Vendor += " (govmomi simulator)"
	nics := [][]types.HostVirtualNic{esx.HostConfigInfo.Network.Vnic, esx.HostConfigInfo.Vmotion.NetConfig.CandidateVnic}
	for _, config := range esx.HostConfigInfo.VirtualNicManagerInfo.NetConfig {
		nics = append(nics, config.CandidateVnic)
	}
	for _, nic := range nics {
		for i := range nic {
			nic[i].Spec.Ip.IpAddress = address
		}
	}
	return nil
}

// publish serves counts of objects, and of calls by method, at /debug/vars.
func publish(mux *http.ServeMux, server *vcsim.Server) {
	expvar.Publish("vcsim", expvar.Func(func() any {
		model := server.Model().Count()
		return map[string]any{"registry": server.Service().Context.Map, "model": &model, "calls": server.Calls()}
	}))
	mux.Handle("GET /debug/vars", expvar.Handler())
}

// announce writes the export line.
func (f *flags) announce(server *vcsim.Server) error {
	out, err := f.output()
	if err != nil {
		return err
	}
	line := fmt.Sprintf("export GOVC_URL=%s GOVC_SIM_PID=%d", quote(server.URL().String()), os.Getpid())
	if ca := server.CAFile(); ca != "" {
		line += " GOVC_TLS_CA_CERTS=" + quote(ca)
	}
	if proxy := server.GuestProxy(); proxy != nil {
		line += "\nexport WOLFPACK_GUEST_PROXY=" + quote(proxy.String())
	}
	if _, err = fmt.Fprintln(out, line); err != nil || out == os.Stdout {
		return err
	}
	return out.Close()
}

// quote makes text one word of a shell. What needs no quotes gets none, as with stock vcsim.
func quote(text string) string {
	if !strings.ContainsAny(text, " $&;'()*`\"\\") {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// untilInput returns a context that also ends with the first byte, or the end, of standard input.
func untilInput(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	fmt.Println("Press any key to exit")
	go func() {
		defer cancel()
		_, _ = os.Stdin.Read(make([]byte, 1)) // whatever it brings
	}()
	return ctx
}
