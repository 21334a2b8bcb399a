package queue

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/store"
)

// decision is what an attempt came to for one recipient.
type decision struct {
	to envelope.Recipient
	outbound.Outcome
	placed  *Placed // the mailboxes it goes into, in the same change
	expired bool
}

// final tells that the recipient leaves the queue.
func (d *decision) final() bool { return d.State != outbound.Temporary }

// errGone ends a change of a part that an operator has deleted.
var errGone = errors.New("queue: the part is gone")

// settle writes what came of an attempt, in one change: recipients who are done leave,
// mail goes into mailboxes and onward, the sender is told. An error means that nothing was
// changed; it matters only to those who bring something along (decision.placed).
func (q *Queue) settle(ctx context.Context, it item, r *reading, done []decision) error {
	p, m := r.part, r.letter
	now, set := q.now(), q.set.Load()
	next := now.Add(set.wait(p.Attempts + 1))
	next = next.Add(jitter(it, next.Sub(now)))
	tell := false
	for i := range done {
		d := &done[i]
		if d.State == outbound.Temporary && !now.Before(m.Expires) {
			d.State, d.expired = outbound.Permanent, true
		}
		if d.State == outbound.Temporary && !p.Told && set.DelayNotice > 0 && now.Sub(m.sent()) >= set.DelayNotice {
			tell = true
		}
	}
	if next.After(m.Expires) && now.Before(m.Expires) {
		next = m.Expires // one last attempt
	}
	c := change{it: it, p: p, m: m, asOf: r.asOf, held: r.held, done: done, next: next, now: now, tell: tell}
	if err := q.prepare(ctx, &c); err != nil {
		// A report cannot be kept now: those it is about stay in the queue.
		q.log.Warn("a report cannot be written now: its recipients stay in the queue", "message", m.Envelope.ID, "error", err)
		for i := range c.done {
			if d := &c.done[i]; d.State == outbound.Permanent {
				d.State = outbound.Temporary
			}
		}
		c.report, c.tell = nil, false
	}
	if c.staged != nil {
		defer c.staged.Close()
	}
	err := q.commit(ctx, &c)
	switch {
	case errors.Is(err, errGone):
		return nil
	case err != nil:
		if c.brings() {
			return err
		}
		// What was sent may be sent again: there is no way to note that it was.
		q.log.Error("what came of an attempt could not be written; the part waits in memory", "part", it.ref, "error", err)
		retry := *p
		retry.Next = now.Add(time.Minute)
		q.plan(it.ref, &retry)
		return err
	}
	q.follow(&c)
	return nil
}

// note is settle for attempts that bring nothing along.
func (q *Queue) note(ctx context.Context, it item, r *reading, done []decision) {
	_ = q.settle(ctx, it, r, done) // it has logged the error, and the part is tried again
}

// sent is when a message could first have been delivered.
func (m *letter) sent() time.Time {
	if m.Envelope.HoldUntil.After(m.Received) {
		return m.Envelope.HoldUntil
	}
	return m.Received
}

// jitter spreads attempts by up to a tenth, so that those of one minute do not meet again.
func jitter(it item, wait time.Duration) time.Duration {
	return wait / 10 * time.Duration(it.id[15]) / 256
}

// change is what settle writes.
type change struct {
	it     item
	p      *part
	m      *letter
	asOf   moment      // when they were read; zero: they may have changed since
	held   *store.Held // the body, nil: not known
	done   []decision
	now    time.Time
	next   time.Time
	tell   bool // the sender that it takes long
	report *Ticket
	staged *store.Staged // of the report

	onward []ref // parts for recipients who are reached by way of these
	parts  []part
	after  *part // what is left, nil for nothing

	written error         // what came of it, once over is closed
	over    chan struct{} // of one that is written with others
}

// brings tells whether mailboxes get mail by the change.
func (c *change) brings() bool {
	return slices.ContainsFunc(c.done, func(d decision) bool { return d.placed != nil })
}

// prepare makes the report that is due.
func (q *Queue) prepare(ctx context.Context, c *change) error {
	text, to := q.report(c)
	if text == nil {
		return nil
	}
	var err error
	e := envelope.Envelope{ID: c.m.Envelope.ID + "-report", Priority: envelope.PriorityReport, Body: envelope.Body8Bit, UTF8: c.m.Envelope.UTF8}
	if c.report, err = q.Ticket(&e, nil, int64(len(text)), []To{{Recipient: envelope.Recipient{Address: to, Notify: envelope.NotifyNever}}}); err != nil {
		return err
	}
	c.staged, err = q.o.Store.Stage(ctx, bytes.NewReader(text), int64(len(text)))
	return err
}

// write is the change itself.
func (q *Queue) write(tx *store.Tx, g letters, c *change) error {
	now, err := q.part(tx, c)
	if err != nil {
		return err
	}
	undisturbed := now.Changes == c.p.Changes
	gone := 0 // recipients an operator took out meanwhile
	for i := range c.done {
		k := slices.Index(now.To, c.done[i].to)
		if k < 0 {
			gone++
		} else if c.done[i].final() {
			now.To = slices.Delete(now.To, k, k+1)
		}
	}
	if gone == len(c.done) {
		return errGone
	}
	now.Changes++
	if undisturbed && slices.ContainsFunc(c.done, func(d decision) bool { return !d.final() }) {
		now.Attempts++
		now.Next = c.next
	}
	now.Told = now.Told || c.tell
	for i := range c.done {
		if d := &c.done[i]; !d.final() {
			now.Last = &last{At: c.now, Code: d.Code, Enhanced: d.Enhanced, Host: d.Host, Text: d.Text}
		}
	}
	if err := q.place(tx, g, c, now); err != nil {
		return err
	}
	if c.report != nil {
		if err := c.report.Write(tx, c.staged); err != nil {
			return err
		}
	}
	return q.account(tx, c)
}

// part is the part of a change as it is now; errGone when there is none.
func (q *Queue) part(tx *store.Tx, c *change) (*part, error) {
	if q.acts.none(c.asOf) { // nobody but its attempt changes it
		return c.p.copy(), nil
	}
	row, err := tx.Get(q.table, c.it.key())
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, errGone
	}
	return c.p.again(row)
}

// letter is the message of a change as it is now.
func (q *Queue) letter(tx *store.Tx, g letters, c *change) (*letter, error) {
	if m := g[c.it.id]; m != nil {
		same := *m
		return &same, nil
	}
	if c.m.Parts == 1 && q.acts.none(c.asOf) { // as for the part: there is no other
		same := *c.m
		return &same, nil
	}
	row, err := tx.Get(q.table, messageKey(c.it.id))
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, errRecord
	}
	return c.m.again(row)
}

// release gives the body of a message up.
func (q *Queue) release(tx *store.Tx, c *change) error {
	if c.held == nil {
		return tx.Release(q.table, c.it.id[:])
	}
	return tx.ReleaseHeld(q.table, c.it.id[:], *c.held)
}

// place puts mail into mailboxes and adds parts for recipients further on, and writes
// what is left of the part and the message.
func (q *Queue) place(tx *store.Tx, g letters, c *change, now *part) error {
	m, err := q.letter(tx, g, c)
	if err != nil {
		return err
	}
	before := m.Parts
	c.onward, c.parts = nil, nil
	for i := range c.done {
		if c.done[i].placed == nil {
			continue
		}
		if err := q.file(tx, c, &c.done[i], m); err != nil {
			return err
		}
	}
	c.after = now
	if len(now.To) > 0 {
		row := now.encode()
		if err := tx.Set(q.table, c.it.key(), row); err != nil {
			return err
		}
		now.row = row
	} else {
		c.after = nil
		m.Parts--
		if err := tx.Delete(q.table, c.it.key()); err != nil {
			return err
		}
	}
	switch {
	case m.Parts == 0:
		return errors.Join(tx.Delete(q.table, messageKey(c.it.id)), q.release(tx, c))
	case m.Parts == before && len(c.parts) == 0:
		return nil
	}
	g[c.it.id] = m
	return tx.Set(q.table, messageKey(c.it.id), m.encode())
}

// file puts a message into the mailboxes of one recipient, and has it sent onward.
func (q *Queue) file(tx *store.Tx, c *change, d *decision, m *letter) error {
	if len(d.placed.Into) > 0 {
		held, err := q.table.Held(c.it.id[:])
		if err != nil {
			return err
		}
		e := m.Envelope
		e.From = cmp.Or(c.p.From, e.From)
		prefix := append(ReturnPath(e.From), m.prefix...)
		if _, err := tx.FileHeld(store.Delivery{Places: d.placed.Into, Prefix: prefix}, held); err != nil {
			return err
		}
	}
	e := m.Envelope
	e.HoldUntil, e.Held = time.Time{}, "" // it has waited
	for _, p := range q.split(&e, d.placed.Onward, c.now) {
		r := ref{c.it.id, m.Next}
		m.Next++
		m.Parts++
		if err := tx.Set(q.table, r.key(), p.encode()); err != nil {
			return err
		}
		c.onward, c.parts = append(c.onward, r), append(c.parts, p)
	}
	return nil
}

// ReturnPath is the header line that final delivery puts before a message (RFC 5321 §4.4).
func ReturnPath(from string) []byte { return []byte("Return-Path: <" + from + ">\r\n") }

// follow is what comes after a change.
func (q *Queue) follow(c *change) {
	for i, r := range c.onward {
		q.plan(r, &c.parts[i])
	}
	if c.report != nil {
		c.report.Plan()
	}
	if c.after != nil {
		*c.p = *c.after // for a further change of the same attempt
		q.plan(c.it.ref, c.after)
	}
	for i := range c.done {
		q.tell(c, &c.done[i])
	}
}

// tell logs what became of a recipient, and tells those who want to know.
func (q *Queue) tell(c *change, d *decision) {
	kind, text := EventDelivered, "delivered"
	switch d.State {
	case outbound.Permanent:
		kind, text = EventBounced, "given up"
	case outbound.Temporary:
		kind, text = EventDeferred, "deferred"
	}
	switch {
	case kind == EventBounced:
		q.Counters.Failed.Add(1)
	case kind == EventDeferred:
		q.Counters.Deferred.Add(1)
	case d.placed != nil:
		q.Counters.Delivered.Add(1)
	default:
		q.Counters.Sent.Add(1)
	}
	attrs := []slog.Attr{
		slog.String("message", c.m.Envelope.ID), slog.String("from", cmp.Or(c.p.From, c.m.Envelope.From)),
		slog.String("to", d.to.Address), slog.String("outcome", d.Text),
	}
	if kind == EventDeferred {
		attrs = append(attrs, slog.String("next", c.next.Format(time.RFC3339)))
	}
	if kind == EventBounced && cmp.Or(c.p.From, c.m.Envelope.From) == "" {
		text = "given up, and there is nobody to tell: a report that cannot be delivered is discarded"
	}
	q.log.LogAttrs(context.Background(), slog.LevelInfo, "mail "+text, attrs...)
	if q.o.Event != nil {
		e := Event{Kind: kind, Envelope: &c.m.Envelope, Recipient: d.to, Outcome: d.Outcome, Attempts: c.p.Attempts, Size: c.m.Size}
		q.o.Event(e)
	}
}
