package dbstore

import (
	"context"
	"maps"
	"time"

	"github.com/uptrace/bun"

	"mailfleet/inventory"
)

// maxBatch bounds how many Updates one commit makes durable, and so how long
// the first of them waits.
const maxBatch = 64

// batch is one database transaction shared by the Updates that queued up while
// the one before was running. Each sees the changes of those before it; they
// become durable, or fail, together.
type batch struct {
	tx      bun.Tx
	began   uint64 // index when it began
	index   uint64 // last version given
	changed map[inventory.Kind]uint64
	size    int
	memory  *memory

	done chan struct{} // closed when the transaction is over
	err  error         // valid after done: nothing in the batch happened
}

// Update implements inventory.Store. When it fails the records fn handed to
// Create, Update and Append have their Meta (an audit entry also its Seq,
// Previous and Hash) back as it was before, so that they can be handed in again.
// fn must not call Update, nor end its goroutine.
func (s *Store) Update(ctx context.Context, fn func(inventory.Tx) error) error {
	b, t, err := s.enlist(ctx, fn)
	if b == nil {
		return err
	}
	// Even an Update that failed waits: what it saw may not come to be.
	<-b.done
	if b.err != nil {
		t.undo()
		return b.err
	}
	return err
}

// enlist runs fn in the open batch, or a new one, and commits the batch unless
// another Update is waiting to join it.
func (s *Store) enlist(ctx context.Context, fn func(inventory.Tx) error) (*batch, *tx, error) {
	s.queued.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued.Add(-1)

	if s.batch == nil {
		b, err := s.begin()
		if err != nil {
			return nil, nil, err
		}
		s.batch = b
	}
	b := s.batch
	defer func() { // also when fn panics: the others must not wait for ever
		if b.err != nil || b.size >= maxBatch || s.queued.Load() == 0 {
			s.flush(b)
		}
	}()
	t, err := b.run(ctx, fn)
	return b, t, err
}

// begin opens a batch. It outlives the Update that opens it, so no Update's
// context may end it.
func (s *Store) begin() (*batch, error) {
	ctx := context.Background()
	btx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return nil, s.refused(err)
	}
	b := &batch{tx: btx, changed: map[inventory.Kind]uint64{}, memory: s.memory, done: make(chan struct{})}
	if b.began, err = lastIndex(ctx, btx); err != nil {
		_ = btx.Rollback() // nothing was written
		return nil, explain(err)
	}
	b.index = b.began
	return b, nil
}

// run runs fn in a savepoint.
func (b *batch) run(ctx context.Context, fn func(inventory.Tx) error) (t *tx, err error) {
	b.size++
	// A statement is never cut off in the middle: SQLite would take the whole
	// transaction back, PostgreSQL would drop the connection.
	stmts := context.WithoutCancel(ctx)
	t = &tx{
		ctx: stmts, caller: ctx, memory: b.memory, writes: true,
		index: b.index, now: time.Now().UTC().Truncate(time.Microsecond), changed: map[inventory.Kind]uint64{},
	}
	defer t.end()
	if err = t.ready(); err != nil { // the caller left while it was waiting
		return t, err
	}
	if t.db, err = b.tx.BeginTx(stmts, nil); err != nil {
		b.err = explain(err)
		return t, b.err
	}
	kept := false
	defer func() {
		if kept {
			return
		}
		t.undo()
		if rerr := t.db.Rollback(); rerr != nil { // the database gave up the whole transaction
			b.err = explain(rerr)
			if t.err != nil {
				b.err = t.err // says why
			}
		}
	}()
	if err = fn(t); err != nil {
		return t, err
	}
	if err = t.flush(); err != nil {
		return t, err
	}
	if err = t.db.Commit(); err != nil { // releases the savepoint
		return t, t.fail(err)
	}
	kept = true
	b.index = t.index
	maps.Copy(b.changed, t.changed)
	return t, nil
}

// flush ends the batch: commits it, tells the waiters and lets its Updates return.
func (s *Store) flush(b *batch) {
	s.batch = nil
	if b.err == nil {
		b.err = s.commit(b)
	}
	if b.err == nil {
		s.news.publish(b.changed)
	} else {
		_ = b.tx.Rollback() // b.err tells; often the database has done so already
	}
	close(b.done)
}

func (s *Store) commit(b *batch) error {
	if err := s.keep.prune(b.tx, b.began, b.index); err != nil {
		return explain(err)
	}
	if err := b.tx.Commit(); err != nil {
		return explain(err)
	}
	return nil
}
