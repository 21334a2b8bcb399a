package queue

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/store"
)

// The ledger is kept in the store's counters, with keys of four parts:
//
//	day / domain / account / name        such as 2026-01-31/example.test/0198c0de-…/out
//
// day is of UTC; account is its id, "-" for mail that belongs to no account. The names:
const (
	CountIn       = "in"        // messages put into the account's mailbox
	CountInBytes  = "in-bytes"  // their size
	CountOut      = "out"       // recipients who took mail of the account elsewhere
	CountOutBytes = "out-bytes" // size of the mail they took
	CountFailed   = "failed"    // recipients whose mail of the account was given up
)

// Counts are counters of the ledger for an account, or for a domain with account "".
func Counts(day time.Time, domain, account, name string, n int64) store.Count {
	if domain == "" || strings.ContainsAny(domain, "/") {
		domain = "-"
	}
	return store.Count{Key: day.UTC().Format(time.DateOnly) + "/" + domain + "/" + cmp.Or(account, NoAccount) + "/" + name, N: n}
}

// Failure is mail of an account that was given up, for the table "failures". Its keys are
// day 0 account 0 slot; there are failuresMost slots for an account and day, and later
// failures take the place of earlier ones.
type Failure struct {
	Account  string    `json:"-"` // its key has it; "" for mail of no account
	At       time.Time `json:"at"`
	Message  string    `json:"message"` // ID of the envelope
	From     string    `json:"from"`
	To       string    `json:"to"`
	Host     string    `json:"host,omitempty"`
	Code     int       `json:"code"`
	Enhanced string    `json:"enhanced"`
	Text     string    `json:"text"`
}

const failuresMost = 100

// NoAccount stands in keys for mail that belongs to no account.
const NoAccount = "-"

func failureKey(day, account string, slot int) []byte {
	return binary.BigEndian.AppendUint16([]byte(day+"\x00"+account+"\x00"), uint16(slot))
}

// account adds what a change did to the ledger.
func (q *Queue) account(tx *store.Tx, c *change) error {
	e := &c.m.Envelope
	from := cmp.Or(c.p.From, e.From)
	domain := domainOf(from)
	slot := 0
	for i := range c.done {
		d := &c.done[i]
		var counts []store.Count
		switch {
		case d.placed != nil:
			for _, p := range d.placed.Into {
				counts = append(counts,
					Counts(c.now, domainOf(d.to.Address), p.Account, CountIn, 1),
					Counts(c.now, domainOf(d.to.Address), p.Account, CountInBytes, c.m.Size))
			}
		case d.State == outbound.Sent:
			counts = append(counts,
				Counts(c.now, domain, e.Account, CountOut, 1), Counts(c.now, domain, e.Account, CountOutBytes, c.m.Size))
		case d.State == outbound.Permanent:
			counts = append(counts, Counts(c.now, domain, e.Account, CountFailed, 1))
			if err := q.noteFailure(tx, c, d, slot); err != nil {
				return err
			}
			slot++
		}
		if err := tx.Count(counts...); err != nil {
			return err
		}
	}
	return nil
}

// noteFailure keeps a failure; before are those noted by the same change.
func (q *Queue) noteFailure(tx *store.Tx, c *change, d *decision, before int) error {
	day, account := c.now.UTC().Format(time.DateOnly), cmp.Or(c.m.Envelope.Account, NoAccount)
	counter := failureKey(day, account, 1<<16-1)
	row, err := tx.Get(q.failures, counter)
	if err != nil {
		return err
	}
	n := uint64(before)
	if len(row) == 8 {
		n += binary.BigEndian.Uint64(row)
	}
	text, err := json.Marshal(Failure{
		At: c.now, Message: c.m.Envelope.ID, From: cmp.Or(c.p.From, c.m.Envelope.From), To: d.to.Address,
		Host: d.Host, Code: d.Code, Enhanced: d.Enhanced, Text: d.Text,
	})
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	if err := tx.Set(q.failures, failureKey(day, account, int(n%failuresMost)), text); err != nil {
		return err
	}
	return tx.Set(q.failures, counter, binary.BigEndian.AppendUint64(nil, n+1))
}

// Failures goes through what was noted on a day, of an account, NoAccount or with "" of
// all; of an account in no order.
func (q *Queue) Failures(ctx context.Context, day time.Time, account string) iter.Seq2[Failure, error] {
	d := day.UTC().Format(time.DateOnly)
	from, to := []byte(d+"\x00"), []byte(d+"\x01")
	if account != "" {
		from, to = failureKey(d, account, 0), failureKey(d, account, failuresMost)
	}
	return func(yield func(Failure, error) bool) {
		for row, err := range q.failures.Scan(ctx, from, to) {
			f, noted, err := failureOf(row, err)
			if (noted || err != nil) && (!yield(f, err) || err != nil) {
				return
			}
		}
	}
}

// failureOf reads a row; noted is false for one that only counts.
func failureOf(row store.Row, err error) (f Failure, noted bool, _ error) {
	if err != nil {
		return f, false, err
	}
	parts := bytes.SplitN(row.Key, []byte{0}, 3)
	if len(parts) != 3 || len(parts[2]) != 2 {
		return f, false, errRecord
	}
	if binary.BigEndian.Uint16(parts[2]) >= failuresMost {
		return f, false, nil
	}
	if err := json.Unmarshal(row.Value, &f); err != nil {
		return f, false, fmt.Errorf("queue: %w", err)
	}
	if f.Account = string(parts[1]); f.Account == NoAccount {
		f.Account = ""
	}
	return f, true, nil
}
