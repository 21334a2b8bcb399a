package queue

import (
	"context"
	"errors"
	"sync"

	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/store"
)

// settling brings together what is written at one time: while one change becomes durable,
// those that come wait and are then one change.
type settling struct {
	mu      sync.Mutex
	waiting []*change
	writing bool // there is one who writes what waits
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
	c.over = make(chan struct{})
	s.mu.Lock()
	s.waiting = append(s.waiting, c)
	if !s.writing {
		s.writing = true
		go q.writeGroups() // those who wait for it end after it
	}
	s.mu.Unlock()
	<-c.over
	return c.written
}

// writeGroups writes what waits, until nothing does.
func (q *Queue) writeGroups() {
	s := &q.settling
	for {
		s.mu.Lock()
		n := min(len(s.waiting), groupMost)
		group := append([]*change{}, s.waiting[:n]...)
		s.waiting = append(s.waiting[:0], s.waiting[n:]...)
		s.writing = n > 0
		s.mu.Unlock()
		if n == 0 {
			return
		}
		q.together(group)
		for _, c := range group {
			close(c.over)
		}
	}
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
func (q *Queue) together(group []*change) {
	ctx := context.Background() // what has become of mail is noted whoever goes
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
