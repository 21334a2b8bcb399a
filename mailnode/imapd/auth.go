package imapd

import (
	"crypto/tls"
	"errors"

	"github.com/emersion/go-imap/v2"

	"mailfleet/inventory"
	"mailfleet/inventory/throttle"
	"mailfleet/mailnode/api"
	"mailfleet/mailnode/auth"
	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/imapd/wire"
)

// user is who signed in.
type user struct{ directory.Account }

// who is the peer for one attempt.
func (s *session) who() *auth.Peer {
	peer := &auth.Peer{
		Protocol: api.IMAP, Address: auth.Address(s.link.base.RemoteAddr()), Local: s.link.base.Local(), Log: s.log(),
	}
	if c, ok := s.link.conn.(*tls.Conn); ok {
		state := c.ConnectionState()
		peer.TLS, peer.Certificates = &state, s.set.TLS.Certificates
	}
	return peer
}

// mayAuthenticate reports whether a password may travel here.
func (s *session) mayAuthenticate() bool { return s.secure || s.link.base.Local() }

var errPrivacy = refuse(imap.ResponseCodePrivacyRequired, "passwords are taken only after STARTTLS")

// starttls is RFC 9051 §6.2.1.
func (s *session) starttls(c *call) error {
	if err := s.end(); err != nil {
		return err
	}
	switch {
	case s.secure:
		return wire.Bad("TLS is on already")
	case s.set.TLS == nil:
		return wire.Bad("there is no TLS here")
	case len(s.r.Buffered()) > 0: // sent in the clear, to be taken for part of the TLS session
		s.over = true
		return wire.Bad("nothing may follow STARTTLS before TLS begins")
	}
	s.tagged(c, "OK", "", "begin TLS")
	if err := s.w.Flush(); err != nil {
		return err
	}
	if !s.startTLS() {
		s.over = true
	}
	return errAnswered
}

// login is RFC 9051 §6.2.3.
func (s *session) login(c *call) error {
	if err := s.r.Space(); err != nil {
		return err
	}
	name, err := s.r.AString()
	if err != nil {
		return err
	}
	if err := s.r.Space(); err != nil {
		return err
	}
	password, err := s.r.AString()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	if !s.mayAuthenticate() {
		return errPrivacy
	}
	id, err := s.srv.auth.Password(s.srv.ctx, s.who(), "LOGIN", name, password)
	return s.signIn(c, id, err)
}

// maxSASL is the longest line of a SASL exchange (RFC 4954 has the same).
const maxSASL = 12288

// authenticate is RFC 9051 §6.2.2, with an initial response (RFC 4959).
func (s *session) authenticate(c *call) error {
	if err := s.r.Space(); err != nil {
		return err
	}
	mechanism, err := s.r.Word()
	if err != nil {
		return err
	}
	var initial *string
	if s.r.Take(' ') {
		word, err := s.r.AString()
		if err != nil {
			return err
		}
		initial = &word
	}
	if err := s.end(); err != nil {
		return err
	}
	id, err := s.srv.auth.Converse(s.srv.ctx, s.who(), mechanism, initial, func(challenge string) (string, error) {
		s.w.Raw("+ ").Raw(challenge).CRLF()
		if err := s.w.Flush(); err != nil {
			return "", err
		}
		return s.r.Line(maxSASL)
	})
	return s.signIn(c, id, err)
}

// signIn ends an attempt to sign in. The connection ends after a few that fail.
func (s *session) signIn(c *call, id auth.Identity, err error) error {
	if err != nil {
		return s.refuseSignIn(err)
	}
	s.user = &user{id.Account}
	s.failures = 0
	s.r.Limits = userLimits
	s.link.base.SignedIn(inventory.ID(id.Account.ID), id.Account.Address)
	c.code = "CAPABILITY " + s.capabilityList()
	c.text = "signed in"
	return nil
}

func (s *session) refuseSignIn(err error) error {
	var throttled *auth.ThrottledError
	no := func(code imap.ResponseCode, text string) error {
		s.failures++
		s.over = s.failures >= maxFailures
		return refuse(code, text)
	}
	switch {
	case errors.Is(err, auth.ErrClear):
		return errPrivacy
	case errors.Is(err, auth.ErrMechanism):
		return refuse(imap.ResponseCodeCannot, "there is no such mechanism")
	case errors.Is(err, auth.ErrNotBase64):
		return wire.Bad("that is not base64")
	case errors.Is(err, auth.ErrCancelled):
		return wire.Bad("the exchange was called off")
	case errors.As(err, &throttled):
		return no(imap.ResponseCodeUnavailable, "too many failed sign-ins, try again in "+throttle.RoundUp(throttled.Wait).String())
	case errors.Is(err, auth.ErrMalformed):
		s.failures++
		s.over = s.failures >= maxFailures
		return wire.Bad("the response is not one of the mechanism")
	case errors.Is(err, auth.ErrSuspended):
		return no(imap.ResponseCodeContactAdmin, "the account is suspended")
	case errors.Is(err, auth.ErrOff):
		return no(imap.ResponseCodeContactAdmin, "IMAP is switched off for this account, ask your administrator")
	case errors.Is(err, auth.ErrRefused):
		return no(imap.ResponseCodeAuthenticationFailed, "wrong address or password")
	}
	return err
}

// signOff forgets who signed in.
func (s *session) signOff() {
	s.notify = nil
	s.watch.stop()
	s.user = nil
	s.condstore, s.qresync, s.rev2, s.utf8, s.w.UTF8 = false, false, false, false, false
	s.r.Limits = strangerLimits
	s.link.base.SignedIn("", "")
}

// unauthenticate is RFC 8437.
func (s *session) unauthenticate(c *call) error {
	if err := s.end(); err != nil {
		return err
	}
	s.deselect()
	s.signOff()
	c.code = "CAPABILITY " + s.capabilityList()
	return nil
}
