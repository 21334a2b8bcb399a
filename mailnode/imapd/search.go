package imapd

import (
	"math"
	"slices"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/store"
)

// search is SEARCH (RFC 9051 §6.4.4).
func (s *session) search(c *call) error {
	if err := s.r.Space(); err != nil {
		return err
	}
	q, err := s.r.Search()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	if s.rev2 && !q.Return.Given { // RFC 9051 §6.4.4: the answer is an ESEARCH
		q.Return = wire.Return{Given: true, All: true}
	}
	found, err := s.find0(c, q)
	if err != nil {
		return err
	}
	s.saveResult(&q.Return, found)
	if q.Return.Given {
		s.tellESearch(c, q, found)
		return nil
	}
	s.w.Raw("* SEARCH")
	for _, f := range found {
		s.w.Space().Num(uint64(f.number(c.uid)))
	}
	if q.ModSeq && len(found) > 0 {
		s.w.Raw(" (MODSEQ ").Num(highest(found)).Byte(')')
	}
	s.w.CRLF()
	return nil
}

// charsets are those a search text can be in; all but UTF-8 are part of it.
var charsets = map[string]bool{"": true, "UTF-8": true, "US-ASCII": true, "UTF8": true}

// hit is a message that was found.
type hit struct {
	seq, uid uint32
	modSeq   uint64
}

func (h hit) number(uid bool) uint32 {
	if uid {
		return h.uid
	}
	return h.seq
}

func highest(found []hit) (modSeq uint64) {
	for _, f := range found {
		modSeq = max(modSeq, f.modSeq)
	}
	return modSeq
}

// saveResult keeps what RETURN (SAVE) asks for (RFC 9051 §6.4.4.1): with MIN or MAX
// alone, only those.
func (s *session) saveResult(r *wire.Return, found []hit) {
	if !r.Save {
		return
	}
	s.saved = nil
	if (r.Min || r.Max) && !r.All && !r.Count && r.Partial == nil {
		if len(found) > 0 && r.Min {
			s.saved.Add(found[0].uid)
		}
		if n := len(found); n > 0 && r.Max && (n > 1 || !r.Min) {
			s.saved.Add(found[n-1].uid)
		}
		return
	}
	if r.Partial != nil && !r.All && !r.Count {
		found = partOf(found, r.Partial)
	}
	for _, f := range found {
		s.saved.Add(f.uid)
	}
}

// tellESearch writes an ESEARCH response (RFC 9051 §7.3.4, RFC 5267 for results that are
// in an order of their own, RFC 9394 for parts of them).
func (s *session) tellESearch(c *call, q *wire.Search, found []hit) {
	r := &q.Return
	if r.Save && !r.Min && !r.Max && !r.All && !r.Count && r.Partial == nil {
		return // RFC 9051 §6.4.4.1: nothing is to be told
	}
	s.w.Raw("* ESEARCH (TAG ").String(c.tag).Byte(')')
	if c.uid {
		s.w.Raw(" UID")
	}
	if n := len(found); n > 0 {
		if r.Min {
			s.w.Raw(" MIN ").Num(uint64(found[0].number(c.uid)))
		}
		if r.Max {
			s.w.Raw(" MAX ").Num(uint64(found[n-1].number(c.uid)))
		}
		if r.All {
			s.w.Raw(" ALL ").Ranges(runs(found, c.uid))
		}
	}
	if r.Count {
		s.w.Raw(" COUNT ").Num(uint64(len(found)))
	}
	if p := r.Partial; p != nil {
		s.w.Raw(" PARTIAL (").Raw(partialRange(p)).Space()
		if part := partOf(found, p); len(part) > 0 {
			s.w.Ranges(runs(part, c.uid))
		} else {
			s.w.Raw("NIL")
		}
		s.w.Byte(')')
	}
	if q.ModSeq && len(found) > 0 {
		s.w.Raw(" MODSEQ ").Num(toldModSeq(r, found))
	}
	s.w.CRLF()
}

// toldModSeq is the highest mod-sequence of the messages that are told of
// (RFC 7162 §3.1.10).
func toldModSeq(r *wire.Return, found []hit) uint64 {
	if r.All || r.Count || r.Partial != nil || !r.Min && !r.Max {
		return highest(found)
	}
	var modSeq uint64
	if r.Min {
		modSeq = found[0].modSeq
	}
	if r.Max {
		modSeq = max(modSeq, found[len(found)-1].modSeq)
	}
	return modSeq
}

// runs joins numbers that follow each other, in the order they are in.
func runs(found []hit, uid bool) (rs wire.Ranges) {
	for _, f := range found {
		rs.Add(f.number(uid))
	}
	return rs
}

func partialRange(p *wire.Partial) string {
	if p.First < 0 {
		return "-" + number(uint64(-p.First)) + ":-" + number(uint64(-p.Last))
	}
	return number(uint64(p.First)) + ":" + number(uint64(p.Last))
}

// partOf returns the part of a result that a PARTIAL names.
func partOf[T any](found []T, p *wire.Partial) []T {
	n := int64(len(found))
	first, last := p.First-1, p.Last
	if p.First < 0 { // -1 is the last one
		first, last = n+p.Last, n+p.First+1
	}
	first, last = max(first, 0), min(last, n)
	if first >= last {
		return nil
	}
	return found[first:last]
}

// find0 finds the messages that match, in the order of their numbers.
func (s *session) find0(c *call, q *wire.Search) ([]hit, error) {
	if !charsets[q.Charset] {
		return nil, refuse("BADCHARSET (UTF-8 US-ASCII)", "that charset is not known")
	}
	if q.ModSeq {
		s.condstore = true
	}
	e, err := s.soon()
	if err != nil {
		return nil, err
	}
	if e.first > 0 {
		if found, enough, err := s.findAtEnd(c, q, &e); enough || err != nil {
			return found, err
		}
		if e, err = s.whole(); err != nil {
			return nil, err
		}
	}
	return s.findIn(c, q, &e)
}

// findIn finds messages of an extent.
func (s *session) findIn(c *call, q *wire.Search, e *extent) ([]hit, error) {
	m, err := s.compile(q.Key, e)
	if err != nil {
		return nil, err
	}
	return s.hits(c, m, e)
}

func (s *session) hits(c *call, m matcher, e *extent) (found []hit, err error) {
	err = s.candidates(c, e, m, func(one *candidate) {
		found = append(found, hit{uint32(one.index) + 1, one.UID, one.ModSeq})
	})
	return found, err
}

// findAtEnd finds messages at the end of a mailbox that is not read, if there are no
// others or others are not asked for.
func (s *session) findAtEnd(c *call, q *wire.Search, e *extent) (found []hit, enough bool, err error) {
	if s.confined(q.Key, e) {
		found, err := s.findIn(c, q, e)
		return found, true, err
	}
	last := lastWanted(q)
	if last == 0 {
		return nil, false, nil
	}
	m, err := s.compile(q.Key, e)
	if err != nil || m.cost > ofItem { // which would be read twice
		return nil, false, err
	}
	found, err = s.hits(c, m, e)
	return found, len(found) >= last, err
}

// confined reports whether all that can match a key is in an extent: by the numbers it
// names, or because all messages with a flag are there.
func (s *session) confined(k *wire.Key, e *extent) bool {
	within := func(k *wire.Key) bool { return s.confined(k, e) }
	switch k.Op {
	case wire.OpSeq, wire.OpUID:
		return e.holds(k.Set, s.saved, k.Op == wire.OpUID)
	case wire.OpAnd:
		return slices.ContainsFunc(k.Keys, within)
	case wire.OpOr:
		return !slices.ContainsFunc(k.Keys, func(k *wire.Key) bool { return !within(k) })
	case wire.OpFlag:
		return equalFold(k.Text, string(imap.FlagDeleted)) && e.count(func(f store.Flags) bool { return f.Has(store.Deleted) }) == e.now.Mailbox.Deleted
	case wire.OpNot:
		return k.Keys[0].Op == wire.OpFlag && equalFold(k.Keys[0].Text, string(imap.FlagSeen)) &&
			e.count(func(f store.Flags) bool { return !f.Has(store.Seen) }) == e.now.Mailbox.Unseen
	}
	return false
}

// count is how many messages there are now from the first of the extent on whose flags
// are so.
func (e *extent) count(so func(store.Flags) bool) (n uint64) {
	for i := e.first; i < e.now.Len(); i++ {
		if so(e.now.At(i).Flags) {
			n++
		}
	}
	return n
}

// lastWanted is how many of the last messages found are all that a search asks for; 0 when
// it asks for others too.
func lastWanted(q *wire.Search) int {
	r := &q.Return
	switch {
	case !r.Given || r.Min || r.All || r.Count || q.ModSeq:
		return 0
	case r.Partial == nil && r.Max:
		return 1
	case r.Partial != nil && r.Partial.First < 0:
		return int(min(max(-r.Partial.First, -r.Partial.Last), math.MaxInt32))
	}
	return 0
}
