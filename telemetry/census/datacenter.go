// SPDX-License-Identifier: Apache-2.0

package census

import (
	"context"

	"wolfpack/errs"
	"wolfpack/vsphere"
)

// FindDatacenter returns the datacenter of a name or an inventory path, by one request; errs.Invalid, with those that there are,
// if it is none of them or one of several.
func FindDatacenter(ctx context.Context, client *vsphere.Client, name string) (Ref, error) {
	r := &reader{client: client, size: defaultPageSize}
	found, err := r.root(ctx, NewFold(false), name)
	return found, errs.Wrap("census.FindDatacenter", err)
}
