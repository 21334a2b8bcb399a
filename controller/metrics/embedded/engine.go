package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"mailfleet/controller/metrics"
)

// maxBlock is the longest time one block on disk covers: retention drops whole
// blocks, and merging one needs its size in free space.
const maxBlock = 31 * 24 * time.Hour

// retryEngine is the least time between attempts to open the engine anew, each
// of which reads its whole log.
const retryEngine = 5 * time.Second

// openEngine opens the tsdb, for which there must be room: replaying its log, it
// writes chunk files. The caller holds engine, or is alone.
func (s *Store) openEngine() error {
	trap := &errorTrap{Handler: s.log.Handler(), seen: new(atomic.Bool)}
	options := tsdb.DefaultOptions()
	options.RetentionDuration = s.retention.Milliseconds()
	options.MinBlockDuration = blockLength.Milliseconds()
	options.MaxBlockDuration = max(min(maxBlock, s.retention/10), blockLength).Milliseconds()
	options.OutOfOrderTimeWindow = (pastWindow + futureWindow).Milliseconds()
	options.SeriesLifecycleCallback = s.quota
	options.BlocksToDelete = s.expired
	options.NewCompactorFunc = s.newCompactor
	// upkeep does the engine's chores, when there is room for them.
	options.BlockReloadInterval = math.MaxInt64

	s.quota.reset()
	db, err := tsdb.Open(s.dir, slog.New(trap), nil, options, nil)
	if err != nil {
		return err
	}
	db.DisableCompactions()
	s.quota.enforce()
	s.db, s.trap = db, trap
	return nil
}

// closeEngine closes the tsdb, if it is open. Flushing chunks to a full disk
// makes the engine panic; its log holds the same samples, so nothing is lost.
func (s *Store) closeEngine() (err error) {
	if s.db == nil {
		return nil
	}
	db := s.db
	s.db = nil
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("close the sample store: %v", cause)
		}
	}()
	return db.Close()
}

// reopen replaces an engine that failed: its log may end in half a record, and
// it may know series that the log does not, so whatever it wrote from now on
// could not be replayed. The caller holds writing.
func (s *Store) reopen() error {
	if s.life.Err() != nil || time.Now().Before(s.retry) {
		return s.unavailable()
	}
	s.engine.Lock()
	defer s.engine.Unlock()
	cause := s.failure
	if err := s.closeEngine(); err != nil {
		s.log.Warn("sample store not closed cleanly", "err", err)
	}
	if err := s.openEngine(); err != nil {
		s.failure, s.retry = err, time.Now().Add(retryEngine)
		return s.unavailable()
	}
	s.failure = nil
	s.log.Info("sample store opened anew", "after", cause)
	return nil
}

// fail notes that the engine cannot be trusted until it is opened anew.
func (s *Store) fail(cause error) error {
	s.failure = cause
	return s.unavailable()
}

func (s *Store) unavailable() error {
	return fmt.Errorf("%w: %w", metrics.ErrUnavailable, s.failure)
}

// newCompactor is the engine's own, but it ends with the store's life and asks
// for room first.
func (s *Store) newCompactor(_ context.Context, r prometheus.Registerer, l *slog.Logger, ranges []int64, pool chunkenc.Pool, _ *tsdb.Options) (tsdb.Compactor, error) {
	compactor, err := tsdb.NewLeveledCompactorWithOptions(s.life, r, l, ranges, pool, tsdb.LeveledCompactorOptions{
		EnableOverlappingCompaction: true,
		MaxBlockChunkSegmentSize:    blockFile,
	})
	if err != nil {
		return nil, err
	}
	return &roomyCompactor{Compactor: compactor, life: s.life, room: s.checkRoom}, nil
}

// expired tells which blocks are past retention, counted from now or from the
// newest block, whichever is earlier: neither a block from a time when a clock
// was years ahead nor such a clock alone deletes everything.
func (s *Store) expired(blocks []*tsdb.Block) map[ulid.ULID]struct{} {
	newest := int64(math.MinInt64)
	for _, block := range blocks {
		newest = max(newest, block.Meta().MaxTime)
	}
	oldest := min(newest, time.Now().UnixMilli()) - s.retention.Milliseconds()
	drop := make(map[ulid.ULID]struct{})
	for _, block := range blocks {
		if meta := block.Meta(); meta.Compaction.Deletable || meta.MaxTime <= oldest {
			drop[meta.ULID] = struct{}{}
		}
	}
	return drop
}

// errorTrap is the engine's logger. It notes errors, because some of them (such
// as a failed write to the log of out-of-order samples) the engine only logs;
// and it prints all below them as debugging: the engine tells much, and warns
// of overlapping blocks, which late samples make all the time.
type errorTrap struct {
	slog.Handler
	seen *atomic.Bool
}

func (t *errorTrap) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelError {
		t.seen.Store(true)
	} else {
		record.Level = slog.LevelDebug
	}
	if !t.Handler.Enabled(ctx, record.Level) {
		return nil
	}
	return t.Handler.Handle(ctx, record)
}

// Enabled is true for errors whatever is printed, since they are noted.
func (t *errorTrap) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError || t.Handler.Enabled(ctx, slog.LevelDebug)
}

func (t *errorTrap) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &errorTrap{t.Handler.WithAttrs(attrs), t.seen}
}

func (t *errorTrap) WithGroup(name string) slog.Handler {
	return &errorTrap{t.Handler.WithGroup(name), t.seen}
}
