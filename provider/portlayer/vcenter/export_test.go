// SPDX-License-Identifier: Apache-2.0

package vcenter

// Concurrent is how many changes can be under way.
const Concurrent = concurrent
