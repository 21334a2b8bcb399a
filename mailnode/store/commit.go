package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// commit makes one durable change of what fill does, written behind what is in b
// already, the chunks of bodies. fill runs with s.mu held: it may read the database and
// sees every earlier change. An error from it changes nothing, and a change without any
// write is none. commit closes b, except when the store has failed: Pebble may then
// still hold it.
func (s *Store) commit(k kind, b *pebble.Batch, fill func(tx *Tx) error) error {
	seq, err := s.apply(k, b, fill)
	if errors.Is(err, ErrFailed) {
		return err
	}
	if err != nil || seq == 0 {
		return errors.Join(err, b.Close())
	}
	// Changes are in the write-ahead file in the order they were applied, so that
	// when this one is durable, all before it are.
	if err := b.SyncWait(); err != nil {
		s.fail(err)
		return ErrFailed
	}
	s.outbox.send(seq)
	return b.Close()
}

// apply makes the change visible to later changes, not yet to readers, and
// returns its number, 0 when there was nothing to change.
func (s *Store) apply(k kind, b *pebble.Batch, fill func(tx *Tx) error) (seq uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hasFailed() {
		return 0, ErrFailed
	}
	tx := s.newTx(b)
	if err := fill(tx); err != nil {
		return 0, err
	}
	if err := tx.finish(); err != nil {
		return 0, err
	}
	if b.Len() == tx.mark && len(tx.staged) == 0 {
		return 0, nil
	}
	if err := s.appendLog(k, tx); err != nil {
		return 0, err
	}
	defer func() {
		if cause := recover(); cause != nil {
			s.panicked(cause)
			seq, err = 0, ErrFailed
		}
	}()
	if err := s.db.ApplyNoSyncWait(b, pebble.Sync); err != nil {
		return 0, err
	}
	s.recent.note(tx)
	if s.absent.turn() {
		s.tidying.Go(s.settle)
	}
	s.durable = s.outbox.add(s.history.seq, tx)
	return s.history.seq, nil
}

// panicked marks the store as failed: Pebble panics when the write-ahead file cannot be
// written.
func (s *Store) panicked(cause any) { s.fail(fmt.Errorf("%v", cause)) }

// settle has everything that was applied written into tables, for absent.
func (s *Store) settle() {
	defer func() {
		if cause := recover(); cause != nil {
			s.panicked(cause)
		}
	}()
	flushed, err := s.db.AsyncFlush()
	if err != nil { // only a database that is read has such errors
		return
	}
	select {
	case <-flushed:
		s.absent.turned()
	case <-s.closing:
	case <-s.failed:
	}
}

// update is commit for a change that brings no bodies.
func (s *Store) update(k kind, fill func(tx *Tx) error) error {
	return s.commit(k, s.db.NewBatch(), fill)
}

// view is a snapshot of the store that no crash can take back: it waits until the
// last change in it is durable.
func (s *Store) view(ctx context.Context) (*pebble.Snapshot, error) {
	s.mu.Lock()
	snap, durable := s.db.NewSnapshot(), s.durable
	s.mu.Unlock()
	if err := s.wait(ctx, durable); err != nil {
		return nil, errors.Join(err, snap.Close())
	}
	return snap, nil
}

func (s *Store) wait(ctx context.Context, durable <-chan struct{}) error {
	select {
	case <-durable:
		return nil
	case <-s.failed:
		return ErrFailed
	case <-ctx.Done():
		return ctx.Err()
	}
}
