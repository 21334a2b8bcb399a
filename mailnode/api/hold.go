package api

import (
	"context"
	"net/http"
	"net/url"

	"mailfleet/inventory"
)

// Holds are accounts whose mail is held.
type Holds struct {
	Holds []inventory.MailHold `json:"holds"`
}

// Holds tells of the accounts whose mail is held, and how much of it there is.
func (c *Client) Holds(ctx context.Context) ([]inventory.MailHold, error) {
	all, err := call[Holds](ctx, c, http.MethodGet, "/v1/holds")
	if err != nil {
		return nil, err
	}
	return all.Holds, nil
}

// ReleaseHold lets an account send again and its held mail go, and returns of how many
// entries of the queue that is. A *Problem of status 404: it is not held.
func (c *Client) ReleaseHold(ctx context.Context, account inventory.ID) (int, error) {
	done, err := call[inventory.QueueDone](ctx, c, http.MethodPost, "/v1/holds/"+url.PathEscape(string(account))+"/release")
	if err != nil {
		return 0, err
	}
	return done.Entries, nil
}

// DeleteHeld deletes an account's held mail, and returns how many entries of the queue
// that were. The account stays held.
func (c *Client) DeleteHeld(ctx context.Context, account inventory.ID) (int, error) {
	done, err := call[inventory.QueueDone](ctx, c, http.MethodDelete, "/v1/holds/"+url.PathEscape(string(account))+"/mail")
	if err != nil {
		return 0, err
	}
	return done.Entries, nil
}
