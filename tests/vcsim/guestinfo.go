// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"crypto/x509"
	"fmt"
	"maps"
	"slices"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	corev1 "k8s.io/api/core/v1"

	"wolfpack/guest/contract"
	"wolfpack/tests/vcsim/simkubelet"
)

// What VMware Tools report in the properties that are no enumerations of their own.
const (
	toolsRunning = string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
	toolsStopped = string(types.VirtualMachineToolsRunningStatusGuestToolsNotRunning)
	toolsVersion = "12416" // 12.4.5
)

// read takes the guest's side of the contract from the VM. What it cannot take is the guest's failure.
func (guest *simulated) read(vm *mo.VirtualMachine) {
	if last, err := contract.DecodeStatus(extraConfig(vm, contract.KeyStatus)); err == nil {
		guest.sequence = last.Sequence // goes on over power cycles
	}
	fail := func(err error) {
		if guest.run.failure == "" {
			guest.run.failure = err.Error()
		}
	}
	if version := extraConfig(vm, contract.KeyVersion); version != "" && version != contract.Version {
		fail(fmt.Errorf("%s is %q; this guest speaks version %q", contract.KeyVersion, version, contract.Version))
	}
	if ca := extraConfig(vm, contract.KeyCA); ca != "" {
		guest.clients = x509.NewCertPool()
		if !guest.clients.AppendCertsFromPEM([]byte(ca)) {
			fail(fmt.Errorf("%s has no certificate; want PEM", contract.KeyCA))
		}
	}
	pod, err := contract.DecodePod(extraConfig(vm, contract.KeyPod))
	if err != nil {
		fail(err)
		return
	}
	guest.pod = pod
	if guest.script, err = parseScript(pod.Annotations); err != nil {
		fail(err)
	}
	if _, err := simkubelet.ParseScript(pod.Annotations); err != nil {
		fail(err)
	}
}

// report writes the guest's next status, together with other guestinfo values and property changes, as one update.
func (g *guests) report(
	ctx *simulator.Context, vm *simulator.VirtualMachine, guest *simulated, values map[string]string, changes ...types.PropertyChange,
) {
	pod := guest.pod
	if pod == nil {
		pod = new(corev1.Pod)
	}
	var ip string
	if guest.ip.IsValid() {
		ip = guest.ip.String()
	}
	status := podStatus(pod, ip, &guest.run)
	guest.sequence++
	text, err := contract.EncodeStatus(contract.Status{Sequence: guest.sequence, Pod: status})
	if err != nil {
		return // a status always has a JSON form
	}
	if values == nil {
		values = make(map[string]string, 1)
	}
	values[contract.KeyStatus] = text
	g.show(guest, guest.seen(&status))
	ctx.Update(vm, append(changes, setExtraConfig(&vm.VirtualMachine, values)...))
}

// extraConfig returns a value from the VM's extraConfig, or "".
func extraConfig(vm *mo.VirtualMachine, key string) string {
	if vm.Config == nil {
		return ""
	}
	value, _ := object.OptionValueList(vm.Config.ExtraConfig).GetString(key)
	return value
}

// setExtraConfig returns the changes that set values in the VM's extraConfig: each key's, and the whole. It leaves the
// old array alone, which an update on its way to a watcher may share.
func setExtraConfig(vm *mo.VirtualMachine, values map[string]string) []types.PropertyChange {
	whole := slices.Clone(vm.Config.ExtraConfig)
	var changes []types.PropertyChange
	for _, key := range slices.Sorted(maps.Keys(values)) {
		option := &types.OptionValue{Key: key, Value: values[key]}
		at := slices.IndexFunc(whole, func(o types.BaseOptionValue) bool { return o.GetOptionValue().Key == key })
		op := types.PropertyChangeOpAssign
		if at < 0 {
			op = types.PropertyChangeOpAdd
			whole = append(whole, option)
		} else {
			whole[at] = option
		}
		field := mo.Field{Path: "config.extraConfig", Key: key}
		changes = append(changes, types.PropertyChange{Name: field.String(), Op: op, Val: option})
	}
	return append(changes, types.PropertyChange{Name: "config.extraConfig", Val: whole})
}

// toolsHere returns the changes when Tools begin to run in a guest with an address and a name.
func toolsHere(vm *mo.VirtualMachine, ip, name string) []types.PropertyChange {
	return append(tools(types.VirtualMachineToolsStatusToolsOk, toolsRunning, types.ManagedEntityStatusGreen, ip, name),
		types.PropertyChange{Name: "guest.toolsVersion", Val: toolsVersion},
		types.PropertyChange{Name: "guest.toolsInstallType", Val: string(types.VirtualMachineToolsInstallTypeGuestToolsTypeOpenVMTools)},
		types.PropertyChange{Name: "guest.guestState", Val: string(types.VirtualMachineGuestStateRunning)},
		types.PropertyChange{Name: "guest.net", Val: network(vm, ip)})
}

// toolsGone returns the changes when Tools run no more.
func toolsGone(vm *mo.VirtualMachine) []types.PropertyChange {
	return append(tools(types.VirtualMachineToolsStatusToolsNotRunning, toolsStopped, types.ManagedEntityStatusGray, "", ""),
		types.PropertyChange{Name: "guest.guestState", Val: string(types.VirtualMachineGuestStateNotRunning)},
		types.PropertyChange{Name: "guest.net", Val: network(vm, "")})
}

// tools returns the changes that guest and summary.guest share, and the heartbeat.
func tools(
	status types.VirtualMachineToolsStatus, running string, heartbeat types.ManagedEntityStatus, ip, name string,
) []types.PropertyChange {
	changes := []types.PropertyChange{
		{Name: "guestHeartbeatStatus", Val: heartbeat},
		{Name: "summary.quickStats.guestHeartbeatStatus", Val: heartbeat},
	}
	for _, at := range []string{"guest.", "summary.guest."} {
		changes = append(changes,
			types.PropertyChange{Name: at + "toolsStatus", Val: status},
			types.PropertyChange{Name: at + "toolsRunningStatus", Val: running},
			types.PropertyChange{Name: at + "toolsVersionStatus", Val: string(types.VirtualMachineToolsVersionStatusGuestToolsUnmanaged)},
			types.PropertyChange{Name: at + "toolsVersionStatus2", Val: string(types.VirtualMachineToolsVersionStatusGuestToolsUnmanaged)},
			types.PropertyChange{Name: at + "hostName", Val: name},
			types.PropertyChange{Name: at + "ipAddress", Val: ip})
	}
	return changes
}

// network returns the VM's network cards as its guest sees them: the first one has the address.
func network(vm *mo.VirtualMachine, ip string) []types.GuestNicInfo {
	nics := slices.Clone(vm.Guest.Net)
	for i := range nics {
		nics[i].IpAddress, nics[i].IpConfig = nil, nil
	}
	if ip != "" {
		nics[0].IpAddress = []string{ip}
		nics[0].IpConfig = &types.NetIpConfigInfo{IpAddress: []types.NetIpConfigInfoIpAddress{{
			IpAddress:    ip,
			PrefixLength: 8,
			State:        string(types.NetIpConfigInfoIpAddressStatusPreferred),
		}}}
	}
	return nics
}
