package pop3d

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"

	"mailfleet/mailnode/store"
)

// transact is the TRANSACTION state (RFC 1939 §5, §7).
func (s *session) transact(verb, arg string) bool {
	switch verb {
	case "STAT":
		s.linef("+OK %d %d", s.drop.count, s.drop.octets)
	case "LIST":
		s.list(arg, s.drop.size)
	case "UIDL":
		s.list(arg, s.drop.uidl)
	case "RETR":
		s.retrieve(arg)
	case "TOP":
		s.top(arg)
	case "DELE":
		if i, ok := s.drop.find(arg); ok {
			s.drop.delete(i)
			s.say(deletedAtQuit, i+1)
		} else {
			s.refuse(noMessage)
		}
	case "RSET":
		s.drop.reset()
		s.say(maildropHas, s.drop.count, s.drop.octets)
	case "NOOP":
		s.say(done)
	default:
		return false
	}
	return true
}

// list answers LIST and UIDL: a line for one message, or for all.
func (s *session) list(arg string, of func(index int) string) {
	if arg != "" {
		if i, ok := s.drop.find(arg); ok {
			s.line("+OK " + strconv.Itoa(i+1) + " " + of(i))
		} else {
			s.refuse(noMessage)
		}
		return
	}
	s.say(maildropHas, s.drop.count, s.drop.octets)
	for i := range s.drop.view.Len() {
		if !s.drop.deleted[i] {
			s.line(strconv.Itoa(i+1) + " " + of(i))
		}
	}
	s.line(".")
}

func (s *session) retrieve(arg string) {
	i, ok := s.drop.find(arg)
	if !ok {
		s.refuse(noMessage)
		return
	}
	if s.send(i, octetsFollow, &stuffer{w: &s.w, lineStart: true}) {
		s.srv.Counters.Retrieved.Add(1)
	}
}

func (s *session) top(arg string) {
	number, lines, _ := strings.Cut(arg, " ")
	i, ok := s.drop.find(number)
	n, isNumber := parseNumber(lines)
	switch {
	case !isNumber:
		s.refuse(topNeeds)
	case !ok:
		s.refuse(noMessage)
	default:
		s.send(i, topFollows, &stuffer{w: &s.w, lineStart: true, top: true, lines: n})
	}
}

// send sends a message. When it cannot be sent to its end, the connection ends
// without the line that says so, lest the peer take it for whole.
func (s *session) send(index int, announced text, to *stuffer) bool {
	m, err := s.drop.message(s.srv.ctx, index)
	switch {
	case errors.Is(err, store.ErrNoMessage), errors.Is(err, store.ErrNoMailbox):
		s.refuse(goneMeanwhile)
		return false
	case err != nil:
		s.log().Error("a message cannot be found", "account", s.drop.place.Account, "error", err)
		s.refuse(trouble)
		return false
	}
	s.say(announced, m.Size)
	if body := s.drop.body(); body != nil {
		err = to.copy(bytes.NewReader(body))
	} else {
		err = to.copy(s.srv.mailboxes.Body(m))
	}
	if err == nil {
		s.line(".")
		return true
	}
	s.over = true
	s.log().Warn("a message was not sent to its end", "account", s.drop.place.Account, "uid", m.UID, "error", err)
	return false
}

// quit ends the session; from the TRANSACTION state through UPDATE (RFC 1939 §6). What is
// deleted then is deleted although the server stops.
func (s *session) quit() {
	s.over = true
	if s.drop == nil {
		s.say(goodBye)
		return
	}
	gone, err := s.drop.expunge(context.WithoutCancel(s.srv.ctx))
	s.srv.Counters.Deleted.Add(int64(gone))
	if err != nil {
		s.log().Error("messages were not deleted", "account", s.drop.place.Account, "error", err)
		s.refuse(notDeleted)
		return
	}
	s.say(messagesLeft, s.drop.count)
}
