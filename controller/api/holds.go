package api

import (
	"context"
	"net/http"
	"net/url"

	"mailfleet/inventory"
)

// Hold is an account whose mail is held.
type Hold struct {
	inventory.MailHold
	Domain  string                 `json:"domain"`
	State   inventory.AccountState `json:"state"`   // of the account
	Version uint64                 `json:"version"` // of the account, for If-Match
}

// Holds are the accounts whose mail is held, the latest first.
type Holds struct {
	Items   []Hold   `json:"items" nullable:"false"`
	Silent  []string `json:"silent" nullable:"false" doc:"Servers that did not answer"`
	Partial bool     `json:"partial" doc:"Some servers did not answer"`
}

// Holds lists the accounts whose mail is held because they send far more than usual.
// filter holds query parameters: account or domain.
func (c *Client) Holds(ctx context.Context, filter url.Values) (Holds, error) {
	return get[Holds](ctx, c, with(path("holds"), filter))
}

// ReleaseHold lets an account send again and its held mail go, and returns of how many
// entries of the queue that is.
func (c *Client) ReleaseHold(ctx context.Context, ref string, version uint64) (int, error) {
	done, err := send[inventory.QueueDone](ctx, c, http.MethodDelete, path("accounts", ref, "hold"), nil, ifMatch(version)...)
	return done.Entries, err
}

// DeleteHeldMail deletes an account's held mail, and returns how many entries of the
// queue that were. The account stays held.
func (c *Client) DeleteHeldMail(ctx context.Context, ref string, version uint64) (int, error) {
	done, err := send[inventory.QueueDone](ctx, c, http.MethodDelete, path("accounts", ref, "held-mail"), nil, ifMatch(version)...)
	return done.Entries, err
}
