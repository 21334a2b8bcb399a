package queue

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"github.com/google/uuid"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/store"
)

// Queue is the queue of one server. Its methods are safe for concurrent use.
type Queue struct {
	Counters Counters

	o        Options
	log      *slog.Logger
	table    store.Table
	failures store.Table
	set      atomic.Pointer[Settings]
	kick     chan struct{} // something is to be looked at

	settling settling
	acts     acts

	mu      sync.Mutex
	memory  schedule
	workers int
	running bool // workers may start

	attempts context.Context // of the workers
	working  sync.WaitGroup
}

// Counters grow from the start; each counts recipients.
type Counters struct {
	Sent      atomic.Int64 // taken by other servers
	Delivered atomic.Int64 // put into mailboxes here
	Deferred  atomic.Int64 // attempts that are to be repeated
	Failed    atomic.Int64 // given up
}

// New returns the queue that a store has. It delivers once it runs.
func New(o Options) *Queue {
	if o.Now == nil {
		o.Now = time.Now
	}
	q := &Queue{
		o: o, log: o.Logger.With("component", "queue"), table: o.Store.Table("queue"), failures: o.Store.Table("failures"),
		kick: make(chan struct{}, 1), memory: newSchedule(),
	}
	q.Configure(o.Settings)
	return q
}

// Configure changes the settings.
func (q *Queue) Configure(set Settings) {
	set = set.withDefaults()
	q.set.Store(&set)
}

// now is the time as it is written: without a monotonic part.
func (q *Queue) now() time.Time { return q.o.Now().Round(0) }

// Ticket is a message on its way into the queue. Write puts it there within a change;
// when that change is durable, Plan has it delivered.
type Ticket struct {
	q       *Queue
	id      [16]byte
	message []byte
	parts   []part
	rows    [][]byte
}

// Ticket makes the ticket of a message, which is prefix and then a body, size bytes in all.
// Of the envelope's recipients none is looked at.
func (q *Queue) Ticket(e *envelope.Envelope, prefix []byte, size int64, to []To) (*Ticket, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	now := q.now()
	due := now
	if e.HoldUntil.After(now) {
		due = e.HoldUntil.Round(0)
	}
	m := letter{Envelope: *e, Size: size, Received: now, Expires: due.Add(q.set.Load().Expire), prefix: prefix}
	m.Envelope.Recipients = nil
	t := &Ticket{q: q, id: id, parts: q.split(e, to, due)}
	m.Parts, m.Next = len(t.parts), uint32(len(t.parts))
	t.message = m.encode()
	for i := range t.parts {
		t.rows = append(t.rows, t.parts[i].encode())
	}
	return t, nil
}

// split puts recipients who share a way into parts.
func (q *Queue) split(e *envelope.Envelope, to []To, due time.Time) (parts []part) {
	type way struct {
		domain, from string // here, too: who looks after a domain acts on what waits for it
		route        outbound.Route
	}
	open := map[way]int{} // index of the part that has room
	for _, r := range to {
		w := way{domain: domainOf(r.Address), from: r.From}
		destination := w.domain
		if r.Route != nil {
			w.route = *r.Route
		} else if q.o.Local != nil && q.o.Local.Here(w.domain) {
			destination = local
		}
		i, ok := open[w]
		if !ok || len(parts[i].To) == partSize {
			i = len(parts)
			open[w] = i
			parts = append(parts, part{
				Sender: cmp.Or(e.Account, domainOf(e.From)), Priority: e.Priority,
				Destination: destination, Origin: domainOf(cmp.Or(r.From, e.From)), From: r.From, Route: r.Route, Next: due,
				Held: e.Held != "",
			})
		}
		parts[i].To = append(parts[i].To, r.Recipient)
	}
	return parts
}

// Write puts the message into the queue within a change that brings its body.
func (t *Ticket) Write(tx *store.Tx, body *store.Staged) error {
	if _, err := tx.Hold(t.q.table, t.id[:], body); err != nil {
		return err
	}
	if err := tx.Set(t.q.table, messageKey(t.id), t.message); err != nil {
		return err
	}
	for i, row := range t.rows {
		if err := tx.Set(t.q.table, ref{t.id, uint32(i)}.key(), row); err != nil {
			return err
		}
	}
	return nil
}

// Plan has the message delivered. It is called when Write's change is durable.
func (t *Ticket) Plan() {
	for i := range t.parts {
		t.q.plan(ref{t.id, uint32(i)}, &t.parts[i])
	}
}

// plan has a part tried when its time has come.
func (q *Queue) plan(r ref, p *part) {
	if p.Held {
		return
	}
	now := q.now()
	q.mu.Lock()
	defer q.mu.Unlock()
	// Of equal names one copy is enough for a million parts.
	q.memory.plan(item{r, p.Changes}, unique.Make(q.lane(p)).Value(), unique.Make(p.Sender).Value(), p.Priority, p.Next, now, q.set.Load().PerDestination)
	if p.Next.After(now) {
		q.Wake()
		return
	}
	q.hire()
}

// lane is the name of the lane a part waits in: a smart host that is dead is no reason to
// leave alone the domains behind it.
func (q *Queue) lane(p *part) string {
	if r := q.route(p); r != nil {
		return fmt.Sprintf("%s:%d", r.Host, r.Port)
	}
	return p.Destination
}

// route is the smart host for a part, nil for none.
func (q *Queue) route(p *part) *outbound.Route {
	if p.Route != nil || q.o.Routes == nil || p.Destination == local {
		return p.Route
	}
	return q.o.Routes(p.Origin, p.Destination)
}

// Wake makes the queue look at the clock again.
func (q *Queue) Wake() {
	select {
	case q.kick <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends, and then waits for the attempts under way, for some
// seconds.
func (q *Queue) Run(ctx context.Context) {
	const patience = 15 * time.Second
	attempts, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	q.mu.Lock()
	q.running = true
	q.attempts = attempts
	q.hire()
	q.mu.Unlock()
	if err := q.recover(ctx); err != nil && ctx.Err() == nil {
		q.log.Error("the queue could not be read: what is in it waits for the next start", "error", err)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		q.mu.Lock()
		wait := q.memory.wake(q.now())
		q.memory.forget(q.now())
		q.hire()
		q.mu.Unlock()
		if wait <= 0 || wait > time.Minute {
			wait = time.Minute
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-q.kick:
		case <-timer.C:
		}
	}
	q.mu.Lock()
	q.running = false
	q.mu.Unlock()
	late := time.AfterFunc(patience, cancel)
	q.working.Wait()
	late.Stop()
}

// recover plans what an earlier run of the program left.
func (q *Queue) recover(ctx context.Context) error {
	n := 0
	for row, err := range q.table.Scan(ctx, []byte{rowPart}, []byte{rowPart + 1}) {
		if err != nil {
			return err
		}
		r, ok := refOf(row.Key)
		if !ok {
			return errRecord
		}
		p, err := decodePart(row.Value)
		if err != nil {
			q.log.Error("a part of the queue cannot be read and is left as it is", "part", r, "error", err)
			continue
		}
		q.plan(r, p)
		n++
	}
	if n > 0 {
		q.log.Info("the queue was read", "parts", n)
	}
	return nil
}

// hire starts workers for what is due. q.mu is held.
func (q *Queue) hire() {
	for n := len(q.memory.line); n > 0 && q.running && q.workers < q.set.Load().Concurrency; n-- {
		q.workers++
		q.working.Go(q.work)
	}
}

// work makes attempts as long as there are any to make.
func (q *Queue) work() {
	for {
		q.mu.Lock()
		it, l, why, ok := item{}, (*lane)(nil), (*outbound.Outcome)(nil), false
		if q.running && q.workers <= q.set.Load().Concurrency {
			it, l, why, ok = q.memory.next(q.now())
		}
		if !ok {
			q.workers--
			q.mu.Unlock()
			return
		}
		ctx := q.attempts
		q.hire() // others can work on what is left
		q.mu.Unlock()
		q.stay(ctx, it, l, why)
		q.mu.Lock()
		q.memory.free(l)
		q.hire()
		q.mu.Unlock()
	}
}

// Depth is how many parts are in the queue and not held back. One that an operator has
// had tried earlier counts twice until its own time.
func (q *Queue) Depth() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.memory.parts
}
