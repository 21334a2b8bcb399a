package store

import (
	"cmp"
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
//
// A long copy is made in steps, so that it keeps no other change waiting; who looks at
// the mailbox sees it grow. When it fails, or the program ends meanwhile, what was copied
// until then is removed again.
func (s *Store) Copy(ctx context.Context, from Place, uids []uint32, to Place) (Transfer, error) {
	uids = slices.Compact(slices.Sorted(slices.Values(uids)))
	if len(uids) > transferStep {
		if err := s.canCopy(ctx, from, uids, to); err != nil {
			return Transfer{}, err
		}
	}
	var whole Transfer
	var begun []unfinished
	for step := range slices.Chunk(uids, transferStep) {
		if err := cmp.Or(ctx.Err(), s.Room(0)); err != nil {
			return Transfer{}, errors.Join(err, s.takeBack(begun))
		}
		last := step[len(step)-1] == uids[len(uids)-1]
		part, err := s.transfer(from, step, to, false, func(tx *Tx, part Transfer) error {
			return tx.noteCopy(to, begun, part.To, last)
		})
		if err != nil {
			return Transfer{}, errors.Join(err, s.takeBack(begun))
		}
		if n := len(part.To); n > 0 && !last {
			begun = append(begun, unfinished{to, part.To[0], part.To[n-1]})
		}
		whole.add(part)
	}
	return whole, nil
}

// Move is Copy and Expunge in one change (RFC 6851), of a thousand messages at most:
// more are moved in several, and after an error Transfer tells which were. When the disk is
// full a thousand still are: to the trash, say.
func (s *Store) Move(ctx context.Context, from Place, uids []uint32, to Place) (whole Transfer, err error) {
	for step := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(uids))), transferStep) {
		if err := ctx.Err(); err != nil {
			return whole, err
		}
		if len(whole.From) > 0 {
			if err := s.Room(0); err != nil {
				return whole, err
			}
		}
		part, err := s.transfer(from, step, to, true, nil)
		if err != nil {
			return whole, err
		}
		whole.add(part)
	}
	return whole, nil
}

// add appends the next step of a transfer.
func (t *Transfer) add(part Transfer) {
	if len(t.From) == 0 {
		*t = part
		return
	}
	t.From, t.To = append(t.From, part.From...), append(t.To, part.To...)
	t.ModSeq, t.Expunged = max(t.ModSeq, part.ModSeq), part.Expunged
}

// canCopy refuses a long copy that would end beyond the quota before it begins.
func (s *Store) canCopy(ctx context.Context, from Place, uids []uint32, to Place) error {
	b, err := s.Select(ctx, from)
	if err != nil {
		return err
	}
	defer b.Close()
	v := b.View()
	var n, size int64
	for _, uid := range uids {
		if i, ok := v.Search(uid); ok {
			n++
			size += v.At(i).Size
		}
	}
	return s.CanTake(to.Account, n, size)
}

// transfer is one change; also, when it is not nil, adds to it.
func (s *Store) transfer(from Place, uids []uint32, to Place, move bool, also func(tx *Tx, t Transfer) error) (t Transfer, err error) {
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
		if t, err = tx.transfer(source, uids, target, move); err != nil || also == nil {
			return err
		}
		return also(tx, t)
	})
	if err != nil {
		return Transfer{}, err
	}
	return t, nil
}

// transferStep is how many messages one change copies or moves: some tens of
// milliseconds, in which no other change is made. Their records are read at once: one
// after the other takes several times as long.
const transferStep = 1000

func (tx *Tx) transfer(source *boxTx, uids []uint32, target *boxTx, move bool) (Transfer, error) {
	t := Transfer{UIDValidity: target.UIDValidity}
	if err := tx.duplicate(source, uids, target, &t); err != nil {
		return t, err
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
