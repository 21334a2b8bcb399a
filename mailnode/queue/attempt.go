package queue

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"

	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/store"
)

// load reads a part and its message; nil when the item is void.
func (q *Queue) load(it item) (*reading, error) {
	row, err := q.table.Peek(it.key())
	if err != nil || row == nil {
		return nil, err
	}
	p, err := it.decode(row)
	if err != nil || p == nil {
		return nil, err
	}
	m, err := q.message(it.id)
	return &reading{part: p, letter: m}, err
}

// decode reads the part of an item; nil when the item is void.
func (it item) decode(row []byte) (*part, error) {
	p, err := decodePart(row)
	if err != nil || p.Held || p.Changes != it.changes {
		return nil, err
	}
	p.row = row
	return p, nil
}

func (q *Queue) message(id [16]byte) (*letter, error) {
	row, err := q.table.Peek(messageKey(id))
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, errRecord
	}
	m, err := decodeMessage(row)
	if err != nil {
		return nil, err
	}
	m.row = row
	return m, nil
}

// open returns a way to open a message.
func (q *Queue) open(id [16]byte, m *letter) (opener, error) {
	h, err := q.table.Held(id[:])
	if err != nil {
		return nil, err
	}
	return q.opener(&reading{letter: m, held: &h}), nil
}

// opener is a way to open a message whose body is known.
func (q *Queue) opener(r *reading) opener {
	if r.text != nil {
		return func() io.Reader { return bytes.NewReader(r.text) }
	}
	m, h := r.letter, *r.held
	return func() io.Reader {
		body := q.o.Store.HeldSection(h, 0, h.Size)
		if len(m.prefix) == 0 {
			return body
		}
		return io.MultiReader(bytes.NewReader(m.prefix), body)
	}
}

func all(p *part, o outbound.Outcome) (list []decision) {
	for _, to := range p.To {
		list = append(list, decision{to: to, Outcome: o})
	}
	return list
}

// deliverHere puts a message into mailboxes of this server, for each recipient in a
// change of its own: one whose mailbox is full is no obstacle to others.
func (q *Queue) deliverHere(ctx context.Context, it item, r *reading) {
	p, e := r.part, r.letter.Envelope
	e.From = cmp.Or(p.From, e.From)
	var later []decision
	for _, to := range p.To {
		d := decision{to: to}
		placed, err := q.o.Local.Place(&e, to)
		if err == nil {
			d.Outcome = InMailbox()
			d.placed = &placed
			err = q.settle(ctx, it, r, []decision{d})
			if err == nil {
				continue
			}
			d.placed = nil
		}
		d.Outcome = refusal(err)
		later = append(later, d)
	}
	if len(later) > 0 {
		q.note(ctx, it, r, later)
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
