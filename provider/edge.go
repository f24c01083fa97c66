// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"github.com/virtual-kubelet/virtual-kubelet/errdefs"

	"wolfpack/errs"
)

// edge turns an error into Virtual Kubelet's kinds. It must be the outermost: Virtual Kubelet does not look through %w.
func edge(err error) error {
	switch {
	case err == nil:
		return nil
	case errs.Is(err, errs.NotFound):
		return errdefs.AsNotFound(err)
	case errs.Is(err, errs.Invalid), errs.Is(err, errs.Exists):
		return errdefs.AsInvalidInput(err)
	default:
		return err
	}
}
