package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
)

// Quota limits what an account may hold; 0 is no limit.
type Quota struct{ Bytes, Messages int64 }

// Usage is what an account holds.
type Usage struct{ Bytes, Messages int64 }

// Account is the state of an account.
type Account struct {
	ID    string
	Usage Usage
	State uint64 // grows with every change in the account; the modseq of its newest change
}

// CreateAccount makes an account with an inbox and the mailboxes of Options.Mailboxes.
// One that is there already stays as it is.
func (s *Store) CreateAccount(ctx context.Context, account string) error {
	if err := checkAccount(account); err != nil {
		return err
	}
	there, err := s.read(tableKey(account, 'a'), func(v []byte) error {
		h, err := decodeHolder(v)
		if h.doomed {
			err = ErrNoAccount
		}
		return err
	})
	if err != nil || there {
		return err
	}
	return s.update(accounts, func(tx *Tx) error {
		_, err := tx.open(account)
		return err
	})
}

// Accounts lists the ids of all accounts after the id from, in order.
func (s *Store) Accounts(ctx context.Context, from string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		snap, err := s.view(ctx)
		if err != nil {
			yield("", err)
			return
		}
		err = eachAccount(snap, from, func(id string, _ holder) bool { return yield(id, nil) })
		if err := errors.Join(err, snap.Close()); err != nil {
			yield("", err)
		}
	}
}

// eachAccount goes through the accounts after an id that are not being deleted.
func eachAccount(from iterable, id string, f func(id string, h holder) bool) (err error) {
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: []byte{'a'}, UpperBound: []byte{'a' + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	ok := it.First()
	if id != "" {
		ok = it.SeekGE(after(accountPrefix(id)))
	}
	for ok {
		end := bytes.IndexByte(it.Key(), 0)
		if end < 0 || end+1 >= len(it.Key()) {
			return errRecord
		}
		id := string(it.Key()[1:end])
		if it.Key()[end+1] == 'a' {
			h, err := decodeHolder(it.Value())
			if err != nil {
				return fmt.Errorf("account %s: %w", id, err)
			}
			if !h.doomed && !f(id, h) {
				return nil
			}
		}
		ok = it.SeekGE(after(accountPrefix(id)))
	}
	return it.Error()
}

// Account returns an account's state. One that never got a message is empty.
func (s *Store) Account(ctx context.Context, account string) (a Account, err error) {
	if err := checkAccount(account); err != nil {
		return Account{}, err
	}
	snap, err := s.view(ctx)
	if err != nil {
		return Account{}, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	h, _, err := readHolder(snap, account)
	return Account{ID: account, Usage: h.usage(), State: h.state}, err
}

// CanTake fails with ErrQuota when messages of together bytes would exceed the account's
// quota now.
func (s *Store) CanTake(account string, messages, bytes int64) error {
	if s.quota == nil {
		return nil
	}
	if err := checkAccount(account); err != nil {
		return err
	}
	if s.quota(account) == (Quota{}) {
		return nil
	}
	var use Usage
	if _, err := s.read(tableKey(account, 'a'), func(v []byte) error {
		h, err := decodeHolder(v)
		use = h.usage()
		return err
	}); err != nil {
		return err
	}
	return s.allow(account, use, Usage{use.Bytes + bytes, use.Messages + messages})
}

// allow fails with ErrQuota when an account grows beyond its quota.
func (s *Store) allow(account string, before, then Usage) error {
	if s.quota == nil {
		return nil
	}
	q := s.quota(account)
	over := func(limit, before, then int64) bool { return limit > 0 && then > limit && then > before }
	if over(q.Bytes, before.Bytes, then.Bytes) || over(q.Messages, before.Messages, then.Messages) {
		return ErrQuota
	}
	return nil
}
