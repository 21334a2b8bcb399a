package app

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"mailfleet/inventory"
	"mailfleet/mailnode/queue"
	"mailfleet/mailnode/store"
)

// Ledger implements control.Queue.
func (w waiting) Ledger(ctx context.Context, q inventory.LedgerQuery) (page inventory.LedgerPage, err error) {
	days, err := q.Days()
	if err != nil {
		return page, err
	}
	s := sumsOf(q)
	domains := slices.SortedFunc(slices.Values(q.Domains), func(a, b string) int { return cmp.Compare(a+"/", b+"/") })
	summed := map[string]bool{} // days whose sums are there
	if q.Account == "" && !(s.day && s.account) {
		if summed, err = w.sums.summed(ctx, q.From, q.To); err != nil {
			return page, err
		}
	}
	for _, day := range days {
		switch {
		case s.past(day), s.account && summed[day]: // the latter come together
			continue
		case summed[day]:
			err = w.sums.domains(ctx, s, day, domains)
		default:
			err = w.countDay(ctx, s, day, domains, q.Account)
		}
		if err != nil || s.enough || s.day && len(s.rows) > s.limit { // further days are of further pages
			break
		}
	}
	if err == nil && s.account && len(summed) > 0 {
		err = w.sums.accounts(ctx, s, summed, domains)
	}
	page.Rows, page.Next = s.page()
	return page, err
}

// countDay adds the counters of a day.
func (w waiting) countDay(ctx context.Context, s *sums, day string, domains []string, account inventory.ID) error {
	switch {
	case account != "":
		return w.countAccount(ctx, s, day, domains, account)
	case len(domains) == 0:
		return w.count(ctx, s, day+"/")
	}
	for _, d := range domains {
		if err := w.count(ctx, s, day+"/"+d+"/"); err != nil || s.enough {
			return err
		}
	}
	return nil
}

// count adds the counters whose keys begin so.
func (w waiting) count(ctx context.Context, s *sums, prefix string) error {
	for c, err := range w.store.Counts(ctx, prefix, s.from) {
		if err != nil {
			return err
		}
		if s.add(c); s.enough {
			break
		}
	}
	return nil
}

// countAccount adds an account's counters of a day: those of every domain it has written
// to or from, without going through the others'.
func (w waiting) countAccount(ctx context.Context, s *sums, day string, domains []string, account inventory.ID) error {
	if len(domains) == 0 {
		for from := ""; ; {
			domain := ""
			for c, err := range w.store.Counts(ctx, day+"/", from) {
				if err != nil {
					return err
				}
				domain = strings.Split(c.Key, "/")[1]
				break
			}
			if domain == "" {
				break
			}
			domains = append(domains, domain)
			from = day + "/" + domain + "0" // the first that does not begin with domain/
		}
	}
	for _, d := range domains {
		if err := w.count(ctx, s, day+"/"+d+"/"+string(account)+"/"); err != nil || s.enough {
			return err
		}
	}
	return nil
}

// sums adds counters up to rows and keeps a page of them: those with the smallest keys
// after a cursor, however many there are.
type sums struct {
	after                string
	limit                int
	day, domain, account bool // rows are told apart by these
	inOrder              bool // rows come in the order of the counters
	from                 string
	rows                 map[string]*inventory.LedgerRow // by key
	most                 string                          // no key above this one can be of the page; "": any can
	enough               bool                            // no counter that comes can be of the page
	last                 *inventory.LedgerRow            // the row the last counter was of
	of                   string                          // begins the keys of the counters of last
}

func sumsOf(q inventory.LedgerQuery) *sums {
	has := func(by string) bool { return slices.Contains(q.By, by) }
	s := &sums{
		after: q.After, limit: cmp.Or(q.Limit, inventory.MaxLedgerPage), day: has("day"), domain: has("domain"), account: has("account"),
		rows: map[string]*inventory.LedgerRow{},
	}
	s.inOrder = (s.day || !s.domain && !s.account) && (s.domain || !s.account)
	if parts := strings.Split(q.After, "/"); s.inOrder && len(parts) == 4 && s.day && s.domain {
		s.from = parts[0] + "/" + parts[1] + "/"
		if s.account {
			s.from += cmp.Or(parts[2], queue.NoAccount) + "/"
		}
		s.from += "\xff" // behind all of that row
	}
	return s
}

// past reports whether all of a day is before the page.
func (s *sums) past(day string) bool {
	return s.day && s.after != "" && day < strings.SplitN(s.after, "/", 2)[0]
}

// add adds a counter to the row it belongs to.
func (s *sums) add(c store.Count) {
	cut := strings.LastIndexByte(c.Key, '/')
	if cut < 0 {
		return // none of the ledger
	}
	if s.of == "" || c.Key[:cut+1] != s.of {
		s.of, s.last = c.Key[:cut+1], s.row(c.Key[:cut])
	}
	if s.last == nil {
		return
	}
	addCount(s.last, c.Key[cut+1:], c.N)
}

// sum adds sums to the row they belong to, and returns its key.
func (s *sums) sum(day, domain, account string, of *inventory.LedgerRow) (key string) {
	id := s.group(day, domain, inventory.ID(account))
	if row := s.place(id); row != nil {
		row.Add(*of)
	}
	return id.Key()
}

// splitKey is a row's key in its parts.
func splitKey(key string) (day, domain, account string) {
	parts := strings.Split(key, "/")
	if len(parts) != 4 {
		return "", "", ""
	}
	return parts[0], parts[1], parts[2]
}

// row is the one that counters of a day, domain and account belong to; nil when it is not
// of the page.
func (s *sums) row(of string) *inventory.LedgerRow {
	parts := strings.Split(of, "/")
	if len(parts) != 3 {
		return nil // none of the ledger
	}
	account := inventory.ID(parts[2])
	if parts[2] == queue.NoAccount {
		account = ""
	}
	return s.place(s.group(parts[0], parts[1], account))
}

// group is what rows of a day, domain and account are told apart by.
func (s *sums) group(day, domain string, account inventory.ID) (row inventory.LedgerRow) {
	if s.day {
		row.Day = day
	}
	if s.domain {
		row.Domain = domain
	}
	if s.account {
		row.Account = account
	}
	return row
}

// place is a row of the page, new or not; nil when it is not of the page.
func (s *sums) place(row inventory.LedgerRow) *inventory.LedgerRow {
	key := row.Key()
	if have := s.rows[key]; have != nil {
		return have
	}
	switch {
	case s.after != "" && key <= s.after, s.most != "" && key > s.most:
		return nil
	case s.inOrder && len(s.rows) > s.limit:
		s.enough = true
		return nil
	}
	if len(s.rows) >= 2*(s.limit+1) {
		s.trim()
	}
	s.rows[key] = &row
	return &row
}

// trim drops what is not of the page: what was dropped cannot come back, as the page only
// moves down.
func (s *sums) trim() {
	keys := slices.Sorted(maps.Keys(s.rows))
	for _, key := range keys[min(s.limit+1, len(keys)):] {
		delete(s.rows, key)
	}
	s.most = keys[min(s.limit+1, len(keys))-1]
}

// page is what the page has, and a cursor when more follow.
func (s *sums) page() (rows []inventory.LedgerRow, next string) {
	rows = []inventory.LedgerRow{}
	for _, key := range slices.Sorted(maps.Keys(s.rows)) {
		if len(rows) == s.limit {
			return rows, rows[s.limit-1].Key()
		}
		rows = append(rows, *s.rows[key])
	}
	return rows, ""
}

// Failures implements control.Queue.
func (w waiting) Failures(ctx context.Context, q inventory.LedgerQuery) (page inventory.MailFailurePage, err error) {
	days, err := q.Days()
	if err != nil {
		return page, err
	}
	limit := cmp.Or(q.Limit, inventory.MaxLedgerPage)
	page.Failures = []inventory.MailFailure{}
	slices.Reverse(days) // the latest first
	for _, day := range days {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return page, err
		}
		for f, err := range w.queue.Failures(ctx, at, string(q.Account)) {
			if err != nil {
				return page, err
			}
			shown := failureOf(f)
			if len(q.Domains) > 0 && !slices.Contains(q.Domains, senderDomain(f.From)) || q.After != "" && shown.Key() <= q.After {
				continue
			}
			if page.Failures = append(page.Failures, shown); len(page.Failures) > 2*(limit+1) {
				page.Failures = latest(page.Failures, limit+1)
			}
		}
		if len(page.Failures) > limit {
			break
		}
	}
	page.Failures = latest(page.Failures, limit+1)
	if len(page.Failures) > limit {
		page.Failures = page.Failures[:limit]
		page.Next = page.Failures[limit-1].Key()
	}
	return page, nil
}

func latest(list []inventory.MailFailure, most int) []inventory.MailFailure {
	slices.SortFunc(list, func(a, b inventory.MailFailure) int { return cmp.Compare(a.Key(), b.Key()) })
	return list[:min(most, len(list))]
}

func failureOf(f queue.Failure) inventory.MailFailure {
	return inventory.MailFailure{
		At: f.At, Account: inventory.ID(f.Account), Message: f.Message, From: f.From, To: f.To, Host: f.Host, Code: f.Code, Status: f.Enhanced, Text: f.Text,
	}
}

// senderDomain is the domain that mail of an address is counted under.
func senderDomain(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}
