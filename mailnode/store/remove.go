package store

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// sweepStep is how many messages of a removed mailbox one change removes.
const sweepStep = 500

// DeleteMailbox removes a mailbox with its messages. When there are mailboxes below it,
// its name stays and cannot be selected. INBOX cannot be deleted (ErrName).
//
// The mailbox goes in one change; the space its messages took comes back in further ones.
func (s *Store) DeleteMailbox(ctx context.Context, account, name string) error {
	name, err := cleanName(name)
	if err != nil {
		return ErrNoMailbox
	}
	if name == inboxName {
		return ErrName
	}
	var doomed Place
	err = s.update(mailboxes, func(tx *Tx) error {
		t, err := tx.tree(account)
		if err != nil {
			return err
		}
		m := t[name]
		if m == nil || m.NoSelect {
			return ErrNoMailbox
		}
		doomed = m.place
		if len(t.below(name)) > 0 {
			return tx.hollow(t, m)
		}
		return errors.Join(tx.dropName(t, m), tx.doom(m), tx.prune(t, name))
	})
	if err != nil {
		return err
	}
	return s.sweep(ctx, doomed)
}

// hollow leaves of a mailbox only its name, under a new id.
func (tx *Tx) hollow(t tree, m *boxTx) error {
	if err := errors.Join(tx.dropName(t, m), tx.doom(m)); err != nil {
		return err
	}
	name, err := tx.makeBox(m.account, m.Name, "")
	if err != nil {
		return err
	}
	name.NoSelect, name.Object = true, m.Object
	name.touch()
	name.State = name.HighestModSeq
	return nil
}

// doom takes a dropped mailbox out of its account's usage and marks its messages to be removed.
func (tx *Tx) doom(m *boxTx) error {
	m.account.rec.bytes -= m.Bytes
	m.account.rec.messages -= m.Messages
	if err := tx.dropGrants(m.place); err != nil {
		return err
	}
	return tx.b.Set(doomedKey(m.place), nil, nil)
}

// dropGrants removes the rights given in a mailbox.
func (tx *Tx) dropGrants(p Place) error {
	return scan(tx.s.db, grantKey(p, ""), func(who, _ []byte) error {
		return errors.Join(
			tx.b.Delete(grantKey(p, string(who)), nil),
			tx.b.Delete(shareKey(p, string(who)), nil),
		)
	})
}

// sweep removes the messages of a doomed mailbox, step by step.
func (s *Store) sweep(ctx context.Context, p Place) error {
	for done := false; !done; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.update(expunged, func(tx *Tx) (err error) {
			done, err = tx.sweep(p)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) sweep(p Place) (done bool, err error) {
	prefix := accountKey(p.Account, 'i', p.Mailbox)
	it, err := tx.s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	ok := it.First()
	for n := 0; ok && n < sweepStep; n++ {
		v, err := it.ValueAndErr()
		if err != nil {
			return false, err
		}
		i, err := decodeIdentity(v)
		if err != nil {
			return false, err
		}
		uid := binary.BigEndian.Uint32(it.Key()[len(prefix):])
		if err := errors.Join(tx.release(i.body), tx.unhang(p.Account, i.threads), tx.remove(p, uid, i.id)); err != nil {
			return false, err
		}
		ok = it.Next()
	}
	if ok {
		return false, it.Error()
	}
	for _, table := range []byte("midxk") {
		prefix := accountKey(p.Account, table, p.Mailbox)
		if err := tx.b.DeleteRange(prefix, after(prefix), nil); err != nil {
			return false, err
		}
	}
	return true, errors.Join(it.Error(), tx.b.Delete(doomedKey(p), nil))
}

// DeleteAccount removes an account with all it holds, step by step. Should it be cut
// short, the account takes no more mail, and the removal goes on by itself when the
// store is opened, or when this is called again.
func (s *Store) DeleteAccount(ctx context.Context, account string) error {
	if err := checkAccount(account); err != nil {
		return err
	}
	err := s.update(accounts, func(tx *Tx) error {
		a, err := tx.account(account)
		if err != nil || !a.found {
			return err
		}
		t, err := tx.tree(account)
		if err != nil {
			return err
		}
		for _, m := range t.sorted() {
			if err := errors.Join(tx.dropName(t, m), tx.doom(m)); err != nil {
				return err
			}
		}
		a.rec.doomed = true
		tx.tell(account, Event{Kind: AccountDeleted, ModSeq: a.next()})
		return tx.b.Set(doomedKey(Place{Account: account}), nil, nil)
	})
	if err != nil && !errors.Is(err, ErrNoAccount) { // ErrNoAccount: it was begun before
		return err
	}
	return s.raze(ctx, account)
}

func (t tree) sorted() []*boxTx {
	list := make([]*boxTx, 0, len(t))
	for _, m := range t {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b *boxTx) int { return int(int64(a.ID) - int64(b.ID)) })
	return list
}

// raze removes what is left of a doomed account.
func (s *Store) raze(ctx context.Context, account string) error {
	places, err := s.doomed(append(append([]byte{'z'}, account...), 0))
	if err != nil {
		return err
	}
	whole := false
	for _, p := range places {
		if p.Mailbox == 0 {
			whole = true
			continue
		}
		if err := s.sweep(ctx, p); err != nil {
			return err
		}
	}
	if !whole {
		return nil
	}
	return s.update(accounts, func(tx *Tx) error {
		s.recent.clear()
		prefix := accountPrefix(account)
		return errors.Join(
			tx.b.DeleteRange(prefix, after(prefix), nil),
			tx.b.Delete(doomedKey(Place{Account: account}), nil),
		)
	})
}

// doomed lists the mailboxes that are being removed and whose keys begin with prefix.
func (s *Store) doomed(prefix []byte) (places []Place, err error) {
	err = scan(s.db, prefix, func(key, _ []byte) error {
		whole := append(slices.Clone(prefix), key...)
		n := len(whole) - 5
		if n < 1 {
			return errRecord
		}
		places = append(places, Place{string(whole[1:n]), MailboxID(binary.BigEndian.Uint32(whole[n+1:]))})
		return nil
	})
	return places, err
}

// sweepAll goes on with removals that were cut short.
func (s *Store) sweepAll(ctx context.Context) error {
	places, err := s.doomed([]byte{'z'})
	for _, p := range places {
		if err != nil {
			return err
		}
		if p.Mailbox == 0 {
			err = s.raze(ctx, p.Account)
		} else {
			err = s.sweep(ctx, p)
		}
	}
	return err
}
