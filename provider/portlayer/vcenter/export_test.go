// SPDX-License-Identifier: Apache-2.0

package vcenter

// Concurrent is how many changes can be under way, and Creating how many of them can be creates.
const (
	Concurrent = concurrent
	Creating   = creating
)
