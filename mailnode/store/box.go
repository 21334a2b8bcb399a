package store

import (
	"container/list"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// idleItems is how many messages are kept in memory of mailboxes nobody has open.
const idleItems = 2 << 20

// Box is an open mailbox. All who open a mailbox share what is kept of it in memory,
// which is read once and follows every change.
type Box struct {
	s    *Store
	box  *box
	once sync.Once
}

// box is a mailbox in memory.
type box struct {
	place Place
	ready chan struct{} // closed when it is loaded or cannot be
	err   error         // why it cannot be; before ready is closed only for the loader

	published atomic.Pointer[View] // what readers see: durable
	gone      atomic.Bool          // it was deleted

	// Guarded by Store.mu.
	users   int
	applied *View         // with changes that are not yet durable; nil while loading
	missed  []missed      // changes during the loading
	idle    *list.Element // in Store.idle, when nobody has it open
}

type missed struct {
	mailbox Mailbox
	delta   delta
}

// Select opens a mailbox. It fails with ErrNoMailbox when there is none or it cannot
// be selected. The Box must be closed.
func (s *Store) Select(ctx context.Context, p Place) (*Box, error) {
	o, err := s.Open(ctx, p)
	if err != nil {
		return nil, err
	}
	if _, err := o.Wait(ctx); err != nil {
		o.Close()
		return nil, err
	}
	return o.Box, nil
}

// Opening is a Box that may still be read: it has no View before Wait has returned. A
// large mailbox takes a while, and much can be said of it meanwhile.
type Opening struct {
	*Box
	Mailbox Mailbox // when it was opened
	view    *View   // at that time
	ready   chan struct{}
}

// Open is Select without waiting for a large mailbox to be read. What it returns must be
// closed.
func (s *Store) Open(ctx context.Context, p Place) (*Opening, error) {
	b, load, err := s.claim(p)
	if err != nil {
		return nil, err
	}
	o := &Opening{Box: &Box{s: s, box: b}, ready: b.ready}
	switch {
	case load == nil: // it is there, or another reads it
		if o.view, err = b.wait(ctx); err == nil {
			o.Mailbox = o.view.Mailbox
		}
	case load.mailbox.Messages < splitLoad:
		o.Mailbox = load.mailbox
		o.view = s.load(b, load)
		err = b.err
	default:
		o.Mailbox, o.ready = load.mailbox, make(chan struct{})
		s.tidying.Go(func() {
			o.view = s.load(b, load)
			s.unclaim(b)
			close(o.ready)
		})
		err = s.wait(ctx, load.durable)
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
	case <-o.ready:
		return true
	default:
		return false
	}
}

// Wait waits until the mailbox is read and returns it as it was when it was opened. Its
// Box has later views.
func (o *Opening) Wait(ctx context.Context) (*View, error) {
	select {
	case <-o.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if _, err := o.box.wait(ctx); err != nil {
		return nil, err
	}
	return o.view, nil
}

// wait waits until a box is loaded and returns what readers see of it.
func (b *box) wait(ctx context.Context) (*View, error) {
	select {
	case <-b.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if b.err != nil {
		return nil, b.err
	}
	return b.published.Load(), nil
}

// View is the mailbox as of the last durable change. It costs nothing.
func (b *Box) View() *View { return b.box.published.Load() }

// Gone tells that the mailbox was deleted.
func (b *Box) Gone() bool { return b.box.gone.Load() }

// Close ends the use of the box.
func (b *Box) Close() { b.once.Do(func() { b.s.unclaim(b.box) }) }

// loading is a box that is to be read: from which snapshot, what its mailbox is there, and
// when that is durable.
type loading struct {
	snap    *pebble.Snapshot
	mailbox Mailbox
	durable <-chan struct{}
}

// claim finds or makes the box of a mailbox. When it was made, the caller loads it. One
// that is large has another use then, which ends when it is loaded.
func (s *Store) claim(p Place) (*box, *loading, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.boxes[p]; b != nil {
		b.users++
		if b.idle != nil {
			s.idleItems -= b.applied.Len()
			s.idle.Remove(b.idle)
			b.idle = nil
		}
		return b, nil, nil
	}
	m, err := readMailbox(s.db, p)
	if err == nil && m.NoSelect {
		err = ErrNoMailbox
	}
	if err != nil {
		return nil, nil, err
	}
	b := &box{place: p, ready: make(chan struct{}), users: 1}
	if m.Messages >= splitLoad {
		b.users++
	}
	s.boxes[p] = b
	return b, &loading{s.db.NewSnapshot(), m, s.durable}, nil
}

// unclaim ends one use of a box. It stays in memory for a while.
func (s *Store) unclaim(b *box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.users--
	if b.users > 0 || s.boxes[b.place] != b {
		return
	}
	if b.applied == nil {
		return // whoever loads it finds out
	}
	b.idle = s.idle.PushBack(b)
	s.idleItems += b.applied.Len()
	for s.idleItems > idleItems && s.idle.Len() > 0 {
		oldest := s.idle.Remove(s.idle.Front()).(*box)
		s.idleItems -= oldest.applied.Len()
		oldest.idle = nil
		delete(s.boxes, oldest.place)
	}
}

// load reads a box from a snapshot and returns it as it is there.
func (s *Store) load(b *box, from *loading) (first *View) {
	v, err := loadView(from.snap, b.place, from.mailbox)
	first = v
	err = errors.Join(err, from.snap.Close())

	s.mu.Lock()
	if err == nil {
		for _, c := range b.missed {
			v = v.alter(c.mailbox, c.delta)
		}
		b.applied = v
	} else {
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
	return first
}

// publish shows readers a view, unless they saw a newer one.
func (b *box) publish(v *View) {
	if v == nil {
		b.gone.Store(true)
		return
	}
	for {
		old := b.published.Load()
		if old != nil && old.age > v.age {
			return
		}
		if b.published.CompareAndSwap(old, v) {
			return
		}
	}
}

// current is the mailbox with all changes, nil when it is not loaded. Store.mu is held.
func (b *box) current() *View {
	if b == nil {
		return nil
	}
	return b.applied
}

// alter takes a change up and returns the new view, nil while loading and for a
// mailbox that is removed. Store.mu is held.
func (b *box) alter(s *Store, m *boxTx) *View {
	switch {
	case m.removed:
		delete(s.boxes, b.place)
		if b.idle != nil {
			s.idleItems -= b.applied.Len()
			s.idle.Remove(b.idle)
			b.idle = nil
		}
		return nil
	case b.applied == nil:
		b.missed = append(b.missed, missed{m.Mailbox, m.delta})
		return nil
	}
	before := b.applied.Len()
	b.applied = b.applied.alter(m.Mailbox, m.delta)
	if b.idle != nil {
		s.idleItems += b.applied.Len() - before
	}
	return b.applied
}

// splitLoad is how many messages one goroutine loads at least.
const splitLoad = 32 << 10

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
		return nil, fmt.Errorf("%w: mailbox %d of account %s counts %d messages and has %d", ErrDamaged, p.Mailbox, p.Account, m.Messages, v.Len())
	}
	return v, nil
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
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		item, err := decodeItem(binary.BigEndian.Uint32(it.Key()[len(prefix):]), v)
		if err != nil {
			return nil, fmt.Errorf("message %d of mailbox %d of account %s: %w", binary.BigEndian.Uint32(it.Key()[len(prefix):]), p.Mailbox, p.Account, err)
		}
		items = append(items, item)
	}
	return items, it.Error()
}
