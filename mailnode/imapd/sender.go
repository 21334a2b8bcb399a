package imapd

import (
	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/message"
	"mailfleet/mailnode/store"
)

// fetchBatch is how many messages are looked up at once. Between two batches nothing of
// the store is held, however slowly the peer reads.
const fetchBatch = 256

// What must be read of a message for the items of a FETCH.
const (
	recordItems = wire.ItemEmailID | wire.ItemThreadID
	digestItems = wire.ItemEnvelope | wire.ItemBody | wire.ItemBodyStructure | wire.ItemPreview
)

// sender answers one FETCH.
type sender struct {
	s *session
	f *wire.Fetch
	extent
	record bool  // the message's record is needed
	digest bool  // and its digest
	gone   bool  // a message was not there any more
	failed error // a part that cannot be decoded was asked for

	messages  []store.Message // of the batch
	envelopes message.Envelopes

	ahead *store.Ahead // reads bodies; nil when none is needed
	body  []byte       // of the message that is being sent; nil when it was not read ahead
}

// sender makes what answers a FETCH for messages of the selected mailbox.
func (s *session) sender(f *wire.Fetch, e extent) *sender {
	d := &sender{s: s, f: f, extent: e}
	d.digest = f.Items&digestItems != 0
	for _, section := range f.Sections {
		d.digest = d.digest || !isWhole(section.Body)
	}
	d.record = d.digest || len(f.Sections) > 0 || f.Items&recordItems != 0
	return d
}

// marks reports whether a FETCH marks as seen what it gets.
func (s *session) marks(f *wire.Fetch) bool {
	return f.Marks() && !s.box.readOnly && s.box.rights.has("s")
}

// changedSince keeps the messages that changed after modSeq (RFC 7162 §3.1.4.1).
func (d *sender) changedSince(seqs wire.Ranges, modSeq uint64) (changed wire.Ranges) {
	for seq := range seqs.All {
		if m, ok := d.current(seq); ok && m.ModSeq > modSeq {
			changed.Add(seq)
		}
	}
	return changed
}

// current finds the message the peer knows by a number as it is now; ok is false when it
// is gone.
func (d *sender) current(seq uint32) (m *store.Item, ok bool) {
	m = d.told.At(int(seq) - 1)
	if d.now == d.told {
		return m, true
	}
	i, found := d.now.Search(m.UID)
	if !found {
		return nil, false
	}
	return d.now.At(i), true
}

// item is the message the peer knows by a number as it is now, or was before it went.
func (d *sender) item(seq uint32) *store.Item {
	if m, ok := d.current(seq); ok {
		return m
	}
	return d.told.At(int(seq) - 1)
}

// sendAll answers for messages.
func (d *sender) sendAll(seqs wire.Ranges) error {
	s, f := d.s, d.f
	if len(f.Sections) > 0 {
		d.ahead = s.srv.store.Ahead()
		defer d.ahead.Release()
	}
	if !sameWords(d.now.Mailbox.Keywords, d.told.Mailbox.Keywords) {
		s.tellFlags(&d.now.Mailbox)
	}
	send := d.inBatches
	if d.digest && len(f.Sections) == 0 && f.Items&recordItems == 0 && seqs.Len() > fetchBatch {
		send = d.inPages
	}
	if err := send(seqs); err != nil {
		return err
	}
	if d.failed != nil {
		return d.failed
	}
	if d.gone && f.Items&wire.ItemUID == 0 {
		return refuse("EXPUNGEISSUED", "some of the messages are gone")
	}
	return nil
}

// inPages answers for many messages of which nothing but the digest is read.
func (d *sender) inPages(seqs wire.Ranges) error {
	s := d.s
	pages := s.srv.store.DigestPages(s.srv.ctx, s.box.place, func(yield func(uint32) bool) {
		for seq := range seqs.All {
			if !yield(d.told.At(int(seq) - 1).UID) {
				return
			}
		}
	})
	defer pages.Close()
	var page store.Page
	for seq := range seqs.All {
		if len(page.UIDs) == 0 {
			next, err := pages.Next()
			if err != nil {
				return err
			}
			page = *next
		}
		uid := page.UIDs[0]
		page.UIDs = page.UIDs[1:]
		if len(page.Messages) == 0 || page.Messages[0].UID != uid {
			d.gone = true
			continue
		}
		if err := d.send(seq, d.item(seq), &page.Messages[0]); err != nil {
			return err
		}
		page.Messages = page.Messages[1:]
	}
	return s.w.Err()
}

// inBatches answers for messages, some at a time.
func (d *sender) inBatches(seqs wire.Ranges) error {
	marks := d.s.marks(d.f)
	batch := make([]uint32, 0, min(seqs.Len(), fetchBatch))
	for seq := range seqs.All {
		if batch = append(batch, seq); len(batch) == fetchBatch {
			if err := d.batch(batch, marks); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if len(batch) > 0 {
		return d.batch(batch, marks)
	}
	return nil
}

func sameWords(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// isWhole reports whether a section is the message as it is, for which its digest is
// not needed.
func isWhole(b *imap.FetchItemBodySection) bool {
	return b != nil && len(b.Part) == 0 && b.Specifier == imap.PartSpecifierNone
}

// batch answers for some messages and then marks them as seen.
func (d *sender) batch(seqs []uint32, marks bool) error {
	s := d.s
	var unseen []uint32
	if !d.record {
		for _, seq := range seqs {
			if m, ok := d.current(seq); ok {
				if err := d.send(seq, m, nil); err != nil {
					return err
				}
			} else {
				d.gone = true
			}
		}
		return s.w.Err()
	}
	uids := make([]uint32, 0, len(seqs))
	for _, seq := range seqs {
		uids = append(uids, d.told.At(int(seq)-1).UID)
	}
	from := s.srv.store.Digests(s.srv.ctx, s.box.place, uids)
	if len(d.f.Sections) > 0 || d.f.Items&recordItems != 0 {
		from = s.srv.store.MessagesOf(s.srv.ctx, s.box.place, d.now, uids, d.digest)
	}
	messages := d.messages[:0]
	for m, err := range from {
		if err != nil {
			return err
		}
		messages = append(messages, m)
	}
	d.messages = messages
	at := 0
	for i, seq := range seqs {
		if at == len(messages) || messages[at].UID != uids[i] {
			d.gone = true
			continue
		}
		m := &messages[at]
		d.body = d.ahead.Body(messages[at:])
		at++
		item := d.item(seq)
		if err := d.send(seq, item, m); err != nil {
			return err
		}
		if marks && !item.Flags.Has(store.Seen) {
			unseen = append(unseen, item.UID)
		}
	}
	if len(d.f.Sections) > 0 {
		s.srv.Counters.Fetched.Add(int64(len(messages)))
	}
	if len(unseen) == 0 {
		return s.w.Err()
	}
	result, err := s.srv.store.StoreFlags(s.srv.ctx, s.box.place, store.FlagChange{UIDs: unseen, Op: store.AddFlags, Flags: store.Seen})
	if err == nil && d.first > 0 {
		err = d.tellMarked(result)
	}
	return err
}

// tellMarked tells which messages were marked as seen, of a mailbox that is not read: of
// others update tells it.
func (d *sender) tellMarked(result store.FlagResult) error {
	if err := d.s.renew(&d.extent); err != nil {
		return err
	}
	d.s.box.did(result.Changed)
	for i := range result.Changed {
		d.s.answerItem(&d.extent, result.Changed[i].UID, true)
	}
	return d.s.w.Err()
}

// send writes the FETCH response of one message. m is nil when its record is not needed.
func (d *sender) send(seq uint32, item *store.Item, m *store.Message) error {
	w := d.s.w
	w.Raw("* ").Num(uint64(seq)).Raw(" FETCH (")
	start := w.Mark()
	d.items(item, m, start)
	if err := d.described(m, start); err != nil {
		return err
	}
	for i := range d.f.Sections {
		if w.Since(start) {
			w.Space()
		}
		if err := d.section(m, &d.f.Sections[i]); err != nil {
			return err
		}
	}
	w.Raw(")\r\n")
	return w.Err()
}

// items writes the items that have no arguments.
func (d *sender) items(item *store.Item, m *store.Message, start int64) {
	w, name := d.s.w, d.namer(start)
	if name(wire.ItemUID, "UID ") {
		w.Num(uint64(item.UID))
	}
	if name(wire.ItemFlags, "FLAGS ") {
		d.s.writeFlags(item.Flags, d.now.Mailbox.Keywords)
	}
	if name(wire.ItemModSeq, "MODSEQ (") {
		w.Num(item.ModSeq).Byte(')')
	}
	if name(wire.ItemInternalDate, "INTERNALDATE ") {
		w.DateTime(item.Date())
	}
	if name(wire.ItemSaveDate, "SAVEDATE ") {
		w.DateTime(savedAt(item))
	}
	if name(wire.ItemSize, "RFC822.SIZE ") {
		w.Num(uint64(item.Size))
	}
	if name(wire.ItemEmailID, "EMAILID (") {
		w.Raw(objectID('M', m.ID)).Byte(')')
	}
	if name(wire.ItemThreadID, "THREADID ") {
		d.threadID(m)
	}
}

// namer returns what writes the name of an item that is asked for.
func (d *sender) namer(start int64) func(wire.Items, string) bool {
	w := d.s.w
	return func(i wire.Items, text string) bool {
		if d.f.Items&i == 0 {
			return false
		}
		if w.Since(start) {
			w.Space()
		}
		w.Raw(text)
		return true
	}
}

// described writes the items that come from the message's digest.
func (d *sender) described(m *store.Message, start int64) error {
	if d.f.Items&digestItems == 0 {
		return nil
	}
	w, name, digest := d.s.w, d.namer(start), message.Encoded(m.Digest)
	if d.f.Items&wire.ItemEnvelope != 0 {
		e, err := d.envelopes.Decode(digest)
		if err != nil {
			return d.broken(err)
		}
		name(wire.ItemEnvelope, "ENVELOPE ")
		d.s.writeEnvelope(e)
	}
	if d.f.Items&(wire.ItemBody|wire.ItemBodyStructure) != 0 {
		p, err := digest.Structure()
		if err != nil {
			return d.broken(err)
		}
		if name(wire.ItemBody, "BODY ") {
			d.s.writeStructure(p, false)
		}
		if name(wire.ItemBodyStructure, "BODYSTRUCTURE ") {
			d.s.writeStructure(p, true)
		}
	}
	if name(wire.ItemPreview, "PREVIEW ") {
		text, err := digest.Preview()
		if err != nil {
			return d.broken(err)
		}
		w.String(text)
	}
	return nil
}

func (d *sender) threadID(m *store.Message) {
	if m.Thread == (store.ObjectID{}) {
		d.s.w.Raw("NIL")
		return
	}
	d.s.w.Byte('(').Raw(objectID('T', m.Thread)).Byte(')')
}
