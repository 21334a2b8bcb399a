package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// mailnodes stands for the servers' own, which this package reaches through an
// interface: each server has the connections that a test gives it. How real
// ones answer is tested where the programs run together.
type mailnodes struct {
	mu     sync.Mutex
	open   map[inventory.ID][]inventory.MailSession
	silent map[inventory.ID]bool

	asked   inventory.QueueFilter // last
	endless bool                  // exports go on until they are closed
	cutOff  map[inventory.ID]bool // exports end without their last line
	holds   map[inventory.ID][]inventory.MailHold
}

func (m *mailnodes) Holds(_ context.Context, server inventory.ID) ([]inventory.MailHold, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.silent[server] {
		return nil, inventory.Errorf(inventory.Unavailable, "the mailnode did not answer")
	}
	return slices.Clone(m.holds[server]), nil
}

func (m *mailnodes) ReleaseHold(_ context.Context, server, account inventory.ID) (n int, err error) {
	return m.onHold(server, account, func(h *inventory.MailHold) { h.Account = "" })
}

func (m *mailnodes) DeleteHeld(_ context.Context, server, account inventory.ID) (int, error) {
	return m.onHold(server, account, func(h *inventory.MailHold) { h.Messages, h.Recipients = 0, 0 })
}

func (m *mailnodes) onHold(server, account inventory.ID, do func(*inventory.MailHold)) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.holds[server], func(h inventory.MailHold) bool { return h.Account == account })
	if i < 0 {
		return 0, inventory.Errorf(inventory.NotFound, "not held")
	}
	h := &m.holds[server][i]
	n := h.Messages
	do(h)
	m.holds[server] = slices.DeleteFunc(m.holds[server], func(h inventory.MailHold) bool { return h.Account == "" })
	return n, nil
}

func (m *mailnodes) connect(server inventory.ID, protocol string, user string, account inventory.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open == nil {
		m.open = map[inventory.ID][]inventory.MailSession{}
	}
	id := fmt.Sprintf("%s-%03d", protocol, len(m.open[server]))
	m.open[server] = append(m.open[server], inventory.MailSession{ID: id, Protocol: protocol, User: user, Account: account, Address: "192.0.2.9", TLS: "TLS 1.3"})
}

func (m *mailnodes) chosen(server inventory.ID, q inventory.MailSessionQuery) ([]inventory.MailSession, error) {
	if m.silent[server] {
		return nil, inventory.Errorf(inventory.Unavailable, "the mailnode did not answer")
	}
	var list []inventory.MailSession
	for _, s := range m.open[server] {
		if q.Chooses(&s) {
			list = append(list, s)
		}
	}
	return list, nil
}

func (m *mailnodes) MailSessions(_ context.Context, server inventory.ID, q inventory.MailSessionQuery) (page inventory.MailSessionPage, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list, err := m.chosen(server, q)
	if err != nil {
		return page, err
	}
	slices.SortFunc(list, func(a, b inventory.MailSession) int { return strings.Compare(a.ID, b.ID) })
	page.Total = len(list)
	for _, s := range list {
		switch {
		case s.ID <= q.After:
		case len(page.Sessions) == max(q.Limit, 1):
			page.Next = page.Sessions[len(page.Sessions)-1].ID
		default:
			page.Sessions = append(page.Sessions, s)
		}
	}
	return page, nil
}

func (m *mailnodes) EndMailSession(ctx context.Context, server inventory.ID, id string) error {
	n, err := m.EndMailSessions(ctx, server, inventory.MailSessionQuery{ID: id})
	if err == nil && n == 0 {
		err = inventory.Errorf(inventory.NotFound, "there is no session %s any more", id)
	}
	return err
}

func (m *mailnodes) EndMailSessions(_ context.Context, server inventory.ID, q inventory.MailSessionQuery) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list, err := m.chosen(server, q)
	m.open[server] = slices.DeleteFunc(m.open[server], func(s inventory.MailSession) bool { return err == nil && q.Chooses(&s) })
	return len(list), err
}

func (m *mailnodes) Mailboxes(_ context.Context, server, account inventory.ID) (inventory.Mailboxes, error) {
	if m.silent[server] {
		return inventory.Mailboxes{}, inventory.Errorf(inventory.Unavailable, "the mailnode did not answer")
	}
	return inventory.Mailboxes{Bytes: 5, Messages: 1, Mailboxes: []inventory.Mailbox{{Name: "INBOX " + string(account), Messages: 1, Bytes: 5}}}, nil
}

func (m *mailnodes) SignIns(_ context.Context, _, account inventory.ID) ([]inventory.MailSignIn, error) {
	return []inventory.MailSignIn{{Count: 2, Protocol: "pop3", Address: string(account), OK: true}}, nil
}

func (m *mailnodes) Queue(_ context.Context, server inventory.ID, q inventory.QueueQuery) (page inventory.QueuePage, err error) {
	if m.silent[server] {
		return page, inventory.Errorf(inventory.Unavailable, "the mailnode did not answer")
	}
	m.mu.Lock()
	m.asked = q.QueueFilter
	m.mu.Unlock()
	for i := range 5 {
		e := inventory.QueueEntry{
			ID: fmt.Sprintf("%040d", i), Message: fmt.Sprint("m", i/2), From: []string{"user@in.test", "user@out.test"}[i%2],
			Destination: []string{"a.test", "b.test"}[i%2], Recipients: []string{"x"}, Last: "450 later",
		}
		switch {
		case e.ID <= q.After, q.Destination != "" && q.Destination != e.Destination,
			len(q.Within) > 0 && !slices.Contains(q.Within, strings.SplitAfter(e.From, "@")[1]):
		case len(page.Entries) == q.Limit:
			page.Next = page.Entries[q.Limit-1].ID
		default:
			page.Entries = append(page.Entries, e)
		}
	}
	return page, nil
}

func (m *mailnodes) QueueSummary(ctx context.Context, server inventory.ID, f inventory.QueueFilter) (sum inventory.QueueSummary, err error) {
	page, err := m.Queue(ctx, server, inventory.QueueQuery{QueueFilter: f, Limit: 100})
	for _, e := range page.Entries {
		one := inventory.QueueTotal{Entries: 1, Recipients: 1, Bytes: 10, Oldest: time.Unix(1000, 0)}
		sum.Total.Add(one)
		sum.Destinations = append(sum.Destinations, inventory.QueueDestination{Name: e.Destination, QueueTotal: one, Last: "450 later for " + e.From})
	}
	return sum, err
}

// ExportQueue implements Mailnodes. With endless it goes on until it is closed.
func (m *mailnodes) ExportQueue(ctx context.Context, server inventory.ID, f inventory.QueueFilter) (io.ReadCloser, error) {
	page, err := m.Queue(ctx, server, inventory.QueueQuery{QueueFilter: f, Limit: 100})
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	go func() {
		x, last := inventory.NewQueueExportWriter(w), ""
		for err == nil {
			for _, e := range page.Entries {
				text := "Subject: " + e.Message + "\r\n\r\n"
				var message io.Reader
				if e.Message != last {
					last, message = e.Message, strings.NewReader(text)
				}
				err = errors.Join(err, x.Entry(e, message, int64(len(text))))
			}
			if !m.endless {
				break
			}
		}
		if m.cutOff[server] {
			_ = w.CloseWithError(io.ErrUnexpectedEOF)
			return
		}
		_ = w.CloseWithError(errors.Join(err, x.End()))
	}()
	return r, nil
}

func (m *mailnodes) QueuedMessage(_ context.Context, server inventory.ID, entry string) (io.ReadCloser, int64, error) {
	if entry == "gone" {
		return nil, 0, inventory.Errorf(inventory.NotFound, "the entry %s is not in the queue any more", entry)
	}
	text := "Subject: " + string(server) + "\r\n\r\n"
	return io.NopCloser(strings.NewReader(text)), int64(len(text)), nil
}

func (m *mailnodes) Ledger(_ context.Context, server inventory.ID, q inventory.LedgerQuery) (page inventory.LedgerPage, err error) {
	if m.silent[server] {
		return page, inventory.Errorf(inventory.Unavailable, "the mailnode did not answer")
	}
	sums := map[string]inventory.LedgerRow{}
	for _, domain := range []string{"in.test", "out.test"} {
		if len(q.Domains) > 0 && !slices.Contains(q.Domains, domain) {
			continue
		}
		for _, row := range []inventory.LedgerRow{
			{Day: q.To, Domain: domain, Account: q.Account, In: 2, InBytes: 20, Out: 1, OutBytes: 10, Failed: 1}, {Day: q.From, Domain: domain, Account: "other", In: 1},
		} {
			sum := row
			for by, field := range map[string]func(){"day": func() { sum.Day = "" }, "domain": func() { sum.Domain = "" }, "account": func() { sum.Account = "" }} {
				if !slices.Contains(q.By, by) {
					field()
				}
			}
			had, ok := sums[sum.Key()]
			if !ok {
				had = inventory.LedgerRow{Day: sum.Day, Domain: sum.Domain, Account: sum.Account}
			}
			had.Add(row)
			sums[had.Key()] = had
		}
	}
	for _, key := range slices.Sorted(maps.Keys(sums)) {
		switch {
		case key <= q.After:
		case len(page.Rows) == q.Limit:
			page.Next = page.Rows[q.Limit-1].Key()
			return page, nil
		default:
			page.Rows = append(page.Rows, sums[key])
		}
	}
	return page, nil
}

func (m *mailnodes) MailFailures(_ context.Context, server inventory.ID, q inventory.LedgerQuery) (page inventory.MailFailurePage, err error) {
	if m.silent[server] {
		return page, inventory.Errorf(inventory.Unavailable, "the mailnode did not answer")
	}
	for i := range 5 {
		domain := []string{"in.test", "out.test"}[i%2]
		f := inventory.MailFailure{
			At: time.Unix(int64(1000-i), 0), Message: string(server), From: "user@" + domain, To: fmt.Sprint(i, "@x.test"), Text: "550 no " + string(q.Account), Account: q.Account,
		}
		switch {
		case f.Key() <= q.After, len(q.Domains) > 0 && !slices.Contains(q.Domains, domain):
		case len(page.Failures) == q.Limit:
			page.Next = page.Failures[q.Limit-1].Key()
			return page, nil
		default:
			page.Failures = append(page.Failures, f)
		}
	}
	return page, nil
}

// connected is a world with connections of both sides on two servers.
func connected(t *testing.T) (w *world, servers []*inventory.Server) {
	w = newWorld(t)
	servers = []*inventory.Server{w.upServer("node-a"), w.upServer("node-b")}
	for i := range 5 {
		for _, side := range []string{"in", "out"} {
			id := w.in[inventory.Accounts]
			if side == "out" {
				id = w.out[inventory.Accounts]
			}
			w.mail.connect(servers[i%2].ID, []string{"imap", "pop3"}[i%2], "user@"+side+".test", id)
		}
	}
	w.mail.connect(servers[0].ID, "smtp", "", "")
	return w, servers
}

func (w *world) roleClient(role inventory.Role) *api.Client {
	return &api.Client{Base: w.web.URL, HTTP: w.web.Client(), Token: w.roles[role]}
}

func TestSessionsOfAllServersAreListedByPages(t *testing.T) {
	w, servers := connected(t)
	whole, err := w.client.Sessions(t.Context(), url.Values{"limit": {"1000"}})
	w.ok(err)
	if whole.Total != 15 || len(whole.Items) != 15 || whole.Next != "" || whole.Partial {
		t.Fatalf("got %+v", whole)
	}
	for size := 1; size < 16; size++ {
		var ids []string
		q := url.Values{"limit": {fmt.Sprint(size)}}
		for {
			page, err := w.client.Sessions(t.Context(), q)
			w.ok(err)
			if len(page.Items) > size || page.Total != 15 {
				t.Fatalf("a page of %d: %+v", size, page)
			}
			for _, one := range page.Items {
				ids = append(ids, one.ID)
			}
			if page.Next == "" {
				break
			}
			q.Set("cursor", page.Next)
		}
		for i, one := range whole.Items {
			if i >= len(ids) || ids[i] != one.ID {
				t.Fatalf("by pages of %d: %q", size, ids)
			}
		}
	}
	for query, want := range map[string]int{
		"kind=imap": 6, "kind=pop3": 4, "kind=console": 4, "kind=imap,smtp": 7, "who=USER@in": 5, "server=node-a": 7, "kind=webmail": 0,
		"account=user@in.test": 6, "domain=in.test": 7, "account=" + string(w.out[inventory.Accounts]) + "&kind=pop3": 2,
	} {
		q, err := url.ParseQuery(query)
		w.ok(err)
		got, err := w.client.Sessions(t.Context(), q)
		w.ok(err)
		if got.Total != want || len(got.Items) != want {
			t.Errorf("%s: %+v, want %d", query, got, want)
		}
	}
	w.mail.silent = map[inventory.ID]bool{servers[0].ID: true}
	part, err := w.client.Sessions(t.Context(), nil)
	w.ok(err)
	if part.Total != 8 || !part.Partial || !slices.Equal(part.Silent, []string{"node-a"}) {
		t.Errorf("without node-a: %+v", part)
	}
	part, err = w.roleClient(inventory.RoleDomainAdmin).Sessions(t.Context(), nil)
	w.ok(err)
	if part.Total != 4 || !part.Partial || len(part.Silent) != 0 {
		t.Errorf("a domain's administrator is told %+v", part)
	}
}

func TestSessionsAreEndedWithinReachAndAudited(t *testing.T) {
	w, servers := connected(t)
	admin := w.roleClient(inventory.RoleDomainAdmin)
	list, err := admin.Sessions(t.Context(), url.Values{"kind": {"imap,pop3,smtp"}})
	w.ok(err)
	if list.Total != 5 || slices.ContainsFunc(list.Items, func(s api.LiveSession) bool { return s.Who != "user@in.test" }) {
		t.Fatalf("the administrator sees %+v", list)
	}
	theirs, err := w.client.Sessions(t.Context(), url.Values{"account": {"user@out.test"}, "kind": {"imap"}})
	w.ok(err)
	w.refused(admin.EndSession(t.Context(), theirs.Items[0].ID), http.StatusNotFound)
	w.ok(admin.EndSession(t.Context(), list.Items[0].ID))
	w.refused(admin.EndSession(t.Context(), list.Items[0].ID), http.StatusNotFound)
	w.refused(w.client.EndSession(t.Context(), string(inventory.NewID())+".x"), http.StatusNotFound)
	_, err = w.roleClient(inventory.RoleHelpdesk).EndSessions(t.Context(), url.Values{"domain": {"in.test"}})
	w.refused(err, http.StatusForbidden)
	for _, q := range []url.Values{nil, {"account": {"user@in.test"}, "domain": {"in.test"}}} {
		_, err = w.client.EndSessions(t.Context(), q)
		w.refused(err, http.StatusUnprocessableEntity)
	}
	for _, q := range []url.Values{{"domain": {"out.test"}}, {"account": {"user@out.test"}}} {
		_, err = admin.EndSessions(t.Context(), q)
		w.refused(err, http.StatusNotFound)
	}
	ended, err := admin.EndSessions(t.Context(), url.Values{"account": {"user@in.test"}, "kind": {"pop3"}})
	w.ok(err)
	if ended.Ended != 2 || ended.Partial {
		t.Errorf("of the account: %+v", ended)
	}
	w.mail.silent = map[inventory.ID]bool{servers[1].ID: true}
	ended, err = w.client.EndSessions(t.Context(), url.Values{"domain": {"in.test"}})
	w.ok(err)
	if ended.Ended != 2+2 || !ended.Partial || !slices.Equal(ended.Silent, []string{"node-b"}) { // imap, and two of the console
		t.Errorf("of the domain: %+v", ended)
	}
	w.mail.silent = nil
	left, err := w.client.Sessions(t.Context(), nil)
	w.ok(err)
	if left.Total != 6+2 || slices.ContainsFunc(left.Items, func(s api.LiveSession) bool { return strings.HasSuffix(s.Who, "in.test") || s.Who == "person-in" }) {
		t.Errorf("left: %+v", left)
	}
	var told []string
	for entry, err := range api.Audit.All(t.Context(), admin, nil) {
		w.ok(err)
		if strings.HasPrefix(entry.Action, "session.") {
			told = append(told, entry.Action+" "+entry.Resource)
		}
	}
	slices.Sort(told)
	if want := []string{"session.end sessions", "session.end sessions", "session.end sessions", "session.end-all accounts", "session.end-all domains"}; !slices.Equal(told, want) {
		t.Errorf("the audit log of the domain tells %q", told)
	}
}

func TestMailboxesAndSignInsOfAnAccount(t *testing.T) {
	w := newWorld(t)
	quota := inventory.Limits{Quota: 1 << 20, Messages: 100}
	_, err := w.client.ChangeAccount(t.Context(), "user@in.test", 0, api.AccountChange{Limits: &quota})
	w.ok(err)
	admin := w.roleClient(inventory.RoleDomainAdmin)
	held, err := admin.Mailboxes(t.Context(), "user@in.test")
	w.ok(err)
	if held.Bytes != 5 || held.Quota != 1<<20 || held.MaxMessages != 100 || held.Mailboxes.Mailboxes[0].Name != "INBOX "+string(w.in[inventory.Accounts]) {
		t.Errorf("got %+v", held)
	}
	signIns, err := admin.SignIns(t.Context(), "user@in.test")
	w.ok(err)
	if len(signIns.Items) != 1 || signIns.Items[0].Address != string(w.in[inventory.Accounts]) {
		t.Errorf("got %+v", signIns)
	}
	w.mail.silent = map[inventory.ID]bool{}
	account, err := w.client.Account(t.Context(), "user@in.test")
	w.ok(err)
	w.mail.silent[account.Server] = true
	_, err = admin.Mailboxes(t.Context(), "user@in.test")
	w.refused(err, http.StatusServiceUnavailable)
}
