package imapd

import (
	"encoding/base64"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/auth"
	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/imapd/wire"
)

// user is who signed in.
type user struct{ directory.Account }

// mayAuthenticate reports whether a password may travel here.
func (s *session) mayAuthenticate() bool {
	if s.secure || s.set.PlainAuth {
		return true
	}
	peer, ok := s.link.base.RemoteAddr().(*net.TCPAddr)
	return ok && peer.IP.IsLoopback()
}

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
	s.startTLS()
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
	a, err := s.srv.verifier.Verify(s.srv.ctx, name, password)
	return s.signIn(c, a, name, err)
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
	var response []byte
	if s.r.Take(' ') {
		word, err := s.r.AString()
		if err != nil {
			return err
		}
		if response, err = decodeSASL(word, true); err != nil {
			return err
		}
	}
	if err := s.end(); err != nil {
		return err
	}
	start, ok := s.mechanisms()[mechanism]
	if !ok {
		if !s.mayAuthenticate() {
			return errPrivacy
		}
		return refuse(imap.ResponseCodeCannot, "there is no such mechanism")
	}
	return s.exchange(c, start(s), response)
}

// exchange runs a SASL exchange to its end.
func (s *session) exchange(c *call, e exchange, response []byte) error {
	for {
		challenge, done, err := e.Next(response)
		if done || err != nil {
			a, name := e.Account()
			return s.signIn(c, a, name, err)
		}
		s.w.Raw("+ ").Raw(base64.StdEncoding.EncodeToString(challenge)).CRLF()
		if err := s.w.Flush(); err != nil {
			return err
		}
		line, err := s.r.Line(maxSASL)
		if err != nil {
			return err
		}
		if line == "*" {
			return wire.Bad("the exchange was called off")
		}
		if response, err = decodeSASL(line, false); err != nil {
			return err
		}
	}
}

// decodeSASL decodes a response; an initial one that is empty is written "=".
func decodeSASL(s string, initial bool) ([]byte, error) {
	if initial && s == "=" {
		return []byte{}, nil
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, wire.Bad("that is not base64")
	}
	return b, nil
}

// exchange is one side of a SASL exchange (RFC 4422 §3). Its errors are those of
// auth.Verifier.
type exchange interface {
	// Next takes a response, nil when the peer gave no initial one, and returns a
	// challenge, or that the exchange is over.
	Next(response []byte) (challenge []byte, done bool, err error)
	// Account is who signed in, and the name that was given.
	Account() (directory.Account, string)
}

// mechanisms are those offered to the peer now.
func (s *session) mechanisms() map[string]func(*session) exchange {
	if !s.mayAuthenticate() {
		return nil
	}
	return map[string]func(*session) exchange{
		"PLAIN": func(s *session) exchange { return &plain{s: s} },
		"LOGIN": func(s *session) exchange { return &loginExchange{s: s} },
	}
}

// plain is RFC 4616.
type plain struct {
	s       *session
	account directory.Account
	name    string
}

func (p *plain) Account() (directory.Account, string) { return p.account, p.name }

func (p *plain) Next(response []byte) ([]byte, bool, error) {
	if response == nil {
		return nil, false, nil
	}
	parts := strings.Split(string(response), "\x00")
	if len(parts) != 3 {
		return nil, true, wire.Bad("PLAIN takes three parts")
	}
	p.name = parts[1]
	if parts[0] != "" && !strings.EqualFold(parts[0], parts[1]) {
		return nil, true, refuse(imap.ResponseCodeAuthorizationFailed, "you cannot act for somebody else")
	}
	var err error
	p.account, err = p.s.srv.verifier.Verify(p.s.srv.ctx, p.name, parts[2])
	return nil, true, err
}

// loginExchange is the LOGIN mechanism, which was never more than a draft and is in use.
type loginExchange struct {
	s       *session
	account directory.Account
	name    string
	named   bool
}

func (l *loginExchange) Account() (directory.Account, string) { return l.account, l.name }

func (l *loginExchange) Next(response []byte) ([]byte, bool, error) {
	switch {
	case response == nil:
		return []byte("Username:"), false, nil
	case !l.named:
		l.name, l.named = string(response), true
		return []byte("Password:"), false, nil
	}
	var err error
	l.account, err = l.s.srv.verifier.Verify(l.s.srv.ctx, l.name, string(response))
	return nil, true, err
}

// signIn ends an attempt to sign in.
func (s *session) signIn(c *call, a directory.Account, name string, err error) error {
	switch {
	case errors.Is(err, auth.ErrRefused), errors.Is(err, auth.ErrSuspended):
		return s.refuseSignIn(name, err)
	case err != nil:
		return err
	}
	s.user = &user{a}
	s.failures = 0
	s.r.Limits = userLimits
	s.srv.Counters.Logins.Add(1)
	s.log = s.log.With("account", a.ID)
	s.log.Info("signed in")
	c.code = "CAPABILITY " + s.capabilityList()
	c.text = "signed in"
	return nil
}

// refuseSignIn answers a failed sign-in, later each time.
func (s *session) refuseSignIn(name string, cause error) error {
	s.failures++
	s.srv.Counters.LoginFailures.Add(1)
	s.log.Warn("sign-in refused", "user", name, "reason", cause)
	select {
	case <-time.After(time.Second << (s.failures - 1)):
	case <-s.srv.ctx.Done():
	}
	s.over = s.failures >= maxFailures
	if errors.Is(cause, auth.ErrSuspended) {
		return refuse(imap.ResponseCodeContactAdmin, "the account is suspended")
	}
	return refuse(imap.ResponseCodeAuthenticationFailed, "wrong address or password")
}

// signOff forgets who signed in.
func (s *session) signOff() {
	s.notify = nil
	s.watch.stop()
	s.user = nil
	s.condstore, s.qresync, s.rev2, s.utf8, s.w.UTF8 = false, false, false, false, false
	s.r.Limits = strangerLimits
}

// unauthenticate is RFC 8437.
func (s *session) unauthenticate(c *call) error {
	if err := s.end(); err != nil {
		return err
	}
	s.deselect()
	s.signOff()
	s.log = s.srv.log.With("peer", s.link.base.RemoteAddr().String())
	c.code = "CAPABILITY " + s.capabilityList()
	return nil
}
