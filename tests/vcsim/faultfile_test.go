// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/vcsim"
)

const goodFaults = `
# all there is
- name: lost
  method: CreateVM_Task
  object: web-*
  agent: wolfpack/*
  skip: 1
  count: 2
  probability: 0.5
  seed: 42
  do: lose-answer
- do: task-fault
  method: PowerOnVM_Task
  fault: NoDiskSpace
  fields: {file: "[LocalDS_0] web", datastore: LocalDS_0}
- {do: http-status, status: 502, retryAfter: 5s}
- {"do": "delay", "delay": "1.5s"}
`

func TestParseFaults(t *testing.T) {
	t.Parallel()
	want := []vcsim.Fault{
		{
			Name: "lost", Method: "CreateVM_Task", Object: "web-*", Agent: "wolfpack/*", Skip: 1, Count: 2, Probability: 0.5,
			Seed: 42, Do: vcsim.DoLoseAnswer,
		},
		{
			Method: "PowerOnVM_Task", Do: vcsim.DoTaskFault,
			Fault: &types.NoDiskSpace{FileFault: types.FileFault{File: "[LocalDS_0] web"}, Datastore: "LocalDS_0"},
		},
		{Do: vcsim.DoStatus, Status: 502, RetryAfter: 5 * time.Second},
		{Do: vcsim.DoDelay, Delay: 1500 * time.Millisecond},
	}
	parsed, err := vcsim.ParseFaults([]byte(goodFaults))
	require.NoError(t, err)
	require.Equal(t, want, parsed)
	one, err := vcsim.ParseFaults([]byte(`{"do": "reset"}`))
	require.NoError(t, err)
	require.Equal(t, []vcsim.Fault{{Do: vcsim.DoReset}}, one)
	none, err := vcsim.ParseFaults([]byte("[]"))
	require.NoError(t, err)
	require.Empty(t, none)
}

// TestParseFaultsSaysWhatIsWrong has a row for each mistake that only a text can have, and one that any rule can.
func TestParseFaultsSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"":                                                           `fault "number 1" is null; want a rule such as {method: PowerOn*, do: reset}`,
		"reset":                                                      `fault "number 1" is "reset"; want a rule`,
		"[{do: reset}, 3]":                                           `fault "number 2" is 3; want a rule`,
		"{do: reset":                                                 "faults are neither YAML nor JSON",
		"{do: reset, do: delay}":                                     `key "do" already set`,
		"{name: x, when: now, do: reset}":                            `fault "x": field when is unknown; want one of agent, count, delay, do, fault, fields, method, name, object`,
		"{name: 7, do: reset}":                                       `fault "number 1": field name is 7; want a text`,
		"{name: x, do: reset, count: many}":                          `fault "x": field count is "many"; want how many requests are struck, or 0 for all`,
		"{name: x, do: reset, count: 1.5}":                           `fault "x": field count is 1.5; want how many`,
		"{name: x, do: reset, skip: null}":                           `fault "x": field skip is null; want how many`,
		"{name: x, do: reset, seed: -1}":                             `fault "x": field seed is -1; want a number of at least 0`,
		"{do: reset, probability: 0}":                                `field probability is 0; want a number above 0, up to 1, or no such field for always`,
		"{do: reset, probability: 2}":                                `fault "number 1": field probability is 2; want a number from 0 to 1`,
		"{do: delay, delay: 3}":                                      `field delay is 3; want a duration such as "1.5s"`,
		"{do: delay, delay: soon}":                                   `field delay is "soon"; want a duration such as "1.5s"`,
		"{do: fault, fault: NotFuond}":                               `field fault is "NotFuond"; want a fault type of the vSphere API such as NotAuthenticated`,
		"{do: fault, fault: VirtualDisk}":                            `field fault is "VirtualDisk"; want a fault type`,
		"{do: fault, fault: BaseRuntimeFault}":                       `field fault is "BaseRuntimeFault"; want a fault type`,
		"{do: reset, fields: {a: b}}":                                `field fields is {"a":"b"}; want none without a fault`,
		"{do: fault, fault: NoDiskSpace, fields: {disk: x}}":         `field fields is {"disk":"x"}; want the fields of NoDiskSpace as the vSphere API has them: json: unknown field "disk"`,
		"{do: fault, fault: NoDiskSpace, fields: {datastore: 3}}":    `want the fields of NoDiskSpace as the vSphere API has them`,
		"[{do: reset}, {do: reset, method: PowerOnVM, name: typo}]":  `fault "typo": field method is "PowerOnVM"; want a method of the vSphere API such as PowerOnVM_Task`,
		"[{do: reset}, {do: reset, method: PowerOnVM, object: web}]": `fault "number 2": field method is "PowerOnVM"; want`,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			_, err := vcsim.ParseFaults([]byte(text))
			require.ErrorContains(t, err, says)
		})
	}
}

// FuzzParseFaults checks that what is read is written so that it is read again as the same.
func FuzzParseFaults(f *testing.F) {
	f.Add([]byte(goodFaults))
	f.Add([]byte("{do: no-permission, object: web}"))
	f.Add([]byte(`{do: fault, fault: SystemError, fields: {reason: "x", faultCause: {fault: {_typeName: NotFound}}}}`))
	f.Add([]byte("[{do: reset}, 3]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		parsed, err := vcsim.ParseFaults(text)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		for _, want := range parsed {
			written, err := json.Marshal(vcsim.FaultStatus{Fault: want})
			require.NoError(t, err)
			var rule map[string]any
			require.NoError(t, json.Unmarshal(written, &rule))
			delete(rule, "selected")
			delete(rule, "struck")
			written, err = json.Marshal(rule)
			require.NoError(t, err)
			again, err := vcsim.ParseFaults(written)
			require.NoError(t, err, "%s", written)
			require.Equal(t, []vcsim.Fault{want}, again)
		}
	})
}
