package rest

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) ledgerRoutes() {
	add(s, operation{"read-ledger", http.MethodGet, "/ledger", "What was sent and got", auth.Ledger, auth.Read, 0,
		"Messages and octets in and out, and failures, summed up over all servers by day, domain and account as asked for, in that order. Days are of UTC. The total is of all pages."}, s.readLedger)
	add(s, operation{"export-ledger", http.MethodGet, "/ledger.csv", "The ledger as CSV", auth.Ledger, auth.Read, 0,
		"All of it, with a header line (RFC 4180). 503 when a server does not answer: half a ledger must not look whole."}, s.exportLedger)
	add(s, operation{"list-mail-failures", http.MethodGet, "/ledger/failures", "Mail that was given up", auth.Ledger, auth.Read, 0,
		"Of a domain's senders, or of an account, the latest first, with how the last attempt ended. Of an account and day the last hundred are kept on each server."}, s.listMailFailures)
	add(s, operation{"export-mail-failures", http.MethodGet, "/ledger/failures.csv", "Mail that was given up as CSV", auth.Ledger, auth.Read, 0,
		"All of it, with a header line (RFC 4180). 503 when a server does not answer."}, s.exportMailFailures)
	for _, path := range []string{"/api/v1/ledger.csv", "/api/v1/ledger/failures.csv"} {
		s.api.OpenAPI().Paths[path].Get.Responses["200"].Content = map[string]*huma.MediaType{
			"text/csv": {Schema: &huma.Schema{Type: huma.TypeString}},
		}
	}
}

// LedgerFilter is the input that chooses what of the ledger is meant.
type LedgerFilter struct {
	From    string `query:"from" format:"date" doc:"First day; default 30 days ago"`
	To      string `query:"to" format:"date" doc:"Last day; default today"`
	Domain  string `query:"domain" maxLength:"253" doc:"Id or name"`
	Account string `query:"account" maxLength:"320" doc:"Id or address"`
}

// LedgerGroups is the input that says what rows are told apart by.
type LedgerGroups struct {
	By []string `query:"by" enum:"day,domain,account" doc:"Default day and domain"`
}

// LedgerPaging is the input of a page of the ledger.
type LedgerPaging struct {
	Limit  int    `query:"limit" default:"1000" minimum:"1" maximum:"10000" doc:"Most items in the answer"`
	Cursor string `query:"cursor" maxLength:"1000" doc:"next of the page before"`
}

const (
	// defaultDays is how far back the ledger is read when no day is named.
	defaultDays = 30
	// ledgerTime is how long a server may go through its ledger.
	ledgerTime = 25 * time.Second
	// csvRows are written at once.
	csvRows = 1000
)

// ledgerScope is what a filter means within the caller's reach.
type ledgerScope struct {
	query   inventory.LedgerQuery
	reach   *auth.Reach
	servers []*inventory.Server // none: nothing lies in reach
}

func (s *Server) ledgerScope(ctx context.Context, in LedgerFilter, by []string) (l ledgerScope, err error) {
	now := time.Now().UTC()
	q := &l.query
	q.By, q.From, q.To = by, cmp.Or(in.From, now.AddDate(0, 0, -defaultDays).Format(time.DateOnly)), cmp.Or(in.To, now.Format(time.DateOnly))
	if _, err := q.Days(); err != nil {
		return l, err
	}
	err = s.Store.View(ctx, func(tx inventory.Tx) (err error) {
		if l.reach, err = reachOf(ctx, tx); err != nil {
			return err
		}
		switch {
		case in.Account != "":
			a, _, err := s.accounts().visible(ctx, tx, in.Account)
			if err != nil {
				return named(err, "account", "there is no account %q", in.Account)
			}
			q.Account = a.ID
		case in.Domain != "":
			d, _, err := s.domains().visible(ctx, tx, in.Domain)
			if err != nil {
				return named(err, "domain", "there is no domain %q", in.Domain)
			}
			q.Domains = []string{d.Name}
		case !l.reach.Fleet():
			if q.Domains = l.reach.Domains(); len(q.Domains) == 0 {
				return nil
			}
		}
		if len(q.Values().Encode()) > inventory.MaxMailSessionQuery {
			return inventory.FieldErrorf("domain", "you look after too many domains to ask about at once: name one")
		}
		l.servers, err = s.mailServers(tx, nil)
		return err
	})
	return l, err
}

// rows goes through the sums of all servers, so many asked for at once.
func (s *Server) rows(l ledgerScope, most int) *merge[inventory.LedgerRow] {
	return &merge[inventory.LedgerRow]{
		s: s, servers: l.servers, time: ledgerTime, key: (*inventory.LedgerRow).Key, add: (*inventory.LedgerRow).Add,
		page: func(ctx context.Context, at *inventory.Server, after string) ([]inventory.LedgerRow, string, error) {
			q := l.query
			q.After, q.Limit = after, most
			page, err := s.Mailnodes.Ledger(ctx, at.ID, q)
			return page.Rows, page.Next, err
		},
	}
}

type ledgerInput struct {
	LedgerFilter
	LedgerGroups
	LedgerPaging
}

type ledgerOutput struct {
	Body api.Ledger
}

func groups(by []string) []string {
	if len(by) == 0 {
		return []string{"day", "domain"}
	}
	return by
}

func (s *Server) readLedger(ctx context.Context, in *ledgerInput) (*ledgerOutput, error) {
	l, err := s.ledgerScope(ctx, in.LedgerFilter, groups(in.By))
	if err != nil {
		return nil, err
	}
	callOf(ctx).extend(2*ledgerTime + writeTimeout)
	out := &ledgerOutput{api.Ledger{From: l.query.From, To: l.query.To}}
	m := s.rows(l, in.Limit)
	m.from(in.Cursor)
	rows, next := m.take(ctx, in.Limit)
	silent := m.silent
	total := inventory.LedgerRow{}
	for _, row := range rows {
		total.Add(row)
	}
	if in.Cursor != "" || next != "" { // it is of all pages
		l.query.By = nil
		all := s.rows(l, 1)
		all.from("")
		total, _ = all.next(ctx)
		silent = append(silent, all.silent...)
	}
	out.Body.Next, out.Body.Total = next, ledgerEntry(total)
	out.Body.Silent, out.Body.Partial = toldSilent(l.reach, unique(silent)), len(silent) > 0
	out.Body.Items, err = s.nameAccounts(ctx, rows)
	return out, err
}

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

func ledgerEntry(r inventory.LedgerRow) api.LedgerEntry {
	return api.LedgerEntry{
		Day: r.Day, Domain: r.Domain, Account: r.Account, In: r.In, InBytes: r.InBytes, Out: r.Out, OutBytes: r.OutBytes, Failed: r.Failed,
	}
}

// addressesOf are the addresses of accounts that there are.
func (s *Server) addressesOf(ctx context.Context, names map[inventory.ID]string) error {
	delete(names, "")
	return s.Store.View(ctx, func(tx inventory.Tx) error {
		for some := range slices.Chunk(slices.Collect(maps.Keys(names)), 500) {
			ids := make([]string, len(some))
			for i, id := range some {
				ids[i] = string(id)
			}
			list, _, err := tx.Accounts().List(inventory.Query{Where: map[string][]string{"id": ids}})
			if err != nil {
				return err
			}
			for _, a := range list {
				names[a.ID] = a.Address
			}
		}
		return nil
	})
}

// nameAccounts gives rows the addresses of their accounts.
func (s *Server) nameAccounts(ctx context.Context, rows []inventory.LedgerRow) ([]api.LedgerEntry, error) {
	items := make([]api.LedgerEntry, 0, len(rows))
	names := make(map[inventory.ID]string)
	for _, r := range rows {
		names[r.Account] = ""
		items = append(items, ledgerEntry(r))
	}
	err := s.addressesOf(ctx, names)
	for i := range items {
		items[i].Address = names[items[i].Account]
	}
	return items, err
}

type exportLedgerInput struct {
	LedgerFilter
	LedgerGroups
}

func (s *Server) exportLedger(ctx context.Context, in *exportLedgerInput) (*huma.StreamResponse, error) {
	l, err := s.ledgerScope(ctx, in.LedgerFilter, groups(in.By))
	if err != nil {
		return nil, err
	}
	header := []string{"day", "domain", "account", "address", "in", "in_bytes", "out", "out_bytes", "failed"}
	return streamCSV(ctx, s, "ledger.csv", header, s.rows(l, inventory.MaxLedgerPage), func(ctx context.Context, rows []inventory.LedgerRow) ([][]string, error) {
		items, err := s.nameAccounts(ctx, rows)
		lines := make([][]string, 0, len(items))
		for _, e := range items {
			line := []string{e.Day, e.Domain, string(e.Account), e.Address}
			for _, n := range []int64{e.In, e.InBytes, e.Out, e.OutBytes, e.Failed} {
				line = append(line, strconv.FormatInt(n, 10))
			}
			lines = append(lines, line)
		}
		return lines, err
	})
}

// errNotWhole is why a file is not begun, or ends early.
var errNotWhole = inventory.Errorf(inventory.Unavailable, "some servers do not answer now, so the ledger would not be whole: try again later")

// streamCSV answers with all that a merge has, some lines at a time. The first are made
// before the answer begins, so that what is wrong is still told.
func streamCSV[T any](ctx context.Context, s *Server, file string, header []string, m *merge[T], lines func(context.Context, []T) ([][]string, error)) (*huma.StreamResponse, error) {
	m.from("")
	batch := func(ctx context.Context) (some [][]string, more bool, err error) {
		callOf(ctx).extend(ledgerTime + writeTimeout)
		list, next := m.take(ctx, csvRows)
		if len(m.silent) > 0 {
			return nil, false, errNotWhole
		}
		some, err = lines(ctx, list)
		return some, next != "", err
	}
	some, more, err := batch(ctx)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		g := humagin.Unwrap(hc)
		g.Header("Content-Type", "text/csv; charset=utf-8; header=present")
		g.Header("Content-Disposition", `attachment; filename="`+file+`"`)
		w := csv.NewWriter(g.Writer)
		w.UseCRLF = true
		err := w.Write(header)
		for err == nil {
			for _, line := range some {
				for i, cell := range line {
					line[i] = inert(cell)
				}
				err = errors.Join(err, w.Write(line))
			}
			w.Flush()
			if err = errors.Join(err, w.Error()); err != nil || !more {
				break
			}
			some, more, err = batch(g.Request.Context())
		}
		if err != nil {
			s.Logger.Warn("a file of the ledger ended early", "file", file, "cid", callOf(g.Request.Context()).id, "err", err)
			panic(http.ErrAbortHandler) // half a file must not look whole
		}
	}}, nil
}
