package search

import (
	"context"
	"errors"
	"fmt"
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
	uids, err := x.source.UIDs(ctx, p)
	if err != nil {
		return err
	}
	if len(uids) == 0 && len(h.segments) > 0 {
		return x.drop(ctx, mailboxKey(p)) // emptied, or deleted
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
	b := newBuilder()
	for d, err := range x.source.Documents(ctx, p, uids) {
		if err != nil {
			return fmt.Errorf("search: reading messages: %w", err)
		}
		if err := b.document(d); err != nil {
			return fmt.Errorf("search: message %d: %w", d.UID, err)
		}
	}
	s := segment{first: uids[0], last: uids[len(uids)-1]}
	return x.replace(ctx, p, h, len(h.segments), 0, s, b)
}

// document adds a message's entries.
func (b *builder) document(d Document) error {
	doc := b.begin(d.UID)
	f, n := inHeader, 0
	s := scanner{emit: func(k kind, text []byte) {
		if n < maxEntries && b.add(doc, f, k, text) {
			n++
		}
	}}
	if d.Prefix != "" {
		if _, err := s.Write([]byte(message.Fold(d.Prefix))); err != nil {
			return err
		}
		s.end()
	}
	if err := d.Message.WriteFolded(&s, message.HeaderScope); err != nil {
		return err
	}
	s.end()
	f = inBody
	if err := d.Message.WriteFolded(&s, message.BodyScope); err != nil {
		return err
	}
	s.end()
	if n == maxEntries {
		b.whole = append(b.whole, doc)
	}
	return nil
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
			if n > 0 && live+l > maxDocs {
				break
			}
			n, live = n+1, live+l
		}
		if n == 1 && live > int(h.segments[i].docs)/2 {
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
	b := newBuilder()
	for _, s := range h.segments[i : i+n] {
		m, err := x.meta(ctx, p, s.id)
		if err != nil {
			return err
		}
		if err := x.take(ctx, p, s, m, b, uids); err != nil {
			return err
		}
	}
	s := segment{first: h.segments[i].first, last: h.segments[i+n-1].last}
	return x.replace(ctx, p, h, i, n, s, b)
}

// take adds to a builder what a segment has of the messages uids.
func (x *Index) take(ctx context.Context, p Place, s segment, m meta, b *builder, uids []uint32) error {
	number := make([]int, len(m.uids)) // in the new segment, -1 when it is gone
	for i, uid := range m.uids {
		number[i] = -1
		if _, found := slices.BinarySearch(uids, uid); found {
			number[i] = int(b.begin(uid))
		}
	}
	for _, doc := range m.whole {
		if number[doc] >= 0 {
			b.whole = append(b.whole, uint16(number[doc]))
		}
	}
	next := 0
	return x.blocks(ctx, p, s.id, 1, len(m.blocks)+1, func(blk block) error {
		if next == len(m.blocks) {
			return errDamaged
		}
		info := m.blocks[next]
		next++
		for text, docs := range blk.all() {
			for doc := range docsOf(docs, len(m.uids)) {
				if number[doc] >= 0 {
					b.add(uint16(number[doc]), info.field, info.kind, text)
				}
			}
		}
		return nil
	})
}

// replace puts a new segment in the place of n, which go.
func (x *Index) replace(ctx context.Context, p Place, h *head, i, n int, s segment, b *builder) error {
	var changes []Row
	for _, old := range h.segments[i : i+n] {
		for block := range old.blocks + 1 {
			changes = append(changes, Row{Key: blockKey(p, old.id, block)})
		}
	}
	for _, old := range h.segments {
		s.id = max(s.id, old.id)
	}
	s.id++
	m, blocks := b.finish()
	s.docs, s.entries, s.blocks = uint32(len(m.uids)), uint32(len(b.entries)), uint32(len(blocks))
	for j, value := range append([][]byte{m.encode()}, blocks...) {
		changes = append(changes, Row{blockKey(p, s.id, uint32(j)), value})
		s.bytes += uint64(len(value))
	}
	next := head{slices.Replace(slices.Clone(h.segments), i, i+n, s)}
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
