package pop3d

import (
	"strings"

	"mailfleet/mailnode/store"
)

// transact is the TRANSACTION state (RFC 1939 §5, §7).
func (s *session) transact(verb, arg string) bool {
	switch verb {
	case "STAT":
		s.ok("%d %d", s.drop.count, s.drop.octets)
	case "LIST":
		s.list(arg, func(number int, m store.Message) { s.line("%d %d", number, m.Size) })
	case "UIDL":
		s.list(arg, func(number int, m store.Message) { s.line("%d %s", number, m.ID) })
	case "RETR":
		s.retrieve(arg)
	case "TOP":
		s.top(arg)
	case "DELE":
		if index, _, ok := s.drop.get(arg); ok {
			s.drop.delete(index)
			s.ok("message %d is deleted at QUIT", index+1)
		} else {
			s.noMessage()
		}
	case "RSET":
		s.drop.reset()
		s.ok("%d messages (%d octets)", s.drop.count, s.drop.octets)
	case "NOOP":
		s.ok("done")
	default:
		return false
	}
	return true
}

func (s *session) noMessage() { s.fail("there is no such message") }

// list answers LIST and UIDL: a line for one message, or for all.
func (s *session) list(arg string, line func(number int, m store.Message)) {
	if arg != "" {
		index, m, ok := s.drop.get(arg)
		if !ok {
			s.noMessage()
			return
		}
		_, _ = s.w.WriteString("+OK ") // an error comes back at the next flush
		line(index+1, m)
		return
	}
	s.ok("%d messages (%d octets)", s.drop.count, s.drop.octets)
	for i, m := range s.drop.messages {
		if !s.drop.deleted[i] {
			line(i+1, m)
		}
	}
	s.line(".")
}

func (s *session) retrieve(arg string) {
	_, m, ok := s.drop.get(arg)
	if !ok {
		s.noMessage()
		return
	}
	s.ok("%d octets", m.Size)
	if s.send(m, &stuffer{w: s.w, lineStart: true}) {
		s.srv.Counters.Retrieved.Add(1)
	}
}

func (s *session) top(arg string) {
	number, lines, _ := strings.Cut(arg, " ")
	_, m, ok := s.drop.get(number)
	n, isNumber := parseNumber(lines)
	switch {
	case !isNumber:
		s.fail("TOP needs a message and a number of lines")
	case !ok:
		s.noMessage()
	default:
		s.ok("the top of the message")
		s.send(m, &stuffer{w: s.w, lineStart: true, top: true, lines: n})
	}
}

// send sends a message. When it cannot be sent to its end, the connection ends
// without the line that says so, lest the peer take it for whole.
func (s *session) send(m store.Message, to *stuffer) bool {
	err := to.copy(s.srv.mailboxes.Body(m))
	if err == nil {
		s.line(".")
		return true
	}
	s.over = true
	s.log.Warn("a message was not sent to its end", "account", s.drop.account, "uid", m.UID, "error", err)
	return false
}

// quit ends the session; from the TRANSACTION state through UPDATE (RFC 1939 §6).
func (s *session) quit() {
	s.over = true
	if s.drop == nil {
		s.ok("good-bye")
		return
	}
	if err := s.drop.expunge(s.srv.ctx, s.srv.mailboxes); err != nil {
		s.log.Error("messages were not deleted", "account", s.drop.account, "error", err)
		s.fail("[SYS/TEMP] some deleted messages are not removed")
		return
	}
	s.srv.Counters.Deleted.Add(int64(len(s.drop.deleted)))
	s.ok("%d messages left", s.drop.count)
}
