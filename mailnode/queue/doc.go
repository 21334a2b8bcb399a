// Package queue keeps the mail that is still to be delivered, in the store of this
// server, and has it delivered: at once if it can be, later if it cannot, and with a
// report to its sender when it never could. deliver puts mail in; app makes and runs the
// queue and gives operators their view of it.
//
// What is in the queue is durable before anybody is told so, and leaves it in the same
// change that puts it into a mailbox, makes a report of it, or notes that a remote took it.
//
// A message is kept once, with its body held by the table (store.Tx.Hold). Its recipients
// stand in parts: up to partSize of those who share a destination, which go in one
// transaction and have one schedule. In memory there is only, for each part, who it is
// from and when it is due (lane.go); the rest is read when its time has come, some of what
// is next in a lane at once (shelf.go). Parts that
// are due wait in lanes, one for each destination, by priority, and senders take turns
// within a priority: whoever sends 100,000 messages waits for himself.
package queue

import (
	"context"
	"io"
	"log/slog"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/store"
)

// Sender gives messages to other servers; outbound.Client is one.
type Sender interface {
	SendAll(ctx context.Context, domain string, route *outbound.Route, s outbound.Series)
}

// Local knows the mailboxes of this server.
type Local interface {
	// Here reports whether this server answers for a domain (in lower case, A-labels).
	Here(domain string) bool
	// Place says where the mail for an address of this server goes now: into mailboxes,
	// and on to other recipients. An error that is an outcome (*Refused) decides about the
	// recipient, any other is tried again.
	Place(e *envelope.Envelope, to envelope.Recipient) (Placed, error)
}

// Placed is where mail for one recipient goes.
type Placed struct {
	Into     []store.Place // mailboxes
	Onward   []To
	Expanded bool // by a list: the recipient is more than one
}

// Refused is an error of Local that ends the matter, now or for good.
type Refused struct{ outbound.Outcome }

func (r *Refused) Error() string { return r.Text }

// To is a recipient to be queued.
type To struct {
	envelope.Recipient
	From  string          // reverse-path in place of the envelope's, "" for that one
	Route *outbound.Route // where to send it in place of its domain's hosts or route
}

// Settings can be changed while the queue runs.
type Settings struct {
	Hostname       string
	Retries        []time.Duration // waits between attempts; the last is repeated
	Expire         time.Duration   // after which a message is given up
	DelayNotice    time.Duration   // after which the sender is told that it takes long; 0: 4 h; below 0: never
	Concurrency    int             // attempts at once; 0 is 400
	PerDestination int             // attempts at once for a destination; 0 is 20
	ReportBytes    int64           // largest message given back whole in a report; 0 is 1 MiB
}

var retries = []time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour,
}

func (s Settings) withDefaults() Settings {
	if len(s.Retries) == 0 {
		s.Retries = retries
	}
	if s.Expire <= 0 {
		s.Expire = 5 * 24 * time.Hour
	}
	if s.DelayNotice == 0 {
		s.DelayNotice = 4 * time.Hour
	}
	if s.Concurrency <= 0 {
		s.Concurrency = 400
	}
	if s.PerDestination <= 0 {
		s.PerDestination = 20
	}
	if s.ReportBytes <= 0 {
		s.ReportBytes = 1 << 20
	}
	return s
}

// wait is how long to wait after a number of failed attempts.
func (s *Settings) wait(attempts int) time.Duration {
	return s.Retries[min(max(attempts, 1), len(s.Retries))-1]
}

// Options are what a queue is made of.
type Options struct {
	Store  *store.Store
	Sender Sender
	Local  Local
	// Routes names the smart host for the mail of a sender's domain to another domain, nil
	// for none; the function may be nil.
	Routes func(sender, domain string) *outbound.Route
	// Language is that of reports to an address: "zh-CN" or "en". Nil: Chinese.
	Language func(address string) string
	// Event is told what became of recipients, after it is durable; may be nil. It must
	// not wait.
	Event  func(Event)
	Now    func() time.Time // time.Now when nil
	Logger *slog.Logger
	Settings
}

// Event is something that became of a recipient.
type Event struct {
	Kind      EventKind
	Envelope  *envelope.Envelope
	Recipient envelope.Recipient
	Outcome   outbound.Outcome
	Attempts  int
	Size      int64 // of the message
}

// EventKind says what became.
type EventKind string

// The kinds of events.
const (
	EventReceived  EventKind = "received" // of a recipient as the sender named it
	EventDelivered EventKind = "delivered"
	EventDeferred  EventKind = "deferred"
	EventBounced   EventKind = "bounced"
)

// opener opens a message from its beginning.
type opener func() io.Reader
