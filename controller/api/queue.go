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

// Ledger answers a question to the ledger.
type Ledger struct {
	From    string        `json:"from"`
	To      string        `json:"to"`
	Items   []LedgerEntry `json:"items" nullable:"false"`
	Total   LedgerEntry   `json:"total"`
	Silent  []string      `json:"silent" nullable:"false" doc:"Servers that did not answer"`
	Partial bool          `json:"partial" doc:"Some servers did not answer"`
}

// MailFailures are what was noted of an account's mail that was given up.
type MailFailures struct {
	Items   []inventory.MailFailure `json:"items" nullable:"false" doc:"The latest first"`
	Silent  []string                `json:"silent" nullable:"false" doc:"Servers that did not answer"`
	Partial bool                    `json:"partial" doc:"Some servers did not answer"`
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
}

// Ledger reads what was sent and got.
func (c *Client) Ledger(ctx context.Context, q LedgerQuery) (Ledger, error) {
	v := url.Values{}
	for name, day := range map[string]time.Time{"from": q.From, "to": q.To} {
		if !day.IsZero() {
			v.Set(name, day.Format(time.DateOnly))
		}
	}
	for name, text := range map[string]string{"domain": q.Domain, "account": q.Account} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if len(q.By) > 0 {
		v["by"] = q.By
	}
	return get[Ledger](ctx, c, with(path("ledger"), v))
}
