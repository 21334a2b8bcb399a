package imapd

import (
	"slices"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/store"
)

// box is the selected mailbox.
type box struct {
	target
	readOnly bool
	open     *store.Opening
	told     *store.View // the mailbox as the peer knows it: by it sequence numbers count; nil until it is loaded
	own      []uint64    // mod-sequences of changes since then that the peer made and was answered
}

// extent is what a command works on: the selected mailbox, or its end while a large one
// is not read.
type extent struct {
	told  *store.View // as the peer knows it: messages from first on
	now   *store.View // as it is; where there is a first, by UID only
	first int
}

// holds reports whether a set names only messages of the extent, or such as come behind it.
func (e *extent) holds(set wire.Set, saved wire.Ranges, uid bool) bool {
	if e.first == 0 {
		return true
	}
	lowest, highest := uint32(e.first)+1, uint32(e.told.Len())
	if uid || set.Saved {
		lowest, highest = e.told.At(e.first).UID, e.told.At(e.told.Len()-1).UID
	}
	rs := saved
	if !set.Saved {
		rs = set.Resolve(highest)
	}
	return len(rs) > 0 && rs[0].Start >= lowest
}

// all goes through the messages.
func (e *extent) all(yield func(int, *store.Item) bool) {
	if e.first == 0 {
		e.told.All()(yield)
		return
	}
	for i := e.first; i < e.told.Len(); i++ {
		if !yield(i, e.told.At(i)) {
			return
		}
	}
}

// whole is all of the selected mailbox, which is read first.
func (s *session) whole() (extent, error) {
	if err := s.ready(); err != nil {
		return extent{}, err
	}
	return extent{told: s.box.told, now: s.box.open.View()}, nil
}

// soon is what can be had of the selected mailbox soon: of a large one that is not read
// its end.
func (s *session) soon() (extent, error) {
	if s.box.told == nil {
		told, first, err := s.box.open.Tail(s.srv.ctx)
		if err == nil && first > 0 {
			now, err := s.box.open.Now(s.srv.ctx, told)
			return extent{told, now, first}, err
		}
	}
	return s.whole()
}

// reach is soon for what a set names, if that is enough, else whole.
func (s *session) reach(set wire.Set, uid bool) (extent, error) {
	e, err := s.soon()
	if err == nil && !e.holds(set, s.saved, uid) {
		return s.whole()
	}
	return e, err
}

// renew brings an extent up to what was changed since.
func (s *session) renew(e *extent) (err error) {
	if e.first == 0 {
		e.now = s.box.open.View()
		return nil
	}
	e.now, err = s.box.open.Now(s.srv.ctx, e.told)
	return err
}

// seqs resolves what a command names into the sequence numbers of messages, in a view of
// what the peer knows.
func (s *session) seqs(v *store.View, set wire.Set, uid bool) (wire.Ranges, error) {
	if set.Saved {
		return seqsOf(v, s.saved), nil
	}
	n := uint32(v.Len())
	if uid {
		last := uint32(0)
		if n > 0 {
			last = v.At(int(n) - 1).UID
		}
		return seqsOf(v, set.Resolve(last)), nil
	}
	seqs := set.Resolve(n)
	if len(seqs) > 0 && seqs[len(seqs)-1].Stop > n || n == 0 && len(set.Ranges) > 0 {
		return nil, wire.Bad("there is no message of that number")
	}
	return seqs, nil
}

// seqsOf turns UIDs into the sequence numbers of those that are there.
func seqsOf(v *store.View, uids wire.Ranges) (seqs wire.Ranges) {
	for _, r := range uids {
		first, _ := v.Search(r.Start)
		end := v.Len()
		if r.Stop+1 != 0 {
			end, _ = v.Search(r.Stop + 1)
		}
		if first < end {
			next := wire.Range{Start: uint32(first) + 1, Stop: uint32(end)}
			if n := len(seqs); n > 0 && seqs[n-1].Stop+1 == next.Start {
				seqs[n-1].Stop = next.Stop
			} else {
				seqs = append(seqs, next)
			}
		}
	}
	return seqs
}

// uidsOf lists the UIDs of sequence numbers.
func uidsOf(v *store.View, seqs wire.Ranges) []uint32 {
	uids := make([]uint32, 0, seqs.Len())
	for seq := range seqs.All {
		uids = append(uids, v.At(int(seq)-1).UID)
	}
	return uids
}

// rangesOf joins ascending numbers.
func rangesOf(numbers []uint32) (rs wire.Ranges) {
	for _, n := range numbers {
		rs.Add(n)
	}
	return rs
}

// deselect leaves the selected mailbox.
func (s *session) deselect() {
	if s.box != nil {
		s.box.open.Close()
		s.box, s.saved = nil, nil
	}
}

// update tells what happened in the selected mailbox since it was last told. When
// messages have gone and the numbers of the others must stay, it tells nothing yet.
func (s *session) update(mayExpunge bool) {
	b := s.box
	if b.open.Gone() {
		s.bye(string(imap.ResponseCodeNonExistent), "the mailbox was deleted")
		return
	}
	if b.told == nil && b.open.Ready() {
		if err := s.ready(); err != nil {
			s.log().Warn("the selected mailbox cannot be read", "error", err)
			return
		}
	}
	now := b.open.View()
	if b.told == nil || now == b.told {
		return
	}
	d := now.Since(b.told)
	if len(d.Gone) > 0 && !mayExpunge {
		return
	}
	s.tellGone(d.Gone)
	if len(d.Come) > 0 {
		s.w.Raw("* ").Num(uint64(now.Len())).Raw(" EXISTS\r\n")
	}
	if !slices.Equal(now.Mailbox.Keywords, b.told.Mailbox.Keywords) {
		s.tellFlags(&now.Mailbox)
	}
	b.told = now
	for _, uid := range d.Changed {
		if i, found := now.Search(uid); found && !slices.Contains(b.own, now.At(i).ModSeq) {
			s.tellItem(now, i)
		}
	}
	b.own = b.own[:0]
}

// tellGone tells that messages are gone: by VANISHED (RFC 7162 §3.2.10), or
// backwards, so that the numbers still to come stay what they are.
func (s *session) tellGone(uids []uint32) {
	if len(uids) == 0 {
		return
	}
	if len(s.saved) > 0 {
		s.saved = subtract(s.saved, rangesOf(uids))
	}
	if s.qresync {
		s.w.Raw("* VANISHED ").Ranges(rangesOf(uids)).CRLF()
		return
	}
	for _, uid := range slices.Backward(uids) {
		if i, found := s.box.told.Search(uid); found {
			s.w.Raw("* ").Num(uint64(i) + 1).Raw(" EXPUNGE\r\n")
		}
	}
}

// tellItem tells a message's flags.
func (s *session) tellItem(v *store.View, i int) {
	m := v.At(i)
	s.w.Raw("* ").Num(uint64(i) + 1).Raw(" FETCH (UID ").Num(uint64(m.UID)).Raw(" FLAGS ")
	s.writeFlags(m.Flags, v.Mailbox.Keywords)
	if s.condstore {
		s.w.Raw(" MODSEQ (").Num(m.ModSeq).Byte(')')
	}
	s.w.Raw(")\r\n")
}

// systemFlags are their names.
var systemFlags = []struct {
	flag store.Flags
	name imap.Flag
}{
	{store.Answered, imap.FlagAnswered}, {store.Flagged, imap.FlagFlagged}, {store.Deleted, imap.FlagDeleted},
	{store.Seen, imap.FlagSeen}, {store.Draft, imap.FlagDraft},
}

// writeFlags writes a list of flags.
func (s *session) writeFlags(flags store.Flags, keywords []string) {
	s.w.Byte('(')
	first := true
	word := func(name string) {
		if !first {
			s.w.Space()
		}
		first = false
		s.w.Raw(name)
	}
	for _, f := range systemFlags {
		if flags.Has(f.flag) {
			word(string(f.name))
		}
	}
	if flags&^store.SystemFlags != 0 {
		for _, name := range flags.Keywords(keywords) {
			word(name)
		}
	}
	s.w.Byte(')')
}

// tellFlags tells which flags are in use in the mailbox.
func (s *session) tellFlags(m *store.Mailbox) {
	s.w.Raw("* FLAGS ")
	s.writeFlags(^store.Flags(0), m.Keywords)
	s.w.CRLF()
}

// parseFlags tells system flags from keywords. \Recent is nobody's to give, and
// passed over.
func parseFlags(names []string) (flags store.Flags, keywords []string, err error) {
next:
	for _, name := range names {
		for _, f := range systemFlags {
			if equalFold(name, string(f.name)) {
				flags |= f.flag
				continue next
			}
		}
		switch {
		case equalFold(name, `\Recent`):
		case name[0] == '\\':
			return 0, nil, wire.Bad("there is no flag %.40s", name)
		case len(name) > store.MaxKeyword:
			return 0, nil, refuse(imap.ResponseCodeLimit, "a keyword is too long")
		case !slices.ContainsFunc(keywords, func(k string) bool { return equalFold(k, name) }):
			keywords = append(keywords, name)
		}
	}
	return flags, keywords, nil
}

// subtract returns what is in a and not in b.
func subtract(a, b wire.Ranges) wire.Ranges {
	out := make(wire.Ranges, 0, len(a))
	j := 0
	for _, r := range a {
		for j < len(b) && b[j].Stop < r.Start {
			j++
		}
		start, over := r.Start, false
		for k := j; k < len(b) && b[k].Start <= r.Stop; k++ {
			if b[k].Start > start {
				out = append(out, wire.Range{Start: start, Stop: b[k].Start - 1})
			}
			if b[k].Stop >= r.Stop {
				over = true
				break
			}
			start = b[k].Stop + 1
		}
		if !over {
			out = append(out, wire.Range{Start: start, Stop: r.Stop})
		}
	}
	return out
}

// intersect returns what is in both sets.
func intersect(a, b wire.Ranges) (both wire.Ranges) {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		start, stop := max(a[i].Start, b[j].Start), min(a[i].Stop, b[j].Stop)
		if start <= stop {
			both = append(both, wire.Range{Start: start, Stop: stop})
		}
		if a[i].Stop < b[j].Stop {
			i++
		} else {
			j++
		}
	}
	return both
}
