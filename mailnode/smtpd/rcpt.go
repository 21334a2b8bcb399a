package smtpd

import (
	"errors"
	"strings"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
)

// admit asks everybody about a recipient; false when it is refused and answered.
func (s *session) admit(to envelope.Address, rcpt *envelope.Recipient, params []envelope.Param) bool {
	largest, err := s.judge(to, rcpt)
	if err != nil {
		s.reject(err)
		if r, _ := replyTo(err); r.code == 550 {
			s.erred()
			if s.unknown++; s.unknown > maxUnknown {
				s.end(tooManyFaults)
			}
		}
		return false
	}
	most := s.set.MessageBytes
	if largest > 0 && largest < most {
		most = largest
	}
	switch {
	case s.tx.size > most:
		s.refuse(tooLargeHere, nil)
		return false
	case len(s.tx.limits) > 0 && most != s.tx.limits[0] && s.tx.size == 0 && s.kind != LMTP: // one answer at the end could not be right for both
		s.refuse(apart, nil)
		return false
	}
	if s.strange() {
		o := s.srv.o.Reputation.Recipient(s.srv.ctx, s.peer(), s.tx.env.From, rcpt.Address)
		s.srv.pause(o.Delay)
		if o.Refusal != nil {
			s.refuse(refused(o.Refusal), nil)
			return false
		}
	}
	if s.user != nil && s.srv.o.Allowance != nil {
		if err := s.srv.o.Allowance.Recipient(s.srv.ctx, s.user.Account.ID, len(s.tx.env.Recipients)); err != nil {
			s.reject(err)
			return false
		}
	}
	if s.filter != nil && !s.tx.accept && !s.tx.discard && !s.rule(s.filter.Recipient(s.srv.ctx, rcpt.Address, params)) {
		return false
	}
	s.tx.limits = append(s.tx.limits, most)
	return true
}

// judge asks about an address. <postmaster>, and the postmaster of this server's own name,
// whose domain need not be a local one, are always known (RFC 5321 §4.5.1).
func (s *session) judge(to envelope.Address, rcpt *envelope.Recipient) (largest int64, err error) {
	largest, err = s.srv.o.Recipients.Judge(s.srv.ctx, rcpt.Address, s.tx.size)
	if !errors.Is(err, directory.ErrNotLocal) {
		return largest, err
	}
	if strings.EqualFold(to.Local, envelope.Postmaster) && strings.EqualFold(to.Domain, s.set.Hostname) {
		rcpt.Address = envelope.Postmaster
		return s.srv.o.Recipients.Judge(s.srv.ctx, rcpt.Address, s.tx.size)
	}
	if s.trusted() && to.Domain != "" {
		return 0, nil
	}
	return 0, err
}
