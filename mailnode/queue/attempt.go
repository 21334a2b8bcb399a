package queue

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/store"
)

// load reads a part and its message; nil when the item is void.
func (q *Queue) load(it item) (*part, *letter, error) {
	row, err := q.table.Peek(it.key())
	if err != nil || row == nil {
		return nil, nil, err
	}
	p, err := decodePart(row)
	if err != nil || p.Held || p.Changes != it.changes {
		return nil, nil, err
	}
	m, err := q.message(it.id)
	return p, m, err
}

func (q *Queue) message(id [16]byte) (*letter, error) {
	row, err := q.table.Peek(messageKey(id))
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, errRecord
	}
	return decodeMessage(row)
}

// open returns a way to open a message.
func (q *Queue) open(id [16]byte, m *letter) (opener, store.Held, error) {
	h, err := q.table.Held(id[:])
	if err != nil {
		return nil, h, err
	}
	return func() io.Reader {
		body := q.o.Store.HeldSection(h, 0, h.Size)
		if len(m.prefix) == 0 {
			return body
		}
		return io.MultiReader(bytes.NewReader(m.prefix), body)
	}, h, nil
}

// attempt tries a part. As soon as the destination is no longer needed it says so, with
// an outcome that tells how that is.
func (q *Queue) attempt(ctx context.Context, it item, why *outbound.Outcome, sent func(*outbound.Outcome)) {
	p, m, err := q.load(it)
	if err != nil {
		q.log.Error("a message of the queue cannot be read: it is tried again at the next start", "part", it.ref, "error", err)
		return
	}
	if p == nil {
		return
	}
	if p.Destination == local && p.Route == nil {
		q.deliverHere(ctx, it, p, m)
		return
	}
	open, _, err := q.open(it.id, m)
	if err != nil {
		q.note(ctx, it, p, m, all(p, outbound.Outcome{State: outbound.Temporary, Code: 451, Enhanced: "4.3.0", Text: "the message cannot be read from this server's store: " + err.Error()}))
		return
	}
	if why != nil {
		q.note(ctx, it, p, m, all(p, *why))
		return
	}
	message := &outbound.Message{Envelope: m.Envelope, To: p.To, Size: m.Size, Open: open}
	message.From = cmp.Or(p.From, m.Envelope.From)
	outcomes := q.o.Sender.Send(ctx, p.Destination, q.route(p), message)
	if ctx.Err() != nil && !slices.ContainsFunc(outcomes, func(o outbound.Outcome) bool { return o.State != outbound.Temporary }) {
		return // cut off by the server's end: it says nothing, and the next start tries again
	}
	sent(&outcomes[len(outcomes)-1])
	done := make([]decision, len(outcomes))
	for i, o := range outcomes {
		done[i] = decision{to: p.To[i], Outcome: o}
	}
	q.note(ctx, it, p, m, done)
}

func all(p *part, o outbound.Outcome) (list []decision) {
	for _, to := range p.To {
		list = append(list, decision{to: to, Outcome: o})
	}
	return list
}

// deliverHere puts a message into mailboxes of this server, for each recipient in a
// change of its own: one whose mailbox is full is no obstacle to others.
func (q *Queue) deliverHere(ctx context.Context, it item, p *part, m *letter) {
	e := m.Envelope
	e.From = cmp.Or(p.From, e.From)
	var later []decision
	for _, to := range p.To {
		d := decision{to: to}
		placed, err := q.o.Local.Place(&e, to)
		if err == nil {
			d.Outcome = InMailbox()
			d.placed = &placed
			err = q.settle(ctx, it, p, m, []decision{d})
			if err == nil {
				continue
			}
			d.placed = nil
		}
		d.Outcome = refusal(err)
		later = append(later, d)
	}
	if len(later) > 0 {
		q.note(ctx, it, p, m, later)
	}
}

// InMailbox is the outcome of mail that was put into a mailbox here.
func InMailbox() outbound.Outcome {
	return outbound.Outcome{State: outbound.Sent, Code: 250, Enhanced: "2.1.5", Text: "it is in the mailbox"}
}

func refusal(err error) outbound.Outcome {
	if r, ok := errors.AsType[*Refused](err); ok {
		return r.Outcome
	}
	switch {
	case errors.Is(err, store.ErrQuota):
		return outbound.Outcome{State: outbound.Temporary, Code: 452, Enhanced: "4.2.2", Text: "the mailbox is full"}
	case errors.Is(err, store.ErrFull):
		return outbound.Outcome{State: outbound.Temporary, Code: 452, Enhanced: "4.3.1", Text: "the disk of this server is full"}
	}
	return outbound.Outcome{State: outbound.Temporary, Code: 451, Enhanced: "4.3.0", Text: "it could not be put into the mailbox: " + err.Error()}
}
