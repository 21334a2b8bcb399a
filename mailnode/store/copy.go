package store

import (
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

// transferBatch is how many messages' records are read at once: one after the other
// takes several times as long.
const transferBatch = 1000

func (tx *Tx) transfer(source *boxTx, uids []uint32, target *boxTx, move bool) (Transfer, error) {
	t := Transfer{UIDValidity: target.UIDValidity}
	for batch := range slices.Chunk(uids, transferBatch) {
		if err := tx.duplicate(source, batch, target, &t); err != nil {
			return t, err
		}
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

// duplicate puts messages of a mailbox into another.
func (tx *Tx) duplicate(source *boxTx, uids []uint32, target *boxTx, t *Transfer) error {
	identities, err := tx.s.rows(source.place, 'i', uids)
	if err != nil {
		return err
	}
	digests, err := tx.s.rows(source.place, 'd', uids)
	if err != nil {
		return err
	}
	for _, uid := range uids {
		item, found, err := tx.item(source, uid)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		value := rowOf(&identities, uid)
		if value == nil {
			return tx.unidentified(source.place, uid)
		}
		i, err := decodeIdentity(value)
		if err != nil {
			return err
		}
		made := item
		made.Saved = tx.at.Unix()
		if made.Flags, err = tx.flags(target, item.Flags, item.Flags.Keywords(source.Keywords)); err != nil {
			return err
		}
		if err := tx.put(target, &made, &i, rowOf(&digests, uid)); err != nil {
			return err
		}
		t.From, t.To, t.ModSeq = append(t.From, uid), append(t.To, made.UID), made.ModSeq
	}
	return nil
}

// rowOf is a UID's value of rows, which are in order as the UIDs asked for are; nil when
// there is none.
func rowOf(rows *[]row, uid uint32) []byte {
	for len(*rows) > 0 && (*rows)[0].uid < uid {
		*rows = (*rows)[1:]
	}
	if len(*rows) == 0 || (*rows)[0].uid != uid {
		return nil
	}
	return (*rows)[0].value
}
