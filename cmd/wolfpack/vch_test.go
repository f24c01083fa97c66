// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"wolfpack/vch"
	"wolfpack/version"
)

func TestDryRunPrintsAPlanAndChangesNothing(t *testing.T) {
	server := stand(t)
	before := server.Model().Count()
	plan := works(t, "vch", "create", "web", "--network", "VM Network", "--memory-limit", "4096", "--dry-run")
	for _, want := range []string{
		`(?m)^Plan for VCH web in datacenter /DC0 of vCenter 127\.0\.0\.1:\d+\. Nothing has been changed\.$`,
		`(?m)^2 +VM folder +/DC0/vm/web, for this VM and those of pods$`,
		`(?m)^4 +endpoint VM +/DC0/vm/web/web, 1 CPUs, 2048 MB, guest "Photon - VCH .*", on datastore /DC0/datastore/LocalDS_0, on network /DC0/network/VM Network$`,
		`(?m)^  in the resource pool  /DC0/host/DC0_C0/Resources/web$`,
		`(?m)^  which gets            CPU: no limit, 0 MHz reserved, shares normal; memory: a limit of 4096 MB, 0 MB reserved, shares normal$`,
	} {
		require.Regexp(t, want, plan)
	}
	var view planView
	require.NoError(t, json.Unmarshal([]byte(works(t, "vch", "create", "web", "--network", "VM Network", "--dry-run", "-o", "json")), &view))
	require.Equal(t, "/DC0/vm/web", view.Folder)
	require.Len(t, view.Steps, 8)
	require.Equal(t, before, server.Model().Count())

	works(t, "vch", "create", "web", "--network", "VM Network")
	require.Contains(t, works(t, "vch", "create", "web", "--dry-run"), "is there and whole: there is nothing to do.")
	require.Contains(t, fails(t, "vch", "create", "other", "--network", "VM Network", "--datastore", "ssd", "--dry-run"), `no datastore "ssd"`)
}

func TestPrivilegesArePrintedAndMadeARole(t *testing.T) {
	stand(t)
	var needs []needView
	require.NoError(t, yaml.UnmarshalStrict([]byte(works(t, "vch", "privileges", "-o", "yaml")), &needs))
	require.Len(t, needs, len(vch.Needs()))
	printed := works(t, "vch", "privileges")
	for _, privilege := range vch.Role() {
		require.Contains(t, printed, privilege)
	}
	require.Contains(t, works(t, "vch", "privileges", "--create-role"), "role Wolfpack has got ")
	require.Contains(t, works(t, "vch", "privileges", "--create-role"), "role Wolfpack has all privileges that are needed")
	require.Contains(t, works(t, "vch", "privileges", "--create-role=Ops", "-o", "json"), `"role": "Ops"`)
	require.Contains(t, fails(t, "vch", "privileges", "--create-role=ReadOnly"), "is vCenter's own")
}

func TestInspectShowsAVCHAndHowToMakeItAgain(t *testing.T) {
	stand(t)
	works(t, "vch", "create", "web", "--network", "VM Network", "--cpu-limit", "1000", "--memory-shares", "300", "--endpoint-memory", "1024")
	shown := works(t, "vch", "inspect", "web")
	for _, want := range []string{
		`(?m)^Name +web$`, `(?m)^State +poweredOn$`, `(?m)^Hosts +DC0_C0_H0, DC0_C0_H1, DC0_C0_H2$`, `(?m)^Folder +/DC0/vm/web$`,
		`(?m)^CPU used +\d+ of 1000 MHz$`, `(?m)^Endpoint VM +/DC0/vm/web/web on DC0_C0_H\d$`,
	} {
		require.Regexp(t, want, shown)
	}
	var first detailView
	require.NoError(t, json.Unmarshal([]byte(works(t, "vch", "inspect", "web", "-o", "json")), &first))
	require.Equal(t, "/DC0/host/DC0_C0", first.Compute)
	require.Equal(t, version.Get().Version, first.Version)

	command := works(t, "vch", "inspect", "web", "--config")
	require.Equal(t, `wolfpack vch create web \
  --datacenter /DC0 \
  --compute /DC0/host/DC0_C0 \
  --datastore /DC0/datastore/LocalDS_0 \
  --network '/DC0/network/VM Network' \
  --folder /DC0/vm \
  --guest-os photon \
  --endpoint-cpus 1 \
  --endpoint-memory 1024 \
  --cpu-limit 1000 \
  --memory-shares 300
`, command)
	works(t, "vch", "delete", "web")
	words := strings.Fields(strings.NewReplacer("\\\n", "", "'", "", "VM Network", "VM_Network").Replace(command))[1:]
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], "VM_Network", "VM Network")
	}
	works(t, words...)
	require.Equal(t, command, works(t, "vch", "inspect", "web", "--config"), "what it made is what it was")

	require.Contains(t, fails(t, "vch", "inspect", "wob"), `no VCH "wob"; there are: web`)
	require.Contains(t, fails(t, "vch", "inspect", "web", "--config", "-o", "json"), "none of the others can be")
}

func TestQuoteMakesAShellTakeTextAsItIs(t *testing.T) {
	for _, text := range []string{"/DC0/vm", "VM Network", "it's", "$(reboot)", "", "a\\b", "`x`", "*", "a\nb", "ünï"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quote(text)).Output()
		require.NoError(t, err)
		require.Equal(t, text, string(out))
	}
	require.Equal(t, "/DC0/vm", quote("/DC0/vm"), "what needs no quotes has none")
}
