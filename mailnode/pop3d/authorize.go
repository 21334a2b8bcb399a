package pop3d

import (
	"errors"
	"strings"

	"mailfleet/inventory"
	"mailfleet/inventory/throttle"
	"mailfleet/mailnode/api"
	"mailfleet/mailnode/auth"
)

const protocol = api.POP3

// authorize is the AUTHORIZATION state (RFC 1939 §4, §7; RFC 5034).
func (s *session) authorize(verb, arg string) bool {
	switch verb {
	case "STLS":
		s.stls(arg)
	case "AUTH":
		s.authenticate(arg)
	case "USER":
		switch {
		case !s.peer.MayAuthenticate():
			s.refuse(clear)
		case arg == "":
			s.refuse(userNeedsAddress)
		default:
			s.user = arg
			s.say(nowPassword)
		}
	case "PASS":
		switch user := s.user; {
		case !s.peer.MayAuthenticate():
			s.refuse(clear)
		case user == "":
			s.refuse(userFirst)
		default:
			s.user = ""
			id, err := s.srv.auth.Password(s.srv.ctx, s.who(), "USER", user, arg)
			s.signIn(id, err)
		}
	default:
		return false
	}
	return true
}

// who is the peer for one attempt.
func (s *session) who() *auth.Peer {
	peer := s.peer
	peer.Log = s.log()
	return &peer
}

// stls is RFC 2595 §4.
func (s *session) stls(arg string) {
	switch {
	case arg != "":
		s.refuse(noArgument)
	case s.peer.TLS != nil:
		s.refuse(tlsAlready)
	case s.set.TLS == nil:
		s.refuse(noTLS)
	case s.r.Buffered() > 0: // sent in the clear, to be taken for part of the TLS session
		s.over = true
		s.refuse(nothingMayFollow)
	default:
		s.say(beginTLS)
		if s.w.flush() != nil || !s.startTLS() {
			s.over = true
			return
		}
		s.user, s.lang = "", english // what was said in the clear does not count
	}
}

// authenticate is RFC 5034 §4. Without an argument it lists the mechanisms, as servers did
// before CAPA.
func (s *session) authenticate(arg string) {
	mechanism, initial, given := strings.Cut(arg, " ")
	if mechanism == "" && s.peer.MayAuthenticate() {
		s.say(mechanismsFollow)
		for _, m := range s.srv.auth.Mechanisms(&s.peer) {
			s.line(m)
		}
		s.line(".")
		return
	}
	var first *string
	if given {
		first = &initial
	}
	id, err := s.srv.auth.Converse(s.srv.ctx, s.who(), mechanism, first, func(challenge string) (string, error) {
		s.line("+ " + challenge)
		line, err := s.readLine(maxSASLLine)
		s.over = s.over || err != nil
		return string(line), err
	})
	if !s.over { // else nobody is there to be answered
		s.signIn(id, err)
	}
}

// signIn answers an attempt to sign in, and opens the maildrop of who succeeded.
func (s *session) signIn(id auth.Identity, err error) {
	if err != nil {
		s.fail(err)
		return
	}
	account := id.Account.ID
	if !s.srv.hold(account) {
		s.refuse(inUse)
		return
	}
	drop, err := openMaildrop(s.srv.ctx, s.srv.mailboxes, account)
	if err != nil {
		s.srv.release(account)
		s.log().Error("the maildrop cannot be opened", "account", account, "error", err)
		s.refuse(trouble)
		return
	}
	s.drop = drop
	s.base.SignedIn(inventory.ID(account), id.Account.Address)
	s.say(maildropHas, drop.count, drop.octets)
}

// fail answers a sign-in that failed, and ends the connection after a few.
func (s *session) fail(err error) {
	throttled, ok := errors.AsType[*auth.ThrottledError](err)
	switch {
	case errors.Is(err, auth.ErrClear):
		s.refuse(clear)
		return
	case errors.Is(err, auth.ErrMechanism):
		s.refuse(noMechanism)
		return
	case errors.Is(err, auth.ErrNotBase64):
		s.refuse(notBase64)
		return
	case errors.Is(err, auth.ErrCancelled):
		s.refuse(cancelled)
		return
	case ok:
		s.refuse(tooManyFailures, throttle.RoundUp(throttled.Wait))
	case errors.Is(err, auth.ErrMalformed):
		s.refuse(malformed)
	case errors.Is(err, auth.ErrSuspended):
		s.refuse(suspended)
	case errors.Is(err, auth.ErrOff):
		s.refuse(switchedOff)
	case errors.Is(err, auth.ErrRefused):
		s.refuse(wrong)
	default:
		if s.srv.ctx.Err() == nil {
			s.log().Error("a sign-in could not be checked", "error", err)
		}
		s.refuse(trouble)
	}
	s.failures++
	s.over = s.failures >= maxFailures
}
