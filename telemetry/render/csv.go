// SPDX-License-Identifier: Apache-2.0

package render

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"wolfpack/errs"
	"wolfpack/telemetry"
)

// Columns are the first row of the CSV. Columns are only ever added, at the end, so that readers go on by name or by place.
//
//	kind           host, vch (an endpoint VM), container, vm (any other), or unclassified (a VM without a guest name)
//	vcenter        name by which vCenter was reached
//	datacenter, cluster, host, name, moid, instance_uuid
//	os, version, build, commit
//	               fields of the guest name; of a host, the version and build of ESX
//	guest_name     as it is configured
//	vch            that a container VM belongs to
//	state          power state of a VM, connection state of a host
//	template       true or false
//	created        RFC 3339, by vCenter's clock
//	container_vms  of a VCH
//	vchs           on a host
//	taken          when the census was taken, RFC 3339, by vCenter's clock
//
// What a row's kind has not, and what nobody knows, is empty.
var Columns = []string{
	"kind", "vcenter", "datacenter", "cluster", "host", "name", "moid", "instance_uuid", "os", "version", "build", "commit",
	"guest_name", "vch", "state", "template", "created", "container_vms", "vchs", "taken",
}

// CSV writes one row for each host and each VM as RFC 4180 has it, in UTF-8 and without a byte order mark. A spreadsheet
// takes a cell that begins with one of = + - @ for a formula, so these, and those that begin with a tab, a line break or an
// apostrophe, get an apostrophe in front. It is an error if the report has VMs but not its Inventory.
func CSV(w io.Writer, report *telemetry.Report) error {
	if len(report.Inventory) == 0 && len(report.VMs) > 0 {
		return errs.New("render.CSV", errs.Invalid, "csv has a row for each VM, but the report only has counts: take it with its inventory")
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(Columns); err != nil {
		return err
	}
	rest := map[string]string{"vcenter": report.VCenter.Name, "taken": stamp(report.Taken)}
	for _, host := range report.Hosts {
		if err := out.Write(row(hostCells(host), rest)); err != nil {
			return err
		}
	}
	containers := map[string]int{}
	for _, v := range report.VCHs {
		containers[v.MoID] = v.ContainerVMs
	}
	for _, vm := range report.Inventory {
		line := vmCells(vm)
		if vm.Kind == telemetry.EndpointVM {
			line["container_vms"] = strconv.Itoa(containers[vm.MoID])
		}
		if err := out.Write(row(line, rest)); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func hostCells(h telemetry.Host) map[string]string {
	return map[string]string{
		"kind": "host", "datacenter": h.Datacenter, "cluster": h.Cluster, "host": h.Name, "name": h.Name, "moid": h.MoID,
		"version": h.Version, "build": h.Build, "state": h.State, "vchs": strconv.Itoa(h.VCHs),
	}
}

func vmCells(v telemetry.VM) map[string]string {
	line := map[string]string{
		"kind": string(v.Kind), "datacenter": v.Datacenter, "cluster": v.Cluster, "host": v.Host, "name": v.Name, "moid": v.MoID,
		"instance_uuid": v.InstanceUUID, "os": v.OS, "version": v.Version, "build": v.Build, "commit": v.Commit,
		"guest_name": v.GuestName, "vch": v.VCH, "state": v.PowerState, "template": strconv.FormatBool(v.Template),
	}
	if v.Created != nil {
		line["created"] = stamp(*v.Created)
	}
	return line
}

// row puts cells in the order of the columns.
func row(line, rest map[string]string) []string {
	out := make([]string, len(Columns))
	for i, column := range Columns {
		out[i] = guarded(line[column] + rest[column])
	}
	return out
}

// guarded returns a cell that no spreadsheet takes for a formula. Some take the wide forms of East Asia for the same.
func guarded(cell string) string {
	cell = strings.ToValidUTF8(cell, "\uFFFD")
	if first, _ := utf8.DecodeRuneInString(cell); cell != "" && strings.ContainsRune("=+-@\t\r\n'＝＋－＠", first) {
		return "'" + cell
	}
	return cell
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
