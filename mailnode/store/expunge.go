package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Expunged says what was removed, in ascending order.
type Expunged struct {
	UIDs   []uint32
	ModSeq uint64 // of the last change; the mailbox's HIGHESTMODSEQ when there was none
}

// tombKeep is of how many removals a mailbox remembers what they removed.
const tombKeep = 8192

// expungeStep is how many messages one change removes, see transferStep.
const expungeStep = 2000

// Expunge removes messages for good: those that are still there. When it returns without
// error the removal is durable. Many are removed in several changes, so that no other
// change is kept waiting; after an error Expunged tells which were.
func (s *Store) Expunge(ctx context.Context, p Place, uids []uint32) (whole Expunged, err error) {
	for step := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(uids))), expungeStep) {
		if err := ctx.Err(); err != nil {
			return whole, err
		}
		var done Expunged
		err := s.update(expunged, func(tx *Tx) error {
			m, err := tx.folder(p)
			if errors.Is(err, ErrNoMailbox) && p.Mailbox == Inbox { // of an account that never got a message
				return nil
			}
			if err != nil {
				return err
			}
			done.UIDs, err = tx.expunge(m, step)
			done.ModSeq = m.HighestModSeq
			return err
		})
		if err != nil {
			return whole, err
		}
		whole.UIDs, whole.ModSeq = append(whole.UIDs, done.UIDs...), done.ModSeq
	}
	return whole, nil
}

// expunge removes those of the messages uids (ascending) that are there.
func (tx *Tx) expunge(m *boxTx, uids []uint32) ([]uint32, error) {
	var gone []uint32
	var ids []ObjectID
	for _, uid := range uids {
		item, found, err := tx.item(m, uid)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		i, err := tx.identity(m.place, uid)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(
			tx.release(i.body), tx.unhang(m.place.Account, i.threads), tx.remove(m.place, uid, i.id),
		); err != nil {
			return nil, err
		}
		m.weigh(&item, -1)
		gone, ids = append(gone, uid), append(ids, i.id)
	}
	return gone, tx.bury(m, gone, ids)
}

// remove deletes the rows of a message.
func (tx *Tx) remove(p Place, uid uint32, id ObjectID) error {
	return errors.Join(
		tx.b.Delete(uidKey(p, 'm', uid), nil),
		tx.b.Delete(uidKey(p, 'i', uid), nil),
		tx.b.Delete(uidKey(p, 'd', uid), nil),
		tx.b.Delete(emailKey(p, id, uid), nil),
	)
}

// bury writes down what a change removed, and tells it.
func (tx *Tx) bury(m *boxTx, gone []uint32, ids []ObjectID) error {
	if len(gone) == 0 {
		return nil
	}
	modseq := m.touch()
	m.gone = append(m.gone, gone...)
	tx.tell(m.place.Account, Event{Kind: MessagesExpunged, Mailbox: m.ID, UIDs: gone, ModSeq: modseq})
	if m.made {
		return nil
	}
	m.tombs++
	if m.tombs > tombKeep+tombKeep/8 {
		if err := tx.forget(m); err != nil {
			return err
		}
	}
	return tx.b.Set(tombKey(m.place, modseq), encodeTomb(gone, ids), nil)
}

// forget drops the oldest tombstones of a mailbox.
func (tx *Tx) forget(m *boxTx) (err error) {
	prefix := accountKey(m.place.Account, 'x', m.ID)
	it, err := tx.s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	drop := m.tombs - tombKeep
	ok := it.First()
	for ; ok && drop > 0; ok = it.Next() {
		m.Floor = binary.BigEndian.Uint64(it.Key()[len(prefix):])
		m.tombs--
		drop--
	}
	if err := it.Error(); err != nil {
		return err
	}
	return tx.b.DeleteRange(tombKey(m.place, 0), tombKey(m.place, m.Floor+1), nil)
}

// replace removes the message another took the place of.
func (tx *Tx) replace(r Replaced) error {
	m, err := tx.folder(r.Place)
	if err != nil {
		return err
	}
	gone, err := tx.expunge(m, []uint32{r.UID})
	if err == nil && len(gone) == 0 {
		err = ErrNoMessage
	}
	return err
}

// encodeTomb is the record of a removal: UIDs as distances, and the ids of the messages.
func encodeTomb(uids []uint32, ids []ObjectID) []byte {
	b := binary.AppendUvarint([]byte{recordVersion}, uint64(len(uids)))
	var last uint32
	for _, uid := range uids {
		b = binary.AppendUvarint(b, uint64(uid-last))
		last = uid
	}
	for _, id := range ids {
		b = append(b, id[:]...)
	}
	return b
}

func decodeTomb(b []byte) (uids []uint32, err error) {
	if len(b) < 2 || b[0] != recordVersion {
		return nil, errRecord
	}
	r := fields{b: b[1:]}
	n := r.uvarint()
	if r.bad || n > uint64(len(r.b)) {
		return nil, errRecord
	}
	var last uint32
	for range n {
		last += uint32(r.uvarint())
		uids = append(uids, last)
	}
	if r.bad {
		return nil, errRecord
	}
	return uids, nil
}

// Vanished lists the UIDs expunged after modseq. complete is false when the store no
// longer knows all of them: then every UID that is not in the mailbox may be one.
func (s *Store) Vanished(ctx context.Context, p Place, modseq uint64) (uids []uint32, complete bool, err error) {
	snap, err := s.view(ctx)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	m, err := readMailbox(snap, p)
	if err != nil {
		return nil, false, err
	}
	prefix := accountKey(p.Account, 'x', p.Mailbox)
	it, err := snap.NewIter(&pebble.IterOptions{LowerBound: tombKey(p, modseq+1), UpperBound: after(prefix)})
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		gone, err := decodeTomb(it.Value())
		if err != nil {
			return nil, false, fmt.Errorf("mailbox %d of account %s: %w", p.Mailbox, p.Account, err)
		}
		uids = append(uids, gone...)
	}
	slices.Sort(uids)
	return uids, modseq >= m.Floor, it.Error()
}
