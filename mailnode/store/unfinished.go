package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
)

// unfinished is what a step of a copy brought: it stays only when all its steps are made.
type unfinished struct {
	Place
	first, last uint32 // UIDs
}

// noteCopy writes down, in the change that makes a step of a copy, that it is to be taken
// back; the last step makes the copy whole instead. Steps before are begun.
func (tx *Tx) noteCopy(p Place, begun []unfinished, made []uint32, last bool) error {
	if !last {
		if len(made) == 0 {
			return nil
		}
		return tx.b.Set(unfinishedKey(p, made[0]), binary.BigEndian.AppendUint32(nil, made[len(made)-1]), nil)
	}
	for _, u := range begun {
		if err := tx.b.Delete(unfinishedKey(u.Place, u.first), nil); err != nil {
			return err
		}
	}
	return nil
}

// takeBack removes what the steps of a copy brought.
func (s *Store) takeBack(steps []unfinished) error {
	for _, u := range steps {
		if err := s.update(expunged, func(tx *Tx) error {
			if err := tx.b.Delete(unfinishedKey(u.Place, u.first), nil); err != nil {
				return err
			}
			m, err := tx.folder(u.Place)
			if errors.Is(err, ErrNoMailbox) || errors.Is(err, ErrNoAccount) { // removed meanwhile, with its messages
				return nil
			}
			if err != nil {
				return err
			}
			uids := make([]uint32, 0, u.last-u.first+1)
			for uid := u.first; uid <= u.last; uid++ {
				uids = append(uids, uid)
			}
			_, err = tx.expunge(m, uids)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// leftUnfinished lists the steps of copies that a process before this one did not end.
func (s *Store) leftUnfinished() (steps []unfinished, err error) {
	err = scan(s.db, []byte{'u'}, func(key, value []byte) error {
		n := bytes.IndexByte(key, 0)
		if n < 0 || len(key) != n+9 || len(value) != 4 {
			return errRecord
		}
		be := binary.BigEndian
		u := unfinished{Place{string(key[:n]), MailboxID(be.Uint32(key[n+1:]))}, be.Uint32(key[n+5:]), be.Uint32(value)}
		if u.last < u.first || u.last-u.first >= transferStep {
			return errRecord
		}
		steps = append(steps, u)
		return nil
	})
	return steps, err
}

// tidy goes on with what a process before this one did not end: copies, which are
// taken back, and removals.
func (s *Store) tidy(ctx context.Context, copies []unfinished) error {
	for n := range copies {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.takeBack(copies[n : n+1]); err != nil {
			return err
		}
	}
	return s.sweepAll(ctx)
}
