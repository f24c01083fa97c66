// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"errors"
	"strings"

	"wolfpack/errs"
)

// Outcome is the value of the label outcome for err: ok, canceled, or the kind of err in one word.
func Outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, context.Canceled):
		return "canceled"
	default:
		return strings.ReplaceAll(errs.KindOf(err).String(), " ", "_")
	}
}
