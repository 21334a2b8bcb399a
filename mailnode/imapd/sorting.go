package imapd

import (
	"cmp"
	"slices"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/message"
)

// sortable is a message with the values it is sorted by.
type sortable struct {
	hit
	arrival int64
	size    int64
	date    int64
	texts   []string // folded, one for each criterion that needs one
}

// sort is SORT (RFC 5256 §3, RFC 5957, RFC 5267).
func (s *session) sort(c *call) error {
	if err := s.r.Space(); err != nil {
		return err
	}
	keys, q, err := s.r.Sort()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	found, err := s.sorted(c, keys, q)
	if err != nil {
		return err
	}
	s.saveSorted(&q.Return, found)
	if q.Return.Given {
		s.tellESearch(c, q, found)
		return nil
	}
	s.w.Raw("* SORT")
	for _, f := range found {
		s.w.Space().Num(uint64(f.number(c.uid)))
	}
	if q.ModSeq && len(found) > 0 {
		s.w.Raw(" (MODSEQ ").Num(highest(found)).Byte(')')
	}
	s.w.CRLF()
	return nil
}

// saveSorted saves a result that is not in the order of UIDs.
func (s *session) saveSorted(r *wire.Return, found []hit) {
	if r.Save {
		s.saveResult(r, slices.SortedFunc(slices.Values(found), func(a, b hit) int { return cmp.Compare(a.uid, b.uid) }))
	}
}

// sorted finds messages and sorts them.
func (s *session) sorted(c *call, keys []wire.SortKey, q *wire.Search) ([]hit, error) {
	if !charsets[q.Charset] {
		return nil, refuse("BADCHARSET (UTF-8 US-ASCII)", "that charset is not known")
	}
	e, err := s.whole()
	if err != nil {
		return nil, err
	}
	m, err := s.compile(q.Key, &e)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(keys, func(k wire.SortKey) bool { return k.Name != "ARRIVAL" && k.Name != "SIZE" }) {
		m.cost = max(m.cost, ofDigest)
	}
	var all []sortable
	if err := s.candidates(c, &e, m, func(one *candidate) { all = append(all, newSortable(one, keys)) }); err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b sortable) int { return compareBy(keys, &a, &b) })
	found := make([]hit, 0, len(all))
	for i := range all {
		found = append(found, all[i].hit)
	}
	return found, nil
}

func newSortable(c *candidate, keys []wire.SortKey) sortable {
	one := sortable{hit: hit{uint32(c.index) + 1, c.UID, c.ModSeq}, arrival: c.Internal, size: c.Size}
	for _, k := range keys {
		switch k.Name {
		case "DATE":
			if one.date = c.Internal; !c.keys().Date.IsZero() {
				one.date = c.keys().Date.Unix()
			}
		case "ARRIVAL", "SIZE":
		default:
			one.texts = append(one.texts, message.Fold(sortText(c, k.Name)))
		}
	}
	return one
}

func sortText(c *candidate, name string) string {
	k := c.keys()
	switch name {
	case "FROM":
		return k.From
	case "TO":
		return k.To
	case "CC":
		return k.Cc
	case "DISPLAYFROM":
		return k.FromName
	case "DISPLAYTO":
		return k.ToName
	}
	return k.Base
}

func compareBy(keys []wire.SortKey, a, b *sortable) int {
	text := 0
	for _, k := range keys {
		var order int
		switch k.Name {
		case "ARRIVAL":
			order = cmp.Compare(a.arrival, b.arrival)
		case "SIZE":
			order = cmp.Compare(a.size, b.size)
		case "DATE":
			order = cmp.Compare(a.date, b.date)
		default:
			order = cmp.Compare(a.texts[text], b.texts[text])
			text++
		}
		if k.Reverse {
			order = -order
		}
		if order != 0 {
			return order
		}
	}
	return cmp.Compare(a.seq, b.seq)
}

// thread is THREAD (RFC 5256 §3).
func (s *session) thread(c *call) error {
	if err := s.r.Space(); err != nil {
		return err
	}
	algorithm, q, err := s.r.Thread()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	build := references
	switch algorithm {
	case "REFERENCES":
	case "ORDEREDSUBJECT":
		build = orderedSubject
	default:
		return wire.Bad("there is no such algorithm")
	}
	if !charsets[q.Charset] {
		return refuse("BADCHARSET (UTF-8 US-ASCII)", "that charset is not known")
	}
	e, err := s.whole()
	if err != nil {
		return err
	}
	m, err := s.compile(q.Key, &e)
	if err != nil {
		return err
	}
	m.cost = max(m.cost, ofDigest)
	var all []threaded
	if err := s.candidates(c, &e, m, func(one *candidate) { all = append(all, newThreaded(one, c.uid)) }); err != nil {
		return err
	}
	s.w.Raw("* THREAD ")
	writeThreads(s.w, build(all))
	s.w.CRLF()
	return nil
}

func newThreaded(c *candidate, uid bool) threaded {
	k := c.keys()
	one := threaded{
		number: uint32(c.index) + 1, id: k.MessageID, references: k.References,
		subject: message.Fold(k.Base), reply: k.Reply, date: k.Date,
	}
	if uid {
		one.number = c.UID
	}
	if one.date.IsZero() {
		one.date = c.Date()
	}
	return one
}
