package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// Table is a named part of the database for another room, such as the queue.
type Table struct {
	s    *Store
	name string
}

// Table returns the table with a name of letters, digits and dashes.
func (s *Store) Table(name string) Table {
	if name == "" || strings.IndexByte(name, 0) >= 0 {
		panic("store: " + name + " cannot name a table")
	}
	return Table{s, name}
}

// Get returns a value, nil when there is none.
func (t Table) Get(ctx context.Context, key []byte) (value []byte, err error) {
	snap, err := t.s.view(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	v, closer, err := snap.Get(rowKey(t, key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]byte{}, v...), closer.Close()
}

// Peek is Get without waiting: a crash may still take back what it returns. It is for
// those who know that what they look for is durable.
func (t Table) Peek(key []byte) (value []byte, err error) {
	_, err = t.s.read(rowKey(t, key), func(v []byte) error {
		value = append([]byte{}, v...)
		return nil
	})
	return value, err
}

// Row is a key of a table and its value, good until the next.
type Row struct{ Key, Value []byte }

// Scan goes through the keys from (included) to (excluded; nil: to the end).
func (t Table) Scan(ctx context.Context, from, to []byte) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		snap, err := t.s.view(ctx)
		if err != nil {
			yield(Row{}, err)
			return
		}
		err = t.scan(snap, from, to, func(r Row) bool { return yield(r, nil) })
		if err := errors.Join(err, snap.Close()); err != nil {
			yield(Row{}, err)
		}
	}
}

func (t Table) scan(snap *pebble.Snapshot, from, to []byte, yield func(Row) bool) (err error) {
	prefix := rowKey(t, nil)
	opts := &pebble.IterOptions{LowerBound: rowKey(t, from), UpperBound: after(prefix)}
	if to != nil {
		opts.UpperBound = rowKey(t, to)
	}
	it, err := snap.NewIter(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if !yield(Row{it.Key()[len(prefix):], v}) {
			return nil
		}
	}
	return it.Error()
}

// Held is a body in the database that a table holds, so that it stays.
type Held struct {
	ID     BodyID
	Size   int64 // bytes
	digest Digest
}

func (h Held) encode() []byte {
	b := append([]byte{recordVersion}, h.ID[:]...)
	b = binary.AppendUvarint(b, uint64(h.Size))
	b = appendString(b, string(h.digest.Data))
	for _, id := range h.digest.Thread {
		b = appendString(b, id)
	}
	return b
}

func decodeHeld(b []byte) (Held, error) {
	if len(b) < 17 || b[0] != recordVersion {
		return Held{}, errRecord
	}
	r := fields{b: b[17:]}
	h := Held{ID: BodyID(b[1:17]), Size: int64(r.uvarint())}
	h.digest.Data = []byte(r.string())
	for len(r.b) > 0 && !r.bad {
		h.digest.Thread = append(h.digest.Thread, r.string())
	}
	if r.bad {
		return Held{}, errRecord
	}
	return h, nil
}

// Held returns the body a table holds under a key; ErrNoMessage when there is none.
func (t Table) Held(key []byte) (h Held, err error) {
	found, err := t.s.read(heldKey(t, key), func(v []byte) (err error) {
		h, err = decodeHeld(v)
		return err
	})
	if err == nil && !found {
		err = ErrNoMessage
	}
	return h, err
}

// HeldSection reads n bytes of a held body from an offset on, as Section does of a
// message.
func (s *Store) HeldSection(h Held, offset, n int64) io.Reader {
	return s.bodies.section(h.ID, h.Size, offset, n)
}

// Update makes one durable change of all that f does. body, which may be nil, can be
// filed and held in it. An error of f changes nothing.
func (s *Store) Update(_ context.Context, body *Staged, f func(tx *Tx) error) error {
	return s.bring(updated, []*Staged{body}, f)
}

// Get reads a key of a table as it was before this change, nil when there is none.
func (tx *Tx) Get(t Table, key []byte) (value []byte, err error) {
	_, err = tx.s.read(rowKey(t, key), func(v []byte) error {
		value = append([]byte{}, v...)
		return nil
	})
	return value, err
}

// Set writes a key of a table.
func (tx *Tx) Set(t Table, key, value []byte) error { return tx.b.Set(rowKey(t, key), value, nil) }

// Delete removes a key of a table.
func (tx *Tx) Delete(t Table, key []byte) error { return tx.b.Delete(rowKey(t, key), nil) }

// Hold makes a table hold a staged body, under a key of its choice that holds none.
func (tx *Tx) Hold(t Table, key []byte, body *Staged) (Held, error) {
	id, err := tx.settle(body)
	if err != nil {
		return Held{}, err
	}
	h := Held{ID: id, Size: body.size, digest: body.digest}
	return h, errors.Join(tx.refer(id), tx.b.Set(heldKey(t, key), h.encode(), nil))
}

// Release gives a held body up; it goes when nobody has it any more.
func (tx *Tx) Release(t Table, key []byte) error {
	h, err := t.Held(key)
	if err != nil {
		return err
	}
	return errors.Join(tx.release(h.ID), tx.b.Delete(heldKey(t, key), nil))
}

// FileHeld puts a held body into mailboxes.
func (tx *Tx) FileHeld(d Delivery, body Held) ([]Receipt, error) {
	return tx.file(d, body.ID, body.Size, body.digest)
}

// Count is a counter of the ledger and what is added to it.
type Count struct {
	Key string // parts divided by '/', in an order good for listing: day/domain/account/name
	N   int64
}

// Count adds to counters. They never fall below 0 nor above what an int64 holds.
func (tx *Tx) Count(counts ...Count) error {
	for _, c := range counts {
		if c.Key == "" || len(c.Key) > 512 {
			return fmt.Errorf("store: %q cannot name a counter", c.Key)
		}
		if tx.counts == nil {
			tx.counts = map[string]int64{}
		}
		tx.counts[c.Key] += c.N
	}
	return nil
}

func (tx *Tx) finishCounts() error {
	if len(tx.counts) > 0 {
		tx.totals = make(map[string]int64, len(tx.counts))
	}
	for _, key := range slices.Sorted(maps.Keys(tx.counts)) {
		k := append([]byte{'c'}, key...)
		n, known := tx.s.recent.counts[key]
		if !known {
			if _, err := tx.s.read(k, func(v []byte) error {
				if len(v) != 8 {
					return errRecord
				}
				n = int64(binary.BigEndian.Uint64(v))
				return nil
			}); err != nil {
				return err
			}
		}
		if add := tx.counts[key]; add > math.MaxInt64-n {
			n = math.MaxInt64
		} else {
			n = max(n+add, 0)
		}
		tx.totals[key] = n
		if err := tx.b.Set(k, binary.BigEndian.AppendUint64(nil, uint64(n)), nil); err != nil {
			return err
		}
	}
	return nil
}

// Counts goes through the counters whose keys begin with prefix and are not before from,
// in order.
func (s *Store) Counts(ctx context.Context, prefix, from string) iter.Seq2[Count, error] {
	return func(yield func(Count, error) bool) {
		snap, err := s.view(ctx)
		if err != nil {
			yield(Count{}, err)
			return
		}
		end := errors.New("the caller has enough")
		err = scanFrom(snap, append([]byte{'c'}, prefix...), append([]byte{'c'}, from...), func(key, v []byte) error {
			if len(v) != 8 {
				return errRecord
			}
			if !yield(Count{prefix + string(key), int64(binary.BigEndian.Uint64(v))}, nil) {
				return end
			}
			return nil
		})
		closed := snap.Close()
		if errors.Is(err, end) {
			return
		}
		if err := errors.Join(err, closed); err != nil {
			yield(Count{}, err)
		}
	}
}
