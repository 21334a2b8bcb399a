package imapd

import (
	"errors"
	"io"
	"strings"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/message"
	"mailfleet/mailnode/store"
)

// text looks for a text in a message: decoded, and without regard to case
// (RFC 9051 §6.4.4).
func (p *compiler) text(k *wire.Key) (matcher, error) {
	needle := message.Fold(k.Text)
	switch k.Op {
	case wire.OpBody:
		return p.scope(message.BodyScope, needle), nil
	case wire.OpText:
		return p.scope(message.TextScope, needle), nil
	}
	name := k.Name
	if strings.EqualFold(name, "Subject") {
		return matcher{cost: ofDigest, match: func(c *candidate) bool {
			subject := c.keys().Subject
			return strings.Contains(message.Fold(subject), needle) && (needle != "" || c.contains(name, ""))
		}}, nil
	}
	return matcher{cost: ofText, match: func(c *candidate) bool { return c.contains(name, needle) }}, nil
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
		found, err := openMessage(c.search.s.srv.store, m, structure, false).Contains(scope, needle)
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
	values, err := openMessage(c.search.s.srv.store, m, structure, true).Fields(name)
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
