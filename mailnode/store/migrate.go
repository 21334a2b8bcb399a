package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// migrate brings a store of format 1 up to date. It writes in steps, each of which can
// be done again: a crash between them leaves a store of format 1 that is partly in the
// new form, from which the next opening goes on. The last step is the new format number.
//
// Format 1 had accounts with an inbox only, bodies with a key for each message that had
// them, and log entries without the change.
func (s *Store) migrate() error {
	s.log.Info("the store is brought up to date", "format", formatVersion)
	if err := s.migrateBodies(); err != nil {
		return fmt.Errorf("bringing it up to date: %w", err)
	}
	if err := s.migrateAccounts(); err != nil {
		return fmt.Errorf("bringing it up to date: %w", err)
	}
	if err := s.db.Flush(); err != nil { // for absent
		return fmt.Errorf("bringing it up to date: %w", err)
	}
	return s.update(migrated, func(tx *Tx) error {
		return tx.b.Set(formatKey, binary.BigEndian.AppendUint32(nil, formatVersion), nil)
	})
}

// migrateStep is about how many bytes one step of a migration writes.
const migrateStep = 4 << 20

// steps gathers writes and commits them when there are many.
type steps struct {
	db *pebble.DB
	b  *pebble.Batch
}

func (w *steps) pause(limit int) error {
	if w.b.Len() < limit {
		return nil
	}
	err := errors.Join(w.b.Commit(pebble.Sync), w.b.Close())
	w.b = w.db.NewBatch()
	return err
}

// migrateBodies gives every body its record in place of the keys of those that have it.
func (s *Store) migrateBodies() (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'b'}, UpperBound: []byte{'b' + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	w := steps{s.db, s.db.NewBatch()}
	defer func() { err = errors.Join(err, w.b.Close()) }()
	const idEnd = 1 + len(BodyID{})
	for ok := it.First(); ok; {
		if len(it.Key()) <= idEnd {
			return errRecord
		}
		id := BodyID(bytes.Clone(it.Key()[1:idEnd]))
		h, sum, done := holding{}, sha256.New(), false
		for ; ok && bytes.HasPrefix(it.Key()[1:], id[:]); ok = it.Next() {
			switch it.Key()[idEnd] {
			case 'c':
				v, err := it.ValueAndErr()
				if err != nil {
					return err
				}
				_, _ = sum.Write(v) // it never fails
				h.size += int64(len(v))
			case 'h':
				done = true
			case 'r':
				h.refs++
				if err := w.b.Delete(bytes.Clone(it.Key()), nil); err != nil {
					return err
				}
			}
		}
		if done || h.refs == 0 {
			continue
		}
		sum.Sum(h.sum[:0])
		if err := errors.Join(w.b.Set(bodyKey(id, 'h'), h.encode(), nil), w.b.Set(sumKey(h.sum), id[:], nil), w.pause(migrateStep)); err != nil {
			return err
		}
	}
	return errors.Join(it.Error(), w.pause(0))
}

// migrateAccounts rewrites accounts one by one.
func (s *Store) migrateAccounts() (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'a'}, UpperBound: []byte{'a' + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; {
		end := bytes.IndexByte(it.Key(), 0)
		if end < 0 {
			return errRecord
		}
		account := string(it.Key()[1:end])
		if err := s.migrateAccount(account); err != nil {
			return fmt.Errorf("account %s: %w", account, err)
		}
		ok = it.SeekGE(after(accountPrefix(account)))
	}
	return it.Error()
}

func (s *Store) migrateAccount(account string) (err error) {
	v, err := s.get(mailboxKey(account, Inbox))
	if err != nil || len(v) == 0 || v[0] == recordVersion {
		return err
	}
	m, err := decodeMailbox1(v)
	if err != nil {
		return err
	}
	if m.Object, err = newObjectID(); err != nil {
		return err
	}
	w := steps{s.db, s.db.NewBatch()}
	defer func() { err = errors.Join(err, w.b.Close()) }()
	p := Place{account, Inbox}
	if err := scan(s.db, accountKey(account, 'm', Inbox), func(key, v []byte) error {
		return w.message(p, binary.BigEndian.Uint32(key), v)
	}); err != nil {
		return err
	}
	// What was removed before is not known.
	m.Floor, m.State, m.Unseen = m.HighestModSeq, m.HighestModSeq, m.Messages
	h := holder{state: m.HighestModSeq, nextMailbox: Inbox + 1, validity: m.UIDValidity, bytes: m.Bytes, messages: m.Messages}
	if err := errors.Join(
		w.pause(1), // the mailbox changes its form last
		w.b.Set(tableKey(account, 'a'), h.encode(), nil),
		w.b.Set(mailboxKey(account, Inbox), m.encode(), nil),
	); err != nil {
		return err
	}
	return w.pause(0)
}

// message rewrites a message that is still in the old form.
func (w *steps) message(p Place, uid uint32, v []byte) error {
	if len(v) > 0 && v[0] == recordVersion {
		return nil
	}
	item, i, err := decodeMessage1(uid, v)
	if err != nil {
		return err
	}
	b := make([]byte, itemRecordLen)
	item.encode(b)
	return errors.Join(
		w.b.Set(uidKey(p, 'i', uid), i.encode(), nil),
		w.b.Set(emailKey(p, i.id, uid), nil, nil),
		w.b.Set(uidKey(p, 'm', uid), b, nil),
		w.pause(migrateStep),
	)
}

func decodeMailbox1(b []byte) (Mailbox, error) {
	if len(b) < 33 || b[0] != 1 {
		return Mailbox{}, errRecord
	}
	be := binary.BigEndian
	return Mailbox{
		ID: Inbox, Name: string(b[33:]), UIDValidity: be.Uint32(b[1:]), UIDNext: be.Uint32(b[5:]),
		HighestModSeq: be.Uint64(b[9:]), Messages: be.Uint64(b[17:]), Bytes: be.Uint64(b[25:]),
	}, nil
}

func decodeMessage1(uid uint32, b []byte) (Item, identity, error) {
	if len(b) != 65 || b[0] != 1 {
		return Item{}, identity{}, errRecord
	}
	be := binary.BigEndian
	size := int64(be.Uint64(b[41:]))
	received := time.Unix(0, int64(be.Uint64(b[57:])))
	id := ObjectID(b[1:17])
	return Item{
			UID: uid, ModSeq: be.Uint64(b[33:]), Size: size, Saved: received.Unix(),
			Internal: time.Unix(0, int64(be.Uint64(b[49:]))).Unix(),
		}, identity{
			id: id, thread: id, body: BodyID(b[17:33]), size: size, received: received,
		}, nil
}
