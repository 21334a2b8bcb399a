package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/guard"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/queue"
	"mailfleet/mailnode/store"
)

// deferring is a world in which no mail can be delivered: mail for never.test is refused
// for good, all other for now.
type deferring struct{}

func (deferring) SendAll(_ context.Context, domain string, _ *outbound.Route, s outbound.Series) {
	for m := s.Next(); m != nil; m = s.Next() {
		s.Done(m, refused(domain, m))
	}
}

func refused(domain string, m *outbound.Message) []outbound.Outcome {
	o := outbound.Outcome{State: outbound.Temporary, Code: 451, Enhanced: "4.3.0", Host: "mx." + domain, Text: "mx." + domain + " does not take the message for now: 451 4.3.0 not now"}
	if domain == "never.test" {
		o = outbound.Outcome{State: outbound.Permanent, Code: 550, Enhanced: "5.1.1", Host: "mx." + domain, Text: "mx." + domain + " refused the recipient: 550 5.1.1 no such user"}
	}
	return slices.Repeat([]outbound.Outcome{o}, len(m.To))
}

func (deferring) Here(string) bool { return false }

func (deferring) Place(*envelope.Envelope, envelope.Recipient) (queue.Placed, error) {
	return queue.Placed{}, errors.New("nobody is here")
}

const account = inventory.ID("0198c0de-0000-7000-8000-000000000001")

// newWaiting is a queue that runs, as operators see it.
func newWaiting(t *testing.T) waiting {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	q := queue.New(queue.Options{
		Store: s, Sender: deferring{}, Local: deferring{}, Logger: quiet,
		Language: func(string) string { return "en" }, Settings: queue.Settings{Hostname: "mx.here.test"},
	})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { q.Run(ctx); close(ran) }()
	t.Cleanup(func() {
		cancel()
		<-ran
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return waiting{queue: q, brake: guard.NewBrake(guard.BrakeSettings{}, s, quiet), store: s}
}

// put accepts a message.
func (w waiting) put(t *testing.T, e envelope.Envelope, text string, to ...string) {
	t.Helper()
	var list []queue.To
	for _, address := range to {
		list = append(list, queue.To{Recipient: envelope.Recipient{Address: address, Notify: envelope.NotifyNever}})
	}
	ticket, err := w.queue.Ticket(&e, nil, int64(len(text)), list)
	if err != nil {
		t.Fatal(err)
	}
	body, err := w.store.Stage(t.Context(), strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if err := w.store.Update(t.Context(), body, func(tx *store.Tx) error { return ticket.Write(tx, body) }); err != nil {
		t.Fatal(err)
	}
	ticket.Plan()
}

// until waits for the queue to be as it must.
func (w waiting) until(t *testing.T, what string, f inventory.QueueFilter, fits func(inventory.QueuePage) bool) inventory.QueuePage {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		page, err := w.List(t.Context(), inventory.QueueQuery{QueueFilter: f, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		if fits(page) {
			return page
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s; there is %+v", what, page.Entries)
		}
	}
}

func tried(n int) func(inventory.QueuePage) bool {
	return func(p inventory.QueuePage) bool {
		return len(p.Entries) == n && !slices.ContainsFunc(p.Entries, func(e inventory.QueueEntry) bool { return e.Attempts == 0 || e.State == inventory.QueueActive })
	}
}

func mail(id, from string) envelope.Envelope {
	return envelope.Envelope{ID: id, From: from, Account: string(account)}
}

func TestOperatorsSeeAndActOnTheQueue(t *testing.T) {
	w := newWaiting(t)
	w.put(t, mail("one", "user1@a.test"), "Subject: one\r\n\r\n", "x@far.test", "y@far.test", "z@other.test")
	w.put(t, mail("two", "user2@B.test"), "Subject: two\r\n\r\n", "x@far.test")
	page := w.until(t, "all were tried", inventory.QueueFilter{}, tried(3))
	if e := page.Entries[0]; e.Message != "one" || e.Destination != "far.test" || len(e.Recipients) != 2 || e.LastCode != 451 || e.LastHost != "mx.far.test" || e.Account != account || e.Next.Before(e.LastAt) {
		t.Errorf("got %+v", e)
	}
	for name, want := range map[string]struct {
		f inventory.QueueFilter
		n int
	}{
		"destination": {inventory.QueueFilter{Destination: "FAR.test"}, 2}, "sender": {inventory.QueueFilter{Sender: "@b.test"}, 1},
		"account": {inventory.QueueFilter{Sender: string(account)}, 3}, "recipient": {inventory.QueueFilter{Recipient: "z@"}, 1},
		"reply": {inventory.QueueFilter{Last: "not NOW"}, 3}, "age": {inventory.QueueFilter{Older: inventory.Duration(time.Hour)}, 0},
		"young": {inventory.QueueFilter{Younger: inventory.Duration(time.Hour)}, 3}, "within": {inventory.QueueFilter{Within: []string{"b.test", "c.test"}}, 1},
		"ids": {inventory.QueueFilter{IDs: []string{page.Entries[1].ID}}, 1}, "message": {inventory.QueueFilter{Message: "one"}, 2},
	} {
		sum, err := w.Summary(t.Context(), want.f)
		if err != nil || sum.Total.Entries != want.n {
			t.Errorf("by %s: %+v, %v", name, sum.Total, err)
		}
	}
	act := func(act inventory.QueueAct, o inventory.QueueOrder, want int) {
		t.Helper()
		if n, err := w.Act(t.Context(), act, o); err != nil || n != want {
			t.Errorf("%s: %d entries, %v; want %d", act, n, err, want)
		}
	}
	far := inventory.QueueFilter{Destination: "far.test"}
	act(inventory.ActHold, inventory.QueueOrder{Filter: far}, 2)
	act(inventory.ActHold, inventory.QueueOrder{Filter: far}, 0)
	w.until(t, "they are held", inventory.QueueFilter{State: inventory.QueueHeld}, func(p inventory.QueuePage) bool { return len(p.Entries) == 2 })
	act(inventory.ActRetry, inventory.QueueOrder{Filter: far}, 0)
	act(inventory.ActRelease, inventory.QueueOrder{Filter: far}, 2)
	act(inventory.ActRetry, inventory.QueueOrder{}, 3)
	w.until(t, "all were tried again", inventory.QueueFilter{}, func(p inventory.QueuePage) bool {
		return tried(3)(p) && !slices.ContainsFunc(p.Entries, func(e inventory.QueueEntry) bool { return e.Attempts < 2 })
	})
	act(inventory.ActReroute, inventory.QueueOrder{Filter: far, Route: &inventory.Route{Host: "relay.test"}}, 2)
	w.until(t, "they go elsewhere", far, func(p inventory.QueuePage) bool { return len(p.Entries) == 2 && p.Entries[0].Route == "relay.test" })
	act(inventory.ActDelete, inventory.QueueOrder{Filter: far}, 2)
	w.until(t, "they are gone", inventory.QueueFilter{}, func(p inventory.QueuePage) bool { return len(p.Entries) == 1 })
	for _, wrong := range []inventory.QueueAct{inventory.ActExport, "burn"} {
		if _, err := w.Act(t.Context(), wrong, inventory.QueueOrder{}); !inventory.Is(err, inventory.Invalid) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestReleasingMailEndsTheBrakeOfItsSender(t *testing.T) {
	w := newWaiting(t)
	e := mail("held", "user1@a.test")
	e.Held = "far more than usual"
	w.put(t, e, "Subject: x\r\n\r\n", "x@far.test")
	w.until(t, "it is held", inventory.QueueFilter{State: inventory.QueueHeld}, func(p inventory.QueuePage) bool { return len(p.Entries) == 1 })
	for range 300 {
		if _, err := w.brake.Message(t.Context(), string(account), 1, guard.Plan{}); err != nil {
			t.Fatal(err)
		}
	}
	a, err := w.brake.Message(t.Context(), string(account), 1, guard.Plan{})
	if err != nil || !a.Hold {
		t.Fatalf("the account is not held: %+v, %v", a, err)
	}
	if n, err := w.Act(t.Context(), inventory.ActRelease, inventory.QueueOrder{}); err != nil || n != 1 {
		t.Errorf("%d entries, %v", n, err)
	}
	if a, err := w.brake.Message(t.Context(), string(account), 1, guard.Plan{}); err != nil || a.Hold {
		t.Errorf("somebody has looked, and it is held again: %+v, %v", a, err)
	}
}

func TestTheQueueIsExportedWithEachMessageOnce(t *testing.T) {
	w := newWaiting(t)
	w.put(t, mail("one", "user1@a.test"), "Subject: one\r\n\r\n", "x@far.test", "z@other.test")
	w.put(t, mail("two", "user1@a.test"), "Subject: two\r\n\r\n", "x@far.test")
	w.until(t, "all were tried", inventory.QueueFilter{}, tried(3))
	var got []string
	give := func(e inventory.QueueEntry, message io.Reader, size int64) error {
		line := e.Message + " " + e.Destination
		if message != nil {
			b, err := io.ReadAll(io.LimitReader(message, size))
			if err != nil || int64(len(b)) != size {
				t.Errorf("%d of %d octets, %v", len(b), size, err)
			}
			line += " " + string(b)
		}
		got = append(got, line)
		return nil
	}
	if err := w.Export(t.Context(), inventory.QueueFilter{}, give); err != nil {
		t.Fatal(err)
	}
	if want := []string{"one far.test Subject: one\r\n\r\n", "one other.test", "two far.test Subject: two\r\n\r\n"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	got = nil
	if err := w.Export(t.Context(), inventory.QueueFilter{Destination: "other.test"}, give); err != nil || !slices.Equal(got, []string{"one other.test Subject: one\r\n\r\n"}) {
		t.Errorf("on a filter: %q, %v", got, err)
	}
	full := errors.New("full")
	if err := w.Export(t.Context(), inventory.QueueFilter{}, func(inventory.QueueEntry, io.Reader, int64) error { return full }); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	page := w.until(t, "it is there", inventory.QueueFilter{Message: "two"}, func(p inventory.QueuePage) bool { return len(p.Entries) == 1 })
	text, size, err := w.Message(t.Context(), page.Entries[0].ID)
	if b, read := io.ReadAll(text); err != nil || read != nil || string(b) != "Subject: two\r\n\r\n" || size != int64(len(b)) {
		t.Errorf("got %q, %v", b, err)
	}
	if _, _, err := w.Message(t.Context(), strings.Repeat("0", 40)); !inventory.Is(err, inventory.NotFound) {
		t.Errorf("got %v", err)
	}
}

// pages reads all pages of the ledger.
func (w waiting) pages(t *testing.T, q inventory.LedgerQuery) (rows []inventory.LedgerRow) {
	t.Helper()
	for {
		page, err := w.Ledger(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, page.Rows...)
		if q.After = page.Next; q.After == "" {
			return rows
		}
	}
}

// The ledger by pages of any size is what a sum over all counters is, over the border of
// days as a clock in whatever zone shows them.
func TestTheLedgerByPagesIsTheSumOfItsCounters(t *testing.T) {
	w := newWaiting(t)
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{queue.CountIn, queue.CountInBytes, queue.CountOut, queue.CountOutBytes, queue.CountFailed}
	domains := []string{"a", "a.test", "a-b.test", ""}
	accounts := []string{"", string(account), "0198c0de-0000-7000-8000-000000000002", "0298c0de-0000-7000-8000-000000000003"}
	start := time.Date(2026, 2, 28, 23, 30, 0, 0, time.FixedZone("east", 8*3600)) // 15:30 of UTC
	var all []inventory.LedgerRow
	err := w.store.Update(t.Context(), nil, func(tx *store.Tx) error {
		for range 400 {
			at := start.Add(time.Duration(random.IntN(72)) * time.Hour)
			row := inventory.LedgerRow{Day: at.UTC().Format(time.DateOnly), Domain: domains[random.IntN(4)], Account: inventory.ID(accounts[random.IntN(4)])}
			n := random.IntN(5)
			if err := tx.Count(queue.Counts(at, row.Domain, string(row.Account), names[n], 3)); err != nil {
				return err
			}
			row.Domain = cmp.Or(row.Domain, "-")
			*[]*int64{&row.In, &row.InBytes, &row.Out, &row.OutBytes, &row.Failed}[n] = 3
			all = append(all, row)
		}
		return tx.Count(store.Count{Key: "2026-03-01/of-something-else", N: 1})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range [][]string{nil, {"day"}, {"domain"}, {"account"}, {"day", "domain"}, {"day", "account"}, {"domain", "account"}, {"day", "domain", "account"}} {
		for _, of := range []inventory.LedgerQuery{{}, {Domains: []string{"a.test", "a"}}, {Account: account}, {Account: account, Domains: []string{"a-b.test"}}} {
			sums := map[string]inventory.LedgerRow{}
			for _, row := range all {
				if row.Day < "2026-02-28" || row.Day > "2026-03-02" || len(of.Domains) > 0 && !slices.Contains(of.Domains, row.Domain) || of.Account != "" && row.Account != of.Account {
					continue
				}
				key := inventory.LedgerRow{}
				if slices.Contains(by, "day") {
					key.Day = row.Day
				}
				if slices.Contains(by, "domain") {
					key.Domain = row.Domain
				}
				if slices.Contains(by, "account") {
					key.Account = row.Account
				}
				sum, ok := sums[key.Key()]
				if !ok {
					sum = key
				}
				sum.Add(row)
				sums[key.Key()] = sum
			}
			var want []inventory.LedgerRow
			for _, row := range sums {
				want = append(want, row)
			}
			slices.SortFunc(want, func(a, b inventory.LedgerRow) int { return cmp.Compare(a.Key(), b.Key()) })
			for _, limit := range []int{1, 2, 7, 1000} {
				of.From, of.To, of.By, of.Limit = "2026-02-28", "2026-03-02", by, limit
				if got := w.pages(t, of); !slices.Equal(got, want) {
					t.Fatalf("by %v, of %v %q, %d at once: %d rows, not %d\n%+v\n%+v", by, of.Domains, of.Account, limit, len(got), len(want), got, want)
				}
			}
		}
	}
}

func TestFailuresOfADomainAndOfAnAccount(t *testing.T) {
	w := newWaiting(t)
	for i := range 5 {
		w.put(t, mail(fmt.Sprint("m", i), fmt.Sprintf("user@%s.test", []string{"a", "B"}[i%2])), "Subject: x\r\n\r\n", "x@never.test")
	}
	other := envelope.Envelope{ID: "onward", From: "srs@a.test"}
	w.put(t, other, "Subject: x\r\n\r\n", "x@never.test")
	w.until(t, "all were refused", inventory.QueueFilter{}, func(p inventory.QueuePage) bool { return len(p.Entries) == 0 })
	now := time.Now().UTC()
	all := inventory.LedgerQuery{From: now.AddDate(0, 0, -1).Format(time.DateOnly), To: now.AddDate(0, 0, 1).Format(time.DateOnly)}
	for name, want := range map[string]struct {
		q inventory.LedgerQuery
		n int
	}{"all": {inventory.LedgerQuery{}, 6}, "domain": {inventory.LedgerQuery{Domains: []string{"b.test"}}, 2}, "domains": {inventory.LedgerQuery{Domains: []string{"a.test", "b.test"}}, 6}, "account": {inventory.LedgerQuery{Account: account}, 5}} {
		for _, limit := range []int{1, 2, 100} {
			q := want.q
			q.From, q.To, q.Limit = all.From, all.To, limit
			var got []inventory.MailFailure
			for {
				page, err := w.Failures(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, page.Failures...)
				if q.After = page.Next; q.After == "" {
					break
				}
			}
			if len(got) != want.n || !slices.IsSortedFunc(got, func(a, b inventory.MailFailure) int { return cmp.Compare(a.Key(), b.Key()) }) || got[0].Text != "mx.never.test refused the recipient: 550 5.1.1 no such user" || got[0].Code != 550 {
				t.Errorf("%s by pages of %d: %+v", name, limit, got)
			}
		}
	}
	all.By = []string{"domain"}
	rows := w.pages(t, all)
	if len(rows) != 2 || rows[0].Failed != 4 || rows[1].Failed != 2 || rows[1].Domain != "b.test" {
		t.Errorf("the ledger says %+v", rows)
	}
}
