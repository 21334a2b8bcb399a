// Package embedded is the sample store that needs nothing outside: Prometheus's
// tsdb in one directory. Samples are in a write-ahead log before Write returns,
// so they outlive kill -9; a power cut may take the last seconds. Only the
// controller's app imports it.
//
// The engine was made for a server that scrapes, and that dies when its disk is
// full. Here agents replay spools, clocks are wrong by hours, and the
// controller has to live on; so this package, not the engine, decides which
// times are taken (limits.go), when the disk has room (room.go), when chunks
// are flushed and blocks compacted (upkeep.go), and it opens the engine anew
// when its log can no longer be trusted (engine.go).
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/prometheus/tsdb"

	"mailfleet/controller/metrics"
)

// DefaultRetention is how long samples are kept unless Options says otherwise.
const DefaultRetention = 400 * 24 * time.Hour

// blockLength is the time that the engine's smallest block covers, and so the
// least that it can drop.
const blockLength = 2 * time.Hour

// Options of a store.
type Options struct {
	Dir       string        // its own directory, made if missing
	Retention time.Duration // 0 for DefaultRetention, at least 2 h
	Logger    *slog.Logger
}

// Store is a metrics.Store on local disk. Open one per directory; a second is
// refused.
type Store struct {
	dir       string
	retention time.Duration
	log       *slog.Logger
	quota     *quota
	room      int64 // bytes that must be free before a write

	life   context.Context // ends with Close
	end    context.CancelFunc
	upkeep sync.WaitGroup

	chore  sync.Mutex // one round of chores at a time
	tidied time.Time  // when out-of-order samples were last seen to

	// One writer at a time: after a failed write to its log, the engine must
	// not be given another.
	writing sync.Mutex
	failure error     // what made the engine untrustworthy, nil if nothing
	retry   time.Time // when to open it anew, at the earliest

	// Held for reading while the engine is used, for writing to replace it.
	// A writer holds writing first.
	engine sync.RWMutex
	db     *tsdb.DB // nil after Close, and while it cannot be opened
	trap   *errorTrap
}

var _ metrics.Store = (*Store)(nil)

// Open opens the store, replaying what was written before. On a full disk it
// returns a store that is unavailable until the disk has room.
func Open(options Options) (*Store, error) {
	retention := options.Retention
	if retention == 0 {
		retention = DefaultRetention
	}
	if retention < blockLength {
		return nil, fmt.Errorf("sample retention %v is shorter than %v", retention, blockLength)
	}
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the sample store: %w", err)
	}
	s := &Store{
		dir:       options.Dir,
		retention: retention,
		log:       options.Logger.With("component", "metrics"),
		quota:     &quota{perServer: maxServerSeries, total: maxSeries, series: make(map[string]int)},
		room:      minRoom,
	}
	s.life, s.end = context.WithCancel(context.Background())
	if err := s.checkRoom(0); err != nil {
		s.failure = err
		s.log.Error("sample store not opened yet", "err", err)
	} else if err := s.openEngine(); err != nil {
		s.end()
		return nil, fmt.Errorf("open the sample store: %w", err)
	}
	s.upkeep.Go(s.keepUp)
	return s, nil
}

// Close stops compactions and closes the engine. It is safe to call twice.
func (s *Store) Close() error {
	s.end()
	s.upkeep.Wait()
	s.writing.Lock()
	defer s.writing.Unlock()
	s.failure = errors.New("it is closed")
	s.engine.Lock()
	defer s.engine.Unlock()
	return s.closeEngine()
}
