package smtpd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailfleet/mailnode/envelope"
)

// limit is the size of the largest message worth keeping: what all recipients take, or
// in LMTP, where each has an answer, what one of them takes.
func (s *session) limit() int64 {
	switch {
	case len(s.tx.limits) == 0:
		return s.set.MessageBytes
	case s.kind == LMTP:
		return slices.Max(s.tx.limits)
	}
	return slices.Min(s.tx.limits)
}

// data is DATA (RFC 5321 §4.1.1.4).
func (s *session) data(arg string) {
	switch {
	case arg != "":
		s.fault(noArgument)
		return
	case s.tx == nil:
		s.fault(mailFirst)
		return
	case s.tx.chunks != nil:
		s.fault(chunksBegun)
		return
	case len(s.tx.env.Recipients) == 0:
		s.fault(rcptFirst)
		return
	case s.tx.env.Body == envelope.BodyBinary:
		s.fault(needsChunks)
		return
	}
	s.print("354 End the message with a line of one dot")
	sp := newSpool(s.srv.o.SpoolDir, s.limit())
	defer sp.close()
	if s.readDots(sp) {
		s.finish(sp)
	}
}

// readDots reads a message up to its end; false when the connection ends instead.
func (s *session) readDots(sp *spool) bool {
	var state dots
	pace := pace{begun: time.Now()}
	scratch := inputs.Get().(*[largeInput]byte)
	defer inputs.Put(scratch)
	s.in.grow()
	for {
		if len(s.in.ahead()) == 0 && !s.more(&pace) {
			return false
		}
		ahead := s.in.ahead()
		ahead = ahead[:min(len(ahead), largeInput-2)] // decoded it may be one byte longer
		text, n, v := state.decode(scratch[:0], ahead)
		s.in.take(n)
		pace.taken += int64(n)
		s.tx.nul = s.tx.nul || bytes.IndexByte(text, 0) >= 0
		_, _ = sp.Write(text) // its errors come at the end
		switch {
		case v == ended:
			return true
		case v == broken:
			s.breakOff(bareInMessage)
			return false
		case pace.taken > 2*s.set.MessageBytes+maxCommand: // who sends so much in vain is not listened to
			s.breakOff(tooLarge)
			return false
		}
	}
}

// breakOff ends the connection in the middle of a message.
func (s *session) breakOff(r reply) {
	s.srv.Counters.Rejected.Add(1)
	s.log().Info("refused", "reply", r.String(), "from", s.tx.env.From)
	s.end(r)
}

// pace is how fast a message comes.
type pace struct {
	begun time.Time
	taken int64
}

// patience is how long to wait for the next bytes.
func (p *pace) patience() time.Duration {
	may := dataGrace + time.Duration(p.taken/dataRate)*time.Second
	return min(dataTimeout, may-time.Since(p.begun))
}

// more reads more of a message; false when the connection ends instead.
func (s *session) more(p *pace) bool {
	patience := p.patience()
	if patience <= 0 {
		s.breakOff(tooSlow)
		return false
	}
	err := s.flush()
	if err == nil {
		err = s.base.Engage(patience)
	}
	if err == nil {
		err = s.in.fill()
	}
	switch {
	case err == nil:
		return true
	case !errors.Is(err, os.ErrDeadlineExceeded):
		s.over = true
		s.log().Info("the connection was lost in the middle of a message")
		s.srv.Counters.Rejected.Add(1)
	case patience < dataTimeout:
		s.breakOff(tooSlow)
	default:
		s.breakOff(reply{421, "4.4.2", fmt.Sprintf("No data for %v", dataTimeout)})
	}
	return false
}

// bdat is BDAT (RFC 3030). What follows the command is data whatever is thought of
// it, so that a command whose size is not known ends the connection.
func (s *session) bdat(arg string) {
	n, last, ok := parseChunk(arg)
	if !ok || n > 2*s.set.MessageBytes+maxCommand {
		r := badParameter
		if ok {
			r = tooLarge
		}
		s.end(r)
		return
	}
	bad := s.mayChunk()
	if bad == nil && s.tx.chunks == nil {
		s.tx.chunks = newSpool(s.srv.o.SpoolDir, s.limit())
	}
	if !s.readChunk(n, bad == nil) {
		return
	}
	switch {
	case bad != nil:
		s.fault(*bad)
	case s.tx.chunks.tooLarge():
		s.refuse(s.tooLarge(), nil)
		s.reset()
	case !last && n == 0: // could be said for ever
		s.idles(reply{250, "2.0.0", "No octets taken"})
	case !last:
		s.say(reply{250, "2.0.0", fmt.Sprintf("%d octets taken", n)})
	default:
		sp := s.tx.chunks
		s.tx.chunks = nil
		defer sp.close()
		s.finishChunks(sp)
	}
}

// parseChunk reads the argument of BDAT.
func parseChunk(arg string) (n int64, last, ok bool) {
	size, rest, more := strings.Cut(arg, " ")
	u, err := strconv.ParseUint(size, 10, 63)
	last = strings.EqualFold(strings.TrimLeft(rest, " "), "LAST")
	return int64(u), last, err == nil && size[0] != '+' && len(size) <= 20 && last == more
}

// mayChunk is what is wrong with a BDAT here, nil for nothing.
func (s *session) mayChunk() *reply {
	switch {
	case s.tx == nil:
		return &mailFirst
	case len(s.tx.env.Recipients) == 0:
		return &rcptFirst
	}
	return nil
}

// readChunk reads a chunk of n bytes, and keeps it if it is wanted; false when the
// connection ends instead.
func (s *session) readChunk(n int64, keep bool) bool {
	pace := pace{begun: time.Now()}
	s.in.grow()
	for n > 0 {
		if len(s.in.ahead()) == 0 && !s.moreOf(&pace) {
			return false
		}
		ahead := s.in.ahead()
		ahead = ahead[:min(int64(len(ahead)), n)]
		if keep {
			s.tx.nul = s.tx.nul || bytes.IndexByte(ahead, 0) >= 0
			s.tx.ends.add(ahead)
			_, _ = s.tx.chunks.Write(ahead) // its errors come at the end
		}
		s.in.take(len(ahead))
		n -= int64(len(ahead))
		pace.taken += int64(len(ahead))
	}
	return true
}

// moreOf is more for a chunk that may have no transaction.
func (s *session) moreOf(p *pace) bool {
	if s.tx == nil {
		s.tx = &transaction{}
		defer func() { s.tx = nil }()
	}
	return s.more(p)
}

// finishChunks is finish for a message that came in chunks, whose lines were not
// looked at.
func (s *session) finishChunks(sp *spool) {
	if s.tx.env.Body == envelope.BodyBinary {
		s.tx.nul = false // they may be there
		s.finish(sp)
		return
	}
	if s.tx.ends.bare() {
		s.answer(bareInChunk)
		return
	}
	if sp.size == 0 || s.tx.ends.last != '\n' {
		_, _ = sp.Write(crlf)
	}
	s.finish(sp)
}
