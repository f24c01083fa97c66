// SPDX-License-Identifier: Apache-2.0

package contract_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wolfpack/guest/contract"
)

const goldenEvents = `{"items":[{"metadata":{"name":"web.1","resourceVersion":"7"},"involvedObject":{},"reason":"Pulled","source":{},` +
	`"firstTimestamp":null,"lastTimestamp":null,"eventTime":null,"reportingComponent":"","reportingInstance":""}]}`

func TestEventsGolden(t *testing.T) {
	require.Equal(t, "/wolfpack/v1/events?after=6", contract.EventsAfter(6))
	list, err := contract.DecodeEvents(strings.NewReader(goldenEvents))
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	require.Equal(t, "Pulled", list.Items[0].Reason)
	number, err := contract.EventNumber(&list.Items[0])
	require.NoError(t, err)
	require.Equal(t, uint64(7), number)
	status, err := contract.DecodeStatus(`{"sequence":2,"events":7,"pod":{"phase":"Running"}}`)
	require.NoError(t, err)
	require.Equal(t, uint64(7), status.Events)
}

func TestEventsRefuses(t *testing.T) {
	for want, text := range map[string]string{
		"are not the JSON of a list of events":              `{"items":1}`,
		`has resourceVersion "", want the number`:           `{"items":[{}]}`,
		`event a has resourceVersion "x", want the number`:  `{"items":[{"metadata":{"name":"a","resourceVersion":"x"}}]}`,
		`event a has resourceVersion "0", want the number`:  `{"items":[{"metadata":{"name":"a","resourceVersion":"0"}}]}`,
		`event a has resourceVersion "-1", want the number`: `{"items":[{"metadata":{"name":"a","resourceVersion":"-1"}}]}`,
		"have more than 1048576 bytes":                      strings.Repeat(" ", 1<<20+1),
	} {
		_, err := contract.DecodeEvents(strings.NewReader(text))
		require.ErrorContains(t, err, want)
	}
}

func FuzzDecodeEvents(f *testing.F) {
	f.Add(goldenEvents)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := contract.DecodeEvents(strings.NewReader(text))
		if err != nil {
			return
		}
		for i := range list.Items {
			number, err := contract.EventNumber(&list.Items[i])
			require.NoError(t, err)
			require.NotZero(t, number)
		}
	})
}
