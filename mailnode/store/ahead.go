package store

import (
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// aheadSize is how many bytes of bodies are read at once, and so the length of the
// longest one that is read ahead.
const aheadSize = 128 << 10

var rooms = sync.Pool{New: func() any { return new([aheadSize]byte) }}

// Ahead reads the bytes of messages that are wanted one after the other, those of several
// at once: to find each of them alone takes longer than to read it. It holds nothing of
// the database between two calls, only what it has read. The zero value is not usable, a
// nil one reads nothing. It is for one goroutine, and must be released.
type Ahead struct {
	db     *pebble.DB
	room   *[aheadSize]byte // nil: nothing is held
	bodies [][]byte         // in room
	of     []ObjectID       // whose they are
	holds  atomic.Bool      // room is not nil; for Holds
}

// Ahead returns what reads bodies ahead.
func (s *Store) Ahead() *Ahead { return &Ahead{db: s.db} }

// Body returns the bytes of the first of messages, and has read those that follow it
// when they are asked for next. It returns nil for a message that is long, or gone, or
// damaged: Store.Body reads the one and explains the others. The bytes are good until the
// next call.
func (a *Ahead) Body(messages []Message) []byte {
	if a == nil || len(messages) == 0 {
		return nil
	}
	if len(a.of) == 0 || a.of[0] != messages[0].ID {
		a.read(messages)
	}
	if len(a.of) == 0 {
		return nil
	}
	body := a.bodies[0]
	a.bodies, a.of = a.bodies[1:], a.of[1:]
	return body
}

// Holds reports whether there is something to release. Any goroutine may ask.
func (a *Ahead) Holds() bool { return a != nil && a.holds.Load() }

// Release gives the memory back. What was read is forgotten.
func (a *Ahead) Release() {
	if a.Holds() {
		rooms.Put(a.room)
		a.room, a.bodies, a.of = nil, nil, nil
		a.holds.Store(false)
	}
}

// read reads the bodies of the first of messages, as many as there is room for.
func (a *Ahead) read(messages []Message) {
	a.bodies, a.of = a.bodies[:0], a.of[:0]
	if messages[0].Size > aheadSize {
		return
	}
	it, err := a.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'b'}, UpperBound: []byte{'b' + 1}})
	if err != nil {
		return
	}
	defer func() { _ = it.Close() }() // who then reads a body alone meets the error again
	if a.room == nil {
		a.room = rooms.Get().(*[aheadSize]byte) // the pool holds nothing else
		a.holds.Store(true)
	}
	free := a.room[:]
	for i := range messages {
		if messages[i].Size > int64(len(free)) {
			break
		}
		body, ok := readBody(it, &messages[i], free[:0:messages[i].Size])
		if !ok {
			break
		}
		a.bodies, a.of = append(a.bodies, body), append(a.of, messages[i].ID)
		free = free[len(body):]
	}
}

// readBody appends a message's bytes to b.
func readBody(it *pebble.Iterator, m *Message, b []byte) ([]byte, bool) {
	b = append(b, m.prefix...)
	size := m.Size - int64(len(m.prefix))
	for n := 0; size > 0; n++ {
		key := chunkKey(m.body, n)
		if !it.SeekGE(key) || string(it.Key()) != string(key) {
			return nil, false
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, false
		}
		chunk, err := unseal(v, int(min(chunkSize, size)))
		if err != nil {
			return nil, false
		}
		b = append(b, chunk...)
		size -= int64(len(chunk))
	}
	return b, true
}
