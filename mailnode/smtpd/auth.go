package smtpd

import (
	"errors"
	"strings"

	"mailfleet/inventory"
	"mailfleet/inventory/throttle"
	"mailfleet/mailnode/api"
	"mailfleet/mailnode/auth"
)

// signer is the peer for one attempt to sign in.
func (s *session) signer() *auth.Peer {
	p := &auth.Peer{
		Protocol: api.Submission, Address: auth.Address(s.base.RemoteAddr()), Local: s.base.Local(), TLS: s.tls, Log: s.log(),
	}
	if s.tls != nil {
		p.Certificates = s.set.TLS.Certificates
	}
	return p
}

// authenticate is RFC 4954 §4.
func (s *session) authenticate(arg string) {
	mechanism, initial, given := strings.Cut(arg, " ")
	switch {
	case !s.kind.submits() || s.srv.o.Auth == nil:
		s.fault(notOffered)
		return
	case s.helo == "" || !s.extended:
		s.fault(helloFirst)
		return
	case s.user != nil:
		s.fault(signedInTwice)
		return
	case s.tx != nil:
		s.fault(badSequence)
		return
	case mechanism == "":
		s.fault(badSyntax)
		return
	}
	var first *string
	if given {
		first = &initial
	}
	id, err := s.srv.o.Auth.Converse(s.srv.ctx, s.signer(), mechanism, first, func(challenge string) (string, error) {
		s.print("334 " + challenge)
		line, err := s.readLine(maxAuthLine)
		s.over = s.over || err != nil
		return line, err
	})
	switch {
	case s.over: // nobody is there to be answered
	case err == nil:
		s.signIn(id)
	default:
		s.signInFailed(err)
	}
}

func (s *session) signIn(id auth.Identity) {
	s.user = &id
	s.base.SignedIn(inventory.ID(id.Account.ID), id.Account.Address)
	s.say(signedIn)
}

// signInFailed answers a sign-in that failed, and ends the connection after a few.
func (s *session) signInFailed(err error) {
	throttled, ok := errors.AsType[*auth.ThrottledError](err)
	switch {
	case errors.Is(err, auth.ErrClear):
		s.fault(tlsForAuth)
		return
	case errors.Is(err, auth.ErrMechanism):
		s.fault(noMechanism)
		return
	case errors.Is(err, auth.ErrNotBase64):
		s.fault(notBase64)
		return
	case errors.Is(err, auth.ErrCancelled):
		s.fault(cancelled)
		return
	case ok:
		s.say(reply{454, "4.7.0", "Too many failed sign-ins, try again in " + throttle.RoundUp(throttled.Wait).String()})
	case errors.Is(err, auth.ErrMalformed):
		s.say(notResponse)
	case errors.Is(err, auth.ErrSuspended):
		s.say(suspended)
	case errors.Is(err, auth.ErrOff):
		s.say(switchedOff)
	case errors.Is(err, auth.ErrRefused):
		s.say(wrongPassword)
	default:
		if s.srv.ctx.Err() == nil {
			s.log().Error("a sign-in could not be checked", "error", err)
		}
		s.say(reply{454, "4.7.0", "The server has a problem, try again later"})
	}
	if s.failures++; s.failures >= maxFailures {
		s.end(reply{421, "4.7.0", "Too many failed sign-ins"})
	}
}
