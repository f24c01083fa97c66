// SPDX-License-Identifier: Apache-2.0

package census

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/telemetry"
	"wolfpack/vsphere"
)

// cancelTimeout bounds the request that gives a census up, which is often made after the caller's context is over.
const cancelTimeout = 5 * time.Second

// reader reads properties page by page. It follows the calls themselves, not govmomi's methods for them: of an answer that
// breaks off, these tell nothing, while what was decoded until then is right, and the token for the next page comes first.
type reader struct {
	client         *vsphere.Client
	size           int
	objects, pages int
}

// read hands over all that the filter selects. It is an error if that is nothing at all; if it is not everything, the problems
// say so.
func (r *reader) read(
	ctx context.Context, filter types.PropertyFilterSpec, each func(Facts), progress func(objects int),
) ([]telemetry.Problem, error) {
	var problems []telemetry.Problem
	token := ""
	for {
		page, err := r.page(ctx, filter, token)
		var unknown *types.InvalidProperty
		if _, is := fault.As(err, &unknown); is && token == "" && without(&filter, unknown.Name) {
			problems = append(problems, unasked(unknown.Name))
			continue
		}
		if err != nil && r.objects == 0 && len(page.Objects) == 0 {
			return nil, err
		}
		r.pages++
		for i := range page.Objects {
			r.objects++
			if facts := Read(&page.Objects[i]); facts != nil {
				each(facts)
			}
		}
		if progress != nil {
			progress(r.objects)
		}
		if err != nil {
			problems = append(problems, r.lost(page, err))
		}
		if err != nil && (page.Token == "" || ctx.Err() != nil) {
			r.cancel(ctx, cmp.Or(page.Token, token))
			return problems, nil
		}
		if token = page.Token; token == "" {
			return problems, nil
		}
	}
}

// unasked is the problem that a server is older than a property.
func unasked(property string) telemetry.Problem {
	return telemetry.Problem{Stage: stage, Message: "this vCenter does not know the property " + property}
}

// page asks for the first page, or for the one that token stands for. With an error it returns what came before it.
func (r *reader) page(ctx context.Context, filter types.PropertyFilterSpec, token string) (types.RetrieveResult, error) {
	collector := r.client.ServiceContent.PropertyCollector
	if token != "" {
		var answer methods.ContinueRetrievePropertiesExBody
		err := r.client.RoundTrip(ctx, &methods.ContinueRetrievePropertiesExBody{
			Req: &types.ContinueRetrievePropertiesEx{This: collector, Token: token},
		}, &answer)
		if answer.Res == nil {
			return types.RetrieveResult{}, err
		}
		return answer.Res.Returnval, err
	}
	var answer methods.RetrievePropertiesExBody
	err := r.client.RoundTrip(ctx, &methods.RetrievePropertiesExBody{Req: &types.RetrievePropertiesEx{
		This: collector, SpecSet: []types.PropertyFilterSpec{filter}, Options: types.RetrieveOptions{MaxObjects: int32(r.size)},
	}}, &answer)
	if answer.Res == nil || answer.Res.Returnval == nil {
		return types.RetrieveResult{}, err
	}
	return *answer.Res.Returnval, err
}

// lost is the problem that a page did not come, or not whole.
func (r *reader) lost(page types.RetrieveResult, err error) telemetry.Problem {
	rest := fmt.Sprintf("all after the first %d objects is missing", r.objects)
	if page.Token != "" {
		rest = fmt.Sprintf("%d of up to %d objects of that page are missing", r.size-len(page.Objects), r.size)
	}
	return telemetry.Problem{Stage: stage, Message: fmt.Sprintf("page %d cannot be read: %v; %s", r.pages, err, rest), Partial: true}
}

// cancel tells vCenter that nobody will ask for the rest. It keeps the rest of a read that is given up until the session ends.
func (r *reader) cancel(ctx context.Context, token string) {
	if token == "" {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer stop()
	// If vCenter cannot be told, it finds out by itself.
	_, _ = methods.CancelRetrievePropertiesEx(ctx, r.client, &types.CancelRetrievePropertiesEx{
		This: r.client.ServiceContent.PropertyCollector, Token: token,
	})
}

// root returns where a census begins: the datacenter of that name or path, or the root of everything for "". What is above
// the datacenter it tells the fold.
func (r *reader) root(ctx context.Context, fold *Fold, datacenter string) (Ref, error) {
	root := r.client.ServiceContent.RootFolder
	if datacenter == "" {
		return root, nil
	}
	var found []*Datacenter
	problems, err := r.read(ctx, datacenters(root), func(facts Facts) {
		fold.know(facts)
		if d, ok := facts.(*Datacenter); ok {
			found = append(found, d)
		}
	}, nil)
	if err != nil {
		return Ref{}, fmt.Errorf("look for datacenter %q: %w", datacenter, err)
	}
	return choose(fold, found, datacenter, problems)
}

// choose returns the datacenter of a path, or else the only one of that name.
func choose(fold *Fold, all []*Datacenter, wanted string, problems []telemetry.Problem) (Ref, error) {
	const op = "census.choose"
	var paths, same []string
	var named Ref
	for _, d := range all {
		path := fold.path(d.Ref)
		paths = append(paths, path)
		if path == strings.Trim(wanted, "/") {
			return d.Ref, nil
		}
		if d.Name == wanted {
			same, named = append(same, path), d.Ref
		}
	}
	slices.Sort(paths)
	switch {
	case len(same) == 1:
		return named, nil
	case len(same) > 1:
		return Ref{}, errs.New(op, errs.Invalid, "datacenter %q is one of several: name it by its path: %s", wanted, strings.Join(slices.Sorted(slices.Values(same)), ", "))
	case len(problems) > 0:
		return Ref{}, errs.New(op, errs.Unavailable, "look for datacenter %q: %s", wanted, problems[0].Message)
	default:
		return Ref{}, errs.New(op, errs.Invalid, "no datacenter %q; name one with --datacenter; there are: %s",
			wanted, strings.Join(paths, ", "))
	}
}
