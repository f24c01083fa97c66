// SPDX-License-Identifier: Apache-2.0

package vcsim

import "github.com/vmware/govmomi/vim25/types"

// Requests returns how many requests to the vSphere API are being served.
func (s *Server) Requests() int {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	return len(s.requests.context)
}

// Pages returns how many reads have more pages.
func (s *Server) Pages() int {
	s.pages.mu.Lock()
	defer s.pages.mu.Unlock()
	return len(s.pages.rest)
}

// MachinePid returns the process of a VM that QEMU runs.
func (s *Server) MachinePid(vm types.ManagedObjectReference) int {
	return s.guests.(*machines).find(vm).current().Pid()
}
