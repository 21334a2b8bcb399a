package store

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// aheadSize is how many bytes of bodies are read at once, and so the length of the
// longest one that is read ahead.
const aheadSize = 128 << 10

// slow is how long it takes to read bodies that come from a disk: others are read before
// another goroutine would have begun.
const slow = 200 * time.Microsecond

var rooms = sync.Pool{New: func() any { return new([aheadSize]byte) }}

// Ahead reads the bytes of messages that are wanted one after the other, those of several
// at once: to find each of them alone takes longer than to read it. When they are asked for
// in turn, and reading takes long, the next ones are read meanwhile. It holds nothing of
// the database but while it reads, for which it waits for nobody; only what it has read.
// The zero value is not usable, a nil one reads nothing. It is for one goroutine, and must
// be released.
type Ahead struct {
	db    *pebble.DB
	now   batch
	next  chan batch    // gives what is read meanwhile; nil when nothing is
	slow  time.Duration // the constant, but in tests
	holds atomic.Bool
}

// batch is the bodies of some messages.
type batch struct {
	room   *[aheadSize]byte // nil: nothing is held
	bodies [][]byte         // in room
	of     []ObjectID       // whose they are
	took   time.Duration    // to read them
}

// starts reports whether a batch begins with a message.
func (b *batch) starts(id ObjectID) bool { return len(b.of) > 0 && b.of[0] == id }

// release gives the memory of a batch back.
func (b *batch) release() {
	if b.room != nil {
		rooms.Put(b.room)
	}
	*b = batch{}
}

// wanted is what must be known of a message to read its bytes.
type wanted struct {
	id     ObjectID
	body   BodyID
	size   int64
	prefix []byte
}

// Ahead returns what reads bodies ahead.
func (s *Store) Ahead() *Ahead { return &Ahead{db: s.db, slow: slow} }

// Body returns the bytes of the first of messages, and has read those that follow it
// when they are asked for next. It returns nil for a message that is long, or gone, or
// damaged: Store.Body reads the one and explains the others. The bytes are good until the
// next call.
func (a *Ahead) Body(messages []Message) []byte {
	if a == nil || len(messages) == 0 {
		return nil
	}
	inTurn := a.now.starts(messages[0].ID)
	if !inTurn && a.next != nil {
		a.now.release()
		a.now, a.next = <-a.next, nil
		inTurn = a.now.starts(messages[0].ID)
	}
	if !inTurn {
		a.read(messages)
	}
	b := &a.now
	if len(b.of) == 0 {
		return nil
	}
	body := b.bodies[0]
	b.bodies, b.of = b.bodies[1:], b.of[1:]
	if follow := messages[1:]; inTurn && a.next == nil && b.took >= a.slow && len(follow) > len(b.of) {
		a.readMeanwhile(follow[len(b.of):])
	}
	return body
}

// Holds reports whether there is something to release. Any goroutine may ask.
func (a *Ahead) Holds() bool { return a != nil && a.holds.Load() }

// Release gives the memory back. What was read is forgotten.
func (a *Ahead) Release() {
	if !a.Holds() {
		return
	}
	a.now.release()
	if a.next != nil {
		b := <-a.next
		b.release()
		a.next = nil
	}
	a.holds.Store(false)
}

// read reads the bodies of the first of messages.
func (a *Ahead) read(messages []Message) {
	a.now.bodies, a.now.of = a.now.bodies[:0], a.now.of[:0]
	list := fitting(messages)
	if len(list) == 0 {
		return
	}
	a.holds.Store(true)
	a.now.read(a.db, list)
}

// readMeanwhile has the bodies of the first of messages be read by another goroutine.
func (a *Ahead) readMeanwhile(messages []Message) {
	list := fitting(messages)
	if len(list) == 0 {
		return
	}
	next := make(chan batch, 1)
	a.next = next
	go func() {
		var b batch
		b.read(a.db, list)
		next <- b
	}()
}

// fitting are the first of messages, as many as there is room for.
func fitting(messages []Message) (list []wanted) {
	free := int64(aheadSize)
	for i := range messages {
		m := &messages[i]
		if free -= m.Size; free < 0 {
			break
		}
		list = append(list, wanted{m.ID, m.body, m.Size, m.prefix})
	}
	return list
}

// read reads the bodies of messages up to one that cannot be read.
func (b *batch) read(db *pebble.DB, list []wanted) {
	begun := time.Now()
	defer func() { b.took = time.Since(begun) }()
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{'b'}, UpperBound: []byte{'b' + 1}})
	if err != nil {
		return
	}
	defer func() { _ = it.Close() }() // who then reads a body alone meets the error again
	if b.room == nil {
		b.room = rooms.Get().(*[aheadSize]byte) // the pool holds nothing else
	}
	free := b.room[:]
	for i := range list {
		body, ok := readBody(it, &list[i], free[:0:list[i].size])
		if !ok {
			break
		}
		b.bodies, b.of = append(b.bodies, body), append(b.of, list[i].id)
		free = free[len(body):]
	}
}

// readBody appends a message's bytes to b.
func readBody(it *pebble.Iterator, m *wanted, b []byte) ([]byte, bool) {
	b = append(b, m.prefix...)
	size := m.size - int64(len(m.prefix))
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
