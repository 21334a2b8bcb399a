package store

import (
	"context"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Expunge removes messages for good: those that are still there, in one change.
// When it returns without error the removal is durable.
func (s *Store) Expunge(_ context.Context, p Place, uids []uint32) (Expunged, error) {
	if err := checkAccount(p.Account); err != nil {
		return Expunged{}, err
	}
	if len(uids) == 0 {
		return Expunged{}, nil
	}
	var done Expunged
	b := s.db.NewIndexedBatch()
	err := s.commit(expunged, b, func() error {
		box, err := readMailbox(s.db, p.Account, p.Mailbox)
		if err != nil {
			return err
		}
		for _, uid := range slices.Compact(slices.Sorted(slices.Values(uids))) {
			before := box.Messages
			if err := s.remove(b, p.Account, p.Mailbox, uid, &box); err != nil {
				return err
			}
			if box.Messages != before {
				done.UIDs = append(done.UIDs, uid)
			}
		}
		if len(done.UIDs) > 0 {
			box.HighestModSeq++
		}
		done.ModSeq = box.HighestModSeq
		if len(done.UIDs) == 0 {
			return nil
		}
		return b.Set(mailboxKey(p.Account, p.Mailbox), box.encode(), nil)
	})
	return done, err
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
