package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// splitLoad is how many messages one goroutine loads at least, and from how many on a
	// mailbox is large.
	splitLoad = 32 << 10
	// lull is what Options.Lull is by itself: what somebody asks for first may be had
	// without reading it all.
	lull = 100 * time.Millisecond
)

// Opening is a Box that may still have to be read: it has no View before Wait has
// returned. A large mailbox takes a while, and much can be said of it without that.
type Opening struct {
	*Box
	Mailbox Mailbox  // when it was opened
	view    *View    // at that time, when others had read it
	from    *loading // from where it is read, when nobody had
}

// Open is Select without reading a large mailbox. What it returns must be closed.
func (s *Store) Open(ctx context.Context, p Place) (*Opening, error) {
	b, from, err := s.claim(p)
	if err != nil {
		return nil, err
	}
	o := &Opening{Box: &Box{s: s, box: b}, from: from}
	switch {
	case from == nil: // another has opened it
		if o.view, err = b.wait(ctx); err == nil {
			o.Mailbox = o.view.Mailbox
		}
	case from.mailbox.Messages < splitLoad:
		o.Mailbox = from.mailbox
		s.load(b, from)
		err = b.err
	default:
		o.Mailbox = from.mailbox
		err = s.wait(ctx, from.durable)
	}
	if err != nil {
		o.Close()
		return nil, err
	}
	return o, nil
}

// Ready reports whether Wait returns at once.
func (o *Opening) Ready() bool {
	select {
	case <-o.box.ready:
		return true
	default:
		return false
	}
}

// Wait waits until the mailbox is read and returns it as it was when it was opened. Its
// Box has later views.
func (o *Opening) Wait(ctx context.Context) (*View, error) {
	if !o.Ready() {
		o.s.begin(o.box)
	}
	if _, err := o.box.wait(ctx); err != nil {
		return nil, err
	}
	if o.from != nil {
		return o.from.view, nil
	}
	return o.view, nil
}

// Tail is Wait for who may do with the last messages of a mailbox that is not read: of the
// View it returns then, only those from first on can be looked at, by number and by UID.
func (o *Opening) Tail(ctx context.Context) (v *View, first int, err error) {
	if o.from != nil && !o.Ready() {
		if v := o.from.end(o.box.place); v != nil {
			return v, v.start, nil
		}
	}
	v, err = o.Wait(ctx)
	return v, 0, err
}

// Now is what has become of a Tail: its messages that are still there and those that have
// come since, as of the last durable change. They are found by UID only, but when the
// mailbox was read meanwhile: then it is all of it.
func (o *Opening) Now(ctx context.Context, tail *View) (v *View, err error) {
	if o.Ready() {
		return o.box.wait(ctx)
	}
	o.s.mu.Lock()
	same := o.box.applied == nil && len(o.box.missed) == 0
	o.s.mu.Unlock()
	if same || tail.Len() == tail.start {
		return tail, nil
	}
	snap, err := o.s.view(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	m, err := readMailbox(snap, o.box.place)
	if err != nil {
		return nil, err
	}
	items, err := loadItems(snap, o.box.place, uint64(tail.At(tail.start).UID), math.MaxUint32+1, viewChunk)
	if err != nil {
		return nil, err
	}
	return &View{Mailbox: m, tail: items, start: tail.start}, nil
}

// loading is a box that is to be read: from which snapshot, what its mailbox is there, and
// when that is durable.
type loading struct {
	snap    *pebble.Snapshot
	mailbox Mailbox
	durable <-chan struct{}
	timer   *time.Timer // begins it; nil when it begins at once
	view    *View       // what was read; good once the box is ready

	mu     sync.Mutex
	tail   *View // the last messages, once somebody has asked for them
	closed bool  // snap is closed
}

// end reads the last messages of a mailbox; nil when it is too late for that, or they
// cannot be read: who then reads it all says why.
func (l *loading) end(p Place) *View {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tail != nil || l.closed {
		return l.tail
	}
	items, err := lastItems(l.snap, p, viewChunk)
	if err != nil || uint64(len(items)) > l.mailbox.Messages {
		return nil
	}
	l.tail = &View{Mailbox: l.mailbox, tail: items, start: int(l.mailbox.Messages) - len(items)}
	return l.tail
}

// close gives the snapshot back.
func (l *loading) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail, l.closed = nil, true
	return l.snap.Close()
}

// begin has a box be read, unless that has begun.
func (s *Store) begin(b *box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start(b)
}

// start is begin. Store.mu is held.
func (s *Store) start(b *box) {
	from := b.unread
	if from == nil {
		return
	}
	from.timer.Stop()
	b.unread = nil
	b.users++ // until it is loaded
	s.tidying.Go(func() {
		s.load(b, from)
		s.unclaim(b)
	})
}

// forgo gives up a box that nobody has asked for. Store.mu is held.
func (s *Store) forgo(b *box) {
	b.unread.timer.Stop()
	_ = b.unread.close() // it was read from, or not; there is nothing to lose
	b.unread = nil
	if s.boxes[b.place] == b {
		delete(s.boxes, b.place)
	}
}

// load reads a box from a snapshot.
func (s *Store) load(b *box, from *loading) {
	v, err := loadView(from.snap, b.place, from.mailbox)
	from.view = v
	err = errors.Join(err, from.close())

	s.mu.Lock()
	if err == nil {
		for _, c := range b.missed {
			v = v.alter(c.mailbox, c.delta)
		}
		b.applied = v
	} else if s.boxes[b.place] == b {
		delete(s.boxes, b.place)
	}
	b.missed = nil
	durable := s.durable
	s.mu.Unlock()

	if err == nil {
		err = s.wait(context.Background(), durable)
	}
	if err == nil {
		b.publish(v)
	}
	b.err = err
	close(b.ready)
}

// loadView reads the messages of a mailbox, large ones in several goroutines.
func loadView(snap *pebble.Snapshot, p Place, m Mailbox) (*View, error) {
	parts := int(min(m.Messages/splitLoad+1, uint64(runtime.GOMAXPROCS(0))))
	lists := make([][]Item, parts)
	errs := make([]error, parts)
	var wg sync.WaitGroup
	step := (uint64(m.UIDNext) + uint64(parts)) / uint64(parts)
	for n := range parts {
		load := func() {
			from := uint64(n) * step
			lists[n], errs[n] = loadItems(snap, p, from, from+step, int(m.Messages)/parts+1)
		}
		if n == parts-1 {
			load()
		} else {
			wg.Go(load)
		}
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	v := &View{Mailbox: m}
	for _, list := range lists {
		v.addAll(list)
	}
	if uint64(v.Len()) != m.Messages {
		return nil, miscounted(p, m, v.Len())
	}
	return v, nil
}

func miscounted(p Place, m Mailbox, has int) error {
	return fmt.Errorf("%w: mailbox %d of account %s counts %d messages and has %d", ErrDamaged, p.Mailbox, p.Account, m.Messages, has)
}

// addAll appends messages whose memory the view takes over.
func (v *View) addAll(items []Item) {
	for len(items) > 0 && len(v.tail) > 0 && len(v.tail) < viewChunk {
		v.add(items[0])
		items = items[1:]
	}
	for len(items) > 0 {
		if len(v.tail) > 0 {
			v.chunks = append(v.chunks, v.tail)
			v.starts = append(v.starts, v.start)
			v.start += len(v.tail)
		}
		n := min(len(items), viewChunk)
		v.tail = items[:n:n]
		items = items[n:]
	}
}

// loadItems reads the messages with UIDs from (included) to (excluded).
func loadItems(snap *pebble.Snapshot, p Place, from, to uint64, expect int) (items []Item, err error) {
	prefix := accountKey(p.Account, 'm', p.Mailbox)
	opts := &pebble.IterOptions{LowerBound: uidKey(p, 'm', uint32(from)), UpperBound: after(prefix)}
	if to <= 0xffffffff {
		opts.UpperBound = uidKey(p, 'm', uint32(to))
	}
	it, err := snap.NewIter(opts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	items = make([]Item, 0, min(expect, 1<<20))
	for ok := it.First(); ok; ok = it.Next() {
		item, err := itemAt(it, p)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, it.Error()
}

// lastItems reads the last messages of a mailbox, up to count.
func lastItems(snap *pebble.Snapshot, p Place, count int) (items []Item, err error) {
	prefix := accountKey(p.Account, 'm', p.Mailbox)
	it, err := snap.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	items = make([]Item, 0, count)
	for ok := it.Last(); ok && len(items) < count; ok = it.Prev() {
		item, err := itemAt(it, p)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	slices.Reverse(items)
	return items, it.Error()
}

// itemAt is the message an iterator stands at.
func itemAt(it *pebble.Iterator, p Place) (Item, error) {
	key := it.Key()
	uid := binary.BigEndian.Uint32(key[len(key)-4:])
	v, err := it.ValueAndErr()
	if err != nil {
		return Item{}, err
	}
	item, err := decodeItem(uid, v)
	if err != nil {
		err = fmt.Errorf("message %d of mailbox %d of account %s: %w", uid, p.Mailbox, p.Account, err)
	}
	return item, err
}
