package rest

import (
	"context"
	"slices"

	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// reachOf is what lies in the caller's scope.
func reachOf(ctx context.Context, tx inventory.Tx) (*auth.Reach, error) {
	return auth.ReachOf(tx, callOf(ctx).principal)
}

// within lists what lies in the caller's scope. Of kinds that can be narrowed
// in the query only that is read.
func within[R any](ctx context.Context, tx inventory.Tx, kind inventory.Kind, q inventory.Query, list func(inventory.Query) ([]R, string, error)) ([]R, string, error) {
	reach, err := reachOf(ctx, tx)
	if err != nil {
		return nil, "", err
	}
	if reach.Fleet() {
		return list(q)
	}
	if field, values, ok := reach.Narrow(kind); ok {
		if wanted := q.Where[field]; len(wanted) > 0 {
			values = slices.DeleteFunc(values, func(v string) bool { return !slices.Contains(wanted, v) })
		}
		if len(values) == 0 {
			return nil, "", nil
		}
		if q.Where == nil {
			q.Where = map[string][]string{}
		}
		q.Where[field] = values
	}
	// Each round asks for no more than is missing, so that the last cursor is
	// the page's.
	var page []R
	for most := q.Limit; ; q.Limit = most - len(page) {
		found, next, err := list(q)
		if err != nil {
			return nil, "", err
		}
		for _, thing := range found {
			if reach.Sees(thing) {
				page = append(page, thing)
			}
		}
		if next == "" || most > 0 && len(page) >= most {
			return page, next, nil
		}
		q.Cursor = next
	}
}

// mayAlso refuses what the route's own right does not cover.
func mayAlso(ctx context.Context, resource inventory.Kind, verb auth.Verb) error {
	return auth.Allow(callOf(ctx).principal, resource, verb)
}
