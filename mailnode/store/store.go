package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/semaphore"
)

// Errors a caller can tell apart.
var (
	ErrFull      = errors.New("store: there is not enough free disk space")
	ErrFailed    = errors.New("store: the disk failed a write; the store must be opened again")
	ErrExhausted = errors.New("store: the mailbox has no UID left")
	ErrDamaged   = errors.New("store: bytes of a message are missing or damaged")
	ErrQuota     = errors.New("store: the account's quota is reached")
	ErrNoAccount = errors.New("store: there is no such account")
	ErrNoMailbox = errors.New("store: there is no such mailbox")
	ErrNoMessage = errors.New("store: there is no such message")
	ErrExists    = errors.New("store: there is a mailbox of this name")
	ErrName      = errors.New("store: this cannot be the name of a mailbox")
	ErrUse       = errors.New("store: another mailbox has this special use, or there is no such use")
	ErrKeyword   = errors.New("store: the mailbox can take no further keyword, or this is none")
	ErrTooMany   = errors.New("store: there are too many of them")
)

const (
	// memTableSize is how much Pebble gathers in memory before it writes a table.
	memTableSize = 32 << 20
	// batchBudget bounds the message bytes held in batches at any moment.
	batchBudget = 128 << 20
	// logKeep is how many log entries are kept.
	logKeep = 1 << 18
)

// Options tune a store. The zero value is good.
type Options struct {
	FS        vfs.FS       // file system, the machine's own when nil
	Logger    *slog.Logger // discards when nil
	FreeBytes int64        // free disk space below which nothing is taken in; none when 0
	// Digest computes what is kept of a body beside it; nothing when nil. It is called
	// before the change begins, from several goroutines.
	Digest func(body *io.SectionReader) (Digest, error)
	// Quota says what an account may hold; no limits when nil. It is called while a
	// change is built: it must be quick and not call the store.
	Quota func(account string) Quota
	// Mailboxes are made in every new account, beside the inbox: name → special use.
	Mailboxes map[string]string
	memTable  uint64 // memTableSize when 0; tests take less, for a small disk's sake
}

// Store is one open store. Its methods are safe for concurrent use, except Close.
type Store struct {
	log    *slog.Logger
	db     *pebble.DB
	space  *space
	bodies bodies
	budget *semaphore.Weighted

	failOnce sync.Once
	failed   chan struct{} // closed when a write failed: nothing can be promised any more

	mu      sync.Mutex    // held while a change is built and applied, not while it is synced
	seq     uint64        // number of the last log entry applied
	first   uint64        // number of the oldest log entry kept
	logKeep uint64        // how many are kept
	durable chan struct{} // closed when the last change applied is durable
}

// Open opens the store in the directory dir and creates it when there is none.
// It fails when another process has it open, when it is of a newer format, and
// when parts of it are missing.
func Open(dir string, opts Options) (*Store, error) {
	if opts.FS == nil {
		opts.FS = vfs.Default
	}
	if opts.memTable == 0 {
		opts.memTable = memTableSize
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if err := errors.Join(opts.FS.MkdirAll(dir, 0o700), syncDir(opts.FS, opts.FS.PathDir(dir))); err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	s := &Store{
		log:     opts.Logger.With("component", "store"),
		space:   newSpace(opts.FS, dir, opts.FreeBytes),
		budget:  semaphore.NewWeighted(batchBudget),
		failed:  make(chan struct{}),
		durable: make(chan struct{}),
		logKeep: logKeep,
	}
	close(s.durable)
	if err := s.open(opts, dir); err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	return s, nil
}

func (s *Store) open(opts Options, dir string) (err error) {
	files := opts.FS
	id, err := readIdentity(files, dir)
	if err != nil {
		return err
	}
	cache := pebble.NewCache(32 << 20)
	defer cache.Unref()
	s.db, err = pebble.Open(files.PathJoin(dir, "db"), &pebble.Options{
		Cache:                       cache,
		ErrorIfNotExists:            id != "",
		EventListener:               s.events(),
		FS:                          vfs.OnDiskFull(files, s.space.release),
		FormatMajorVersion:          pebble.FormatValueSeparation,
		L0StopWritesThreshold:       64,
		Logger:                      (*pebbleLogger)(s),
		MemTableSize:                opts.memTable,
		MemTableStopWritesThreshold: 4,
	})
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return errors.New("it is in use by another process")
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return errors.New("it is torn: its database is missing")
	case err != nil:
		return err
	}
	s.bodies = batchBodies{s.db}
	if err := s.check(files, dir, id); err != nil {
		return errors.Join(err, s.db.Close())
	}
	s.space.restore()
	return nil
}

// check proves that the database is the one the directory names, whole, and of
// a format this program knows; it completes a new one.
func (s *Store) check(files vfs.FS, dir, id string) error {
	if err := s.scanLog(); err != nil {
		return err
	}
	if s.seq == 0 {
		return s.create(files, dir)
	}
	format, err := s.get(formatKey)
	if err != nil {
		return fmt.Errorf("it is torn: %w", err)
	}
	if n := binary.BigEndian.Uint32(format); n > formatVersion {
		return fmt.Errorf("it has format %d and this program knows formats up to %d: use a newer mailfleet-mailnode", n, formatVersion)
	}
	stored, err := s.get(idKey)
	if err != nil {
		return fmt.Errorf("it is torn: %w", err)
	}
	if id == "" && s.seq == 1 { // a crash came before the file was written
		return writeIdentity(files, dir, string(stored))
	}
	if string(stored) != id {
		return fmt.Errorf("it is torn: its database is %q, its file %s names %q", stored, identityName, id)
	}
	return nil
}

// scanLog finds the ends of the log and proves that nothing between them is
// missing, as it would be after the loss of a write-ahead file.
func (s *Store) scanLog() (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'l'}, UpperBound: []byte{'l' + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		n, ok := logSeq(it.Key())
		if !ok {
			return errRecord
		}
		switch {
		case s.seq == 0:
			s.first = n
		case n != s.seq+1:
			return fmt.Errorf("it is torn: log entries %d to %d are missing", s.seq+1, n-1)
		}
		s.seq = n
	}
	return it.Error()
}

// get reads one key that must be there.
func (s *Store) get(key []byte) ([]byte, error) {
	v, closer, err := s.db.Get(key)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", key, err)
	}
	return append([]byte(nil), v...), closer.Close()
}

// Failed is closed when a write to the disk failed. The store then takes no more
// changes, and only opening it anew (in a new process) shows what it holds.
func (s *Store) Failed() <-chan struct{} { return s.failed }

func (s *Store) fail(cause error) {
	s.failOnce.Do(func() {
		s.log.Error("a write failed; the store stops", "error", cause)
		close(s.failed)
	})
}

func (s *Store) hasFailed() bool {
	select {
	case <-s.failed:
		return true
	default:
		return false
	}
}

// Close closes the store. No other method may be running or be called later. A
// failed store is left as it is, for the next process to recover.
func (s *Store) Close() error {
	if s.hasFailed() {
		return nil
	}
	return s.db.Close()
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

// now is the time written into records: without a monotonic part, so that what is
// read back is what was written.
func now() time.Time { return time.Now().Round(0) }
