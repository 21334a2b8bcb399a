package app

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"time"

	"mailfleet/inventory"
	"mailfleet/mailnode/queue"
	"mailfleet/mailnode/store"
)

// daySums are sums of the ledger's days that are over, in the orders in which they are asked
// for, so that no page goes through all counters. The table "ledger" has them:
//
//	m day                    the day is summed up: all that follows is there
//	d day / domain           sums of a domain
//	a account / day / domain sums of an account, by account
//	b domain / account / day the same, by domain
//
// They are made once a day is over. What is counted for a day after that, by a clock that
// was put back, is found when the clock is looked at again, and the day summed up anew.
type daySums struct {
	store *store.Store
	table store.Table
	log   *slog.Logger
}

func newDaySums(s *store.Store, log *slog.Logger) daySums {
	return daySums{s, s.Table("ledger"), log.With("component", "ledger")}
}

const (
	// sumEvery is how often it is looked whether a day is over.
	sumEvery = 10 * time.Minute
	// daySlack is how long after its end something may yet be counted for a day.
	daySlack = time.Hour
	// sumBatch is how many rows a change has.
	sumBatch = 2000
)

// run sums days up until ctx ends.
func (d daySums) run(ctx context.Context) {
	tick := time.NewTicker(sumEvery)
	defer tick.Stop()
	for {
		if err := d.sum(ctx, time.Now()); err != nil && ctx.Err() == nil {
			d.log.Warn("days of the ledger could not be summed up, it is tried again in a while", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sum sums up the days that are over.
func (d daySums) sum(ctx context.Context, now time.Time) error {
	open := now.Add(-daySlack).UTC().Format(time.DateOnly) // the first day that is not over
	summed, err := d.summed(ctx, "", "")
	if err != nil {
		return err
	}
	for day := range summed {
		if day >= open { // the clock was put back
			if err := d.store.Update(ctx, nil, func(tx *store.Tx) error { return tx.Delete(d.table, []byte("m"+day)) }); err != nil {
				return err
			}
		}
	}
	for from := ""; ; {
		day := ""
		for c, err := range d.store.Counts(ctx, "", from) {
			if err != nil {
				return err
			}
			day, _, _ = strings.Cut(c.Key, "/")
			break
		}
		if day == "" || day >= open {
			return nil
		}
		if !summed[day] {
			if err := d.sumDay(ctx, day); err != nil {
				return err
			}
		}
		from = day + "0" // the first that does not begin with day/
	}
}

// summed are the days from one to another that are summed up; no days: all.
func (d daySums) summed(ctx context.Context, from, to string) (map[string]bool, error) {
	days := map[string]bool{}
	for row, err := range d.table.Scan(ctx, []byte("m"+from), []byte("m"+to+"\xff")) {
		if err != nil {
			return nil, err
		}
		days[string(row.Key[1:])] = true
	}
	return days, nil
}

type sumRow struct {
	key string
	row inventory.LedgerRow
}

// sumDay sums a day up.
func (d daySums) sumDay(ctx context.Context, day string) error {
	var batch []sumRow
	write := func(mark bool) error {
		err := d.store.Update(ctx, nil, func(tx *store.Tx) error {
			for i := range batch {
				if err := tx.Set(d.table, []byte(batch[i].key), encodeSums(&batch[i].row)); err != nil {
					return err
				}
			}
			if mark {
				return tx.Set(d.table, []byte("m"+day), nil)
			}
			return nil
		})
		batch = batch[:0]
		return err
	}
	var domain inventory.LedgerRow // its sums, as far as they are known
	for row, err := range dayRows(ctx, d.store, day) {
		if err != nil {
			return err
		}
		if row.Domain != domain.Domain {
			if domain.Domain != "" {
				batch = append(batch, sumRow{"d" + day + "/" + domain.Domain, domain})
			}
			domain = inventory.LedgerRow{Domain: row.Domain}
		}
		domain.Add(row)
		account := string(row.Account)
		batch = append(batch, sumRow{"a" + account + "/" + day + "/" + row.Domain, row}, sumRow{"b" + row.Domain + "/" + account + "/" + day, row})
		if len(batch) >= sumBatch {
			if err := write(false); err != nil {
				return err
			}
		}
	}
	if domain.Domain != "" {
		batch = append(batch, sumRow{"d" + day + "/" + domain.Domain, domain})
	}
	return write(true)
}

// dayRows are the rows of a day, added up from its counters, in order.
func dayRows(ctx context.Context, s *store.Store, day string) iter.Seq2[inventory.LedgerRow, error] {
	return func(yield func(inventory.LedgerRow, error) bool) {
		of := ""
		var row inventory.LedgerRow
		for c, err := range s.Counts(ctx, day+"/", "") {
			if err != nil {
				yield(row, err)
				return
			}
			cut := strings.LastIndexByte(c.Key, '/')
			if c.Key[:cut] != of {
				if of != "" && !yield(row, nil) {
					return
				}
				parts := strings.Split(c.Key[:cut], "/")
				if len(parts) != 3 {
					of = ""
					continue // none of the ledger
				}
				of, row = c.Key[:cut], inventory.LedgerRow{Day: day, Domain: parts[1]}
				if parts[2] != queue.NoAccount {
					row.Account = inventory.ID(parts[2])
				}
			}
			addCount(&row, c.Key[cut+1:], c.N)
		}
		if of != "" {
			yield(row, nil)
		}
	}
}

// addCount adds a counter to its row.
func addCount(row *inventory.LedgerRow, name string, n int64) {
	switch name {
	case queue.CountIn:
		row.In += n
	case queue.CountInBytes:
		row.InBytes += n
	case queue.CountOut:
		row.Out += n
	case queue.CountOutBytes:
		row.OutBytes += n
	case queue.CountFailed:
		row.Failed += n
	}
}

func encodeSums(r *inventory.LedgerRow) (b []byte) {
	for _, n := range []int64{r.In, r.InBytes, r.Out, r.OutBytes, r.Failed} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

var errSums = errors.New("sums of the ledger cannot be read")

func decodeSums(b []byte) (r inventory.LedgerRow, err error) {
	for _, to := range []*int64{&r.In, &r.InBytes, &r.Out, &r.OutBytes, &r.Failed} {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			return r, errSums
		}
		*to, b = int64(n), b[size:]
	}
	return r, nil
}

// domains adds the sums of the domains of a day, of some or of all.
func (d daySums) domains(ctx context.Context, s *sums, day string, domains []string) error {
	prefix := "d" + day + "/"
	if len(domains) == 0 {
		return d.scan(ctx, prefix, prefix, func(rest string, row *inventory.LedgerRow) bool {
			s.sum(day, rest, "", row)
			return !s.enough
		})
	}
	for _, name := range domains {
		value, err := d.table.Get(ctx, []byte(prefix+name))
		if err != nil {
			return err
		}
		if value == nil {
			continue
		}
		row, err := decodeSums(value)
		if err != nil {
			return err
		}
		s.sum(day, name, "", &row)
	}
	return nil
}

// scan goes through the rows that begin so, from a key on.
func (d daySums) scan(ctx context.Context, prefix, from string, give func(rest string, row *inventory.LedgerRow) bool) error {
	for r, err := range d.table.Scan(ctx, []byte(from), []byte(prefix+"\xff")) {
		if err != nil {
			return err
		}
		row, err := decodeSums(r.Value)
		if err != nil {
			return err
		}
		if !give(string(r.Key[len(prefix):]), &row) {
			return nil
		}
	}
	return nil
}

// accounts adds the sums of the accounts on some days, until more than a page is there. Of
// some domains it looks into each.
func (d daySums) accounts(ctx context.Context, s *sums, days map[string]bool, domains []string) error {
	_, afterDomain, afterAccount := splitKey(s.after)
	switch {
	case len(domains) > 0:
		for _, name := range domains {
			prefix := "b" + name + "/"
			from := prefix
			switch {
			case s.after == "" || s.domain && name+"/" > afterDomain+"/":
			case s.domain && name != afterDomain:
				continue
			default:
				from += afterAccount + "0"
			}
			if err := d.accountsOf(ctx, s, prefix, from, days, func(rest []string) (day, domain, account string) { return rest[1], name, rest[0] }, 2); err != nil {
				return err
			}
		}
		return nil
	case s.domain:
		from := "b"
		if s.after != "" {
			from += afterDomain + "/" + afterAccount + "0"
		}
		return d.accountsOf(ctx, s, "b", from, days, func(rest []string) (day, domain, account string) { return rest[2], rest[0], rest[1] }, 3)
	}
	from := "a"
	if s.after != "" {
		from += afterAccount + "0"
	}
	return d.accountsOf(ctx, s, "a", from, days, func(rest []string) (day, domain, account string) { return rest[1], rest[2], rest[0] }, 3)
}

// accountsOf adds a range of rows, which are in the order of those of the page, until more
// than a page of them was there.
func (d daySums) accountsOf(ctx context.Context, s *sums, prefix, from string, days map[string]bool, of func(rest []string) (day, domain, account string), parts int) error {
	seen, last := 0, ""
	return d.scan(ctx, prefix, from, func(rest string, row *inventory.LedgerRow) bool {
		part := strings.Split(rest, "/")
		if len(part) != parts {
			return true // none of ours
		}
		day, domain, account := of(part)
		if !days[day] {
			return true
		}
		key := s.sum(day, domain, account, row)
		if key != last {
			seen, last = seen+1, key
		}
		return seen <= s.limit+1 && (s.most == "" || key <= s.most)
	})
}
