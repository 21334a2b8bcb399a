package imapd

import (
	"errors"
	"io"
	"strings"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/message"
	"mailfleet/mailnode/search"
	"mailfleet/mailnode/store"
)

// text looks for a text in a message: decoded, and without regard to case
// (RFC 9051 §6.4.4). The index, if there is one, says of most messages that they do not
// have it, or that they do.
func (p *compiler) text(k *wire.Key) (matcher, error) {
	needle := message.Fold(k.Text)
	var m matcher
	scope, sure := message.HeaderScope, false // that a header has it does not say which field
	switch {
	case k.Op == wire.OpBody:
		m, scope, sure = p.scope(message.BodyScope, needle), message.BodyScope, true
	case k.Op == wire.OpText:
		m, scope, sure = p.scope(message.TextScope, needle), message.TextScope, true
	case strings.EqualFold(k.Name, "Subject") && needle != "":
		m = matcher{cost: ofDigest, match: func(c *candidate) bool {
			return strings.Contains(message.Fold(c.keys().Subject), needle)
		}}
	default:
		m = matcher{cost: ofText, match: func(c *candidate) bool { return c.contains(k.Name, needle) }}
	}
	if needle == "" || p.s.srv.texts == nil {
		return m, nil
	}
	return p.prefiltered(m, search.Query{Scope: scope, Needle: needle}, sure)
}

// prefiltered asks the index before it looks at messages.
func (p *compiler) prefiltered(m matcher, q search.Query, sure bool) (matcher, error) {
	place := search.Place{Account: p.s.box.place.Account, Mailbox: uint32(p.s.box.place.Mailbox)}
	p.s.srv.texts.Touch(place)
	a, err := p.s.srv.texts.Candidates(p.s.srv.ctx, place, q)
	if err != nil {
		return matcher{}, err
	}
	has, may := rangesOf(a.Sure), rangesOf(a.Maybe)
	look := m.match
	m.before = func(c *candidate) bool { return c.UID > a.Through || may.Contains(c.UID) || has.Contains(c.UID) }
	m.match = func(c *candidate) bool {
		switch {
		case c.UID > a.Through, may.Contains(c.UID):
			return look(c)
		case has.Contains(c.UID):
			return sure || look(c)
		}
		return false
	}
	return m, nil
}

func (p *compiler) scope(scope message.Scope, needle string) matcher {
	if needle == "" {
		return matcher{cost: ofItem, match: func(*candidate) bool { return true }}
	}
	return matcher{cost: ofText, match: func(c *candidate) bool {
		m, structure := c.open()
		if structure == nil {
			return false
		}
		if scope == message.TextScope && m.Prefix > 0 && c.prefixContains(m, needle) {
			return true
		}
		found, err := openMessage(c.bytes(), m, structure, false).Contains(scope, needle)
		if err != nil {
			c.search.fail(err)
			return false
		}
		return found[0]
	}}
}

// open returns the message's record and structure, nil when it cannot be searched.
func (c *candidate) open() (*store.Message, *message.Part) {
	m := c.record()
	if len(m.Digest) == 0 { // it is gone
		return m, nil
	}
	structure, err := structureOf(m)
	if err != nil {
		c.search.fail(err)
		return m, nil
	}
	return m, structure
}

// contains reports whether a header field of that name has the needle in it.
func (c *candidate) contains(name, needle string) bool {
	m, structure := c.open()
	if structure == nil {
		return false
	}
	values, err := openMessage(c.bytes(), m, structure, true).Fields(name)
	if err != nil {
		c.search.fail(err)
		return false
	}
	for _, v := range values {
		if strings.Contains(message.Fold(v), needle) {
			return true
		}
	}
	return false
}

// prefixContains looks at the header lines that the store put before the message.
func (c *candidate) prefixContains(m *store.Message, needle string) bool {
	text := make([]byte, m.Prefix)
	if _, err := io.ReadFull(c.search.s.srv.store.Section(*m, 0, int64(m.Prefix)), text); err != nil {
		c.search.fail(errors.Join(store.ErrDamaged, err))
		return false
	}
	return strings.Contains(message.Fold(string(text)), needle)
}
