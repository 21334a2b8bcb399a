// Package deliver takes responsibility for messages: what it has accepted is in a
// mailbox of this server or in its queue, all of it in one durable change, or the
// message is not accepted. smtpd (and whatever else makes mail) gives it messages; app
// makes it.
//
// Whose mail an address's is, it asks the directory: a mailbox here, several, another server
// of the fleet, or somewhere outside (Places). Mail that is only for mailboxes here never
// sees the queue. What cannot be decided at once goes there: recipients elsewhere, those
// of whom the sender wants to hear when they have it, messages that are to go later, and
// recipients for whom something is wrong while others of the same message are well.
package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/queue"
	"mailfleet/mailnode/store"
)

// Options are what a Deliverer is made of.
type Options struct {
	Store  *store.Store
	Queue  *queue.Queue
	Places *Places
	// Event is told what was received and what was put into mailboxes, when it is durable;
	// may be nil.
	Event  func(queue.Event)
	Logger *slog.Logger
}

// Deliverer accepts messages. Its methods are safe for concurrent use.
type Deliverer struct {
	Counters Counters

	o   Options
	log *slog.Logger
}

// Counters grow from the start. What comes by way of the queue is in the queue's.
type Counters struct {
	Delivered atomic.Int64 // copies put into mailboxes
	Bytes     atomic.Int64 // size of these copies
	Queued    atomic.Int64 // recipients put into the queue
}

// New returns a deliverer.
func New(o Options) *Deliverer { return &Deliverer{o: o, log: o.Logger.With("component", "deliver")} }

// plan is where a message goes.
type plan struct {
	into   []store.Place
	whose  map[store.Place]string // address it is for
	queued []queue.To
	done   []envelope.Recipient // those whose mail goes into mailboxes
}

// Accept takes a message for all its recipients, or for none. When it returns nil the
// message is durable, and will be delivered or reported on. The message is prefix and
// then size bytes of body; Return-Path is added at final delivery. Errors are those of
// package directory (of the only recipient), store.ErrFull, store.ErrQuota (likewise), or the
// server's own trouble.
func (d *Deliverer) Accept(ctx context.Context, e envelope.Envelope, prefix []byte, body io.Reader, size int64) error {
	whole := int64(len(prefix)) + size
	p, err := d.plan(&e, whole)
	if err != nil {
		return err
	}
	delivery := store.Delivery{Places: p.into, Prefix: slices.Concat(queue.ReturnPath(e.From), prefix), Counts: p.counts(whole)}
	if len(p.queued) == 0 {
		delivery.Body, delivery.Size = body, size
		if _, err := d.o.Store.Deliver(ctx, delivery); err != nil {
			return err
		}
		d.tell(&e, p, whole)
		return nil
	}
	ticket, err := d.o.Queue.Ticket(&e, slices.Clone(prefix), whole, p.queued)
	if err != nil {
		return err
	}
	staged, err := d.o.Store.Stage(ctx, body, size)
	if err != nil {
		return err
	}
	defer staged.Close()
	err = d.o.Store.Update(ctx, staged, func(tx *store.Tx) error {
		if len(p.into) > 0 {
			if _, err := tx.File(delivery, staged); err != nil {
				return err
			}
		}
		return ticket.Write(tx, staged)
	})
	if err != nil {
		return err
	}
	ticket.Plan()
	d.tell(&e, p, whole)
	return nil
}

// plan finds out where a message of size bytes goes.
func (d *Deliverer) plan(e *envelope.Envelope, size int64) (*plan, error) {
	p := &plan{whose: map[store.Place]string{}}
	if len(e.Recipients) == 0 {
		return nil, errors.New("deliver: a message for nobody")
	}
	later := e.HoldUntil.After(time.Now()) || e.Held != ""
	for _, to := range e.Recipients {
		if later || to.Notify&envelope.NotifySuccess != 0 || !d.o.Places.Here(domainOf(to.Address)) {
			p.queued = append(p.queued, queue.To{Recipient: to})
			continue
		}
		placed, err := d.o.Places.find(e, to)
		if err == nil {
			err = d.fits(placed.Into, size)
		}
		switch {
		case err == nil:
			p.add(to, placed)
		case len(e.Recipients) == 1:
			return nil, err
		default: // the others are not to suffer: the queue tries, and reports
			p.queued = append(p.queued, queue.To{Recipient: to})
		}
	}
	return p, nil
}

// fits tells whether mailboxes have room.
func (d *Deliverer) fits(into []store.Place, size int64) error {
	for _, place := range into {
		if err := d.o.Store.CanTake(place.Account, 1, size); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) add(to envelope.Recipient, placed queue.Placed) {
	for _, place := range placed.Into {
		if _, twice := p.whose[place]; !twice {
			p.whose[place] = to.Address
			p.into = append(p.into, place)
		}
	}
	p.queued = append(p.queued, placed.Onward...)
	if len(placed.Into) > 0 {
		p.done = append(p.done, to)
	}
}

// counts is what a message adds to the ledger.
func (p *plan) counts(size int64) (list []store.Count) {
	now := time.Now()
	for _, place := range p.into {
		domain := domainOf(p.whose[place])
		list = append(list,
			queue.Counts(now, domain, place.Account, queue.CountIn, 1),
			queue.Counts(now, domain, place.Account, queue.CountInBytes, size))
	}
	return list
}

func (d *Deliverer) tell(e *envelope.Envelope, p *plan, size int64) {
	d.Counters.Delivered.Add(int64(len(p.into)))
	d.Counters.Bytes.Add(int64(len(p.into)) * size)
	d.Counters.Queued.Add(int64(len(p.queued)))
	// Whoever brought it logs it too; that is enough.
	d.log.Debug("mail accepted", "message", e.ID, "from", e.From, "mailboxes", len(p.into), "queued", len(p.queued))
	if d.o.Event == nil {
		return
	}
	for _, to := range e.Recipients {
		d.o.Event(queue.Event{Kind: queue.EventReceived, Envelope: e, Recipient: to, Size: size})
	}
	for _, to := range p.done {
		d.o.Event(queue.Event{Kind: queue.EventDelivered, Envelope: e, Recipient: to, Outcome: queue.InMailbox(), Attempts: 1, Size: size})
	}
}

// domainOf is the domain of an address.
func domainOf(address string) string {
	a, err := envelope.ParseAddress(address)
	if err != nil {
		return ""
	}
	return a.Domain
}

// describe puts what a recipient's error is about before it.
func describe(to string, err error) error { return fmt.Errorf("%s: %w", to, err) }
