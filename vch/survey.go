// SPDX-License-Identifier: Apache-2.0

package vch

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/vsphere"
)

// survey is what a look at vSphere found: the VCHs with what they are in, and more where it was asked for.
type survey struct {
	*inventory
	client *vsphere.Client
	index  *index // nil on an ESXi host, and where it cannot be read
	broken error  // why it cannot be read: then all can be found, but nothing may be changed
	all    bool   // everything was read, and not only what the index says
	fresh  bool   // the index may lack something that was found
}

// look looks at the VCHs that vCenter's index lists, and in the same round trip at what also says. Where there is no index
// yet, or it cannot be read, it looks at everything there is. It changes nothing. The caller ends the survey.
func look(ctx context.Context, client *vsphere.Client, also ...types.PropertyFilterSpec) (*survey, error) {
	x, err := openIndex(ctx, client)
	if err != nil && ctx.Err() != nil {
		return nil, err
	}
	s := &survey{inventory: newInventory(client.ServiceContent.RootFolder), client: client, index: x, broken: err}
	if x == nil || !x.there {
		err = s.lookEverywhere(ctx) // and so at what also says
	} else {
		err = s.lookUp(ctx, also)
	}
	if err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

func (s *survey) end() { s.index.end() }

// lookUp reads what the index says.
func (s *survey) lookUp(ctx context.Context, filters []types.PropertyFilterSpec) error {
	if refs := s.index.endpoints(); len(refs) > 0 {
		filters = append(filters, around(refs))
	}
	if len(filters) > 0 {
		if err := s.read(ctx, s.client.Client, filters...); err != nil {
			return err
		}
	}
	found, err := s.index.recover(ctx, s.client, s.inventory)
	if err != nil {
		return err
	}
	s.fresh = s.fresh || found
	if refs := s.elsewhere(); len(refs) > 0 {
		return s.read(ctx, s.client.Client, around(refs))
	}
	return nil
}

// elsewhere are the folders and pools of VCHs whose endpoint VMs are not in them.
func (s *survey) elsewhere() []reference {
	var refs []reference
	for _, vm := range s.endpoints() {
		values := identity(vm)
		for _, ref := range []reference{{Type: "Folder", Value: values[KeyFolder]}, {Type: "ResourcePool", Value: values[KeyPool]}} {
			if ref.Value != "" && !s.object(ref).exists() {
				refs = append(refs, ref)
			}
		}
	}
	return refs
}

// lookEverywhere reads the whole inventory.
func (s *survey) lookEverywhere(ctx context.Context) error {
	s.all, s.fresh = true, true
	return s.read(ctx, s.client.Client, everywhere(s.client.Client, append(places(), machines())...))
}

// mend has vCenter's index list what was found without it. It is apart from looking because a check must change nothing.
func (s *survey) mend(ctx context.Context) {
	if s.fresh && s.index != nil {
		s.index.adopt(ctx, s.vchs())
	}
}

// find is the VCH of that name, or nil if there is none even in places where the index does not know of one.
func (s *survey) find(ctx context.Context, name string) (*VCH, error) {
	found, err := s.vch(name)
	if err != nil || found != nil || s.all {
		return found, err
	}
	if err := s.lookEverywhere(ctx); err != nil {
		return nil, fmt.Errorf("find VCH %q: %w", name, err)
	}
	return s.vch(name)
}
