package smtpd

import (
	"slices"
	"strings"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/message"
)

// complete makes of what a user sends a whole message (RFC 6409 §8): missing fields are
// added, and Bcc is removed. The author must be the user.
func (s *session) complete(c *content, fields []field) *reply {
	name := s.set.Hostname
	var add []byte
	authors := fieldNamed(fields, "from")
	switch {
	case authors == nil:
		from, err := envelope.ParseAddress(s.user.Account.Address)
		if err != nil {
			return &notYourFrom
		}
		add = message.AppendField(add, "From", from.String())
		s.tx.author = from.Domain
	case count(fields, "from") > 1 || !s.mayAuthor(authors.value()):
		return &notYourFrom
	}
	if _, domain, found := strings.Cut(s.user.Account.Address, "@"); found {
		name = domain
	}
	if fieldNamed(fields, "date") == nil {
		add = message.AppendField(add, "Date", message.FormatDate(time.Now()))
	}
	if fieldNamed(fields, "message-id") == nil {
		add = message.AppendField(add, "Message-ID", message.NewMessageID(name))
	}
	kept := without(without(slices.Clone(fields), "bcc", every), "resent-bcc", every)
	if len(add) > 0 || len(kept) != len(fields) {
		c.header = append(add, join(kept)...)
	}
	return nil
}

func fieldNamed(list []field, name string) *field {
	for i := range list {
		if list[i].name == name {
			return &list[i]
		}
	}
	return nil
}

// mayAuthor reports whether all authors in a From are the user. It notes the domain of
// the first, for which the message is signed.
func (s *session) mayAuthor(value []byte) bool {
	list := message.ParseAddresses(value)
	found := false
	for _, a := range list {
		if a.Host == nil {
			continue // begins or ends a group
		}
		domain, err := envelope.ParseDomain(string(a.Host))
		from := envelope.Address{Local: string(a.Mailbox), Domain: domain}
		if err != nil || !s.srv.o.Senders.MaySend(&s.user.Account, from) {
			return false
		}
		if !found {
			s.tx.author = domain
		}
		found = true
	}
	return found
}

// release lets a user's message go: it is counted and signed.
func (s *session) release(c *content, prefix *[]byte) *reply {
	if s.srv.o.Allowance != nil {
		if bad := s.objection(nil, s.srv.o.Allowance.Message(s.srv.ctx, &s.tx.env)); bad != nil {
			return bad
		}
	}
	if s.srv.o.Signer == nil || s.tx.author == "" {
		return nil
	}
	lines, err := s.srv.o.Signer.Sign(s.srv.ctx, s.tx.author, c.open())
	if bad := s.objection(nil, err); bad != nil {
		return bad
	}
	*prefix = append(*prefix, lines...)
	return nil
}
