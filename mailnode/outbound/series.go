package outbound

import "context"

// Series is messages that are given to one domain one after the other, on one connection
// as far as that goes.
type Series interface {
	// Next returns the message to follow, nil when there is none. It is asked while the one
	// before is being sent.
	Next() *Message
	// Done is told what became of a message, with one outcome for each of its To, in that
	// order. Messages end in the order in which Next returned them, and the body of none
	// begins to be sent before Done has returned for the one before.
	Done(m *Message, outcomes []Outcome)
}

// SendAll is Send for one message after another.
func (c *Client) SendAll(ctx context.Context, domain string, route *Route, s Series) {
	fresh := func(m *Message) *job { return newJob(ctx, c.set.Load(), m) }
	for r := (&run{Series: s, fresh: fresh}); r.take() != nil; r.end() {
		for len(r.left) > 0 {
			c.send(ctx, domain, route, r)
		}
	}
}

// single is a series of one.
type single struct {
	message  *Message
	outcomes []Outcome
}

// Next implements Series.
func (s *single) Next() *Message {
	m := s.message
	s.message = nil
	return m
}

// Done implements Series.
func (s *single) Done(_ *Message, outcomes []Outcome) { s.outcomes = outcomes }

// run is a series under way.
type run struct {
	Series
	fresh func(m *Message) *job
	*job       // being sent, nil between two
	ahead *job // to follow, nil when it was not asked for
}

// take makes the next message the one being sent, unless there is one.
func (r *run) take() *job {
	if r.job == nil {
		r.job = r.look()
		r.ahead = nil
	}
	return r.job
}

// look looks for the message that follows.
func (r *run) look() *job {
	if r.ahead == nil {
		if m := r.Next(); m != nil {
			r.ahead = r.fresh(m)
		}
	}
	return r.ahead
}

// end ends the message being sent. When the next one is known, it becomes that.
func (r *run) end() {
	r.Done(r.Message, r.outcomes)
	r.job, r.ahead = r.ahead, nil
}

// begin begins the next transaction behind the end of a message that goes to some
// recipients, and before it is known whether that is taken: RFC 2920 §3.1 has the content
// of a message be the first in a group of commands. A server that takes the group for part
// of the message, or drops it, does not keep to that; it is then left alone with it for a
// while.
func (c *conn) begin(r *run, to []int) error {
	if c.alone || len(r.left) > len(to) || !c.has("PIPELINING") || c.messages >= c.limit("MAILMAX", c.set.PerConnection) {
		return nil
	}
	next := r.look()
	if next == nil || next.RequireTLS != r.RequireTLS {
		return nil
	}
	e := c.opening(next)
	if e == nil {
		return nil
	}
	c.said = e
	return e.say(c.w)
}
