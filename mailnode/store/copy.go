package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
)

// Transfer says where messages went. From and To correspond.
type Transfer struct {
	UIDValidity uint32 // of the destination
	From, To    []uint32
	ModSeq      uint64 // of the change at the destination
	Expunged    uint64 // modseq of the change at the source, when messages moved
}

// Copy copies messages to the end of another (or the same) mailbox, of any account, all
// or none. Flags, keywords, internal date, EMAILID and THREADID stay the same. Those
// that are gone are passed over.
func (s *Store) Copy(ctx context.Context, from Place, uids []uint32, to Place) (Transfer, error) {
	return s.transfer(ctx, from, uids, to, false)
}

// Move is Copy and Expunge in one change (RFC 6851).
func (s *Store) Move(ctx context.Context, from Place, uids []uint32, to Place) (Transfer, error) {
	return s.transfer(ctx, from, uids, to, true)
}

func (s *Store) transfer(_ context.Context, from Place, uids []uint32, to Place, move bool) (t Transfer, err error) {
	if err := s.Room(0); err != nil && !move {
		return Transfer{}, err
	}
	uids = slices.Compact(slices.Sorted(slices.Values(uids)))
	err = s.update(copied, func(tx *Tx) error {
		source, err := tx.folder(from)
		if err != nil {
			return err
		}
		if _, err := tx.open(to.Account); err != nil {
			return err
		}
		target, err := tx.folder(to)
		if err != nil {
			return err
		}
		t, err = tx.transfer(source, uids, target, move)
		return err
	})
	if err != nil {
		return Transfer{}, err
	}
	return t, nil
}

func (tx *Tx) transfer(source *boxTx, uids []uint32, target *boxTx, move bool) (Transfer, error) {
	t := Transfer{UIDValidity: target.UIDValidity}
	for _, uid := range uids {
		item, found, err := tx.item(source, uid)
		if err != nil {
			return t, err
		}
		if !found {
			continue
		}
		i, err := tx.identity(source.place, uid)
		if err != nil {
			return t, err
		}
		var digest []byte
		if _, err := tx.s.read(uidKey(source.place, 'd', uid), func(v []byte) error {
			digest = bytes.Clone(v)
			return nil
		}); err != nil {
			return t, err
		}
		made := item
		made.Saved = tx.at.Unix()
		if made.Flags, err = tx.flags(target, item.Flags, item.Flags.Keywords(source.Keywords)); err != nil {
			return t, err
		}
		if err := tx.put(target, &made, &i, digest); err != nil {
			return t, err
		}
		t.From, t.To, t.ModSeq = append(t.From, uid), append(t.To, made.UID), made.ModSeq
	}
	if !move {
		return t, nil
	}
	gone, err := tx.expunge(source, t.From)
	if err == nil && len(gone) != len(t.From) {
		err = errors.New("store: a message went while it was moved")
	}
	t.Expunged = source.HighestModSeq
	return t, err
}
