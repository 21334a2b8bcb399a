package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// kind says in a log entry what was changed.
type kind byte

const (
	created kind = iota + 1
	delivered
	expunged
)

// commit completes b with what fill adds, appends the log entry, applies all of it
// as one batch and returns when it is durable. fill runs with s.mu held: it may
// read the database and sees every earlier change. An error from fill changes
// nothing. commit closes b, except when the store has failed: Pebble may then still
// hold it.
func (s *Store) commit(k kind, b *pebble.Batch, fill func() error) error {
	done, err := s.apply(k, b, fill)
	if errors.Is(err, ErrFailed) {
		return err
	}
	if err != nil {
		return errors.Join(err, b.Close())
	}
	// Changes are in the write-ahead file in the order they were applied, so that
	// when this one is durable, all before it are.
	if err := b.SyncWait(); err != nil {
		s.fail(err)
		return ErrFailed
	}
	close(done)
	return b.Close()
}

// apply makes the change visible to later changes, not yet to readers, and
// returns the channel to close when it is durable.
func (s *Store) apply(k kind, b *pebble.Batch, fill func() error) (done chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hasFailed() {
		return nil, ErrFailed
	}
	if err := fill(); err != nil {
		return nil, err
	}
	if err := s.appendLog(k, b); err != nil {
		return nil, err
	}
	defer func() {
		if cause := recover(); cause != nil { // Pebble panics when the write-ahead file cannot be written
			s.fail(fmt.Errorf("%v", cause))
			done, err = nil, ErrFailed
		}
	}()
	if err := s.db.ApplyNoSyncWait(b, pebble.Sync); err != nil {
		return nil, err
	}
	s.seq++
	done = make(chan struct{})
	s.durable = done
	return done, nil
}

// appendLog adds the log entry and, once in a while, drops the oldest ones.
func (s *Store) appendLog(k kind, b *pebble.Batch) error {
	seq := s.seq + 1
	if s.first == 0 {
		s.first = seq
	}
	if seq-s.first >= s.logKeep+s.logKeep/8 {
		keep := seq - s.logKeep
		if err := b.DeleteRange(logKey(s.first), logKey(keep), nil); err != nil {
			return err
		}
		s.first = keep
	}
	entry := binary.BigEndian.AppendUint64([]byte{recordVersion, byte(k)}, uint64(now().UnixNano()))
	return b.Set(logKey(seq), entry, nil)
}

// view is a snapshot of the store that no crash can take back: it waits until the
// last change in it is durable.
func (s *Store) view(ctx context.Context) (*pebble.Snapshot, error) {
	s.mu.Lock()
	snap, durable := s.db.NewSnapshot(), s.durable
	s.mu.Unlock()
	var err error
	select {
	case <-durable:
		return snap, nil
	case <-s.failed:
		err = ErrFailed
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(err, snap.Close())
}
