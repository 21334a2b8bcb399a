package api

import (
	"context"
	"net/http"
	"net/url"

	"mailfleet/inventory"
)

// SignIns are the last sign-ins to an account, the latest first.
type SignIns struct {
	SignIns []inventory.MailSignIn `json:"sign_ins"`
}

// Sessions lists open connections, a page at a time.
func (c *Client) Sessions(ctx context.Context, q inventory.MailSessionQuery) (*inventory.MailSessionPage, error) {
	return call[inventory.MailSessionPage](ctx, c, http.MethodGet, "/v1/sessions?"+q.Values().Encode())
}

// EndSession ends a connection. A *Problem of status 404: there is none of that id.
func (c *Client) EndSession(ctx context.Context, id string) error {
	_, err := call[inventory.EndedMailSessions](ctx, c, http.MethodDelete, "/v1/sessions/"+url.PathEscape(id))
	return err
}

// EndSessions ends all connections that a query means, on all pages, and returns how
// many they were. A query that means everybody's is refused.
func (c *Client) EndSessions(ctx context.Context, q inventory.MailSessionQuery) (int, error) {
	ended, err := call[inventory.EndedMailSessions](ctx, c, http.MethodDelete, "/v1/sessions?"+q.Values().Encode())
	if err != nil {
		return 0, err
	}
	return ended.Ended, nil
}

// Mailboxes lists an account's folders.
func (c *Client) Mailboxes(ctx context.Context, account inventory.ID) (*inventory.Mailboxes, error) {
	return call[inventory.Mailboxes](ctx, c, http.MethodGet, "/v1/accounts/"+url.PathEscape(string(account))+"/mailboxes")
}

// SignIns tells of the last sign-ins to an account.
func (c *Client) SignIns(ctx context.Context, account inventory.ID) ([]inventory.MailSignIn, error) {
	list, err := call[SignIns](ctx, c, http.MethodGet, "/v1/accounts/"+url.PathEscape(string(account))+"/sign-ins")
	if err != nil {
		return nil, err
	}
	return list.SignIns, nil
}
