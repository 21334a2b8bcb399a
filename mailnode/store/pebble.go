package store

import (
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

const (
	// memTableSize is how much Pebble gathers in memory, at most, before it writes a table. It
	// begins with little; the more it is, the less often tables are merged.
	memTableSize = 64 << 20
	// minCache and maxCache bound how much of its tables Pebble keeps in memory, which
	// is cacheShare of the machine's.
	minCache   = 64 << 20
	maxCache   = 256 << 20
	cacheShare = 64
	// apart is the size from which values (chunks of bodies, large log entries) are
	// kept beside the tables: they are not sorted again, and small rows stay close
	// together.
	apart = 4 << 10
	// blockSize is how much of a table is read, checked and unpacked at once. With half as
	// much a list of envelopes takes a sixth more of the processor; with twice as much,
	// a single row that is not in memory half as much again.
	blockSize = 8 << 10
	// compactAt is how many tables Pebble lets lie over one another before it merges
	// them: more of them at once are fewer merges. What is not there is found by the
	// tables' filters all the same.
	compactAt = 8
	// syncPause is how long after a sync the next one begins at the earliest. What comes
	// meanwhile shares it: with many at once that saves more time than it takes, and one
	// alone is hardly ever so quick.
	syncPause = 300 * time.Microsecond
)

func (s *Store) pebbleOptions(opts Options, exists bool) *pebble.Options {
	o := &pebble.Options{
		CacheSize:                   cacheSize(),
		ErrorIfNotExists:            exists,
		EventListener:               s.events(),
		FS:                          vfs.OnDiskFull(opts.FS, s.space.release),
		FormatMajorVersion:          pebble.FormatValueSeparation,
		L0CompactionThreshold:       compactAt,
		L0StopWritesThreshold:       64,
		Logger:                      (*pebbleLogger)(s),
		MemTableSize:                opts.memTable,
		MemTableStopWritesThreshold: 4,
		ReadOnly:                    opts.readOnly,
		WALMinSyncInterval:          func() time.Duration { return syncPause },
	}
	for i := range o.Levels {
		o.Levels[i].BlockSize = blockSize
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled: true, MinimumSize: apart, MaxBlobReferenceDepth: 10,
			RewriteMinimumAge: 5 * time.Minute, TargetGarbageRatio: 0.25,
		}
	}
	return o
}

func cacheSize() int64 {
	var machine unix.Sysinfo_t
	if err := unix.Sysinfo(&machine); err != nil {
		return minCache
	}
	return min(max(int64(machine.Totalram)*int64(machine.Unit)/cacheShare, minCache), maxCache)
}

// pebbleLogger is the store as Pebble's log.
type pebbleLogger Store

func (l *pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug(fmt.Sprintf(format, args...))
}

func (l *pebbleLogger) Errorf(format string, args ...any) {
	l.log.Warn(fmt.Sprintf(format, args...))
}

// Fatalf is called where Pebble cannot go on. It must not return: the store is
// marked as failed and the calling goroutine ends.
func (l *pebbleLogger) Fatalf(format string, args ...any) {
	(*Store)(l).fail(fmt.Errorf(format, args...))
	runtime.Goexit()
}

func (s *Store) events() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) { s.log.Warn("background work failed, will be tried again", "error", err) },
		DataCorruption:  func(info pebble.DataCorruptionInfo) { s.log.Error("data on disk is damaged", "where", info.Path) },
		DiskSlow:        func(info pebble.DiskSlowInfo) { s.log.Warn("the disk is slow", "what", info.String()) },
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) { s.log.Warn("writes wait for the disk", "why", info.Reason) },
		WriteStallEnd:   func() { s.log.Info("writes go on") },
	}
}

// discard is the log of a store that has none.
var discard = slog.New(slog.DiscardHandler)
