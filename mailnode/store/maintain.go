package store

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"
)

// OpenReadOnly opens a store that nobody has open, to look at it. What a crash left
// undone stays so, and nothing can be changed.
func OpenReadOnly(dir string, opts Options) (*Store, error) {
	opts.readOnly = true
	return Open(dir, opts)
}

// Checkpoint makes a copy of the store, as it is at one moment, in a directory that is
// not there yet. On the same file system the copy shares its files with the store and
// takes next to no room until they go from the store.
func (s *Store) Checkpoint(ctx context.Context, dir string) error {
	snap, err := s.view(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(snap.Close(), s.fs.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	if err := s.db.Checkpoint(s.fs.PathJoin(dir, "db"), pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("store: copying it to %s: %w", dir, err)
	}
	return writeIdentity(s.fs, dir, s.id)
}

// spaces are the first bytes of keys, in order.
const spaces = "abcghklmtyz"

// Compact makes the database as small as it can be. progress is told how much is done.
func (s *Store) Compact(ctx context.Context, progress func(done, of int)) error {
	for i := range spaces {
		from := []byte{spaces[i]}
		if err := s.db.Compact(ctx, from, after(from), true); err != nil {
			return err
		}
		progress(i+1, len(spaces))
	}
	return nil
}

// Stats is how much a store holds.
type Stats struct {
	ID             string `json:"id"`
	Format         int    `json:"format"`
	Log            uint64 `json:"log"`             // number of the last change
	LogKept        uint64 `json:"log_kept"`        // entries
	Accounts       int64  `json:"accounts"`        //
	Messages       int64  `json:"messages"`        //
	Bytes          int64  `json:"bytes"`           // sizes of the messages
	BodyBytes      uint64 `json:"body_bytes"`      // on the disk, of the bodies
	DiskBytes      uint64 `json:"disk_bytes"`      // on the disk, of everything
	Tables         int64  `json:"tables"`          // Pebble's
	WriteAmplified string `json:"write_amplified"` // bytes written to tables for each written to the log since it was opened
}

// Stats counts.
func (s *Store) Stats(ctx context.Context) (st Stats, err error) {
	snap, err := s.view(ctx)
	if err != nil {
		return Stats{}, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	s.mu.Lock()
	st = Stats{ID: s.id, Format: formatVersion, Log: s.history.seq, LogKept: s.history.seq + 1 - s.history.first}
	s.mu.Unlock()
	if err := eachAccount(snap, "", func(_ string, h holder) bool {
		st.Accounts++
		st.Messages += int64(h.messages)
		st.Bytes += int64(h.bytes)
		return ctx.Err() == nil
	}); err != nil {
		return Stats{}, err
	}
	if st.BodyBytes, err = s.db.EstimateDiskUsage([]byte{'b'}, []byte{'b' + 1}); err != nil {
		return Stats{}, err
	}
	m := s.db.Metrics()
	total := m.Total()
	st.DiskBytes, st.Tables, st.WriteAmplified = m.DiskSpaceUsage(), total.TablesCount, fmt.Sprintf("%.1f", total.WriteAmp())
	return st, ctx.Err()
}

const (
	// uidGap and modseqGap are by how much counters jump in a store that was restored: more
	// than can have been given between the backup and its loss.
	uidGap    = 1 << 20
	modseqGap = 1 << 32
)

// Advance prepares a store that was restored from a backup for those who knew it before
// it was lost: no UID and no modseq that was given after the backup is given again, and
// clients find out which of their messages are no longer there.
func (s *Store) Advance(ctx context.Context) error {
	for account, err := range s.Accounts(ctx, "") {
		if err != nil {
			return err
		}
		if err := s.update(repaired, func(tx *Tx) error { return tx.advance(account) }); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) advance(account string) error {
	t, err := tx.tree(account)
	if err != nil {
		return err
	}
	tx.accounts[account].rec.state += modseqGap
	for _, m := range t.sorted() {
		m.UIDNext = uint32(min(uint64(m.UIDNext)+uidGap, math.MaxUint32))
		m.Floor = m.touch()
	}
	return nil
}
