package store

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// Expunge removes messages for good: all of those that are still there, in one
// change. When it returns without error the removal is durable.
func (s *Store) Expunge(account string, mailbox MailboxID, uids []uint32) error {
	if err := checkAccount(account); err != nil {
		return err
	}
	if len(uids) == 0 {
		return nil
	}
	b := s.db.NewIndexedBatch()
	return s.commit(expunged, b, func() error {
		box, err := readMailbox(s.db, account, mailbox)
		if err != nil {
			return err
		}
		before := box.Messages
		for _, uid := range uids {
			if err := s.remove(b, account, mailbox, uid, &box); err != nil {
				return err
			}
		}
		if box.Messages == before {
			return nil
		}
		box.HighestModSeq++
		return b.Set(mailboxKey(account, mailbox), box.encode(), nil)
	})
}

func (s *Store) remove(b *pebble.Batch, account string, mailbox MailboxID, uid uint32, box *Mailbox) error {
	key := messageKey(account, mailbox, uid)
	v, closer, err := b.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	m, err := decodeMessage(uid, v)
	if err := errors.Join(err, closer.Close()); err != nil {
		return err
	}
	box.Messages--
	box.Bytes -= uint64(m.Size)
	return errors.Join(b.Delete(key, nil), s.bodies.release(b, account, mailbox, m))
}
