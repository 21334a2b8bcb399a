package store

import (
	"cmp"
	"container/list"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	ErrInUse     = errors.New("it is in use by another process")
	ErrTooMany   = errors.New("store: there are too many of them")
)

// batchBudget bounds the message bytes held in batches at any moment.
const batchBudget = 128 << 20

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
	// Lull is how long a large mailbox is not read after it was opened, unless somebody
	// asks for it; a tenth of a second when 0.
	Lull time.Duration

	memTable uint64 // memTableSize when 0; tests take less, for a small disk's sake
	readOnly bool   // nothing is written, not even what a crash left undone
}

// Store is one open store. Its methods are safe for concurrent use, except Close.
type Store struct {
	log      *slog.Logger
	db       *pebble.DB
	dir      string
	fs       vfs.FS
	id       string
	space    *space
	bodies   bodies
	budget   *semaphore.Weighted
	digest   func(*io.SectionReader) (Digest, error)
	quota    func(string) Quota
	defaults map[string]string

	failOnce sync.Once
	failed   chan struct{} // closed when a write failed: nothing can be promised any more

	tidying sync.WaitGroup // removals that were cut short, flushes, large mailboxes that are read
	halt    context.CancelFunc
	closing <-chan struct{} // closed when the store is about to be

	outbox outbox
	absent absent

	mu        sync.Mutex // held while a change is built and applied, not while it is synced
	history   history
	recent    recent
	durable   <-chan struct{} // closed when the last change applied is durable
	boxes     map[Place]*box  // mailboxes in memory
	idle      list.List       // those of them that nobody has open, longest first
	idleItems int             // how many messages they have
	lull      time.Duration
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
		opts.Logger = discard
	}
	if err := errors.Join(opts.FS.MkdirAll(dir, 0o700), syncDir(opts.FS, opts.FS.PathDir(dir))); err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	s := &Store{
		log:    opts.Logger.With("component", "store"),
		dir:    dir,
		fs:     opts.FS,
		space:  newSpace(opts.FS, dir, opts.FreeBytes),
		budget: semaphore.NewWeighted(batchBudget),
		digest: opts.Digest, quota: opts.Quota, defaults: opts.Mailboxes,
		failed:  make(chan struct{}),
		outbox:  outbox{watches: map[string]map[*Watch]struct{}{}},
		boxes:   map[Place]*box{},
		history: history{keep: logKeep},
		recent:  newRecent(),
		lull:    cmp.Or(opts.Lull, lull),
	}
	durable := make(chan struct{})
	close(durable)
	s.durable = durable
	if err := s.open(opts, dir); err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.halt, s.closing = cancel, ctx.Done()
	if opts.readOnly {
		return s, nil
	}
	copies, err := s.leftUnfinished() // now, before there are new ones
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", dir, err), s.Close())
	}
	s.tidying.Go(func() {
		if err := s.tidy(ctx, copies); err != nil && ctx.Err() == nil {
			s.log.Warn("what was deleted, or half copied, could not be removed", "error", err)
		}
	})
	return s, nil
}

func (s *Store) open(opts Options, dir string) (err error) {
	files := opts.FS
	id, err := readIdentity(files, dir)
	if err != nil {
		return err
	}
	s.db, err = pebble.Open(files.PathJoin(dir, "db"), s.pebbleOptions(opts, id != ""))
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return ErrInUse
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return errors.New("it is torn: its database is missing")
	case err != nil:
		return err
	}
	s.bodies = batchBodies{s.db}
	s.absent.start(s.db) // what was in the write-ahead file is in tables when Pebble is open
	if err := s.check(files, dir, id, opts.readOnly); err != nil {
		return errors.Join(err, s.db.Close())
	}
	if !opts.readOnly {
		s.space.restore()
	}
	return nil
}

// check proves that the database is the one the directory names, whole, and of
// a format this program knows; it completes a new one and brings an older one up to date.
func (s *Store) check(files vfs.FS, dir, id string, readOnly bool) error {
	if err := s.scanLog(); err != nil {
		return err
	}
	if s.history.seq == 0 {
		return s.create(files, dir)
	}
	v, err := s.get(formatKey)
	if err != nil {
		return fmt.Errorf("it is torn: %w", err)
	}
	format := binary.BigEndian.Uint32(v)
	if format > formatVersion {
		return fmt.Errorf("it has format %d and this program knows formats up to %d: use a newer mailfleet-mailnode", format, formatVersion)
	}
	stored, err := s.get(idKey)
	if err != nil {
		return fmt.Errorf("it is torn: %w", err)
	}
	s.id = string(stored)
	switch {
	case id == "" && s.history.seq == 1: // a crash came before the file was written
		if err := writeIdentity(files, dir, s.id); err != nil {
			return err
		}
	case s.id != id:
		return fmt.Errorf("it is torn: its database is %q, its file %s names %q", stored, identityName, id)
	}
	if format == formatVersion {
		return nil
	}
	if readOnly {
		return fmt.Errorf("it has the older format %d: mailfleet-mailnode run brings it up to date", format)
	}
	return s.migrate()
}

// scanLog finds the ends of the log and proves that nothing between them is
// missing, as it would be after the loss of a write-ahead file.
func (s *Store) scanLog() (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'l'}, UpperBound: []byte{'l' + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	h := &s.history
	for ok := it.First(); ok; ok = it.Next() {
		n, ok := logSeq(it.Key())
		if !ok {
			return errRecord
		}
		switch {
		case h.seq == 0:
			h.first = n
		case n != h.seq+1:
			return fmt.Errorf("it is torn: log entries %d to %d are missing", h.seq+1, n-1)
		}
		if h.seq == 0 || n%logStride == 0 {
			v, err := it.ValueAndErr()
			if err != nil {
				return err
			}
			before := totalOf(v) - min(totalOf(v), uint64(len(v)))
			if h.seq == 0 {
				h.gone = before
			}
			if n%logStride == 0 {
				h.cuts = append(h.cuts, cut{n, before})
			}
		}
		h.seq = n
	}
	if it.Last() {
		h.total = totalOf(it.Value())
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
	s.halt()
	if s.hasFailed() {
		return nil
	}
	s.mu.Lock()
	for _, b := range s.boxes {
		if b.unread != nil {
			s.forgo(b)
		}
	}
	s.mu.Unlock()
	s.tidying.Wait()
	s.absent.release()
	return s.db.Close()
}

// now is the time written into records: without a monotonic part, so that what is
// read back is what was written.
func now() time.Time { return time.Now().Round(0) }
