package queue

import (
	"context"
	"errors"
	"sync"

	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/store"
)

// settling brings together what is written at one time: while one change becomes durable,
// those that come wait and are then one change. Whoever comes when nobody writes does it,
// and hands it on to the first of those who have come meanwhile.
type settling struct {
	mu      sync.Mutex
	waiting []*change
	writing bool
}

// groupMost is how many changes are written at once: nobody else can change anything in
// the store meanwhile.
const groupMost = 32

// letters are messages as the change of a group has left them so far.
type letters map[[16]byte]*letter

// commit makes a change durable. An error means that nothing was changed.
func (q *Queue) commit(ctx context.Context, c *change) error {
	if !c.plain() {
		return q.alone(ctx, c)
	}
	s := &q.settling
	s.mu.Lock()
	c.over = make(chan struct{}, 1)
	s.waiting = append(s.waiting, c)
	wait := s.writing
	s.writing = true
	s.mu.Unlock()
	if wait {
		if _, lead := <-c.over; !lead {
			return c.written
		}
	}
	s.mu.Lock()
	n := min(len(s.waiting), groupMost)
	group := append([]*change{}, s.waiting[:n]...)
	s.waiting = append(s.waiting[:0], s.waiting[n:]...)
	s.mu.Unlock()
	q.together(ctx, group)
	s.mu.Lock()
	if len(s.waiting) > 0 {
		s.waiting[0].over <- struct{}{}
	} else {
		s.writing = false
	}
	s.mu.Unlock()
	for _, other := range group {
		if other != c {
			close(other.over)
		}
	}
	return c.written
}

// plain tells that a change only notes what remotes took or did not take for now.
func (c *change) plain() bool {
	if c.report != nil {
		return false
	}
	for i := range c.done {
		if d := &c.done[i]; d.placed != nil || d.State == outbound.Permanent {
			return false
		}
	}
	return true
}

// alone writes a change that others have no part in.
func (q *Queue) alone(ctx context.Context, c *change) error {
	return q.o.Store.Update(ctx, c.staged, func(tx *store.Tx) error { return q.write(tx, letters{}, c) })
}

// together writes plain changes as one. Should that fail, each is written alone: one that
// cannot be written is no obstacle to others.
func (q *Queue) together(ctx context.Context, group []*change) {
	err := q.o.Store.Update(ctx, nil, func(tx *store.Tx) error {
		g := letters{}
		for _, c := range group {
			if c.written = q.write(tx, g, c); c.written != nil && !errors.Is(c.written, errGone) {
				return c.written
			}
		}
		return nil
	})
	if err == nil {
		return
	}
	for _, c := range group {
		c.written = q.alone(ctx, c)
	}
}
