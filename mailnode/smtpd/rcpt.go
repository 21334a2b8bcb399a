package smtpd

import (
	"errors"
	"strings"

	"github.com/emersion/go-smtp"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
)

// rcpt is RCPT (RFC 5321 §4.1.1.3).
func (s *session) rcpt(arg string) {
	switch {
	case s.tx == nil:
		s.fault(mailFirst)
		return
	case s.tx.chunks != nil:
		s.fault(chunksBegun)
		return
	case len(s.tx.env.Recipients) >= s.set.Recipients:
		s.refuse(tooMany, nil)
		return
	}
	to, params, bad := s.path("TO:", arg, badRecipient)
	if bad != nil {
		s.fault(*bad)
		return
	}
	rcpt := envelope.Recipient{Address: to.String()}
	for _, p := range params {
		if bad := rcptParam(&rcpt, p); bad != nil {
			s.fault(*bad)
			return
		}
	}
	switch {
	case !s.tx.env.UTF8 && !isASCII(arg):
		s.fault(needUTF8)
		return
	case to == envelope.Address{}:
		s.fault(badRecipient)
		return
	}
	if s.admit(to, &rcpt, params) {
		s.tx.env.Recipients = append(s.tx.env.Recipients, rcpt)
		s.say(reply{250, "2.1.5", "The recipient is taken"})
	}
}

// rcptParam reads a parameter of RCPT (RFC 3461 §4.1, §4.2).
func rcptParam(rcpt *envelope.Recipient, p envelope.Param) *reply {
	switch p.Key {
	case "NOTIFY":
		for reason := range strings.SplitSeq(p.Value, ",") {
			bit, known := notifications[smtp.DSNNotify(strings.ToUpper(reason))]
			if !known || rcpt.Notify&bit != 0 {
				return &badParameter
			}
			rcpt.Notify |= bit
		}
		if rcpt.Notify&envelope.NotifyNever != 0 && rcpt.Notify != envelope.NotifyNever {
			return &badParameter
		}
	case "ORCPT":
		kind, address, found := strings.Cut(p.Value, ";")
		if !found || kind == "" || strings.ContainsAny(kind, "+()<>@,:\\\"[]") || len(p.Value) > 500 || !printableXtext(address) {
			return &badParameter
		}
		rcpt.Original = p.Value
	default:
		return &noParameter
	}
	return nil
}

var notifications = map[smtp.DSNNotify]envelope.Notify{
	smtp.DSNNotifyNever: envelope.NotifyNever, smtp.DSNNotifySuccess: envelope.NotifySuccess,
	smtp.DSNNotifyFailure: envelope.NotifyFailure, smtp.DSNNotifyDelayed: envelope.NotifyDelay,
}

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
		s.tx.mark(o.Marks)
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
	from := directory.Sender{Address: s.tx.env.From, Account: s.tx.env.Account}
	largest, err = s.srv.o.Recipients.Judge(s.srv.ctx, from, rcpt.Address, s.tx.size)
	if !errors.Is(err, directory.ErrNotLocal) {
		return largest, err
	}
	if strings.EqualFold(to.Local, envelope.Postmaster) && strings.EqualFold(to.Domain, s.set.Hostname) {
		rcpt.Address = envelope.Postmaster
		return s.srv.o.Recipients.Judge(s.srv.ctx, from, rcpt.Address, s.tx.size)
	}
	if s.trusted() && to.Domain != "" {
		return 0, nil
	}
	return 0, err
}
