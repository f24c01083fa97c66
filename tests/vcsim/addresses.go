// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
)

// claimPort is where every stand-in of a machine listens on the first address of each block that it has, which makes the
// block its own.
const claimPort = 8987

// blockSize is how many guests a block 127.B.0.0/16 has addresses for: all but the first, which is the claim, and the last.
const blockSize = 1<<16 - 3

// addresses hands out IP addresses from blocks 127.B.0.0/16 that no other stand-in of the machine uses. It is not for
// concurrent use.
type addresses struct {
	claims []net.Listener // one for each block
	blocks []byte         // their B
	used   map[netip.Addr]bool
	next   uint32 // index of the address to try next, over all blocks
}

// take returns an address that is not in use. It claims another block when all have run out. Addresses are not used again
// until all others have been, so that a guest is not taken for one before it.
func (a *addresses) take(ctx context.Context) (netip.Addr, error) {
	if a.used == nil {
		a.used = make(map[netip.Addr]bool)
	}
	if len(a.used) >= len(a.blocks)*blockSize {
		if err := a.claim(ctx); err != nil {
			return netip.Addr{}, err
		}
	}
	for {
		ip := a.at(a.next)
		a.next = (a.next + 1) % uint32(len(a.blocks)*blockSize)
		if !a.used[ip] {
			a.used[ip] = true
			return ip, nil
		}
	}
}

// at returns the address with an index; the first of a block is 127.B.0.2.
func (a *addresses) at(index uint32) netip.Addr {
	host := index%blockSize + 2
	return netip.AddrFrom4([4]byte{127, a.blocks[index/blockSize], byte(host >> 8), byte(host)})
}

func (a *addresses) release(ip netip.Addr) { delete(a.used, ip) }

// claim makes a block this stand-in's. It begins anywhere, so that stand-ins rarely meet, and leaves 127.0.0.0/16 to others.
func (a *addresses) claim(ctx context.Context) error {
	const blocks = 254
	var listen net.ListenConfig
	var last error
	first := rand.IntN(blocks)
	for i := range blocks {
		block := byte(1 + (first+i)%blocks)
		address := net.JoinHostPort(fmt.Sprintf("127.%d.0.1", block), strconv.Itoa(claimPort))
		claim, err := listen.Listen(ctx, "tcp4", address)
		if err != nil {
			last = err
			continue
		}
		a.next = uint32(len(a.blocks) * blockSize)
		a.claims = append(a.claims, claim)
		a.blocks = append(a.blocks, block)
		return nil
	}
	return fmt.Errorf("find guest addresses: no block of 127.1.0.0 to 127.254.0.0 is free: %w", last)
}

func (a *addresses) close() {
	for _, claim := range a.claims {
		_ = claim.Close() // a listener that nobody uses any more
	}
}
