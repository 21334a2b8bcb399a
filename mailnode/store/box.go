package store

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"
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
	unread  *loading      // from where it is to be read; nil once that has begun
	applied *View         // with changes that are not yet durable; nil until it is loaded
	missed  []missed      // changes since the snapshot it is loaded from
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

// claim finds or makes the box of a mailbox. When it was made it must be loaded: by the
// caller or, when it is large, once somebody asks for it.
func (s *Store) claim(p Place) (*box, *loading, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.boxes[p]; b != nil {
		b.users++
		s.start(b)
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
	from := &loading{snap: s.db.NewSnapshot(), mailbox: m, durable: s.durable}
	if m.Messages >= splitLoad {
		b.unread = from
		from.timer = time.AfterFunc(s.lull, func() { s.begin(b) })
	}
	s.boxes[p] = b
	return b, from, nil
}

// unclaim ends one use of a box. It stays in memory for a while, if it was read.
func (s *Store) unclaim(b *box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.users--
	if b.users > 0 {
		return
	}
	if b.unread != nil { // nobody has asked for it
		s.forgo(b)
		return
	}
	if s.boxes[b.place] != b || b.applied == nil { // whoever loads it finds out
		return
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
