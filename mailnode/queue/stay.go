package queue

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"mailfleet/mailnode/outbound"
)

// stay is one right to attempts at a destination, used for one part after another: they
// go over one connection. It is the series that outbound sends.
type stay struct {
	q    *Queue
	ctx  context.Context
	lane *lane

	way   way
	under []*attempt // being sent, in their order
	spare *attempt   // that goes another way

	noting  chan struct{} // has one for each attempt whose outcome is being written
	unnoted sync.WaitGroup
}

// noteMost is how many outcomes of one stay are being written while it goes on: the remote
// need not wait for this server's disk. A crash of this server has the remote get those
// again whose outcomes were not yet durable, so that it is few.
const noteMost = 4

// way is where a part goes. Parts of one lane can have several: domains behind one smart
// host, or its users.
type way struct {
	domain string
	direct bool
	route  outbound.Route
}

func wayOf(domain string, route *outbound.Route) way {
	if route == nil {
		return way{domain: domain, direct: true}
	}
	return way{domain: domain, route: *route}
}

// host is the smart host of a way, nil for none.
func (w *way) host() *outbound.Route {
	if w.direct {
		return nil
	}
	return &w.route
}

// attempt is a part that is being tried.
type attempt struct {
	item
	*reading
	way     way
	message *outbound.Message
}

// stay tries an item, and those of its lane that follow it. why is set when the lane is
// dead, and why.
func (q *Queue) stay(ctx context.Context, it item, l *lane, why *outbound.Outcome) {
	s := &stay{q: q, ctx: ctx, lane: l, spare: q.prepareAttempt(ctx, it, l, why), noting: make(chan struct{}, noteMost)}
	defer s.unnoted.Wait()
	for s.spare != nil {
		s.way = s.spare.way
		q.o.Sender.SendAll(ctx, s.way.domain, s.way.host(), s)
	}
}

// prepareAttempt reads what is to be sent of an item; nil when there is nothing to be sent:
// then the item is done with.
func (q *Queue) prepareAttempt(ctx context.Context, it item, l *lane, why *outbound.Outcome) *attempt {
	r, err := q.fetch(it, l, why != nil)
	switch {
	case err != nil:
		q.log.Error("a message of the queue cannot be read: it is tried again at the next start", "part", it.ref, "error", err)
	case r == nil:
	case r.Destination == local && r.Route == nil:
		q.deliverHere(ctx, it, r)
	case r.failed != nil:
		q.note(ctx, it, r, all(r.part, outbound.Outcome{State: outbound.Temporary, Code: 451, Enhanced: "4.3.0", Text: "the message cannot be read from this server's store: " + r.failed.Error()}))
	case why != nil:
		q.note(ctx, it, r, all(r.part, *why))
	default:
		a := &attempt{item: it, reading: r, way: wayOf(r.Destination, q.route(r.part))}
		a.message = &outbound.Message{Envelope: r.Envelope, To: r.To, Size: r.Size, Open: q.opener(r)}
		a.message.From = cmp.Or(r.From, r.Envelope.From)
		return a
	}
	q.done(it, l)
	return nil
}

// done ends an attempt.
func (q *Queue) done(it item, l *lane) {
	l.shelf.forget(it.ref) // before another may begin
	q.mu.Lock()
	defer q.mu.Unlock()
	q.memory.done(it, l)
}

// Next implements outbound.Series.
func (s *stay) Next() *outbound.Message {
	q := s.q
	for {
		if s.spare == nil {
			q.mu.Lock()
			n := q.set.Load().Concurrency
			it, ok := item{}, false
			if q.running && q.workers <= n {
				it, ok = q.memory.another(s.lane, q.now(), q.workers < n)
			}
			q.mu.Unlock()
			if !ok {
				return nil
			}
			if s.spare = q.prepareAttempt(s.ctx, it, s.lane, nil); s.spare == nil {
				continue
			}
		}
		if s.spare.way != s.way {
			return nil
		}
		a := s.spare
		s.spare, s.under = nil, append(s.under, a)
		return a.message
	}
}

// Done implements outbound.Series.
func (s *stay) Done(_ *outbound.Message, outcomes []outbound.Outcome) {
	q, a := s.q, s.under[0]
	s.under = s.under[1:]
	// Cut off by the server's end it says nothing, and the next start tries again.
	if s.ctx.Err() != nil && !slices.ContainsFunc(outcomes, func(o outbound.Outcome) bool { return o.State != outbound.Temporary }) {
		q.done(a.item, s.lane)
		return
	}
	q.learn(s.lane, &outcomes[len(outcomes)-1])
	done := make([]decision, len(outcomes))
	for i, o := range outcomes {
		done[i] = decision{to: a.To[i], Outcome: o}
	}
	s.noting <- struct{}{}
	s.unnoted.Go(func() {
		q.note(s.ctx, a.item, a.reading, done)
		q.done(a.item, s.lane)
		<-s.noting
	})
}

// learn adapts to what a destination bears.
func (q *Queue) learn(l *lane, o *outbound.Outcome) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if o.Session && o.State == outbound.Temporary {
		l.failed(q.now(), *o)
		return
	}
	l.succeeded(q.set.Load().PerDestination)
	q.memory.stand(l)
	q.hire()
}
