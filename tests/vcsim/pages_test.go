// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/tests/vcsim"
)

// begin asks for the first page of all VMs.
func (b *bench) begin(client *govmomi.Client, size int32) *types.RetrieveResult {
	b.Helper()
	res, err := methods.RetrievePropertiesEx(b.ctx, client, &types.RetrievePropertiesEx{
		This: client.ServiceContent.PropertyCollector,
		SpecSet: []types.PropertyFilterSpec{{
			PropSet: []types.PropertySpec{{Type: "VirtualMachine", PathSet: []string{"name", "config.alternateGuestName"}}},
			ObjectSet: []types.ObjectSpec{{Obj: b.folder.Reference(), SelectSet: []types.BaseSelectionSpec{
				&types.TraversalSpec{Type: "Folder", Path: "childEntity"},
			}}},
		}},
		Options: types.RetrieveOptions{MaxObjects: size},
	})
	require.NoError(b, err)
	return res.Returnval
}

// more asks for the next page.
func (b *bench) more(client *govmomi.Client, token string) (*types.RetrieveResult, error) {
	res, err := methods.ContinueRetrievePropertiesEx(b.ctx, client, &types.ContinueRetrievePropertiesEx{
		This: client.ServiceContent.PropertyCollector, Token: token,
	})
	if err != nil {
		return nil, err
	}
	return &res.Returnval, nil
}

func newPagedBench(t *testing.T) *bench {
	model := simulator.VPX()
	model.Cluster, model.Machine = 0, 7
	return newBench(t, vcsim.Config{Model: model})
}

func TestPagesBringEachObjectOnceAndNoEmptyProperty(t *testing.T) {
	b := newPagedBench(t)
	seen := map[string]int{}
	sizes := []int{}
	for page := b.begin(b.client, 3); ; {
		sizes = append(sizes, len(page.Objects))
		for _, object := range page.Objects {
			seen[object.Obj.Value]++
			require.Len(t, object.PropSet, 1, "a VM has no alternate guest name, which is not told")
		}
		if page.Token == "" {
			break
		}
		var err error
		page, err = b.more(b.client, page.Token)
		require.NoError(t, err)
	}
	require.Equal(t, []int{3, 3, 1}, sizes)
	require.Len(t, seen, 7)
}

func TestAReadWithoutASizeIsOnePage(t *testing.T) {
	b := newPagedBench(t)
	page := b.begin(b.client, 0)
	require.Len(t, page.Objects, 7)
	require.Empty(t, page.Token)
}

func TestATokenIsGoodOnceAndInItsSession(t *testing.T) {
	b := newPagedBench(t)
	other, err := b.server.Client(b.ctx)
	require.NoError(t, err)
	defer other.CloseIdleConnections()
	refused := func(client *govmomi.Client, token string) {
		t.Helper()
		_, err := b.more(client, token)
		require.True(t, fault.Is(err, new(types.InvalidProperty)), "%v", err)
	}

	first := b.begin(b.client, 3)
	refused(other, first.Token)
	second, err := b.more(b.client, first.Token)
	require.NoError(t, err)
	refused(b.client, first.Token)
	_, err = methods.CancelRetrievePropertiesEx(b.ctx, b.client, &types.CancelRetrievePropertiesEx{
		This: b.client.ServiceContent.PropertyCollector, Token: second.Token,
	})
	require.NoError(t, err)
	refused(b.client, second.Token)

	left := b.begin(other, 3)
	require.NotEmpty(t, left.Token)
	require.Equal(t, 1, b.server.Pages())
	require.NoError(t, other.Logout(b.ctx))
	require.Zero(t, b.server.Pages(), "what a session left unread goes with it")
}
