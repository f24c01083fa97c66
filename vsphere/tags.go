// SPDX-License-Identifier: Apache-2.0

package vsphere

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
)

// NearestTags returns the tag that a thing has in each of the categories, by category, or else that of the nearest thing it
// is in, such as its cluster, a folder or its datacenter. A category without such a tag has none. An ESXi host knows no tags.
func (c *Client) NearestTags(ctx context.Context, ref types.ManagedObjectReference, categories ...string) (map[string]string, error) {
	const op = "vsphere.NearestTags"
	if !c.IsVC() || len(categories) == 0 {
		return map[string]string{}, nil
	}
	path, err := mo.Ancestors(ctx, c.Client, c.ServiceContent.PropertyCollector, ref)
	if err != nil {
		return nil, errs.New(op, errs.KindOf(err), "look for what %s is in: %w", ref, err)
	}
	attached, err := c.attachedTags(ctx, path)
	if err != nil {
		return nil, errs.New(op, errs.KindOf(err), "read tags: %w", err)
	}
	nearest := map[string]string{}
	for _, entity := range slices.Backward(path) {
		for _, category := range categories {
			found := attached[entity.Self][category]
			if len(found) > 1 {
				return nil, errs.New(op, errs.Invalid, "%s has the tags %s of category %s, want one at most", entity.Name, strings.Join(found, ", "), category)
			}
			if _, nearer := nearest[category]; !nearer && len(found) == 1 {
				nearest[category] = found[0]
			}
		}
	}
	return nearest, nil
}

// attachedTags returns the names of tags by object and category. Tags have an interface and a session of their own.
func (c *Client) attachedTags(ctx context.Context, path []mo.ManagedEntity) (map[types.ManagedObjectReference]map[string][]string, error) {
	client := rest.NewClient(c.Client)
	defer client.CloseIdleConnections()
	if err := client.Login(ctx, c.user); err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTimeout)
		defer cancel()
		_ = client.Logout(ctx) // a session that stays is vCenter's to expire
	}()
	refs := make([]mo.Reference, len(path))
	for i := range path {
		refs[i] = path[i].Self
	}
	manager := tags.NewManager(client)
	objects, err := manager.GetAttachedTagsOnObjects(ctx, refs)
	if err != nil {
		return nil, err
	}
	names := map[string]string{} // of categories by id
	attached := map[types.ManagedObjectReference]map[string][]string{}
	for _, object := range objects {
		byCategory := map[string][]string{}
		for _, tag := range object.Tags {
			if names[tag.CategoryID] == "" {
				category, err := manager.GetCategory(ctx, tag.CategoryID)
				if err != nil {
					return nil, err
				}
				names[tag.CategoryID] = category.Name
			}
			name := names[tag.CategoryID]
			byCategory[name] = append(byCategory[name], tag.Name)
		}
		attached[object.ObjectID.Reference()] = byCategory
	}
	return attached, nil
}
