package search

import (
	"context"
	"iter"
	"log/slog"
	"sync"

	"mailfleet/mailnode/message"
)

// Row is a key and its value. In a change, a nil value removes the key.
type Row struct{ Key, Value []byte }

// Rows is a part of the store's database that is the index's own.
type Rows interface {
	// Get returns a value that may be kept, nil when there is none.
	Get(ctx context.Context, key []byte) ([]byte, error)
	// Scan goes through the keys from (included) to (excluded). A row is good until
	// the next.
	Scan(ctx context.Context, from, to []byte) iter.Seq2[Row, error]
	// Write makes all the changes, durably, or none.
	Write(ctx context.Context, changes []Row) error
}

// Place names a mailbox: an id that no other mailbox of the account ever has.
type Place struct {
	Account string
	Mailbox uint32
}

// Document is a message to be indexed.
type Document struct {
	UID     uint32
	Prefix  string // header lines that stand before the message, and are its header too
	Message *message.Message
	Err     error // why the message cannot be read; it is then in every answer
}

// Source is where the messages are.
type Source interface {
	// Last is the highest UID a mailbox has given; 0 when there is no such mailbox.
	Last(ctx context.Context, p Place) (uint32, error)
	// UIDs are the UIDs of a mailbox's messages, ascending; none when there is no such
	// mailbox.
	UIDs(ctx context.Context, p Place) ([]uint32, error)
	// Documents goes through those of the messages that are still there.
	Documents(ctx context.Context, p Place, uids []uint32) iter.Seq2[Document, error]
}

// Index is the index of one store. It is safe for concurrent use.
type Index struct {
	rows   Rows
	source Source
	log    *slog.Logger

	mu    sync.Mutex
	due   map[Place]struct{} // mailboxes to be looked after
	wake  chan struct{}
	locks map[Place]*lock // mailboxes whose index is being changed
}

// lock is held by who changes a mailbox's index.
type lock struct {
	sync.Mutex
	users int
}

// New is an index. Run keeps it up to date.
func New(rows Rows, source Source, log *slog.Logger) *Index {
	return &Index{
		rows: rows, source: source, log: log.With("component", "search"),
		due: map[Place]struct{}{}, wake: make(chan struct{}, 1), locks: map[Place]*lock{},
	}
}

// maxDue is how many mailboxes wait to be looked after. Of more the rest comes when it
// is touched again.
const maxDue = 1 << 16

// Touch says that messages may have come into a mailbox. It returns at once.
func (x *Index) Touch(p Place) {
	x.mu.Lock()
	if len(x.due) < maxDue {
		x.due[p] = struct{}{}
	}
	x.mu.Unlock()
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// Run indexes what comes into the mailboxes that are touched, one after the other,
// until ctx ends. What fails is logged and tried again when the mailbox is touched
// again. Beside that it makes anew what an older version has made in another way.
func (x *Index) Run(ctx context.Context) {
	var renewing sync.WaitGroup
	defer renewing.Wait()
	renewing.Go(func() { x.renew(ctx) })
	for {
		p, ok := x.next()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-x.wake:
			}
			continue
		}
		if err := x.Update(ctx, p); err != nil && ctx.Err() == nil {
			x.log.Warn("a mailbox is not indexed", "account", p.Account, "mailbox", p.Mailbox, "err", err)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// next takes a mailbox that is due.
func (x *Index) next() (Place, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for p := range x.due {
		delete(x.due, p)
		return p, true
	}
	return Place{}, false
}

// hold keeps others from changing a mailbox's index until the function it returns is
// called.
func (x *Index) hold(p Place) (give func()) {
	x.mu.Lock()
	l := x.locks[p]
	if l == nil {
		l = &lock{}
		x.locks[p] = l
	}
	l.users++
	x.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		x.mu.Lock()
		defer x.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(x.locks, p)
		}
	}
}
