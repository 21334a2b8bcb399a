package dbstore

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/uptrace/bun"

	"mailfleet/inventory"
)

// Options say where the store is.
type Options struct {
	Path   string       // of the SQLite file; its directory must exist
	Logger *slog.Logger // nil: silent
}

// Store is an inventory.Store in a SQL database.
type Store struct {
	read, write *bun.DB
	news        *notifier
	memory      *memory
	keep        retention

	queued atomic.Int32 // Updates waiting for mu
	closed atomic.Bool

	mu    sync.Mutex // held while an Update runs
	batch *batch     // the open transaction, nil when there is none
}

var _ inventory.Store = (*Store)(nil)

// Open opens the database, bringing its tables up to date. A database written
// by a newer program is refused.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	read, write, err := openSQLite(o.Path)
	if err != nil {
		return nil, err
	}
	s := &Store{read: read, write: write, keep: keepEvents, memory: newMemory()}
	if err := s.load(ctx, o); err != nil {
		return nil, errors.Join(err, s.closeDatabases())
	}
	return s, nil
}

// load migrates the tables and reads where the counters stand.
func (s *Store) load(ctx context.Context, o Options) error {
	from, to, err := migrate(ctx, s.write)
	if err != nil {
		return explain(err)
	}
	if from != to {
		o.Logger.InfoContext(ctx, "database migrated", "path", o.Path, "from", from, "to", to)
	}
	var rows []changesRow
	if err := s.read.NewSelect().Model(&rows).Scan(ctx); err != nil {
		return explain(err)
	}
	s.news = newNotifier()
	for _, r := range rows {
		s.news.publish(map[inventory.Kind]uint64{r.Kind: r.Version})
	}
	return nil
}

// View runs fn on a consistent snapshot. It holds one of a few connections: a
// View within a View may wait for itself.
func (s *Store) View(ctx context.Context, fn func(inventory.Tx) error) error {
	return s.snapshot(ctx, func(t *tx) error { return fn(t) })
}

// snapshot runs fn in a reading transaction.
func (s *Store) snapshot(ctx context.Context, fn func(*tx) error) error {
	btx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return s.refused(err)
	}
	defer func() { _ = btx.Rollback() }() // nothing was written: an error loses nothing
	t := &tx{db: btx, ctx: ctx, caller: ctx, memory: s.memory}
	defer t.end()
	if err := fn(t); err != nil {
		return err
	}
	return t.err
}

// Wait implements inventory.Store. It also returns when the store closes.
func (s *Store) Wait(ctx context.Context, after uint64, kinds ...inventory.Kind) uint64 {
	return s.news.wait(ctx, after, kinds)
}

// Close waits for running Updates, then closes the database. Waits return.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.batch != nil {
		s.flush(s.batch)
	}
	s.closed.Store(true)
	s.news.close()
	return s.closeDatabases()
}

// closeDatabases closes the writer last: SQLite then folds the log into the file.
func (s *Store) closeDatabases() error {
	if err := errors.Join(s.read.Close(), s.write.Close()); err != nil {
		return explain(err)
	}
	return nil
}

// refused explains why no transaction could begin.
func (s *Store) refused(err error) error {
	if s.closed.Load() {
		return inventory.Wrap(inventory.Unavailable, err, "the database is closed")
	}
	return explain(err)
}

// explain gives an error from the database a code and a sentence.
func explain(err error) error {
	if _, ok := errors.AsType[*inventory.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return inventory.Wrap(inventory.Unavailable, err, "the request ended before the database had answered")
	}
	if e := explainSQLite(err); e != nil {
		return e
	}
	return inventory.Wrap(inventory.Internal, err, "the database failed")
}
