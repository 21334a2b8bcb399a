package store

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// Many reads rows of tables and held bodies of one moment, many of them: to find each alone
// takes longer than to read it. It is quickest when what is wanted of one kind is asked for
// in the order of its keys. Like Peek it does not wait. It is for one goroutine, and for a
// short time; it must be closed.
type Many struct {
	it *pebble.Iterator
	at bool // it stands at a key
}

// Many returns what reads many rows.
func (s *Store) Many() (*Many, error) {
	it, err := s.db.NewIter(nil)
	return &Many{it: it}, err
}

// Close ends the reading.
func (m *Many) Close() error { return m.it.Close() }

// near is how many keys further on one is looked for before it is searched for.
const near = 3

// get returns the value of a key of the database, good until the next, nil for none.
func (m *Many) get(key []byte) ([]byte, error) {
	// The limit keeps it from going through all that was removed behind a key that is gone.
	limit := append(key, 0)
	for n := 0; m.at && n < near && bytes.Compare(m.it.Key(), key) < 0; n++ {
		if m.at = m.it.NextWithLimit(limit) == pebble.IterValid; m.at && bytes.Equal(m.it.Key(), key) {
			return m.it.ValueAndErr()
		}
	}
	if m.at = m.it.SeekGEWithLimit(key, limit) == pebble.IterValid; !m.at {
		return nil, m.it.Error()
	}
	return m.it.ValueAndErr()
}

// Row is Table.Peek.
func (m *Many) Row(t Table, key []byte) ([]byte, error) {
	v, err := m.get(rowKey(t, key))
	if err != nil || v == nil {
		return nil, err
	}
	return append([]byte{}, v...), nil
}

// Held is Table.Held.
func (m *Many) Held(t Table, key []byte) (Held, error) {
	v, err := m.get(heldKey(t, key))
	switch {
	case err != nil:
		return Held{}, err
	case v == nil:
		return Held{}, ErrNoMessage
	}
	return decodeHeld(v)
}

// Body appends a held body to text.
func (m *Many) Body(h Held, text []byte) ([]byte, error) {
	for n := range chunks(h.Size) {
		v, err := m.get(chunkKey(h.ID, n))
		if err != nil {
			return text, err
		}
		chunk, err := unseal(v, int(min(chunkSize, h.Size-int64(n)*chunkSize)))
		if err != nil {
			return text, err
		}
		text = append(text, chunk...)
	}
	return text, nil
}

// ReleaseHeld is Release for one who knows what is held.
func (tx *Tx) ReleaseHeld(t Table, key []byte, h Held) error {
	return errors.Join(tx.release(h.ID), tx.b.Delete(heldKey(t, key), nil))
}
