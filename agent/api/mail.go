package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"mailfleet/inventory"
)

// MailPath begins the paths that the agent hands on to the mailnode's control
// socket, where they begin with /v1/.
const MailPath = "/v1/mail/"

// MailRoutes are what is handed on, and nothing else.
var MailRoutes = []string{
	"GET " + MailPath + "sessions",
	"DELETE " + MailPath + "sessions",
	"DELETE " + MailPath + "sessions/{id}",
	"GET " + MailPath + "accounts/{id}/mailboxes",
	"GET " + MailPath + "accounts/{id}/sign-ins",
	"GET " + MailPath + "queue",
	"GET " + MailPath + "queue/summary",
	"GET " + MailPath + "queue/export",
	"GET " + MailPath + "queue/{id}/message",
	"GET " + MailPath + "holds",
	"POST " + MailPath + "holds/{account}/release",
	"DELETE " + MailPath + "holds/{account}/mail",
	"GET " + MailPath + "ledger",
	"GET " + MailPath + "ledger/failures",
}

// MailSessions lists the connections of the server's mailnode, a page at a time.
// Unavailable: the mailnode is not running.
func (c *Client) MailSessions(ctx context.Context, q inventory.MailSessionQuery) (page inventory.MailSessionPage, err error) {
	return page, c.mail(ctx, http.MethodGet, "sessions?"+q.Values().Encode(), &page)
}

// EndMailSession ends a connection. NotFound: there is none of that id.
func (c *Client) EndMailSession(ctx context.Context, id string) error {
	var ended inventory.EndedMailSessions
	return c.mail(ctx, http.MethodDelete, "sessions/"+url.PathEscape(id), &ended)
}

// EndMailSessions ends all connections that a query means and returns how many they were.
func (c *Client) EndMailSessions(ctx context.Context, q inventory.MailSessionQuery) (int, error) {
	var ended inventory.EndedMailSessions
	err := c.mail(ctx, http.MethodDelete, "sessions?"+q.Values().Encode(), &ended)
	return ended.Ended, err
}

// Mailboxes lists the folders of an account at home on the server.
func (c *Client) Mailboxes(ctx context.Context, account inventory.ID) (all inventory.Mailboxes, err error) {
	return all, c.mail(ctx, http.MethodGet, "accounts/"+url.PathEscape(string(account))+"/mailboxes", &all)
}

// SignIns tells of the last sign-ins to an account at home on the server, the latest first.
func (c *Client) SignIns(ctx context.Context, account inventory.ID) ([]inventory.MailSignIn, error) {
	var list struct {
		SignIns []inventory.MailSignIn `json:"sign_ins"`
	}
	err := c.mail(ctx, http.MethodGet, "accounts/"+url.PathEscape(string(account))+"/sign-ins", &list)
	return list.SignIns, err
}

// Queue lists entries of the mailnode's queue, a page at a time.
func (c *Client) Queue(ctx context.Context, q inventory.QueueQuery) (page inventory.QueuePage, err error) {
	return page, c.mail(ctx, http.MethodGet, "queue?"+q.Values().Encode(), &page)
}

// QueueSummary sums up what a filter picks.
func (c *Client) QueueSummary(ctx context.Context, f inventory.QueueFilter) (sum inventory.QueueSummary, err error) {
	return sum, c.mail(ctx, http.MethodGet, "queue/summary?"+f.Values().Encode(), &sum)
}

// Holds tells of the accounts whose mail is held, and how much of it there is.
func (c *Client) Holds(ctx context.Context) ([]inventory.MailHold, error) {
	var list struct {
		Holds []inventory.MailHold `json:"holds"`
	}
	err := c.mail(ctx, http.MethodGet, "holds", &list)
	return list.Holds, err
}

// ReleaseHold lets an account send again and its held mail go, and returns of how many
// entries of the queue that is. NotFound: it is not held.
func (c *Client) ReleaseHold(ctx context.Context, account inventory.ID) (int, error) {
	var done inventory.QueueDone
	err := c.mail(ctx, http.MethodPost, "holds/"+url.PathEscape(string(account))+"/release", &done)
	return done.Entries, err
}

// DeleteHeld deletes an account's held mail, and returns how many entries of the queue that were.
func (c *Client) DeleteHeld(ctx context.Context, account inventory.ID) (int, error) {
	var done inventory.QueueDone
	err := c.mail(ctx, http.MethodDelete, "holds/"+url.PathEscape(string(account))+"/mail", &done)
	return done.Entries, err
}

// Ledger reads a page of the mailnode's ledger.
func (c *Client) Ledger(ctx context.Context, q inventory.LedgerQuery) (page inventory.LedgerPage, err error) {
	return page, c.mail(ctx, http.MethodGet, "ledger?"+q.Values().Encode(), &page)
}

// MailFailures reads a page of what was noted of mail that was given up.
func (c *Client) MailFailures(ctx context.Context, q inventory.LedgerQuery) (page inventory.MailFailurePage, err error) {
	return page, c.mail(ctx, http.MethodGet, "ledger/failures?"+q.Values().Encode(), &page)
}

// QueuedMessage opens the message of an entry and tells its size. Whoever asked closes it.
func (c *Client) QueuedMessage(ctx context.Context, id string) (io.ReadCloser, int64, error) {
	return c.open(ctx, "queue/"+url.PathEscape(id)+"/message")
}

// ExportQueue opens the stream of what a filter picks (inventory.QueueExportReader).
// Whoever asked closes it.
func (c *Client) ExportQueue(ctx context.Context, f inventory.QueueFilter) (io.ReadCloser, error) {
	stream, _, err := c.open(ctx, "queue/export?"+f.Values().Encode())
	return stream, err
}

// open asks the mailnode for what is read piece by piece, and tells its size, -1 when
// that is not known.
func (c *Client) open(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent"+MailPath+path, nil)
	if err != nil {
		return nil, 0, err
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, 0, inventory.Wrap(inventory.Unavailable, err, "the server's agent does not answer")
	}
	if res.StatusCode != http.StatusOK {
		defer func() { _ = res.Body.Close() }()
		return nil, 0, problem(res)
	}
	return res.Body, res.ContentLength, nil
}

// maxMailAnswer bounds what is read of an answer.
const maxMailAnswer = 16 << 20

// mail asks the mailnode. Its problems come as errors of inventory.
func (c *Client) mail(ctx context.Context, method, path string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+MailPath+path, nil)
	if err != nil {
		return err
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return inventory.Wrap(inventory.Unavailable, err, "the server's agent does not answer")
	}
	defer func() { _ = res.Body.Close() }()
	body := json.NewDecoder(io.LimitReader(res.Body, maxMailAnswer))
	if res.StatusCode == http.StatusOK {
		if err := body.Decode(answer); err != nil {
			return fmt.Errorf("read the mailnode's answer: %w", err)
		}
		return nil
	}
	return problem(res)
}
