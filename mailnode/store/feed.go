package store

import "sync"

// EventKind says what happened.
type EventKind int

// What happens.
const (
	MessagesAdded EventKind = iota + 1
	FlagsChanged
	MessagesExpunged
	MailboxCreated
	MailboxDeleted
	MailboxRenamed
	MailboxChanged // special use, rights, annotations
	SubscriptionsChanged
	AccountDeleted
)

// Event is a durable change in an account.
type Event struct {
	Kind    EventKind
	Mailbox MailboxID
	Name    string   // of the mailbox that was created, renamed or deleted, or of the subscription
	OldName string   // for MailboxRenamed
	UIDs    []uint32 // ascending; not to be changed
	Entries []string // for MailboxChanged: annotations that were set or removed, of the account when Mailbox is 0
	Owner   string   // whose annotations: "" for shared ones
	ModSeq  uint64   // of the change
}

// watchLimit is how many events a Watch holds.
const watchLimit = 256

// Watch gathers an account's events for somebody until he takes them.
type Watch struct {
	outbox  *outbox
	account string
	ready   chan struct{}
	call    func() // see WatchCall

	mu     sync.Mutex
	events []Event
	lost   bool
}

// Watch begins to gather the events of an account: all of those that no read before
// this call has shown. It holds a bounded number; when they are not taken in time they
// are dropped and Take says so. It must be closed.
func (s *Store) Watch(account string) *Watch {
	return s.WatchCall(account, nil)
}

// WatchCall is Watch for somebody who has no goroutine that waits: ready is called when there are
// events to take. It must be quick and call nothing of the store.
func (s *Store) WatchCall(account string, ready func()) *Watch {
	w := &Watch{outbox: &s.outbox, account: account, ready: make(chan struct{}, 1), call: ready}
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	if s.outbox.watches[account] == nil {
		s.outbox.watches[account] = map[*Watch]struct{}{}
	}
	s.outbox.watches[account][w] = struct{}{}
	return w
}

// Ready has a value when there are events to take.
func (w *Watch) Ready() <-chan struct{} { return w.ready }

// Take returns the events since the last call, in order. lost tells that some were
// dropped: the caller looks at everything anew.
func (w *Watch) Take() (events []Event, lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events, lost = w.events, w.lost
	w.events, w.lost = nil, false
	return events, lost
}

// Close ends the watch.
func (w *Watch) Close() {
	w.outbox.mu.Lock()
	defer w.outbox.mu.Unlock()
	delete(w.outbox.watches[w.account], w)
	if len(w.outbox.watches[w.account]) == 0 {
		delete(w.outbox.watches, w.account)
	}
}

func (w *Watch) add(e Event) {
	w.mu.Lock()
	if len(w.events) == watchLimit {
		w.events, w.lost = nil, true
	}
	if !w.lost {
		w.events = append(w.events, e)
	}
	w.mu.Unlock()
	if w.call != nil {
		w.call()
	}
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// outbox holds changes that are applied, in order, until they are durable, and then
// tells those who read and watch.
type outbox struct {
	mu      sync.Mutex
	queue   []news
	watches map[string]map[*Watch]struct{}
}

// news is what a change means for readers.
type news struct {
	seq    uint64
	done   chan struct{} // closed when readers may see it
	views  []fresh
	events []addressed
}

type fresh struct {
	of   *box
	view *View
}

type addressed struct {
	account string
	event   Event
}

// add takes a change's news; s.mu is held. The channel it returns is closed when the
// change is durable.
func (o *outbox) add(seq uint64, tx *Tx) <-chan struct{} {
	n := news{seq: seq, done: make(chan struct{}), views: tx.views(), events: tx.events}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = append(o.queue, n)
	return n.done
}

// send tells of all changes up to seq, which is durable, and so are those before it.
func (o *outbox) send(seq uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) > 0 && o.queue[0].seq <= seq {
		n := o.queue[0]
		o.queue[0] = news{}
		o.queue = o.queue[1:]
		for _, f := range n.views {
			f.of.publish(f.view)
		}
		for _, e := range n.events {
			for w := range o.watches[e.account] {
				w.add(e.event)
			}
		}
		close(n.done)
	}
}
