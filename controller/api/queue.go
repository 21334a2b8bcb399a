package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"mailfleet/inventory"
)

// QueuedMail is an entry of a server's queue.
type QueuedMail struct {
	inventory.QueueEntry
	Entry    string       `json:"entry" doc:"Id on its server, for the filter of an operation"`
	Server   string       `json:"server"` // name
	ServerID inventory.ID `json:"server_id"`
}

// Queue is a page of queued mail: of one server after the other, the oldest first.
type Queue struct {
	Items   []QueuedMail `json:"items" nullable:"false"`
	Next    string       `json:"next"`
	Silent  []string     `json:"silent" nullable:"false" doc:"Servers that did not answer"`
	Partial bool         `json:"partial" doc:"Some servers did not answer"`
}

// QueueActing asks for an act on what one's domains send or wait for.
type QueueActing struct {
	Act     inventory.QueueAct    `json:"act" enum:"hold,release,delete"`
	Filter  inventory.QueueFilter `json:"filter,omitzero" doc:"Which entries; empty: all that lie in one's scope"`
	Report  bool                  `json:"report,omitempty" doc:"delete: tell the senders"`
	Confirm int                   `json:"confirm,omitempty" doc:"delete: the number of entries, as the summary has it; another one: 422, and nothing happens"`
	Reason  string                `json:"reason,omitempty" maxLength:"1000"`
}

// QueueActed tells of an act on queued mail.
type QueueActed struct {
	Operation inventory.ID             `json:"operation,omitempty" doc:"Absent: there was nothing to do"`
	State     inventory.OperationState `json:"state"`
	Entries   int                      `json:"entries" doc:"That were meant"`
	Silent    []string                 `json:"silent" nullable:"false" doc:"Servers that did not answer, where nothing was done"`
	Partial   bool                     `json:"partial" doc:"Some servers did not answer"`
}

// QueueServer is how much of a sum is on a server.
type QueueServer struct {
	Server string `json:"server"`
	inventory.QueueTotal
}

// QueueSummary sums queued mail up.
type QueueSummary struct {
	Total        inventory.QueueTotal         `json:"total"`
	Servers      []QueueServer                `json:"servers" nullable:"false"`
	Destinations []inventory.QueueDestination `json:"destinations" nullable:"false" doc:"Those with most recipients first"`
	Silent       []string                     `json:"silent" nullable:"false" doc:"Servers that did not answer"`
	Partial      bool                         `json:"partial" doc:"Some servers did not answer"`
}

// LedgerEntry is what was sent and got, as the question groups it.
type LedgerEntry struct {
	Day     string       `json:"day,omitempty" example:"2026-11-27"`
	Domain  string       `json:"domain,omitempty"`
	Account inventory.ID `json:"account,omitempty"`
	Address string       `json:"address,omitempty" doc:"Of the account; absent: it has gone, or it is mail of none"`

	In       int64 `json:"in" doc:"Messages put into mailboxes"`
	InBytes  int64 `json:"in_bytes"`
	Out      int64 `json:"out" doc:"Recipients elsewhere who took mail"`
	OutBytes int64 `json:"out_bytes"`
	Failed   int64 `json:"failed" doc:"Recipients whose mail was given up"`
}

// Ledger is a page of what the ledger has.
type Ledger struct {
	From    string        `json:"from"`
	To      string        `json:"to"`
	Items   []LedgerEntry `json:"items" nullable:"false"`
	Next    string        `json:"next"`
	Total   LedgerEntry   `json:"total" doc:"Of all pages"`
	Silent  []string      `json:"silent" nullable:"false" doc:"Servers that did not answer"`
	Partial bool          `json:"partial" doc:"Some servers did not answer"`
}

// MailFailure is mail that was given up.
type MailFailure struct {
	inventory.MailFailure
	Address string `json:"address,omitempty" doc:"Of the account; absent: it has gone, or it is mail of none"`
}

// MailFailures are a page of what was noted of mail that was given up.
type MailFailures struct {
	Items   []MailFailure `json:"items" nullable:"false" doc:"The latest first"`
	Next    string        `json:"next"`
	Silent  []string      `json:"silent" nullable:"false" doc:"Servers that did not answer"`
	Partial bool          `json:"partial" doc:"Some servers did not answer"`
}

// Queue reads a page of queued mail. cursor is Next of the page before.
func (c *Client) Queue(ctx context.Context, f inventory.QueueFilter, servers []string, cursor string) (Queue, error) {
	v := f.Values()
	if len(servers) > 0 {
		v["server"] = servers
	}
	if cursor != "" {
		v.Set("cursor", cursor)
	}
	return get[Queue](ctx, c, with(path("queue"), v))
}

// QueueSummary sums queued mail up.
func (c *Client) QueueSummary(ctx context.Context, f inventory.QueueFilter, servers []string) (QueueSummary, error) {
	v := f.Values()
	if len(servers) > 0 {
		v["server"] = servers
	}
	return get[QueueSummary](ctx, c, with(path("queue", "summary"), v))
}

// ActOnQueue holds, releases or deletes what the client's domains send or wait for, and waits so long
// for the end.
func (c *Client) ActOnQueue(ctx context.Context, in QueueActing, wait time.Duration) (QueueActed, error) {
	return send[QueueActed](ctx, c, http.MethodPost, with(path("queue", "acts"), url.Values{"wait": {wait.String()}}), in)
}

// ExportQueue fetches the ZIP archive of a queue.export operation. It is whole when it was
// read to its end; whoever asked closes it.
func (c *Client) ExportQueue(ctx context.Context, operation inventory.ID) (io.ReadCloser, error) {
	res, err := c.do(ctx, http.MethodGet, path("operations", string(operation), "export"), nil)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	return nil, problem(res, b)
}

// LedgerQuery asks the ledger. Zero fields are left to the controller.
type LedgerQuery struct {
	From, To time.Time // days
	By       []string  // day, domain, account
	Domain   string
	Account  string
	Cursor   string // Next of the page before
}

// Ledger reads a page of what was sent and got.
func (c *Client) Ledger(ctx context.Context, q LedgerQuery) (Ledger, error) {
	return get[Ledger](ctx, c, with(path("ledger"), q.values()))
}

// MailFailures reads a page of the mail that was given up.
func (c *Client) MailFailures(ctx context.Context, q LedgerQuery) (MailFailures, error) {
	return get[MailFailures](ctx, c, with(path("ledger", "failures"), q.values()))
}

func (q *LedgerQuery) values() url.Values {
	v := url.Values{}
	for name, day := range map[string]time.Time{"from": q.From, "to": q.To} {
		if !day.IsZero() {
			v.Set(name, day.Format(time.DateOnly))
		}
	}
	for name, text := range map[string]string{"domain": q.Domain, "account": q.Account, "cursor": q.Cursor} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if len(q.By) > 0 {
		v["by"] = q.By
	}
	return v
}
