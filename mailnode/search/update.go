package search

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"mailfleet/mailnode/message"
)

// joinFrom is how many small segments are joined to larger ones.
const joinFrom = 16

// Update brings the index of a mailbox up to its messages, less than newDocs of which
// may stay out of it. When it is interrupted nothing is lost: it goes on from there.
func (x *Index) Update(ctx context.Context, p Place) error {
	defer x.hold(p)()
	h, err := x.head(ctx, p)
	if errors.Is(err, errDamaged) {
		x.log.Warn("an index is made anew", "account", p.Account, "mailbox", p.Mailbox, "err", err)
		h, err = head{}, x.drop(ctx, mailboxKey(p))
	}
	if err != nil {
		return err
	}
	last, err := x.source.Last(ctx, p)
	switch {
	case err != nil:
		return err
	case last == 0 && len(h.segments) > 0:
		return x.drop(ctx, mailboxKey(p)) // the mailbox was deleted
	case last < h.through() || last-h.through() < newDocs:
		return nil
	}
	uids, err := x.source.UIDs(ctx, p)
	if err != nil {
		return err
	}
	for {
		at, _ := slices.BinarySearch(uids, h.through()+1)
		if len(uids)-at < newDocs {
			return nil
		}
		if err := x.extend(ctx, p, &h, uids[at:at+newDocs]); err != nil {
			return err
		}
		if err := x.join(ctx, p, &h, uids); err != nil {
			return err
		}
	}
}

// extend adds a segment of messages.
func (x *Index) extend(ctx context.Context, p Place, h *head, uids []uint32) error {
	w, err := x.build(ctx, p, uids)
	if err != nil {
		return err
	}
	s := segment{first: uids[0], last: uids[len(uids)-1]}
	return x.replace(ctx, p, h, len(h.segments), 0, s, w)
}

// build makes the rows of a segment of messages.
func (x *Index) build(ctx context.Context, p Place, uids []uint32) (*writer, error) {
	b := newBuilder()
	for d, err := range x.source.Documents(ctx, p, uids) {
		if err != nil {
			return nil, fmt.Errorf("search: reading messages: %w", err)
		}
		if err := b.document(d); err != nil {
			x.log.Warn("a message cannot be indexed", "account", p.Account, "mailbox", p.Mailbox, "uid", d.UID, "err", err)
		}
	}
	return b.finish(), nil
}

// document adds a message's entries. One that cannot be read, or has too many, is in
// every answer.
func (b *builder) document(d Document) error {
	doc := b.begin(d.UID)
	n, err := b.scan(doc, d)
	if err != nil || n == maxEntries {
		b.whole = append(b.whole, doc)
	}
	return err
}

// scan adds the entries of a message's text.
func (b *builder) scan(doc uint16, d Document) (n int, err error) {
	if d.Err != nil {
		return 0, d.Err
	}
	f := inHeader
	s := scanner{emit: func(k kind, text []byte) {
		if n < maxEntries && b.add(doc, f, k, text) {
			n++
		}
	}}
	if d.Prefix != "" {
		if _, err := s.Write([]byte(message.Fold(d.Prefix))); err != nil {
			return n, err
		}
		s.end()
	}
	if err := d.Message.WriteFolded(&s, message.HeaderScope); err != nil {
		return n, err
	}
	s.end()
	f = inBody
	if err := d.Message.WriteFolded(&s, message.BodyScope); err != nil {
		return n, err
	}
	s.end()
	return n, nil
}

// join joins neighbouring segments when many of them are small. What was expunged is
// left out.
func (x *Index) join(ctx context.Context, p Place, h *head, uids []uint32) error {
	small := 0
	for _, s := range h.segments {
		if s.docs <= newDocs {
			small++
		}
	}
	if small < joinFrom {
		return nil
	}
	for i := 0; i < len(h.segments); i++ {
		n, live := 0, 0 // segments from i on, their messages that are still there
		for _, s := range h.segments[i:] {
			l := between(uids, s.first, s.last)
			if s.old() || n > 0 && live+l > maxDocs {
				break
			}
			n, live = n+1, live+l
		}
		if n == 0 || n == 1 && live > int(h.segments[i].docs)/2 {
			continue
		}
		if err := x.rewrite(ctx, p, h, i, n, uids); err != nil {
			return err
		}
	}
	return nil
}

// between is how many of the UIDs are from first to last.
func between(uids []uint32, first, last uint32) int {
	from, _ := slices.BinarySearch(uids, first)
	to, found := slices.BinarySearch(uids, last)
	if found {
		to++
	}
	return to - from
}

// rewrite makes one segment of n.
func (x *Index) rewrite(ctx context.Context, p Place, h *head, i, n int, uids []uint32) error {
	w := &writer{}
	sources := make([]*source, n)
	for j, s := range h.segments[i : i+n] {
		m, err := x.meta(ctx, p, s.id)
		if err != nil {
			return err
		}
		sources[j] = w.take(m, uids)
		next, stop := iter.Pull2(x.entries(ctx, p, s.id, m))
		defer stop()
		sources[j].next = next
	}
	if err := w.merge(sources); err != nil {
		return err
	}
	s := segment{first: h.segments[i].first, last: h.segments[i+n-1].last}
	return x.replace(ctx, p, h, i, n, s, w)
}

// source is a segment whose entries are taken into another.
type source struct {
	number []int // of each document in the new segment, -1 when it is gone
	next   func() (entry, error, bool)
	entry  // the next one; no key at the end
}

// entry is one of a segment's: field, kind and text, and its documents.
type entry struct{ key, docs []byte }

// take takes over the documents of a segment that are among uids.
func (w *writer) take(m meta, uids []uint32) *source {
	s := &source{number: make([]int, len(m.uids))}
	for i, uid := range m.uids {
		s.number[i] = -1
		if _, found := slices.BinarySearch(uids, uid); found {
			s.number[i] = len(w.meta.uids)
			w.meta.uids = append(w.meta.uids, uid)
		}
	}
	for _, doc := range m.whole {
		if s.number[doc] >= 0 {
			w.meta.whole = append(w.meta.whole, uint16(s.number[doc]))
		}
	}
	return s
}

// merge takes over the entries of all sources, in their order.
func (w *writer) merge(sources []*source) error {
	for _, s := range sources {
		if err := s.advance(); err != nil {
			return err
		}
	}
	var docs []uint16
	for {
		var key []byte
		for _, s := range sources {
			if s.key != nil && (key == nil || bytes.Compare(s.key, key) < 0) {
				key = s.key
			}
		}
		if key == nil {
			w.flush()
			return nil
		}
		key = bytes.Clone(key)
		docs = docs[:0]
		for _, s := range sources {
			if !bytes.Equal(s.key, key) {
				continue
			}
			for doc := range docsOf(s.docs, len(s.number)) {
				if s.number[doc] >= 0 {
					docs = append(docs, uint16(s.number[doc]))
				}
			}
			if err := s.advance(); err != nil {
				return err
			}
		}
		if len(docs) > 0 {
			w.add(key, docs)
		}
	}
}

func (s *source) advance() error {
	e, err, ok := s.next()
	if !ok {
		e = entry{}
	}
	s.entry = e
	return err
}

// entries goes through a segment's entries in their order. One is good until the next.
func (x *Index) entries(ctx context.Context, p Place, id uint32, m meta) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		enough := errors.New("the caller has enough")
		next := 0
		var key []byte
		err := x.blocks(ctx, p, id, 1, len(m.blocks)+1, func(b block) error {
			if next == len(m.blocks) {
				return errDamaged
			}
			info := m.blocks[next]
			next++
			for text, docs := range b.all() {
				key = append(append(key[:0], byte(info.field), byte(info.kind)), text...)
				if !yield(entry{key, docs}, nil) {
					return enough
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, enough) {
			yield(entry{}, err)
		}
	}
}

// replace puts a new segment in the place of n, which go. What is left of one is rest: then
// its rows stay.
func (x *Index) replace(ctx context.Context, p Place, h *head, i, n int, s segment, w *writer, rest ...segment) error {
	var changes []Row
	for _, old := range h.segments[i : i+n] {
		if len(rest) == 0 {
			changes = append(changes, rowsOf(p, old)...)
		}
	}
	for _, old := range h.segments {
		s.id = max(s.id, old.id)
	}
	s.id++
	s.texts = textVersion
	s.docs, s.entries, s.blocks = uint32(len(w.meta.uids)), uint32(w.entries), uint32(len(w.blocks))
	for j, value := range append([][]byte{w.meta.encode()}, w.blocks...) {
		changes = append(changes, Row{blockKey(p, s.id, uint32(j)), value})
		s.bytes += uint64(len(value))
	}
	return x.put(ctx, p, h, changes, slices.Replace(slices.Clone(h.segments), i, i+n, append([]segment{s}, rest...)...))
}

// rowsOf are the rows of a segment, to be removed.
func rowsOf(p Place, s segment) (changes []Row) {
	for block := range s.blocks + 1 {
		changes = append(changes, Row{Key: blockKey(p, s.id, block)})
	}
	return changes
}

// put makes changes to the rows of segments, which are then these.
func (x *Index) put(ctx context.Context, p Place, h *head, changes []Row, segments []segment) error {
	next := head{segments}
	changes = append(changes, Row{headKey(p), next.encode()})
	if err := x.rows.Write(ctx, changes); err != nil {
		return err
	}
	*h = next
	return nil
}

// Drop removes the index of a mailbox. It is made anew when the mailbox is touched.
func (x *Index) Drop(ctx context.Context, p Place) error {
	defer x.hold(p)()
	return x.drop(ctx, mailboxKey(p))
}

// DropAccount removes the index of all an account's mailboxes.
func (x *Index) DropAccount(ctx context.Context, account string) error {
	return x.drop(ctx, accountKey(account))
}

// drop removes all rows under a prefix. The keys of heads come first, so that no head
// stands without its segments.
func (x *Index) drop(ctx context.Context, prefix []byte) error {
	const atOnce = 1000
	for {
		var changes []Row
		for row, err := range x.rows.Scan(ctx, prefix, after(prefix)) {
			if err != nil {
				return err
			}
			changes = append(changes, Row{Key: slices.Clone(row.Key)})
			if len(changes) == atOnce {
				break
			}
		}
		if len(changes) == 0 {
			return nil
		}
		if err := x.rows.Write(ctx, changes); err != nil {
			return err
		}
	}
}

// Stat is the size of an index.
type Stat struct {
	Segments int
	Messages int    // in the index, expunged ones that are still in it included
	Entries  int    // of all segments
	Bytes    int64  // of values
	Through  uint32 // UID up to which messages are in it
}

// Stat tells the size of a mailbox's index.
func (x *Index) Stat(ctx context.Context, p Place) (Stat, error) {
	h, err := x.head(ctx, p)
	if err != nil {
		return Stat{}, err
	}
	st := Stat{Segments: len(h.segments), Through: h.through()}
	for _, s := range h.segments {
		st.Messages += int(s.docs)
		st.Entries += int(s.entries)
		st.Bytes += int64(s.bytes)
	}
	return st, nil
}
