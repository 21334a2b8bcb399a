package smtpd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"syscall"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/message"
	"mailfleet/mailnode/milter"
	"mailfleet/mailnode/origin"
)

// content is a message that has come: its header, which may have been changed, and
// the rest in a spool.
type content struct {
	header []byte
	spool  *spool
	rest   int // where in the spool the rest begins
}

func (c *content) size() int64 { return int64(len(c.header)) + c.spool.size - int64(c.rest) }

// open reads the message.
func (c *content) open() io.Reader {
	if len(c.header) == 0 {
		return c.spool.from(c.rest)
	}
	return io.MultiReader(bytes.NewReader(c.header), c.spool.from(c.rest))
}

// tooLarge is the answer to a message over the limit of its transaction.
func (s *session) tooLarge() reply {
	if s.limit() < s.set.MessageBytes {
		return tooLargeHere
	}
	return tooLarge
}

// answer ends the transaction with one answer, which LMTP gives for each recipient.
func (s *session) answer(r reply) {
	s.refuse(r, nil)
	if s.kind == LMTP {
		for range len(s.tx.env.Recipients) - 1 {
			s.say(r)
		}
	}
	s.reset()
}

// finish decides on a message that has come whole, and ends the transaction.
func (s *session) finish(sp *spool) {
	s.idle = 0
	switch {
	case sp.tooLarge():
		s.answer(s.tooLarge())
		return
	case errors.Is(sp.err, syscall.ENOSPC):
		s.log().Error("a message cannot be kept while it arrives", "error", sp.err)
		s.answer(noSpace)
		return
	case sp.err != nil:
		s.log().Error("a message cannot be kept while it arrives", "error", sp.err)
		s.answer(localTrouble)
		return
	case s.tx.nul:
		s.answer(nulBytes)
		return
	}
	end := headerEnd(sp.mem)
	if end == len(sp.mem) && sp.size > int64(end) || end > maxHeader {
		s.answer(headerTooLarge)
		return
	}
	if s.tx.env.Body == envelope.BodyBinary && !wholeLines(sp.mem[:end]) {
		s.answer(bareInChunk)
		return
	}
	c := &content{header: sp.mem[:end:end], spool: sp, rest: end}
	fields := fieldsOf(c.header)
	if count(fields, "received") > maxHops {
		s.answer(loop)
		return
	}
	prefix, bad := s.examine(c, fields)
	switch {
	case bad != nil:
		s.answer(*bad)
	case s.tx.discard:
		s.log().Info("a filter discards the message", "id", s.tx.env.ID, "from", s.tx.env.From)
		s.accepted(len(s.tx.env.Recipients), 0)
		s.reset()
	default:
		s.deliver(c, prefix)
	}
}

// examine lets everybody look at a message. It returns the header lines to put on top,
// or why the message is refused.
func (s *session) examine(c *content, fields []field) (prefix []byte, bad *reply) {
	if s.user != nil {
		if bad := s.complete(c, fields); bad != nil {
			return nil, bad
		}
	} else if s.kind == Receiving {
		n := len(fields)
		// Nobody else speaks in this server's name (RFC 8601 §5).
		fields = without(slices.Clone(fields), "authentication-results", func(f *field) bool { return s.claims(f) })
		fields = without(fields, strings.ToLower(markField), every)
		if len(fields) != n {
			c.header = join(fields)
		}
	}
	for _, m := range s.tx.marks {
		prefix = message.AppendField(prefix, markField, m)
	}
	if s.policy.Judge && s.srv.o.Judge != nil && !s.trusted() && !s.known() {
		v, err := s.srv.o.Judge.Judge(s.srv.ctx, s.arrival(c))
		if bad := s.objection(v.Refusal, err); bad != nil {
			return nil, bad
		}
		s.tx.env.Quarantine = v.Quarantine
		prefix = append(prefix, v.Fields...)
	}
	if s.filter != nil && !s.tx.accept && !s.tx.discard {
		s.tx.seen = true
		r := s.filter.Message(s.srv.ctx, s.arrival(c))
		s.tx.discard = s.tx.discard || r.Discard
		if bad := s.objection(r.Refusal, s.apply(c, &r.Changes)); bad != nil {
			return nil, bad
		}
	}
	if s.user != nil {
		if bad := s.release(c, &prefix); bad != nil {
			return nil, bad
		}
	}
	return append(prefix, s.received()...), nil
}

// markField says of the peer what did not suffice to refuse its mail, for the filters of
// those who read it.
const markField = "X-Mailfleet-Peer"

// objection is the answer when a message is refused, or cannot be examined.
func (s *session) objection(r *envelope.Refusal, err error) *reply {
	if r != nil {
		answer := refused(r)
		return &answer
	}
	if err == nil {
		return nil
	}
	answer, known := replyTo(err)
	if !known {
		s.log().Error("a message cannot be examined", "id", s.tx.env.ID, "error", err)
	}
	return &answer
}

// claims reports whether a field says it is of this server's making, or cannot be read.
func (s *session) claims(f *field) bool { return origin.Forged(f.name, f.value(), s.set.Hostname) }

func (s *session) arrival(c *content) Arrival {
	return Arrival{Peer: s.peer(), Envelope: &s.tx.env, Header: c.header, Open: c.open}
}

// apply does what a filter wants of a message.
func (s *session) apply(c *content, changes *milter.Changes) error {
	if changes.Quarantine != "" {
		s.tx.env.Quarantine = changes.Quarantine
	}
	if changes.From != nil {
		s.tx.env.From = *changes.From
	}
	for _, to := range changes.Remove {
		s.tx.env.Recipients = slices.DeleteFunc(s.tx.env.Recipients, func(r envelope.Recipient) bool { return strings.EqualFold(r.Address, to) })
	}
	for _, to := range changes.Add {
		if address, err := envelope.ParseAddress(to); err == nil {
			s.tx.env.Recipients = append(s.tx.env.Recipients, envelope.Recipient{Address: address.String()})
		}
	}
	if len(s.tx.env.Recipients) == 0 {
		s.tx.discard = true
	}
	if len(changes.Header) > 0 {
		c.header = join(change(fieldsOf(c.header), changes.Header))
	}
	if !changes.NewBody {
		return nil
	}
	body := newSpool(s.srv.o.SpoolDir, s.set.MessageBytes)
	s.tx.replaced = append(s.tx.replaced, body)
	_, _ = body.Write(crlf) // between header and body; errors come at the end
	_, _ = body.Write(changes.Body)
	if body.tooLarge() {
		return &envelope.Refusal{Code: tooLarge.code, Enhanced: tooLarge.enhanced, Text: tooLarge.text}
	}
	c.spool, c.rest = body, 0
	return body.err
}

// deliver hands the message over and answers.
func (s *session) deliver(c *content, prefix []byte) {
	if s.kind == LMTP {
		s.deliverEach(c, prefix)
		return
	}
	if err := s.srv.o.Deliverer.Accept(s.srv.ctx, s.tx.env, prefix, c.open(), c.size()); err != nil {
		s.reject(err)
		s.reset()
		return
	}
	s.accepted(len(s.tx.env.Recipients), int64(len(prefix))+c.size())
	s.reset()
}

// took counts and logs a message that is somebody else's now.
func (s *session) took(recipients int, size int64) {
	s.srv.Counters.Accepted.Add(1)
	s.srv.Counters.Recipients.Add(int64(recipients))
	s.srv.Counters.Bytes.Add(size)
	// As s.log does it, which makes a log for each line: here there are many.
	s.srv.log.LogAttrs(s.srv.ctx, slog.LevelInfo, "message received",
		slog.String("cid", s.base.ID()), slog.String("peer", s.base.RemoteAddr().String()),
		slog.String("id", s.tx.env.ID), slog.String("from", s.tx.env.From), slog.Int("recipients", recipients), slog.Int64("bytes", size))
}

// accepted answers a message that is somebody else's now.
func (s *session) accepted(recipients int, size int64) {
	s.took(recipients, size)
	r := reply{250, "2.6.0", fmt.Sprintf("Taken as %s", s.tx.env.ID)}
	s.say(r)
	if s.kind == LMTP {
		for range recipients - 1 {
			s.say(r)
		}
	}
}

// deliverEach is deliver for LMTP, where each recipient has an answer (RFC 2033
// §4.2): what cannot be taken for all is tried for each.
func (s *session) deliverEach(c *content, prefix []byte) {
	recipients, size := s.tx.env.Recipients, int64(len(prefix))+c.size()
	fits := !slices.ContainsFunc(s.tx.limits, func(most int64) bool { return c.size() > most })
	if fits && s.srv.o.Deliverer.Accept(s.srv.ctx, s.tx.env, prefix, c.open(), c.size()) == nil {
		s.accepted(len(recipients), size)
		s.reset()
		return
	}
	taken := 0
	for i, r := range recipients {
		one := s.tx.env
		one.Recipients = []envelope.Recipient{r}
		if i < len(s.tx.limits) && c.size() > s.tx.limits[i] {
			s.refuse(tooLargeHere, nil)
			continue
		}
		if err := s.srv.o.Deliverer.Accept(s.srv.ctx, one, prefix, c.open(), c.size()); err != nil {
			s.reject(err)
			continue
		}
		taken++
		s.say(reply{250, "2.6.0", fmt.Sprintf("Taken as %s", s.tx.env.ID)})
	}
	if taken > 0 {
		s.took(taken, size)
	}
	s.reset()
}
