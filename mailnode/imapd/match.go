package imapd

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/store"
)

// cost is what a search key has to look at.
type cost byte

const (
	ofItem   cost = iota // what the view of the mailbox has
	ofRecord             // the message's record
	ofDigest             // its digest
	ofText               // its bytes
)

// matcher is a search key made ready: it answers for one message after the other.
type matcher struct {
	cost   cost
	match  func(*candidate) bool
	before func(*candidate) bool // what costs nothing, and must be so as well; nil for no such thing
}

// compiler makes matchers. What it needs to know of the mailbox is as the peer knows it.
type compiler struct {
	s   *session
	e   *extent
	now time.Time
}

func (s *session) compile(k *wire.Key, e *extent) (matcher, error) {
	return (&compiler{s: s, e: e, now: time.Now()}).key(k)
}

func item(f func(m *store.Item) bool) (matcher, error) {
	return matcher{cost: ofItem, match: func(c *candidate) bool { return f(c.Item) }}, nil
}

func (p *compiler) key(k *wire.Key) (matcher, error) {
	switch k.Op {
	case wire.OpAll:
		return item(func(*store.Item) bool { return true })
	case wire.OpAnd, wire.OpOr, wire.OpNot:
		return p.combined(k)
	case wire.OpSeq, wire.OpUID:
		return p.set(k)
	case wire.OpFlag:
		return p.flag(k.Text)
	case wire.OpLarger:
		return item(func(m *store.Item) bool { return uint64(m.Size) > k.N })
	case wire.OpSmaller:
		return item(func(m *store.Item) bool { return uint64(m.Size) < k.N })
	case wire.OpModSeq:
		return item(func(m *store.Item) bool { return m.ModSeq >= k.N })
	case wire.OpOlder, wire.OpYounger:
		edge := p.now.Unix() - int64(min(k.N, 1<<40))
		if k.Op == wire.OpOlder {
			return item(func(m *store.Item) bool { return m.Internal <= edge })
		}
		return item(func(m *store.Item) bool { return m.Internal >= edge })
	case wire.OpBefore, wire.OpOn, wire.OpSince, wire.OpSavedBefore, wire.OpSavedOn, wire.OpSavedSince:
		return p.date(k)
	case wire.OpSentBefore, wire.OpSentOn, wire.OpSentSince:
		return p.sent(k)
	case wire.OpEmailID, wire.OpThreadID:
		return p.object(k)
	}
	return p.text(k)
}

// combined looks at cheap keys first.
func (p *compiler) combined(k *wire.Key) (matcher, error) {
	parts := make([]matcher, 0, len(k.Keys))
	for _, sub := range k.Keys {
		m, err := p.key(sub)
		if err != nil {
			return matcher{}, err
		}
		parts = append(parts, m)
	}
	slices.SortStableFunc(parts, func(a, b matcher) int { return cmp.Compare(a.cost, b.cost) })
	whole := matcher{cost: parts[len(parts)-1].cost}
	switch k.Op {
	case wire.OpNot:
		whole.match = func(c *candidate) bool { return !parts[0].match(c) }
	case wire.OpOr:
		whole.match = func(c *candidate) bool {
			return slices.ContainsFunc(parts, func(m matcher) bool { return m.match(c) })
		}
	default:
		whole.match = all(parts)
		free := 0
		for free < len(parts) && parts[free].cost == ofItem {
			free++
		}
		cheap := slices.Clone(parts[:free])
		for _, m := range parts[free:] { // what the index says costs nothing either
			if m.before != nil {
				cheap = append(cheap, matcher{match: m.before})
			}
		}
		whole.before = all(cheap)
	}
	return whole, nil
}

func all(parts []matcher) func(*candidate) bool {
	return func(c *candidate) bool {
		return !slices.ContainsFunc(parts, func(m matcher) bool { return !m.match(c) })
	}
}

func (p *compiler) set(k *wire.Key) (matcher, error) {
	v := p.e.told
	var uids wire.Ranges
	switch {
	case k.Set.Saved:
		uids = p.s.saved
	case k.Op == wire.OpUID:
		last := uint32(0)
		if n := v.Len(); n > 0 {
			last = v.At(n - 1).UID
		}
		uids = k.Set.Resolve(last)
	default:
		seqs := k.Set.Resolve(uint32(v.Len()))
		return matcher{cost: ofItem, match: func(c *candidate) bool { return seqs.Contains(uint32(c.index) + 1) }}, nil
	}
	return item(func(m *store.Item) bool { return uids.Contains(m.UID) })
}

func (p *compiler) flag(name string) (matcher, error) {
	var flag store.Flags
	for _, f := range systemFlags {
		if equalFold(name, string(f.name)) {
			flag = f.flag
		}
	}
	if flag == 0 && !strings.HasPrefix(name, `\`) {
		flag = store.KeywordFlag(p.e.now.Mailbox.Keywords, name)
	}
	return item(func(m *store.Item) bool { return flag != 0 && m.Flags.Has(flag) })
}

const day = 24 * 60 * 60

// date compares days, each in the zone its time was given in (RFC 9051 §6.4.4).
func (p *compiler) date(k *wire.Key) (matcher, error) {
	want := k.Time.Unix() / day
	if k.Time.Unix() < 0 {
		want = -((-k.Time.Unix() + day - 1) / day)
	}
	dayOf := func(m *store.Item) int64 { return floorDiv(m.Internal+int64(m.Zone)*60, day) }
	switch k.Op {
	case wire.OpSavedBefore, wire.OpSavedOn, wire.OpSavedSince:
		dayOf = func(m *store.Item) int64 { return floorDiv(m.Saved, day) }
	}
	switch k.Op {
	case wire.OpBefore, wire.OpSavedBefore:
		return item(func(m *store.Item) bool { return dayOf(m) < want })
	case wire.OpOn, wire.OpSavedOn:
		return item(func(m *store.Item) bool { return dayOf(m) == want })
	}
	return item(func(m *store.Item) bool { return dayOf(m) >= want })
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// sent compares the day of the Date field. A message without one has no such day.
func (p *compiler) sent(k *wire.Key) (matcher, error) {
	want := floorDiv(k.Time.Unix(), day)
	return matcher{cost: ofDigest, match: func(c *candidate) bool {
		at := c.keys().Date
		if at.IsZero() {
			return false
		}
		_, offset := at.Zone()
		sent := floorDiv(at.Unix()+int64(offset), day)
		switch k.Op {
		case wire.OpSentBefore:
			return sent < want
		case wire.OpSentOn:
			return sent == want
		}
		return sent >= want
	}}, nil
}

func (p *compiler) object(k *wire.Key) (matcher, error) {
	if k.Op == wire.OpEmailID {
		return matcher{cost: ofRecord, match: func(c *candidate) bool { return objectID('M', c.record().ID) == k.Text }}, nil
	}
	return matcher{cost: ofRecord, match: func(c *candidate) bool { return objectID('T', c.record().Thread) == k.Text }}, nil
}
