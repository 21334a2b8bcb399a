package queue

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"mailfleet/mailnode/store"
)

// reading is what was read of a part and its message.
type reading struct {
	*part
	*letter
	asOf   moment      // when; zero: not known
	held   *store.Held // the body, nil: not looked for
	text   []byte      // the whole message, nil: it is long
	failed error       // to read the message
}

// acts counts what operators do with the queue. Nobody else changes a part but its attempt,
// nor a message but the attempts of its parts: as long as no operator has begun anything,
// what was read of them is as it is in the store.
type acts struct{ begun, ended atomic.Uint64 }

// moment is one at which no operator was doing anything; zero is none.
type moment uint64

func (a *acts) begin() (end func()) {
	a.begun.Add(1)
	return func() { a.ended.Add(1) }
}

// now is for reading what follows: it looks at the ended first, lest one who begins and
// ends in between is missed.
func (a *acts) now() moment {
	ended := a.ended.Load()
	if begun := a.begun.Load(); begun == ended {
		return moment(begun + 1)
	}
	return 0
}

// none tells that no operator has begun anything since a moment. Within a change of the
// store it also tells of all changes before.
func (a *acts) none(since moment) bool { return since != 0 && moment(a.begun.Load()+1) == since }

const (
	// aheadMost is how many parts of a lane are read at once, aheadAll of all lanes.
	aheadMost = 16
	aheadAll  = 512
	// aheadSize is the length of the longest message that is read ahead.
	aheadSize = 32 << 10
)

// shelf is what was read of the parts that are next in a lane. Of those that lie close
// together in the store, many are read in little more time than one.
type shelf struct {
	mu     sync.Mutex
	ready  map[ref]*reading
	missed int // since it was filled
}

// take takes what was read of an item off the shelf.
func (s *shelf) take(it item) *reading {
	r := s.ready[it.ref]
	delete(s.ready, it.ref)
	return r
}

// forget ends an attempt: what was read of its part is no longer so.
func (s *shelf) forget(r ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ready, r)
}

// fetch reads what an attempt needs, from the shelf when it is there; nil when the item is
// void. Without bodies it reads what is written on the envelope.
func (q *Queue) fetch(it item, l *lane, envelope bool) (*reading, error) {
	if envelope || l.name == local {
		return q.load(it)
	}
	s := &l.shelf
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.take(it); r != nil && r.Changes == it.changes && q.acts.none(r.asOf) {
		return r, nil
	}
	items := []item{it}
	if s.missed++; len(s.ready) == 0 || s.missed > aheadMost {
		q.mu.Lock()
		items = append(items, l.upcoming(min(aheadMost, aheadAll/max(len(q.memory.lanes), 1)))...)
		q.mu.Unlock()
		s.ready, s.missed = make(map[ref]*reading, len(items)), 0
	}
	got, err := q.readMany(items)
	if err != nil {
		return nil, err
	}
	for i := range items[1:] {
		if r := got[1+i]; r != nil && r.failed == nil {
			s.ready[items[1+i].ref] = r
		}
	}
	return got[0], nil
}

// readMany reads many items; what is void, or damaged, is nil. The error is about the
// first.
func (q *Queue) readMany(items []item) (list []*reading, err error) {
	asOf := q.acts.now()
	many, err := q.o.Store.Many()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, many.Close()) }()
	list = make([]*reading, len(items))
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(items[a].id[:], items[b].id[:]) })
	// One kind after the other: neighbours are found faster than what is far away.
	for _, read := range []func(many *store.Many, it item, r *reading) (*reading, error){q.readPart, q.readMessage} {
		for _, i := range order {
			r, err := read(many, items[i], list[i])
			if err != nil && i == 0 {
				return nil, err
			}
			list[i] = r
		}
	}
	for _, i := range order {
		if list[i] != nil {
			list[i].asOf = asOf
			q.readHeld(many, items[i], list[i])
		}
	}
	readTexts(many, list, order)
	return list, nil
}

func (q *Queue) readPart(many *store.Many, it item, _ *reading) (*reading, error) {
	row, err := many.Row(q.table, it.key())
	if err != nil || row == nil {
		return nil, err
	}
	p, err := it.decode(row)
	if err != nil || p == nil {
		return nil, err
	}
	return &reading{part: p}, nil
}

func (q *Queue) readMessage(many *store.Many, it item, r *reading) (*reading, error) {
	if r == nil {
		return nil, nil
	}
	row, err := many.Row(q.table, messageKey(it.id))
	if err == nil && row == nil {
		err = errRecord
	}
	if err != nil {
		return nil, err
	}
	if r.letter, err = decodeMessage(row); err != nil {
		return nil, err
	}
	r.letter.row = row
	return r, nil
}

func (q *Queue) readHeld(many *store.Many, it item, r *reading) {
	h, err := many.Held(q.table, it.id[:])
	if err != nil {
		r.failed = err
		return
	}
	r.held = &h
}

// readTexts reads the messages that are short enough, into one piece of memory.
func readTexts(many *store.Many, list []*reading, order []int) {
	short := func(r *reading) bool {
		return r != nil && r.failed == nil && r.Size <= aheadSize && r.Size == r.held.Size+int64(len(r.prefix))
	}
	var total int64
	for _, r := range list {
		if short(r) {
			total += r.Size
		}
	}
	room := make([]byte, 0, total)
	for _, i := range order {
		r := list[i]
		if !short(r) {
			continue
		}
		from := len(room)
		text, err := many.Body(*r.held, append(room, r.prefix...))
		if err != nil { // who opens it meets the error again
			continue
		}
		room = text
		r.text = room[from:len(room):len(room)]
	}
}
