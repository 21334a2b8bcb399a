package imapd

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/store"
)

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// change is a STORE.
type change struct {
	set       wire.Set
	op        store.FlagOp
	silent    bool
	flags     store.Flags
	keywords  []string
	condition bool
	unchanged uint64
}

// store is STORE (RFC 9051 §6.4.6, RFC 7162 §3.1.3).
func (s *session) store(c *call) error {
	ch, err := s.readChange()
	if err != nil {
		return err
	}
	if s.box.readOnly {
		return refuse(imap.ResponseCodeNoPerm, "the mailbox is open for reading only")
	}
	e, err := s.reach(ch.set, c.uid)
	if err != nil {
		return err
	}
	seqs, err := s.seqs(e.told, ch.set, c.uid)
	if err != nil {
		return err
	}
	if ch.condition {
		s.condstore = true
	}
	uids := uidsOf(e.told, seqs)
	result, err := s.changeFlags(ch, &e, uids)
	if err != nil {
		return err
	}
	if err := s.renew(&e); err != nil {
		return err
	}
	s.answerChange(ch, &e, uids, result)
	if len(result.Modified) > 0 {
		left := rangesOf(result.Modified)
		if !c.uid {
			left = seqsOf(e.told, left)
		}
		c.code, c.text = "MODIFIED "+left.String(), "some had been changed and were left alone"
	}
	return nil
}

func (s *session) readChange() (ch change, err error) {
	if err := s.r.Space(); err != nil {
		return ch, err
	}
	if ch.set, err = s.r.Set(); err != nil {
		return ch, err
	}
	if err := s.r.Space(); err != nil {
		return ch, err
	}
	if s.r.Is('(') {
		if err := s.r.List(func() error {
			if err := s.wantWord("UNCHANGEDSINCE"); err != nil {
				return err
			}
			ch.condition = true
			if err := s.r.Space(); err != nil {
				return err
			}
			ch.unchanged, err = s.r.Number64()
			return err
		}); err != nil {
			return ch, err
		}
		if err := s.r.Space(); err != nil {
			return ch, err
		}
	}
	word, err := s.r.Word()
	if err != nil {
		return ch, err
	}
	word, ch.silent = strings.CutSuffix(word, ".SILENT")
	switch word {
	case "FLAGS":
		ch.op = store.SetFlags
	case "+FLAGS":
		ch.op = store.AddFlags
	case "-FLAGS":
		ch.op = store.RemoveFlags
	default:
		return ch, wire.Bad("STORE changes FLAGS")
	}
	if err := s.r.Space(); err != nil {
		return ch, err
	}
	names, err := s.r.Flags(true)
	if err != nil {
		return ch, err
	}
	if ch.flags, ch.keywords, err = parseFlags(names); err != nil {
		return ch, err
	}
	return ch, s.end()
}

func (s *session) wantWord(want string) error {
	word, err := s.r.Word()
	if err == nil && word != want {
		err = wire.Bad("%s is missing", want)
	}
	return err
}

// changeFlags makes the changes that the user's rights allow: of several flags,
// those he has a right to (RFC 4314 §4).
func (s *session) changeFlags(ch change, e *extent, uids []uint32) (store.FlagResult, error) {
	b := s.box
	may := b.may()
	flags, keywords := ch.flags&may, ch.keywords
	if !may.Has(store.Draft) {
		keywords = nil
	}
	if may == 0 || flags == 0 && len(keywords) == 0 && (ch.flags != 0 || len(ch.keywords) > 0) {
		return store.FlagResult{}, refuse(imap.ResponseCodeNoPerm, "you may not change these flags")
	}
	fc := store.FlagChange{UIDs: uids, Op: ch.op, Flags: flags, Keywords: keywords, Conditional: ch.condition, UnchangedSince: ch.unchanged}
	if ch.op == store.SetFlags && ^may != 0 {
		return s.setSome(fc, e, may)
	}
	result, err := s.srv.store.StoreFlags(s.srv.ctx, b.place, fc)
	if err == nil {
		b.did(result.Changed)
	}
	return result, err
}

// did notes changes of this session's own, which its peer is answered.
func (b *box) did(changed []store.Item) {
	for i := range changed {
		if n := len(b.own); n == 0 || b.own[n-1] != changed[i].ModSeq {
			b.own = append(b.own, changed[i].ModSeq)
		}
	}
}

// setSome sets flags where others stay as they are: it adds those to be set and
// removes the rest of those that may be changed.
func (s *session) setSome(fc store.FlagChange, e *extent, may store.Flags) (store.FlagResult, error) {
	b := s.box
	remove := fc
	remove.Op, remove.Flags, remove.Keywords = store.RemoveFlags, may&store.SystemFlags&^fc.Flags, nil
	if may.Has(store.Draft) {
		for _, word := range e.now.Mailbox.Keywords {
			if word != "" && !slices.ContainsFunc(fc.Keywords, func(k string) bool { return equalFold(k, word) }) {
				remove.Keywords = append(remove.Keywords, word)
			}
		}
	}
	first, err := s.srv.store.StoreFlags(s.srv.ctx, b.place, remove)
	if err != nil {
		return first, err
	}
	fc.Op, fc.Conditional = store.AddFlags, false
	fc.UIDs = slices.DeleteFunc(slices.Clone(fc.UIDs), func(uid uint32) bool {
		_, left := slices.BinarySearch(first.Modified, uid)
		return left
	})
	second, err := s.srv.store.StoreFlags(s.srv.ctx, b.place, fc)
	if err != nil {
		return second, err
	}
	b.did(first.Changed)
	b.did(second.Changed)
	second.Modified = first.Modified
	again := second.Changed
	for _, item := range first.Changed {
		if _, found := slices.BinarySearchFunc(again, item.UID, func(i store.Item, uid uint32) int { return cmp.Compare(i.UID, uid) }); !found {
			second.Changed = append(second.Changed, item)
		}
	}
	return second, nil
}

// answerChange tells the flags of the messages as they are now or, where that is
// not wanted, the mod-sequences of those that changed, where these are.
func (s *session) answerChange(ch change, e *extent, uids []uint32, result store.FlagResult) {
	if !ch.silent {
		if !slices.Equal(e.now.Mailbox.Keywords, e.told.Mailbox.Keywords) {
			s.tellFlags(&e.now.Mailbox)
		}
		for _, uid := range uids {
			s.answerItem(e, uid, true)
		}
		return
	}
	if s.condstore {
		for i := range result.Changed {
			s.answerItem(e, result.Changed[i].UID, false)
		}
	}
	for _, uid := range result.Modified { // the peer does not know these flags
		s.answerItem(e, uid, true)
	}
}

// answerItem tells of a message, under the number the peer knows it by.
func (s *session) answerItem(e *extent, uid uint32, flags bool) {
	seq, known := e.told.Search(uid)
	i, found := e.now.Search(uid)
	if !known || !found {
		return
	}
	m := e.now.At(i)
	s.w.Raw("* ").Num(uint64(seq) + 1).Raw(" FETCH (UID ").Num(uint64(uid))
	if flags {
		s.w.Raw(" FLAGS ")
		s.writeFlags(m.Flags, e.now.Mailbox.Keywords)
	}
	if s.condstore {
		s.w.Raw(" MODSEQ (").Num(m.ModSeq).Byte(')')
	}
	s.w.Raw(")\r\n")
}

// deletedIn lists the messages marked as deleted; of some UIDs only where they are given.
func deletedIn(v *store.View, of *wire.Ranges) (uids []uint32) {
	if v.Mailbox.Deleted == 0 {
		return nil
	}
	for _, m := range v.All() {
		if m.Flags.Has(store.Deleted) && (of == nil || of.Contains(m.UID)) {
			uids = append(uids, m.UID)
		}
	}
	return uids
}

// expunge is EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9).
func (s *session) expunge(c *call) error {
	var of *wire.Ranges
	if c.uid {
		if err := s.r.Space(); err != nil {
			return err
		}
		set, err := s.r.Set()
		if err != nil {
			return err
		}
		seqs, err := s.seqs(s.box.told, set, true)
		if err != nil {
			return err
		}
		uids := rangesOf(uidsOf(s.box.told, seqs))
		of = &uids
	}
	if err := s.end(); err != nil {
		return err
	}
	b := s.box
	if b.readOnly {
		return refuse(imap.ResponseCodeNoPerm, "the mailbox is open for reading only")
	}
	if err := b.rights.need("e"); err != nil {
		return err
	}
	if uids := deletedIn(b.open.View(), of); len(uids) > 0 {
		gone, err := s.srv.store.Expunge(s.srv.ctx, b.place, uids)
		if err != nil {
			return err
		}
		s.srv.Counters.Expunged.Add(int64(len(gone.UIDs)))
		if s.qresync {
			c.code = "HIGHESTMODSEQ " + number(gone.ModSeq)
		}
	}
	return nil
}

// copy is COPY (RFC 9051 §6.4.7).
func (s *session) copy(c *call) error { return s.transfer(c, "r", s.srv.store.Copy) }

// move is MOVE (RFC 9051 §6.4.8).
func (s *session) move(c *call) error { return s.transfer(c, "rte", s.srv.store.Move) }
