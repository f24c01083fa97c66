// SPDX-License-Identifier: Apache-2.0

package vsphere

import (
	"context"
	"fmt"
	"net/http"
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

// Tags logs in at vCenter's tags, which have an interface and a session of their own, and returns what ends that session.
// Requests are told to the Observer by the names of the interface's reference, such as cis.tagging.tag.create.
func (c *Client) Tags(ctx context.Context) (*tags.Manager, func(), error) {
	client := rest.NewClient(c.Client)
	client.Client.Client.Transport = &observedREST{client.Client.Client.Transport, c.config}
	if err := client.Login(ctx, c.user); err != nil {
		return nil, nil, fmt.Errorf("log in at vCenter's tags: %w", TagError(err))
	}
	return tags.NewManager(client), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTimeout)
		defer cancel()
		_ = client.Logout(ctx) // a session that stays is vCenter's to expire
	}, nil
}

// TagError gives the error of a request to vCenter's tags its kind.
func TagError(err error) error {
	const op = "vsphere.Tags"
	switch {
	case err == nil:
		return nil
	case rest.IsStatusError(err, http.StatusNotFound):
		return errs.New(op, errs.NotFound, "%w", err)
	case rest.IsStatusError(err, http.StatusUnauthorized), rest.IsStatusError(err, http.StatusForbidden):
		return errs.New(op, errs.Denied, "%w", err)
	case strings.Contains(err.Error(), "std.errors.already_exists"):
		return errs.New(op, errs.Exists, "%w", err)
	default:
		return errs.Wrap(op, err)
	}
}

// attachedTags returns the names of tags by object and category.
func (c *Client) attachedTags(ctx context.Context, path []mo.ManagedEntity) (map[types.ManagedObjectReference]map[string][]string, error) {
	manager, logout, err := c.Tags(ctx)
	if err != nil {
		return nil, err
	}
	defer logout()
	refs := make([]mo.Reference, len(path))
	for i := range path {
		refs[i] = path[i].Self
	}
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
