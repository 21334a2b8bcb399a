package imapd

import (
	"errors"
	"os"
	"time"

	"mailfleet/mailnode/imapd/wire"
)

// stillHere is how often an idling peer hears something, so that what lies between
// keeps the connection, and a peer that is gone is noticed.
const stillHere = 4 * time.Minute

// idle is RFC 9051 §6.3.13. It has no end of its own: a peer that takes what is
// sent is there.
func (s *session) idle(c *call) error {
	if err := s.end(); err != nil {
		return err
	}
	s.idling = true
	s.watchMailboxes()
	defer func() {
		s.idling = false
		s.watchMailboxes()
	}()
	s.w.Raw("+ idling\r\n")
	if s.box != nil {
		s.update(true)
	}
	for !s.over {
		err := s.await(stillHere)
		switch {
		case err == nil:
			return s.done()
		case errors.Is(err, os.ErrDeadlineExceeded) && !s.link.base.Interrupted():
			s.untagged("", "still here")
		default:
			return err
		}
	}
	return errAnswered
}

// done reads the DONE that ends IDLE.
func (s *session) done() error {
	line, err := s.r.Line(strangerLimits.Line)
	if err != nil {
		return err
	}
	if !equalFold(line, "DONE") {
		return wire.Bad("DONE was expected")
	}
	return nil
}

// watchMailboxes watches what the session wants to hear of at once: while it idles, the
// selected mailbox; after NOTIFY, what that named.
func (s *session) watchMailboxes() {
	var accounts []string
	if s.notify != nil {
		accounts = s.notify.accounts(s)
	}
	if s.idling && s.box != nil {
		accounts = addName(accounts, s.box.place.Account)
	}
	if len(accounts) == 0 {
		s.watch.stop()
		return
	}
	s.watch.start(s.srv.store, s.link.base, accounts...)
}

func addName(names []string, name string) []string {
	for _, n := range names {
		if n == name {
			return names
		}
	}
	return append(names, name)
}

// tell tells of what happened while the session waits.
func (s *session) tell() {
	all := s.watch.take()
	if s.notify != nil {
		s.tellNotify(all)
	}
	if s.idling && s.box != nil && !s.over {
		s.update(true)
	}
}
