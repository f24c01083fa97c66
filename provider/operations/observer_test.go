// SPDX-License-Identifier: Apache-2.0

package operations_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"wolfpack/errs"
	"wolfpack/provider/operations"
)

// script is an Observer that writes down what begins, indented by what it is part of, and what fails.
type script struct{ lines []string }

func (s *script) observe(ctx context.Context, op, step string) (context.Context, func(error)) {
	indent, _ := ctx.Value(s).(string)
	line := indent + op
	if step != "" {
		line = indent + step
	}
	s.lines = append(s.lines, line)
	return context.WithValue(ctx, s, indent+"  "), func(err error) {
		if err != nil {
			s.lines = append(s.lines, line+" failed: "+errs.KindOf(err).String())
		}
	}
}

func TestObserversAreToldOfEachStep(t *testing.T) {
	first, second := new(script), new(script)
	ctx := operations.WithObserver(t.Context(), first.observe)
	ctx = operations.WithObserver(ctx, second.observe)
	h := newHost(map[string]int{"Start": 1})
	creator := operations.PodCreator{Portlayer: h, VCH: "v"}
	_, err := creator.Create(ctx, pod())
	require.ErrorContains(t, err, "Start fails")
	require.Equal(t, []string{
		"operations.PodCreator",
		"  check the images' names",
		"  plan the VM",
		"  prepare the images",
		"  create the VM",
		"  start the VM",
		"    operations.PodStarter",
		"      power on",
		"      power on failed: unavailable",
		"    operations.PodStarter failed: unavailable",
		"  start the VM failed: unavailable",
		"  undo of create the VM",
		"  undo of prepare the images",
		"operations.PodCreator failed: unavailable",
	}, first.lines)
	require.Equal(t, first.lines, second.lines, "each observer is told")
}
