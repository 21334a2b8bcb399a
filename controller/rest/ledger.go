package rest

import (
	"cmp"
	"context"
	"encoding/csv"
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
		"Messages and octets in and out, and failures, summed up over all servers by day, domain and account as asked for. Days are of UTC."}, s.readLedger)
	add(s, operation{"export-ledger", http.MethodGet, "/ledger.csv", "The ledger as CSV", auth.Ledger, auth.Read, 0,
		"With a header line (RFC 4180). 503 when a server does not answer: half a ledger must not look whole."}, s.exportLedger)
	o := s.api.OpenAPI()
	o.Paths["/api/v1/ledger.csv"].Get.Responses["200"].Content = map[string]*huma.MediaType{
		"text/csv": {Schema: &huma.Schema{Type: huma.TypeString}},
	}
	add(s, operation{"list-mail-failures", http.MethodGet, "/accounts/{id}/failures", "Mail of an account that was given up", inventory.Accounts, auth.Read, 0,
		"With how each attempt ended; of a day the last hundred."}, s.listMailFailures)
}

// LedgerFilter is the input that chooses rows of the ledger.
type LedgerFilter struct {
	From    string   `query:"from" format:"date" doc:"First day; default 30 days ago"`
	To      string   `query:"to" format:"date" doc:"Last day; default today"`
	By      []string `query:"by" enum:"day,domain,account" doc:"Default day and domain"`
	Domain  string   `query:"domain" maxLength:"253" doc:"Id or name"`
	Account string   `query:"account" maxLength:"320" doc:"Id or address"`
}

// defaultDays is how far back the ledger is read when no day is named.
const defaultDays = 30

func (f *LedgerFilter) query(now time.Time) inventory.LedgerQuery {
	return inventory.LedgerQuery{
		From: cmp.Or(f.From, now.UTC().AddDate(0, 0, -defaultDays).Format(time.DateOnly)), To: cmp.Or(f.To, now.UTC().Format(time.DateOnly)),
	}
}

type ledgerInput struct {
	LedgerFilter
}

type ledgerOutput struct {
	Body api.Ledger
}

// maxLedgerRows bounds an answer.
const maxLedgerRows = 20_000

func (s *Server) readLedger(ctx context.Context, in *ledgerInput) (*ledgerOutput, error) {
	q := in.query(time.Now())
	if _, err := q.Days(); err != nil {
		return nil, err
	}
	var servers []*inventory.Server
	var reach *auth.Reach
	nothing := false
	err := s.Store.View(ctx, func(tx inventory.Tx) (err error) {
		if reach, err = reachOf(ctx, tx); err != nil {
			return err
		}
		switch {
		case in.Account != "":
			a, _, err := s.accounts().visible(ctx, tx, in.Account)
			if err != nil {
				return named(err, "account", "there is no account %q", in.Account)
			}
			q.Account, q.Domains = a.ID, nil
		case in.Domain != "":
			d, _, err := s.domains().visible(ctx, tx, in.Domain)
			if err != nil {
				return named(err, "domain", "there is no domain %q", in.Domain)
			}
			q.Domains = []string{d.Name}
		case !reach.Fleet():
			q.Domains = reach.Domains()
			nothing = len(q.Domains) == 0
		}
		servers, err = s.mailServers(tx, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &ledgerOutput{api.Ledger{From: q.From, To: q.To, Items: []api.LedgerEntry{}, Silent: []string{}}}
	if nothing {
		return out, nil
	}
	answers := askAll(ctx, s, servers, func(ctx context.Context, at *inventory.Server) ([]inventory.LedgerRow, error) {
		return s.Mailnodes.Ledger(ctx, at.ID, q)
	})
	out.Body.Silent, out.Body.Partial = answers.told(reach), len(answers.silent) > 0
	by := in.By
	if len(by) == 0 {
		by = []string{"day", "domain"}
	}
	rows, total := sumLedger(answers.given, by)
	if len(rows) > maxLedgerRows {
		return nil, inventory.FieldErrorf("by", "that are %d rows, and %d can be answered: ask for fewer days, one domain, or not by account", len(rows), maxLedgerRows)
	}
	out.Body.Total = total
	out.Body.Items, err = s.nameAccounts(ctx, rows)
	return out, err
}

// sumLedger adds rows up that are alike in what they are asked for by.
func sumLedger(answers []answered[[]inventory.LedgerRow], by []string) (rows []inventory.LedgerRow, total api.LedgerEntry) {
	sums := make(map[inventory.LedgerRow]*inventory.LedgerRow)
	all := inventory.LedgerRow{}
	for _, a := range answers {
		for _, row := range a.answer {
			all.Add(row)
			var key inventory.LedgerRow
			if slices.Contains(by, "day") {
				key.Day = row.Day
			}
			if slices.Contains(by, "domain") {
				key.Domain = row.Domain
			}
			if slices.Contains(by, "account") {
				key.Account = row.Account
			}
			sum := sums[key]
			if sum == nil {
				fresh := key
				sum = &fresh
				sums[key] = sum
			}
			sum.Add(row)
		}
	}
	for _, sum := range sums {
		rows = append(rows, *sum)
	}
	slices.SortFunc(rows, func(a, b inventory.LedgerRow) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Account, b.Account))
	})
	return rows, ledgerEntry(all)
}

func ledgerEntry(r inventory.LedgerRow) api.LedgerEntry {
	return api.LedgerEntry{
		Day: r.Day, Domain: r.Domain, Account: r.Account, In: r.In, InBytes: r.InBytes, Out: r.Out, OutBytes: r.OutBytes, Failed: r.Failed,
	}
}

// nameAccounts gives rows the addresses of their accounts.
func (s *Server) nameAccounts(ctx context.Context, rows []inventory.LedgerRow) ([]api.LedgerEntry, error) {
	items := make([]api.LedgerEntry, 0, len(rows))
	names := make(map[inventory.ID]string)
	for _, r := range rows {
		if r.Account != "" {
			names[r.Account] = ""
		}
		items = append(items, ledgerEntry(r))
	}
	if len(names) == 0 {
		return items, nil
	}
	ids := make([]string, 0, len(names))
	for id := range names {
		ids = append(ids, string(id))
	}
	err := s.Store.View(ctx, func(tx inventory.Tx) error {
		for some := range slices.Chunk(ids, 500) {
			list, _, err := tx.Accounts().List(inventory.Query{Where: map[string][]string{"id": some}})
			if err != nil {
				return err
			}
			for _, a := range list {
				names[a.ID] = a.Address
			}
		}
		return nil
	})
	for i := range items {
		items[i].Address = names[items[i].Account]
	}
	return items, err
}

func (s *Server) exportLedger(ctx context.Context, in *ledgerInput) (*huma.StreamResponse, error) {
	ledger, err := s.readLedger(ctx, in)
	if err != nil {
		return nil, err
	}
	if ledger.Body.Partial {
		return nil, inventory.Errorf(inventory.Unavailable, "some servers do not answer now, so the ledger would not be whole: try again later")
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		g := humagin.Unwrap(hc)
		g.Header("Content-Type", "text/csv; charset=utf-8; header=present")
		g.Header("Content-Disposition", `attachment; filename="ledger.csv"`)
		w := csv.NewWriter(g.Writer)
		w.UseCRLF = true
		err := w.Write([]string{"day", "domain", "account", "address", "in", "in_bytes", "out", "out_bytes", "failed"})
		for _, e := range ledger.Body.Items {
			if err != nil {
				break
			}
			row := []string{e.Day, e.Domain, string(e.Account), e.Address}
			for _, n := range []int64{e.In, e.InBytes, e.Out, e.OutBytes, e.Failed} {
				row = append(row, strconv.FormatInt(n, 10))
			}
			err = w.Write(row)
		}
		w.Flush()
		if err = cmp.Or(err, w.Error()); err != nil {
			s.Logger.Warn("export of the ledger ended early", "cid", callOf(g.Request.Context()).id, "err", err)
			panic(http.ErrAbortHandler) // half a file must not look whole
		}
	}}, nil
}

type mailFailuresInput struct {
	Named
	From string `query:"from" format:"date" doc:"First day; default 30 days ago"`
	To   string `query:"to" format:"date" doc:"Last day; default today"`
}

type mailFailuresOutput struct {
	Body api.MailFailures
}

func (s *Server) listMailFailures(ctx context.Context, in *mailFailuresInput) (*mailFailuresOutput, error) {
	filter := LedgerFilter{From: in.From, To: in.To}
	q := filter.query(time.Now())
	if _, err := q.Days(); err != nil {
		return nil, err
	}
	var servers []*inventory.Server
	var reach *auth.Reach
	err := s.Store.View(ctx, func(tx inventory.Tx) error {
		a, r, err := s.accounts().visible(ctx, tx, in.ID)
		if err != nil {
			return err
		}
		q.Account, reach = a.ID, r
		servers, err = s.mailServers(tx, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	answers := askAll(ctx, s, servers, func(ctx context.Context, at *inventory.Server) ([]inventory.MailFailure, error) {
		return s.Mailnodes.MailFailures(ctx, at.ID, q)
	})
	out := &mailFailuresOutput{api.MailFailures{Items: []inventory.MailFailure{}, Silent: answers.told(reach), Partial: len(answers.silent) > 0}}
	for _, a := range answers.given {
		out.Body.Items = append(out.Body.Items, a.answer...)
	}
	slices.SortFunc(out.Body.Items, func(a, b inventory.MailFailure) int { return b.At.Compare(a.At) })
	return out, nil
}
