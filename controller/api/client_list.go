package api

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"mailfleet/inventory"
)

// List is a list of the API: its path below /api/v1 and what its items are.
type List[T any] string

// The lists.
const (
	Servers    List[Server]               = "servers"
	Services   List[inventory.Service]    = "services"
	Readings   List[Reading]              = "samples"
	Operations List[inventory.Operation]  = "operations"
	Powers     List[inventory.Power]      = "powers"
	Pools      List[inventory.Pool]       = "pools"
	Windows    List[inventory.Window]     = "windows"
	Releases   List[inventory.Release]    = "releases"
	Rules      List[inventory.Rule]       = "rules"
	Contacts   List[inventory.Contact]    = "contacts"
	Alerts     List[inventory.Alert]      = "alerts"
	SMS        List[inventory.SMS]        = "sms"
	Domains    List[inventory.Domain]     = "domains"
	Accounts   List[inventory.Account]    = "accounts"
	Groups     List[inventory.Group]      = "groups"
	DKIMKeys   List[inventory.DKIMKey]    = "dkim-keys"
	People     List[inventory.Person]     = "people"
	Tokens     List[inventory.Token]      = "tokens"
	Audit      List[inventory.AuditEntry] = "audit"
)

// All walks a list, page after page, in the list's order. filter holds its
// query parameters ("state", "server", "order", "limit" of a page…); nil: none.
// It stops at the first error, which comes with a zero item.
func (l List[T]) All(ctx context.Context, c *Client, filter url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		q := maps.Clone(filter)
		if q == nil {
			q = url.Values{}
		}
		for {
			page, err := get[Page[T]](ctx, c, with(path(string(l)), q))
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.Set("cursor", page.Next)
		}
	}
}

// Wait reads the first page of a list as soon as anything of its kind has
// changed after index, or after wait (at most 60s), and the index to wait from
// next. Index 0 does not wait.
func (l List[T]) Wait(ctx context.Context, c *Client, filter url.Values, index uint64, wait time.Duration) (Page[T], uint64, error) {
	q := maps.Clone(filter)
	if q == nil {
		q = url.Values{}
	}
	if index > 0 {
		q.Set("index", strconv.FormatUint(index, 10))
		q.Set("wait", wait.String())
	}
	var page Page[T]
	res, err := c.call(ctx, http.MethodGet, with(path(string(l)), q), nil, &page)
	if err != nil {
		return page, index, err
	}
	next, err := strconv.ParseUint(res.header.Get("X-Index"), 10, 64)
	return page, next, err
}
