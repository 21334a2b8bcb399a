package imapd

import (
	"errors"
	"iter"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/store"
)

// resync is what a client that comes back knows of a mailbox (RFC 7162 §3.2.5).
type resync struct {
	uidValidity uint32
	modSeq      uint64
	known       *wire.Set // UIDs it knows, nil for all
	seqs, uids  wire.Set  // numbers of some messages, and which UIDs they had
}

// selectMailbox is SELECT and EXAMINE (RFC 9051 §6.3.2, §6.3.3).
func (s *session) selectMailbox(c *call) error {
	name, err := s.spaceName()
	if err != nil {
		return err
	}
	var r *resync
	if s.r.Take(' ') {
		if r, err = s.selectParams(); err != nil {
			return err
		}
	}
	if err := s.end(); err != nil {
		return err
	}
	if s.box != nil { // also when the selection fails (RFC 9051 §6.3.2)
		s.deselect()
		s.untagged("CLOSED", "the mailbox before is closed")
	}
	t, err := s.findWith(s.srv.ctx, name, "r")
	if err != nil {
		return err
	}
	open, err := s.srv.store.Open(s.srv.ctx, t.place)
	if err != nil {
		return err
	}
	b := &box{target: t, open: open}
	b.readOnly = c.name == "EXAMINE" || t.rights.without("lrpka") == ""
	s.box = b
	if err := s.describe(r); err != nil {
		s.deselect()
		return err
	}
	c.quiet = true
	c.code = "READ-WRITE"
	if b.readOnly {
		c.code = "READ-ONLY"
	}
	s.notifySelected()
	return nil
}

func (s *session) selectParams() (r *resync, err error) {
	err = s.r.List(func() error {
		word, err := s.r.Word()
		if err != nil {
			return err
		}
		switch word {
		case "CONDSTORE":
			s.condstore = true
			return nil
		case "QRESYNC":
			if !s.qresync {
				return wire.Bad("ENABLE QRESYNC comes first")
			}
			if err := s.r.Space(); err != nil {
				return err
			}
			r, err = s.resync()
			return err
		}
		return wire.Bad("SELECT has no parameter %.40s", word)
	})
	return r, err
}

// resync reads "(uidvalidity modseq [known-uids] [(seqs uids)])".
func (s *session) resync() (*resync, error) {
	r := &resync{}
	if err := s.r.Want('('); err != nil {
		return nil, err
	}
	var err error
	if r.uidValidity, err = s.r.Number(); err != nil {
		return nil, err
	}
	if err := s.r.Space(); err != nil {
		return nil, err
	}
	if r.modSeq, err = s.r.Number64(); err != nil {
		return nil, err
	}
	for s.r.Take(' ') {
		if s.r.Take('(') {
			if err := s.matchData(r); err != nil {
				return nil, err
			}
			break
		}
		if r.known != nil {
			return nil, wire.Bad("QRESYNC takes one set of UIDs")
		}
		set, err := s.r.Set()
		if err != nil {
			return nil, err
		}
		r.known = &set
	}
	return r, s.r.Want(')')
}

// matchData reads the rest of "(seqs uids)" (RFC 7162 §3.2.5.2).
func (s *session) matchData(r *resync) (err error) {
	if r.seqs, err = s.r.Set(); err != nil {
		return err
	}
	if err := s.r.Space(); err != nil {
		return err
	}
	if r.uids, err = s.r.Set(); err != nil {
		return err
	}
	return s.r.Want(')')
}

// missed reports whether there may be something to tell a client that comes back to a
// mailbox.
func (r *resync) missed(m *store.Mailbox) bool {
	return r != nil && r.uidValidity == m.UIDValidity && r.modSeq < m.HighestModSeq
}

// unmoved is the highest UID whose message still has the number the client knows it by, as
// those before it have: none up to it was removed since.
func (r *resync) unmoved(v *store.View) (last uint32) {
	next, stop := iter.Pull(wire.Ranges(r.uids.Ranges).All)
	defer stop()
	for seq := range wire.Ranges(r.seqs.Ranges).All {
		uid, ok := next()
		if !ok || seq == 0 || seq > uint32(v.Len()) || v.At(int(seq)-1).UID != uid {
			break
		}
		last = max(last, uid)
	}
	return last
}

// ready is loaded; a mailbox that cannot be read is left.
func (s *session) ready() error {
	err := s.loaded()
	if err != nil {
		s.deselect()
		s.untagged("CLOSED", "the mailbox cannot be read")
	}
	return err
}

// loaded has the selected mailbox be read and waits for it. It is then told as it was when it was
// selected; what happened meanwhile is told in its turn.
func (s *session) loaded() error {
	if s.box == nil || s.box.told != nil {
		return nil
	}
	v, err := s.box.open.Wait(s.srv.ctx)
	if err != nil {
		return err
	}
	s.box.told = v
	return nil
}

// describe tells what a mailbox is like (RFC 9051 §6.3.2).
func (s *session) describe(r *resync) error {
	m := &s.box.open.Mailbox
	// Of a large mailbox that is not read yet the first unseen message is not told,
	// of which a client that is not told it knows nothing (RFC 3501 §7.1).
	missed := r.missed(m)
	if missed || s.box.open.Ready() {
		if err := s.loaded(); err != nil {
			return err
		}
	}
	s.tellFlags(m)
	s.w.Raw("* OK [PERMANENTFLAGS ")
	s.permanentFlags(m)
	s.w.Raw("] these stay\r\n* ").Num(m.Messages).Raw(" EXISTS\r\n")
	if !s.rev2 {
		s.w.Raw("* 0 RECENT\r\n")
		if i := firstUnseen(s.box.told); i >= 0 {
			s.w.Raw("* OK [UNSEEN ").Num(uint64(i) + 1).Raw("] the first unseen\r\n")
		}
	}
	s.w.Raw("* OK [UIDVALIDITY ").Num(uint64(m.UIDValidity)).Raw("] UIDs are valid\r\n")
	s.w.Raw("* OK [UIDNEXT ").Num(uint64(m.UIDNext)).Raw("] the next UID\r\n")
	s.w.Raw("* OK [HIGHESTMODSEQ ").Num(m.HighestModSeq).Raw("] the highest mod-sequence\r\n")
	s.w.Raw("* OK [MAILBOXID (").Raw(objectID('F', m.Object)).Raw(")] the mailbox\r\n")
	if s.rev2 {
		s.w.Raw("* LIST () \"/\" ").Mailbox(s.box.name).CRLF()
	}
	if missed {
		return s.catchUp(r)
	}
	return nil
}

// permanentFlags are those the user may change.
func (s *session) permanentFlags(m *store.Mailbox) {
	if s.box.readOnly {
		s.w.Raw("()")
		return
	}
	may := s.box.may()
	if !may.Has(store.Draft) {
		s.writeFlags(may, nil)
		return
	}
	s.w.Byte('(')
	for _, f := range systemFlags {
		if may.Has(f.flag) {
			s.w.Raw(string(f.name)).Space()
		}
	}
	for _, word := range m.Keywords {
		if word != "" {
			s.w.Raw(word).Space()
		}
	}
	s.w.Raw(`\*)`)
}

// may are the flags that the user's rights let him change (RFC 4314 §4): with w, all but
// \Seen and \Deleted, which have rights of their own.
func (b *box) may() (flags store.Flags) {
	if b.rights.has("w") {
		flags |= ^(store.Seen | store.Deleted)
	}
	if b.rights.has("s") {
		flags |= store.Seen
	}
	if b.rights.has("t") {
		flags |= store.Deleted
	}
	return flags
}

func firstUnseen(v *store.View) int {
	if v == nil || v.Mailbox.Unseen == 0 {
		return -1
	}
	for i, m := range v.All() {
		if !m.Flags.Has(store.Seen) {
			return i
		}
	}
	return -1
}

// catchUp tells a client that comes back what it missed (RFC 7162 §3.2.5).
func (s *session) catchUp(r *resync) error {
	v := s.box.told
	known := wire.Ranges{{Start: 1, Stop: max(v.Mailbox.UIDNext, 2) - 1}}
	if r.known != nil {
		known = r.known.Resolve(v.Mailbox.UIDNext - 1)
	}
	if err := s.vanishedEarlier(r.modSeq, known, r.unmoved(v)); err != nil {
		return err
	}
	for i, m := range v.All() {
		if m.ModSeq > r.modSeq && known.Contains(m.UID) {
			s.tellItem(v, i)
		}
	}
	return nil
}

// vanishedEarlier tells which of some UIDs were removed after modSeq, of messages that the
// peer is not told to be there: what goes meanwhile is told in its turn. None up to the UID
// unmoved are among them.
func (s *session) vanishedEarlier(modSeq uint64, of wire.Ranges, unmoved uint32) error {
	gone, complete, err := s.srv.store.Vanished(s.srv.ctx, s.box.place, modSeq)
	if err != nil {
		return err
	}
	told := s.box.told
	of = intersect(of, wire.Ranges{{Start: 1, Stop: max(told.Mailbox.UIDNext, 2) - 1}}) // others never were
	var set wire.Ranges
	if complete {
		for _, uid := range gone {
			if _, there := told.Search(uid); !there {
				set.Add(uid)
			}
		}
	} else { // what is not there may have gone since
		set = subtract(of, presentUIDs(told))
		if unmoved > 0 {
			set = subtract(set, wire.Ranges{{Start: 1, Stop: unmoved}})
		}
	}
	if set = intersect(set, of); len(set) > 0 {
		s.w.Raw("* VANISHED (EARLIER) ").Ranges(set).CRLF()
	}
	return nil
}

func presentUIDs(v *store.View) (uids wire.Ranges) {
	for _, m := range v.All() {
		uids.Add(m.UID)
	}
	return uids
}

// closeMailbox is CLOSE: what is marked as deleted goes, and nothing is said of it
// (RFC 9051 §6.4.1).
func (s *session) closeMailbox(c *call) error {
	if err := s.end(); err != nil {
		return err
	}
	b := s.box
	may, err := s.mayHoldDeleted()
	if err != nil {
		return err
	}
	if may {
		if err := s.ready(); err != nil {
			return err
		}
		if uids := deletedIn(b.open.View(), nil); len(uids) > 0 {
			gone, err := s.srv.store.Expunge(s.srv.ctx, b.place, uids)
			if err != nil {
				return err
			}
			s.srv.Counters.Expunged.Add(int64(len(gone.UIDs)))
			if s.qresync {
				c.code = "HIGHESTMODSEQ " + number(gone.ModSeq)
			}
		}
	}
	s.deselect()
	return nil
}

// mayHoldDeleted reports whether the selected mailbox may have messages to be removed when
// it is closed. For most one that is not read need not be.
func (s *session) mayHoldDeleted() (bool, error) {
	if s.box.readOnly || !s.box.rights.has("e") {
		return false, nil
	}
	m, err := s.srv.store.Status(s.srv.ctx, s.box.place)
	if errors.Is(err, store.ErrNoMailbox) {
		return false, nil
	}
	return m.Deleted > 0, err
}

// unselect is RFC 9051 §6.4.2.
func (s *session) unselect(*call) error {
	if err := s.end(); err != nil {
		return err
	}
	s.deselect()
	return nil
}

// objectID writes an id of RFC 8474; the letter says of what it is.
func objectID(letter byte, id store.ObjectID) string { return string(letter) + id.String() }
